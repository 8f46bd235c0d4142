//! What recycling is for: a request of an epoch that arrives in a later one of the same transactional id.
//!
//! librdkafka has no epoch of its own for each transaction (KIP-890 is for Java clients). A request that is under way when
//! its client gives it up, retries it and goes on can therefore hit a later transaction. Each case below is run twice: with
//! the producers of the slots kept, as no weir does that is not told to by a test, the output is wrong; with a producer of
//! its own for each epoch the late request has no effect.

use crate::harness::cluster::{Cluster, epoch_of};
use crate::harness::faulty_network::{await_decided, await_fired, broker, decided, goes_through_proxy};
use crate::harness::job::{Job, PARTITIONS};
use crate::harness::load::Load;
use crate::harness::model;
use crate::harness::record::Record;
use crate::harness::waiting::until;
use crate::harness::weir::Weir;
use proxy::{Action, Api, Armed, Rule};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The broker's word for a producer whose id somebody has taken anew.
const INVALID_PRODUCER_EPOCH: i16 = 47;
/// The broker's word for a request that meets another of the same producer half done: it had no effect.
const CONCURRENT_TRANSACTIONS: i16 = 51;

/// Is there a producer for each epoch?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Recycling {
    On,
    Off,
}

/// A pipeline under load whose epochs last long enough to do something in their middle.
struct Case {
    job: Job,
    load: Load,
    weir: Weir,
}

impl Case {
    fn start(stem: &str, recycling: Recycling) -> Case {
        let mut job = Job::on(&Cluster::at(&broker().address()), stem).with_processed();
        goes_through_proxy(&mut job, broker());
        job.text = job.text.replace("interval = \"200ms\"", "interval = \"2s\"");
        let load = Load::start(&job.cluster, &job.topic("in"), PARTITIONS, 1);
        let environment: &[_] = match recycling {
            Recycling::On => &[],
            Recycling::Off => &[("WEIR_TEST_WITHOUT_RECYCLING", "1")],
        };
        let mut weir = job.start_with(&[], environment);
        job.await_output(&mut weir, &job.topic("out"));
        Case { job, load, weir }
    }

    /// A rule for the producer of a slot.
    fn arm(&self, slot: u8, api: Api, skip: u32, action: Action) -> Arc<Armed> {
        let client = format!("{}.0.{slot}", self.job.name);
        broker().proxy().arm(Rule { api, client, skip, action })
    }

    fn await_fired(&mut self, armed: &Armed, what: &str) {
        await_fired(&mut self.weir, armed, what);
    }

    /// How many records are there more than once.
    fn doubled(output: &[Record]) -> usize {
        output.len() - output.iter().map(Record::text).collect::<BTreeSet<_>>().len()
    }

    /// The epoch that the next start would find.
    fn decision(&self) -> u64 {
        let committed = self.job.cluster.committed(&self.job.group(), &self.job.topic("in"));
        epoch_of(&committed[0].metadata).unwrap()
    }

    /// Stops, reads the rest, and compares with the model.
    fn ends_right(mut self) {
        let input = self.load.stop();
        self.weir.signal(libc::SIGTERM);
        self.weir.ends_with(0);
        self.job.run_to_end();
        let output = self.job.cluster.read_committed(&self.job.topic("out"));
        model::prefixed(&input, &output, PARTITIONS);
    }
}

/// The EndTxn of an epoch of slot 0 arrives in the middle of the slot's next epoch. Returns the broker's answer to it. One
/// that meets a partition on its way into the transaction is turned away before anything else is looked at: then a later
/// one is tried.
fn commits_late(case: &mut Case) -> i16 {
    loop {
        match commits_late_once(case) {
            CONCURRENT_TRANSACTIONS => {}
            answer => return answer,
        }
    }
}

fn commits_late_once(case: &mut Case) -> i16 {
    let late = case.arm(0, Api::EndTxn, 0, Action::Hold);
    case.await_fired(&late, "an EndTxn that is held");
    // Its client gives it up and asks again, which decides the epoch; the slot's next epoch then writes.
    let written = case.arm(0, Api::Produce, 0, Action::Pass);
    case.await_fired(&written, "a record in the slot's next epoch");
    late.release();
    let answer = until("the late EndTxn to be answered", || late.answer());
    // Behind the correlation id and the throttle time.
    i16::from_be_bytes([answer[8], answer[9]])
}

#[test]
fn without_recycling_a_late_commit_commits_half_an_epoch_which_is_then_repeated() {
    let mut case = Case::start("late-commit-off", Recycling::Off);
    assert_eq!(commits_late(&mut case), 0, "the broker's answer to the late EndTxn");
    until("records that are there twice", || {
        (Case::doubled(&case.job.cluster.read_stable(&case.job.topic("out"))) > 0).then_some(())
    });
}

#[test]
fn a_late_commit_of_an_epoch_has_no_effect_on_a_later_one() {
    let mut case = Case::start("late-commit", Recycling::On);
    assert_eq!(commits_late(&mut case), INVALID_PRODUCER_EPOCH, "the broker's answer to the late EndTxn");
    let before = decided(&case.job, "in");
    await_decided(&case.job, &mut case.weir, "in", before, 2, "a late EndTxn");
    assert!(!case.weir.log().contains("the incarnation ended"), "{}", case.weir.log());
    case.ends_right();
}

/// The TxnOffsetCommit of an epoch of slot 0 arrives behind that of the slot's next epoch and before its commit. The
/// process dies then. Returns the epoch whose commit was the last to be answered.
fn offsets_are_late(case: &mut Case) -> u64 {
    let late = case.arm(0, Api::TxnOffsetCommit, 0, Action::Hold);
    case.await_fired(&late, "a TxnOffsetCommit that is held");
    let before = decided(&case.job, "in");
    // The first commit is that of the same epoch, whose offsets were sent again.
    let commit = case.arm(0, Api::EndTxn, 1, Action::Hold);
    // No epoch behind the one that is hit is decided: it would heal the decision.
    case.await_fired(&commit, "the commit of the slot's next epoch");
    let _never = case.arm(1, Api::TxnOffsetCommit, 0, Action::LoseRequest);
    late.release();
    until("the late TxnOffsetCommit to be answered", || late.answer());
    commit.release();
    until("the commit to be answered", || commit.answer());
    case.weir.kill();
    before + 3
}

#[test]
fn without_recycling_late_offsets_win_over_those_of_a_later_epoch_which_is_then_repeated() {
    let mut case = Case::start("late-offsets-off", Recycling::Off);
    let committed = offsets_are_late(&mut case);
    assert_eq!(case.decision(), committed - 2, "the decision behind a commit of epoch {committed}");
    assert_eq!(Case::doubled(&case.job.cluster.read_stable(&case.job.topic("out"))), 0);
    let Case { job, load, .. } = case;
    let input = load.stop();
    // The hint on disk tells that a decision is gone.
    let mut refused = job.start();
    refused.ends_with(4);
    // Nothing tells a container without a volume.
    std::fs::remove_dir_all(job.data_dir()).unwrap();
    job.run_to_end();
    let output = job.cluster.read_committed(&job.topic("out"));
    assert!(Case::doubled(&output) > 0, "{} of {} records", output.len(), input.len());
}

#[test]
fn late_offsets_of_an_epoch_have_no_effect_on_a_later_one() {
    let mut case = Case::start("late-offsets", Recycling::On);
    let committed = offsets_are_late(&mut case);
    assert_eq!(case.decision(), committed);
    let Case { job, load, .. } = case;
    let input = load.stop();
    std::fs::remove_dir_all(job.data_dir()).unwrap();
    job.run_to_end();
    model::prefixed(&input, &job.cluster.read_committed(&job.topic("out")), PARTITIONS);
}
