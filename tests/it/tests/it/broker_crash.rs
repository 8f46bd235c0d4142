//! The broker dies in the middle of an epoch, and comes back with what its disk holds.

use crate::harness::cluster::Cluster;
use crate::harness::job::{Job, PARTITIONS};
use crate::harness::keyed_job::KeyedJob;
use crate::harness::load::Load;
use crate::harness::model;
use crate::harness::own_broker::OwnBroker;
use crate::harness::record::Record;

#[test]
fn a_broker_that_is_killed_and_comes_back_loses_and_doubles_nothing() {
    let mut broker = OwnBroker::to_be_killed();
    let job = Job::on(&Cluster::at(&broker.address()), "broker").with_processed();
    let load = Load::start(&job.cluster, &job.topic("in"), PARTITIONS, 2);
    let mut weir = job.start();
    job.await_output(&mut weir, &job.topic("out"));
    for _ in 0..2 {
        let before = job.cluster.read_stable(&job.topic("out")).len();
        load.while_paused(|| broker.kill());
        broker.start_again();
        job.await_outputs(&mut weir, &job.topic("out"), before + 1);
    }
    let input = load.stop();
    weir.signal(libc::SIGTERM);
    weir.ends_with(0);
    job.run_to_end();
    let texts = |records: &[Record]| records.iter().map(Record::text).collect::<Vec<_>>();
    model::each_once(&texts(&input), &texts(&job.cluster.read_committed(&job.topic("in"))));
    model::prefixed(&input, &job.cluster.read_committed(&job.topic("out")), PARTITIONS);
}

#[test]
fn state_stays_exact_when_the_broker_is_killed_and_comes_back() {
    let mut broker = OwnBroker::to_be_killed();
    let mut keyed = KeyedJob::start(&Cluster::at(&broker.address()), "broker-keyed", 2, 0);
    let mut weir = keyed.job.start();
    let counts = keyed.job.topic("counts");
    keyed.job.await_output(&mut weir, &counts);
    for _ in 0..2 {
        keyed.while_load_pauses(|| broker.kill());
        broker.start_again();
        let before = keyed.job.cluster.read_stable(&counts).len();
        keyed.job.await_outputs(&mut weir, &counts, before + 1);
    }
    keyed.stop_load();
    weir.signal(libc::SIGTERM);
    weir.ends_with(0);
    keyed.job.start_with(&["--until-end", "--drain"], &[]).ends_with(0);
    let findings = keyed.end();
    assert!(findings.is_clean(), "{findings:#?}");
}

#[test]
fn a_broker_that_is_not_there_yet_is_waited_for() {
    let mut broker = OwnBroker::to_be_killed();
    let job = Job::on(&Cluster::at(&broker.address()), "late").with_processed();
    let input = Record::numbered_batch(PARTITIONS, 10);
    job.cluster.produce(&job.topic("in"), &input);
    broker.kill();
    let mut weir = job.start_with(&["--until-end"], &[]);
    weir.await_log("the incarnation ended");
    broker.start_again();
    weir.ends_with(0);
    model::prefixed(&input, &job.cluster.read_committed(&job.topic("out")), PARTITIONS);
}
