//! Topics that are partitioned as Kafka's default partitioner does it: keyed work without an exchange, and each record
//! checked.

use crate::harness::job::{Job, PARTITIONS};
use crate::harness::murmur2::partition_of;
use crate::harness::record::Record;
use crate::harness::weir::Weir;
use std::collections::BTreeMap;
use std::fs;

const KEYS: u64 = 40;

/// Counts by key with one subtask per partition.
fn counted(stem: &str, co_partitioned: bool) -> Job {
    let mut job = Job::new(stem);
    let top = format!("parallelism = {PARTITIONS}\nco_partitioned = {co_partitioned}\n");
    job.text = job.text.replace("parallelism = 2\n", &top);
    let (input, output) = (job.create_topic("in"), job.create_topic("out"));
    job.add_kafka_source("orders", &input);
    job.add_operator("count", "orders", "count_by_key", "");
    job.add_kafka_sink("out", "count", &output);
    job
}

/// Records where the Java client's producer would put them.
fn records(count: u64) -> Vec<Record> {
    let record = |number: u64| {
        let key = format!("key-{}", number % KEYS);
        Record::of(partition_of(key.as_bytes(), PARTITIONS), &number.to_string()).keyed(&key)
    };
    (0..count).map(record).collect()
}

/// Each key was counted to this number, one by one.
#[track_caller]
fn each_is_counted(job: &Job, to: u64) {
    let mut counts: BTreeMap<Option<Vec<u8>>, u64> = BTreeMap::new();
    for record in job.cluster.read_committed(&job.topic("out")) {
        let count = counts.entry(record.key.clone()).or_default();
        *count += 1;
        assert_eq!(record.text(), count.to_string(), "{:?}", record.key);
    }
    assert_eq!(counts.len() as u64, KEYS);
    assert!(counts.values().all(|count| *count == to), "{counts:?}");
}

/// Threads of subtasks: one more stage is one more for each subtask.
fn subtasks(weir: &Weir) -> usize {
    let tasks = fs::read_dir(format!("/proc/{}/task", weir.id())).unwrap().flatten();
    let names = tasks.filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|name| name.starts_with("subtask-")).count()
}

#[test]
fn a_topic_that_is_partitioned_right_is_counted_right_without_an_exchange() {
    let (with, without) = (counted("exchanged", false), counted("co-partitioned", true));
    for (job, stages) in [(&with, 2), (&without, 1)] {
        job.cluster.produce(&job.topic("in"), &records(KEYS * 4));
        let mut weir = job.start();
        job.await_outputs(&mut weir, &job.topic("out"), KEYS as usize * 4);
        assert_eq!(subtasks(&weir), stages * PARTITIONS as usize);
        weir.kill();
        job.cluster.produce(&job.topic("in"), &records(KEYS * 2));
        job.run_to_end();
        each_is_counted(job, 6);
    }
}

#[test]
fn a_co_partitioned_pipeline_goes_on_at_another_parallelism() {
    let job = counted("co-rescaled", true);
    for parallelism in ["1", "2", "3", "2"] {
        job.cluster.produce(&job.topic("in"), &records(KEYS));
        let set = format!("parallelism={parallelism}");
        job.start_with(&["--set", &set, "--until-end"], &[]).ends_with(0);
    }
    each_is_counted(&job, 4);
}

#[test]
fn a_record_in_a_wrong_partition_stops_the_pipeline_and_is_named() {
    let job = counted("misplaced", true);
    job.cluster.produce(&job.topic("in"), &records(KEYS));
    job.run_to_end();
    let belongs = partition_of(b"key-7", PARTITIONS);
    let wrong = (belongs + 1) % PARTITIONS;
    let offset = records(KEYS).iter().filter(|record| record.partition == wrong).count();
    job.cluster.produce(&job.topic("in"), &[Record::of(wrong, "x").keyed("key-7")]);
    let mut weir = job.start();
    weir.ends_with(4);
    let said = weir.last_line();
    let place = format!("topic {}, partition {wrong}, offset {offset}", job.topic("in"));
    for part in [&place, "key-7", &format!("belongs to partition {belongs}"), "remove co_partitioned"] {
        assert!(said.contains(part), "{said}");
    }
    each_is_counted(&job, 1);
}

#[test]
fn a_topic_whose_partitions_became_more_is_refused_for_its_keys_have_moved() {
    let job = counted("repartitioned", true);
    job.cluster.produce(&job.topic("in"), &records(KEYS));
    job.run_to_end();
    job.cluster.add_partitions(&job.topic("in"), PARTITIONS + 1);
    let mut weir = job.start();
    weir.ends_with(4);
    assert!(weir.last_line().contains("keys have moved between partitions"), "{}", weir.last_line());
    // The way out that it names: the savepoint's keys are divided anew.
    let data = job.data_dir().display().to_string();
    let arguments = ["savepoint", "create", &job.name, "--data-dir", &data, "--name", "before"];
    Weir::start(&arguments, &[], &job.path("savepoint.log")).ends_with(0);
    job.cluster.produce(&job.topic("in"), &records(KEYS));
    let exchanged = ["--set", "co_partitioned=false", "--until-end"];
    job.start_with(&[&exchanged[..], &["--from-savepoint", "before"]].concat(), &[]).ends_with(0);
    each_is_counted(&job, 2);
    job.cluster.produce(&job.topic("in"), &records(KEYS));
    job.start_with(&exchanged, &[]).ends_with(0);
    each_is_counted(&job, 3);
}

#[test]
fn state_that_was_written_with_an_exchange_is_not_read_without_one() {
    let job = counted("declared-late", false);
    job.cluster.produce(&job.topic("in"), &records(KEYS));
    job.run_to_end();
    let mut weir = job.start_with(&["--set", "co_partitioned=true"], &[]);
    weir.ends_with(4);
    assert!(weir.last_line().contains("co_partitioned"), "{}", weir.last_line());
    job.run_to_end();
}
