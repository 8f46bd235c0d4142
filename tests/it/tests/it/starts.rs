//! Where a pipeline begins: start policies, another consumer's offsets, partitions that come later.

use crate::harness::job::{Job, PARTITIONS};
use crate::harness::record::{Record, first_timestamp};
use crate::harness::waiting::DEADLINE;
use rdkafka::producer::Producer;

fn found(job: &Job) -> Vec<String> {
    let output = job.cluster.read_committed(&job.topic("out"));
    let mut texts: Vec<String> = output.iter().map(Record::text).collect();
    texts.sort();
    texts
}

/// Sorted outputs of numbered records from these numbers on.
fn expected(from: [u64; PARTITIONS as usize], to: u64) -> Vec<String> {
    let of = |(partition, from): (usize, u64)| {
        (from..to).map(move |number| format!("processed_{partition}-{number}"))
    };
    let mut texts: Vec<String> = from.into_iter().enumerate().flat_map(of).collect();
    texts.sort();
    texts
}

/// A job with ten records per partition, whose source has more lines.
fn with_start(stem: &str, start: &str) -> Job {
    let mut job = Job::processed(stem);
    job.text = job.text.replace("kind = \"kafka\"\ntopics", &format!("{start}\nkind = \"kafka\"\ntopics"));
    job.cluster.produce(&job.topic("in"), &Record::numbered_batch(PARTITIONS, 10));
    job
}

fn produce_more(job: &Job) {
    let all = Record::numbered_batch(PARTITIONS, 13);
    job.cluster.produce(&job.topic("in"), &all[10 * PARTITIONS as usize..]);
}

#[test]
fn plain_offsets_of_another_consumer_are_taken_over() {
    let job = with_start("takeover", "start = \"committed_or_earliest\"");
    job.cluster.commit_plainly(&job.group(), &job.topic("in"), &[(0, 4), (2, 9)]);
    let weir = job.run_to_end();
    assert!(weir.log().contains("taken over"), "{}", weir.log());
    assert_eq!(found(&job), expected([4, 0, 9], 10));
}

#[test]
fn a_start_at_the_earliest_ignores_offsets_of_another_consumer() {
    let job = with_start("earliest", "start = \"earliest\"");
    job.cluster.commit_plainly(&job.group(), &job.topic("in"), &[(0, 4), (1, 4), (2, 9)]);
    job.run_to_end();
    assert_eq!(found(&job), expected([0, 0, 0], 10));
}

#[test]
fn a_start_at_the_latest_is_decided_once_and_misses_nothing_afterwards() {
    let job = with_start("latest", "start = \"latest\"");
    job.run_to_end();
    produce_more(&job);
    job.run_to_end();
    assert_eq!(found(&job), expected([10, 10, 10], 13));
}

#[test]
fn a_start_by_time_begins_at_the_first_record_that_is_not_older() {
    let start = format!("start = {{ timestamp = {} }}", first_timestamp() + 7);
    let job = with_start("timestamp", &start);
    job.run_to_end();
    assert_eq!(found(&job), expected([7, 7, 7], 10));
}

#[test]
fn partitions_that_are_added_while_it_runs_are_read_from_their_beginning() {
    let job = with_start("partitions", "start = \"latest\"");
    let mut weir = job.start_with(&["--set", "partition_discovery_interval=200ms"], &[]);
    weir.await_log("first start");
    job.cluster.add_partitions(&job.topic("in"), PARTITIONS + 2);
    let new: Vec<Record> =
        (0..20).map(|number| Record::numbered(PARTITIONS + number % 2, number as u64)).collect();
    job.cluster.produce(&job.topic("in"), &new);
    job.await_outputs(&mut weir, &job.topic("out"), new.len());
    weir.kill();
    job.run_to_end();
    let mut expected: Vec<String> = new.iter().map(|record| format!("processed_{}", record.text())).collect();
    expected.sort();
    assert_eq!(found(&job), expected);
}

#[test]
fn partitions_that_were_added_while_it_stood_still_are_read_from_their_beginning() {
    let job = with_start("added", "start = \"latest\"");
    job.run_to_end();
    job.cluster.add_partitions(&job.topic("in"), PARTITIONS + 1);
    job.cluster.produce(&job.topic("in"), &[Record::numbered(PARTITIONS, 0)]);
    job.run_to_end();
    assert_eq!(found(&job), [format!("processed_{PARTITIONS}-0")]);
}

#[test]
fn a_topic_that_its_source_reads_no_more_is_not_read_on_and_one_reset_takes_it_back_where_it_was() {
    let mut job = Job::new("topic-leaves");
    let (topics, once) = (["stays", "leaves"].map(|suffix| job.create_topic(suffix)), PARTITIONS as usize);
    let output = job.create_topic("out");
    job.add(&format!("[source.in]\nkind = \"kafka\"\ntopics = {topics:?}"));
    job.add_operator("prefix", "in", "prefix", "");
    job.add_kafka_sink("out", "prefix", &output);
    let published = |job: &Job| job.cluster.read_committed(&output).len();
    for topic in &topics {
        job.cluster.produce(topic, &Record::numbered_batch(PARTITIONS, 2));
    }
    job.run_to_end();
    assert_eq!(published(&job), 4 * once);
    let both = job.text.replace(&format!("{topics:?}"), &format!("{:?}", [&topics[1], &topics[0]]));
    job.text = job.text.replace(&format!("{topics:?}"), &format!("{:?}", &topics[..1]));
    for topic in &topics {
        job.cluster.produce(topic, &Record::numbered_batch(PARTITIONS, 1));
    }
    job.run_to_end();
    assert_eq!(published(&job), 5 * once, "the records of one topic");
    job.run_to_end();
    // It stands at an old decision in the group, and where it was in the last checkpoint; the order of topics is nothing.
    job.text = both;
    let mut refused = job.start_with(&["--until-end"], &[]);
    refused.ends_with(4);
    assert!(refused.last_line().contains("--to-snapshot"), "{}", refused.last_line());
    job.command(&["offsets", "reset"], &["--to-snapshot", "--execute"], &[]).ends_with(0);
    job.run_to_end();
    assert_eq!(published(&job), 6 * once, "what came meanwhile, and nothing twice");
}

#[test]
fn a_start_says_that_it_waits_for_a_transaction_that_is_not_decided() {
    let job = with_start("undecided", "start = \"earliest\"");
    let foreign = job.cluster.offset_in_transaction(&job.group(), &job.topic("in"));
    let mut weir = job.start_with(&["--until-end"], &[]);
    weir.await_log(&format!(
        "group {} has offsets of a transaction that is neither committed nor aborted yet",
        job.group()
    ));
    foreign.abort_transaction(DEADLINE).expect("the transaction ends");
    weir.ends_with(0);
    assert_eq!(found(&job), expected([0; PARTITIONS as usize], 10));
}
