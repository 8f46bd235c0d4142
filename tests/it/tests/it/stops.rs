//! How a pipeline ends when it is asked to, and where the end of a topic is.

use crate::harness::job::{Job, PARTITIONS};
use crate::harness::load::Load;
use crate::harness::model;
use crate::harness::record::Record;
use crate::harness::waiting::until;

#[test]
fn sigterm_ends_with_a_last_checkpoint_so_that_nothing_is_read_again() {
    let job = Job::processed("drain");
    let load = Load::start(&job.cluster, &job.topic("in"), PARTITIONS, 5);
    let mut weir = job.start_with(&["--set", "checkpoint.interval=30s"], &[]);
    weir.await_log("first start");
    // Without a checkpoint nothing is committed yet; that records are on their way shows in the open transaction.
    until("records to be on their way", || (job.cluster.undecided(&job.topic("out")) > 0).then_some(()));
    weir.signal(libc::SIGTERM);
    weir.ends_with(0);
    let input = load.stop();
    let output = job.cluster.read_committed(&job.topic("out"));
    let committed = job.cluster.committed(&job.group(), &job.topic("in"));
    let read: i64 = committed.iter().filter_map(|entry| entry.offset).sum();
    assert_eq!(read, output.len() as i64, "all that was read is in the output");
    job.run_to_end();
    model::prefixed(&input, &job.cluster.read_committed(&job.topic("out")), PARTITIONS);
}

#[test]
fn a_second_signal_stops_at_once_and_loses_nothing() {
    let mut job = Job::new("twice");
    let (input, output) = (job.create_topic("in"), job.create_topic("out"));
    job.add_kafka_source("orders", &input);
    let endless = "config = { behaviour = \"loop_on_value\" }\nlimits = { call = \"60s\" }";
    job.add_operator("stuck", "orders", "hostile_guests", endless);
    job.add_kafka_sink("out", "stuck", &output);
    job.cluster.produce(&input, &[Record::of(0, "a"), Record::of(0, "poison")]);
    let mut weir = job.start();
    weir.await_log("first start");
    weir.signal(libc::SIGTERM);
    weir.await_log("a second signal stops at once");
    weir.signal(libc::SIGTERM);
    weir.ends_with(0);
    assert!(job.cluster.read_committed(&output).len() <= 1);
    job.text = job.text.replace("loop_on_value", "pass");
    job.run_to_end();
    assert_eq!(job.cluster.read_committed(&output).len(), 2);
}

#[test]
fn the_end_of_a_topic_that_ends_in_a_marker_is_found() {
    let job = Job::processed("marker");
    let input = Record::numbered_batch(PARTITIONS, 20);
    job.cluster.produce_in_transaction(&job.topic("in"), &input, true);
    job.run_to_end();
    model::prefixed(&input, &job.cluster.read_committed(&job.topic("out")), PARTITIONS);
    job.run_to_end();
}

#[test]
fn records_of_aborted_transactions_are_not_read() {
    let job = Job::processed("aborted");
    let input = Record::numbered_batch(PARTITIONS, 20);
    job.cluster.produce_in_transaction(&job.topic("in"), &input, true);
    job.cluster.produce_in_transaction(&job.topic("in"), &[Record::of(0, "never-1")], false);
    job.run_to_end();
    job.run_to_end();
    model::prefixed(&input, &job.cluster.read_committed(&job.topic("out")), PARTITIONS);
}

#[test]
fn an_empty_topic_ends_at_once() {
    let job = Job::processed("empty");
    job.run_to_end();
    job.run_to_end();
    assert!(job.cluster.read_committed(&job.topic("out")).is_empty());
}
