//! Requests and answers that are lost, late, doubled or cut off, at each API that a pipeline uses: each record is in the
//! output once, and state is exact.
//!
//! One test is one kind of fault, and makes it happen at each API in turn, under load: the first at the requests of a
//! start, the others in the middle of epochs. No fault is taken for done before the proxy says so, and the next comes only
//! when the pipeline has decided more.

use crate::harness::cluster::Cluster;
use crate::harness::faulty_network::{arm, await_decided, await_fired, broker, decided, goes_through_proxy};
use crate::harness::job::{Job, PARTITIONS};
use crate::harness::keyed_job::KeyedJob;
use crate::harness::load::Load;
use crate::harness::model;
use crate::harness::waiting::until;
use crate::harness::weir::Weir;
use proxy::{Action, Api};
use std::time::Duration;

/// The requests of a start, of each life one: a look at the decision, the fence, and the decision behind it.
const AT_START: &[(Api, u32)] = &[(Api::OffsetFetch, 0), (Api::InitProducerId, 1), (Api::OffsetFetch, 1)];

/// The requests of every epoch. The second one of its kind: an epoch in the middle.
const IN_EPOCHS: &[Api] = &[
    Api::Produce,
    Api::AddPartitionsToTxn,
    Api::AddOffsetsToTxn,
    Api::TxnOffsetCommit,
    Api::EndTxn,
    Api::InitProducerId,
    Api::Fetch,
];

/// One fault in the middle of epochs, survived. What is held is let go when the client has gone on without it.
fn is_survived(job: &Job, weir: &mut Weir, source: &str, api: Api, action: Action) {
    let what = format!("{action:?} at {api}");
    let armed = arm(broker(), job, api, 1, action);
    await_fired(weir, &armed, &what);
    let before = decided(job, source);
    if action == Action::Hold {
        // With a source alone held nothing can be decided, but for what was read before.
        await_decided(job, weir, source, before, 1, &what);
        armed.release();
        until("the late request to be answered", || armed.answer());
    }
    await_decided(job, weir, source, before, 2, &what);
}

fn each_request_meets(stem: &str, action: Action) {
    let broker = broker();
    let mut job = Job::on(&Cluster::at(&broker.address()), stem).with_processed();
    goes_through_proxy(&mut job, broker);
    let load = Load::start(&job.cluster, &job.topic("in"), PARTITIONS, 1);
    // What a first start asks differs from what a recovery asks.
    let mut weir = job.start();
    job.await_output(&mut weir, &job.topic("out"));
    for (api, skip) in AT_START {
        weir.kill();
        let armed = arm(broker, &job, *api, *skip, action);
        let (before, what) = (decided(&job, "in"), format!("{action:?} at {api} {skip} of a start"));
        weir = job.start();
        await_fired(&mut weir, &armed, &what);
        armed.release();
        await_decided(&job, &mut weir, "in", before, 2, &what);
    }
    for api in IN_EPOCHS {
        is_survived(&job, &mut weir, "in", *api, action);
    }
    let input = load.stop();
    weir.signal(libc::SIGTERM);
    weir.ends_with(0);
    job.run_to_end();
    model::prefixed(&input, &job.cluster.read_committed(&job.topic("out")), PARTITIONS);
}

#[test]
fn answers_that_are_lost_behind_their_effect_lose_and_double_nothing() {
    each_request_meets("lose-answer", Action::LoseAnswer);
}

#[test]
fn answers_that_never_come_lose_and_double_nothing() {
    each_request_meets("black-hole", Action::BlackHole);
}

#[test]
fn requests_that_never_arrive_lose_and_double_nothing() {
    each_request_meets("lose-request", Action::LoseRequest);
}

#[test]
fn requests_that_are_late_lose_and_double_nothing() {
    each_request_meets("delay", Action::Delay(Duration::from_millis(300)));
}

#[test]
fn requests_that_arrive_long_after_their_client_has_gone_on_lose_and_double_nothing() {
    each_request_meets("hold", Action::Hold);
}

#[test]
fn connections_that_are_cut_off_before_a_request_lose_and_double_nothing() {
    each_request_meets("cut", Action::Cut);
}

#[test]
fn requests_that_arrive_twice_lose_and_double_nothing() {
    each_request_meets("duplicate", Action::Duplicate);
}

#[test]
fn state_stays_exact_when_requests_and_answers_are_lost_late_and_doubled() {
    let broker = broker();
    let mut keyed = KeyedJob::start(&Cluster::at(&broker.address()), "faulty-state", 1, 0);
    goes_through_proxy(&mut keyed.job, broker);
    let mut weir = keyed.job.start();
    keyed.job.await_output(&mut weir, &keyed.job.topic("counts"));
    for (api, action) in [
        (Api::EndTxn, Action::LoseAnswer),
        (Api::TxnOffsetCommit, Action::Hold),
        (Api::Produce, Action::LoseRequest),
        (Api::EndTxn, Action::Hold),
        (Api::InitProducerId, Action::Duplicate),
        (Api::Produce, Action::LoseAnswer),
        (Api::AddOffsetsToTxn, Action::BlackHole),
        (Api::TxnOffsetCommit, Action::LoseAnswer),
        (Api::Fetch, Action::Cut),
        (Api::EndTxn, Action::LoseRequest),
    ] {
        is_survived(&keyed.job, &mut weir, "left", api, action);
        keyed.is_right_so_far(&format!("after {action:?} at {api}"));
    }
    keyed.stop_load();
    weir.signal(libc::SIGTERM);
    weir.ends_with(0);
    keyed.job.run_to_end();
    keyed.saw_open_state();
    keyed.is_right_so_far("in the state with open windows");
    keyed.job.start_with(&["--until-end", "--drain"], &[]).ends_with(0);
    let findings = keyed.end();
    assert!(findings.is_clean(), "{findings:#?}");
}
