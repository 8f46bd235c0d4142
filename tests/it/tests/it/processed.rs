//! The pipeline of the README: from topic to topic through the operator `prefix`.

use crate::harness::job::{Job, PARTITIONS};
use crate::harness::model;
use crate::harness::record::Record;

#[test]
fn each_record_is_prefixed_once_with_its_key_timestamp_and_headers() {
    let job = Job::processed("processed");
    let input = Record::numbered_batch(PARTITIONS, 2000);
    job.cluster.produce(&job.topic("in"), &input);
    job.run_to_end();
    model::prefixed(&input, &job.cluster.read_committed(&job.topic("out")), PARTITIONS);
}

#[test]
fn records_without_a_key_and_tombstones_pass() {
    let job = Job::processed("tombstones");
    let keyless = Record::of(0, "a");
    let tombstone = Record { value: None, ..Record::of(1, "").keyed("gone") };
    let empty = Record::of(2, "").keyed("");
    job.cluster.produce(&job.topic("in"), &[keyless, tombstone, empty]);
    job.run_to_end();
    let output = job.cluster.read_committed(&job.topic("out"));
    let mut values: Vec<_> = output.iter().map(|record| (record.key.clone(), record.value.clone())).collect();
    values.sort();
    let bytes = |text: &str| Some(text.as_bytes().to_vec());
    let expected = [(None, bytes("processed_a")), (bytes(""), bytes("processed_")), (bytes("gone"), None)];
    assert_eq!(values, expected);
}

#[test]
fn a_second_run_to_the_end_finds_nothing_to_do() {
    let job = Job::processed("again");
    let input = Record::numbered_batch(PARTITIONS, 10);
    job.cluster.produce(&job.topic("in"), &input);
    job.run_to_end();
    job.run_to_end();
    model::prefixed(&input, &job.cluster.read_committed(&job.topic("out")), PARTITIONS);
}

#[test]
fn records_that_come_while_it_runs_are_processed_beside_the_stream() {
    let job = Job::processed("running");
    let (first, second) = (Record::numbered_batch(PARTITIONS, 10), Record::numbered_batch(PARTITIONS, 20));
    let mut weir = job.start();
    job.cluster.produce(&job.topic("in"), &first);
    job.await_outputs(&mut weir, &job.topic("out"), first.len());
    job.cluster.produce(&job.topic("in"), &second[first.len()..]);
    job.await_outputs(&mut weir, &job.topic("out"), second.len());
    weir.signal(libc::SIGTERM);
    weir.ends_with(0);
    model::prefixed(&second, &job.cluster.read_committed(&job.topic("out")), PARTITIONS);
}
