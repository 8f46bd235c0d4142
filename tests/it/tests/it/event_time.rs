//! Event time through the whole host: idle partitions, timestamps from the future, and what the end of the input means.

use crate::harness::job::{Job, PARTITIONS};
use crate::harness::record::{Record, first_timestamp};
use crate::harness::waiting::until;
use std::collections::BTreeMap;

const WINDOW_MS: i64 = 1000;

/// Sums in windows of a second; `time` is more lines of the source.
fn summed(stem: &str, time: &str) -> Job {
    let mut job = Job::new(stem);
    let (input, sums, late) = (job.create_topic("in"), job.create_topic("sums"), job.create_topic("late"));
    job.add_kafka_source("orders", &input);
    job.add(time);
    job.add_operator("sum", "orders", "tumbling_sum", &format!("config = {{ window_ms = {WINDOW_MS} }}"));
    job.add_kafka_sink("sums", "sum.sums", &sums);
    job.add_kafka_sink("late", "sum.late", &late);
    job
}

/// The start of a window from which all test times are counted.
fn origin() -> i64 {
    first_timestamp() - first_timestamp().rem_euclid(WINDOW_MS)
}

/// One record of the key `k`.
fn at(partition: i32, time_ms: i64, value: i64) -> Record {
    Record { timestamp: origin() + time_ms, ..Record::of(partition, &value.to_string()).keyed("k") }
}

fn produce(job: &Job, records: &[Record]) {
    job.cluster.produce(&job.topic("in"), records);
}

/// Sum by start of window, counted from [`origin`]. A window that is there twice is a failure.
#[track_caller]
fn sums(job: &Job) -> BTreeMap<i64, i64> {
    let mut sums = BTreeMap::new();
    for record in job.cluster.read_committed(&job.topic("sums")) {
        let value: serde_json::Value = serde_json::from_slice(record.value.as_deref().unwrap()).unwrap();
        let start = value["window_start"].as_i64().unwrap() - origin();
        assert_eq!(sums.insert(start, value["sum"].as_i64().unwrap()), None, "{value}");
    }
    sums
}

fn late(job: &Job) -> usize {
    job.cluster.read_committed(&job.topic("late")).len()
}

#[test]
fn until_the_end_leaves_windows_open_and_a_drain_closes_them_and_finishes_the_pipeline() {
    let job = summed("drained", "watermarks = \"monotonous\"");
    let all: Vec<Record> = (0..PARTITIONS).flat_map(|p| [at(p, 100, 1), at(p, 1200, 10)]).collect();
    produce(&job, &all);
    job.run_to_end();
    assert_eq!(sums(&job), BTreeMap::from([(0, 3)]), "the second window may get more");
    produce(&job, &[at(0, 1300, 100)]);
    let drain = ["--until-end", "--drain"];
    job.start_with(&drain, &[]).ends_with(0);
    assert_eq!(sums(&job), BTreeMap::from([(0, 3), (1000, 130)]));
    let mut again = job.start();
    again.ends_with(0);
    let log = again.log();
    assert!(log.contains("is finished") && log.contains("--restart-finished"), "{log}");
    let late_ones = [at(1, 1300, 5)];
    produce(&job, &late_ones);
    job.start_with(&["--until-end", "--drain", "--restart-finished"], &[]).ends_with(0);
    let values = job.cluster.read_committed(&job.topic("sums")).len() + late(&job);
    assert_eq!(values, 3, "what came behind the end is late, or a window of its own");
}

#[test]
fn a_source_that_ends_by_itself_closes_all_windows_and_finishes_the_pipeline() {
    let mut job = Job::local("finite");
    let lines: String = (0..50)
        .map(|n| format!("{{\"key\":\"k{}\",\"value\":\"1\",\"timestamp\":{}}}\n", n % 5, n * 100))
        .collect();
    std::fs::write(job.path("input.jsonl"), lines).unwrap();
    job.add("[source.lines]\nkind = \"files\"\npath = \"input.jsonl\"");
    job.add_operator("sum", "lines", "tumbling_sum", &format!("config = {{ window_ms = {WINDOW_MS} }}"));
    job.add_files_sink("files", "sum.sums");
    job.start().ends_with(0);
    let total: i64 = job
        .lines("files")
        .iter()
        .map(|line| {
            let value = line["value"].as_str().map(|text| serde_json::from_str(text).unwrap());
            value.unwrap_or_else(|| line["value"].clone())["sum"].as_i64().unwrap()
        })
        .sum();
    assert_eq!((job.lines("files").len(), total), (25, 50), "five windows of five keys");
    let mut again = job.start();
    again.ends_with(0);
    assert!(again.log().contains("is finished"), "{}", again.log());
}

#[test]
fn a_partition_without_records_holds_windows_back_until_it_is_idle() {
    let mut job = summed("idle", "watermarks = \"monotonous\"");
    produce(&job, &[at(0, 100, 1), at(0, 1100, 2), at(0, 2100, 4)]);
    job.run_to_end();
    assert_eq!(sums(&job), BTreeMap::new(), "the other partitions may have older records");
    job.text = job.text.replace("watermarks =", "idleness = \"300ms\"\nwatermarks =");
    let mut weir = job.start();
    // Where all partitions are idle event time stays where it is, so one of them has to go on.
    let mut time_ms = 2200;
    until("two closed windows", || {
        assert!(!weir.has_ended(), "weir has ended meanwhile");
        time_ms += 1;
        produce(&job, &[at(0, time_ms, 8)]);
        (job.cluster.read_stable(&job.topic("sums")).len() >= 2).then_some(())
    });
    weir.kill();
    assert_eq!(sums(&job), BTreeMap::from([(0, 1), (1000, 2)]));
}

/// Half an hour ahead of the clock: the broker takes it.
const FUTURE_MS: i64 = 3_600_000 + 1_800_000;

/// Records from the future in all partitions, then a run, then records of now. Returns how many of them are late. One
/// subtask, so that all partitions have said their time before the first row is judged.
fn late_behind_the_future(stem: &str, time: &str) -> usize {
    let mut job = summed(stem, &format!("watermarks = \"monotonous\"\n{time}"));
    job.text = job.text.replace("parallelism = 2", "parallelism = 1");
    produce(&job, &[0, 1, 2].map(|partition| at(partition, FUTURE_MS, 1)));
    job.run_to_end();
    produce(&job, &[0, 1, 2].map(|partition| at(partition, 100, 1)));
    job.start_with(&["--until-end", "--drain"], &[]).ends_with(0);
    let on_time: i64 = sums(&job).values().sum();
    assert_eq!(on_time + late(&job) as i64, 6, "each record is in a window or late");
    late(&job)
}

#[test]
fn a_timestamp_from_the_future_makes_the_others_late() {
    assert_eq!(late_behind_the_future("future-time", ""), 3);
}

#[test]
fn a_timestamp_further_ahead_than_allowed_does_not_move_event_time() {
    assert_eq!(late_behind_the_future("skewed", "max_timestamp_skew = \"10m\""), 0);
}

#[test]
fn a_record_older_than_the_watermark_is_late_and_nothing_is_lost_by_it() {
    let time = "watermarks = { bounded_out_of_orderness = \"500ms\" }";
    let mut job = summed("out-of-order", time);
    job.text = job.text.replace("parallelism = 2", "parallelism = 1");
    produce(&job, &[0, 1, 2].map(|partition| at(partition, 1600, 1)));
    job.run_to_end();
    // The watermark is at 1099: the first window is closed, the second is not.
    produce(&job, &[at(0, 900, 1), at(1, 1050, 1), at(2, 1700, 1)]);
    job.start_with(&["--until-end", "--drain"], &[]).ends_with(0);
    assert_eq!(sums(&job), BTreeMap::from([(1000, 5)]));
    assert_eq!(late(&job), 1);
}
