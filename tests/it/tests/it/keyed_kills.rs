//! Kill -9 at every named place of a pipeline with state: counts, windows and joins stay exactly those of the model, in
//! the output and in what the operators keep at the end.
//!
//! One pipeline, one load: each round dies at one place and the next goes on with another number of subtasks, so every
//! recovery but the first also moves state.

use crate::harness::broker;
use crate::harness::job::{Job, PARTITIONS};
use crate::harness::keyed_job::KeyedJob;
use crate::harness::record::Record;
use crate::harness::waiting::until;
use crate::harness::weir::Weir;
use std::fs;

/// A place, its passing at which the process dies, and the subtasks per operator of that life.
type Round = (&'static str, u32, usize);

/// Places of a recovery: each is passed once in a life.
const RECOVERY: &[Round] = &[
    ("recovery_before_fence", 1, 1),
    ("recovery_after_fence", 1, 2),
    ("recovery_after_read", 1, 4),
    ("restore_linked", 1, 1),
    ("restore_linked", 2, 4),
    ("restore_linked", 3, 2),
    ("state_restored", 1, 2),
    ("state_restored", 1, 1),
    ("recovery_after_sinks", 1, 2),
    ("recovery_after_start_decided", 1, 4),
];

/// Places on the way to a decision.
const EPOCH: &[Round] = &[
    ("epoch_begun", 3, 1),
    ("barrier_injected", 3, 2),
    ("source_noted_positions", 4, 4),
    ("state_frozen", 4, 1),
    ("state_frozen", 9, 2),
    ("state_frozen_written", 4, 4),
    ("state_frozen_written", 8, 2),
    ("state_linked", 4, 1),
    ("state_linked", 11, 2),
    ("sinks_prepared", 3, 2),
    ("before_flush", 3, 1),
    ("after_flush", 3, 2),
    ("next_epoch_begun", 3, 2),
    ("manifest_written", 3, 4),
    ("manifest_durable", 3, 1),
    ("stop_barrier", 1, 2),
];

/// Places of a decision and behind it.
const DECISION: &[Round] = &[
    ("before_send_offsets", 3, 2),
    ("after_send_offsets", 3, 1),
    ("in_commit", 3, 4),
    ("in_commit", 4, 2),
    ("after_commit", 3, 1),
    ("after_hint", 3, 2),
    ("staged_file_renamed", 3, 1),
    ("after_side_commit", 3, 4),
    ("after_cleanup", 3, 1),
    ("in_recycle", 3, 2),
];

/// Places of keyed state, which have their tests here.
pub const TESTED: &[&str] = &[
    "state_frozen",
    "state_frozen_written",
    "state_linked",
    "restore_linked",
    "state_restored",
    "migration_done",
];

fn start(keyed: &KeyedJob, parallelism: usize, options: &[&str], environment: &[(&str, &str)]) -> Weir {
    let set = format!("parallelism={parallelism}");
    keyed.job.start_with(&[&["--set", set.as_str()], options].concat(), environment)
}

fn dies(keyed: &KeyedJob, number: usize, (place, passing, parallelism): Round) {
    let mark = keyed.job.path(&format!("mark-{number}"));
    let (kill_at, mark_text) = (format!("{place}:{passing}"), mark.display().to_string());
    let environment = [("WEIR_KILL_AT", kill_at.as_str()), ("WEIR_KILL_MARK", mark_text.as_str())];
    let mut weir = start(keyed, parallelism, &[], &environment);
    if place == "stop_barrier" {
        let read = || keyed.model.lock().unwrap().read;
        let before = read();
        until("more output", || (read() > before).then_some(()));
        weir.signal(libc::SIGTERM);
    }
    weir.dies();
    assert!(mark.is_file(), "the mark proves that {place} was passed");
    keyed.is_right_so_far(&format!("round {number}, after {place} at parallelism {parallelism}"));
}

fn is_killed_and_stays_exact(stem: &str, rounds: &[Round]) {
    let mut keyed = KeyedJob::start(broker::shared(), stem, 1, 400);
    keyed.job.add_files_sink("files", "count");
    // The first life has decided something that the second can be restored from.
    let mut first = start(&keyed, 2, &[], &[]);
    keyed.job.await_output(&mut first, &keyed.job.topic("counts"));
    first.kill();
    for (number, round) in rounds.iter().enumerate() {
        dies(&keyed, number, *round);
    }
    keyed.stop_load();
    start(&keyed, 2, &["--until-end"], &[]).ends_with(0);
    keyed.saw_open_state();
    keyed.is_right_so_far("in the state with open windows");
    start(&keyed, 4, &["--until-end", "--drain"], &[]).ends_with(0);
    let findings = keyed.end();
    assert!(findings.is_clean(), "{findings:#?}");
    assert_eq!(counted_in_files(&keyed), counted_in_topic(&keyed));
}

/// Keys and counts of the files sink, in order. Each was there once where they are those of the topic, which the model
/// has judged.
fn counted_in_files(keyed: &KeyedJob) -> Vec<(String, String)> {
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let lines = keyed.job.lines("files");
    let mut counted: Vec<_> = lines.iter().map(|line| (text(&line["key"]), text(&line["value"]))).collect();
    counted.sort();
    counted
}

fn counted_in_topic(keyed: &KeyedJob) -> Vec<(String, String)> {
    let key = |record: &Record| String::from_utf8(record.key.clone().unwrap()).unwrap();
    let records = keyed.job.cluster.read_committed(&keyed.job.topic("counts"));
    let mut counted: Vec<_> = records.iter().map(|record| (key(record), record.text())).collect();
    counted.sort();
    counted
}

#[test]
fn every_place_at_which_a_pipeline_without_state_dies_is_one_of_these_too() {
    let rounds: Vec<&str> = [RECOVERY, EPOCH, DECISION].concat().iter().map(|round| round.0).collect();
    let missing: Vec<_> = crate::kill_points::TESTED.iter().filter(|place| !rounds.contains(place)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn state_stays_exact_when_recoveries_are_killed_at_each_place() {
    is_killed_and_stays_exact("kill-recovery", RECOVERY);
}

#[test]
fn state_stays_exact_when_epochs_are_killed_at_each_place() {
    is_killed_and_stays_exact("kill-epoch", EPOCH);
}

#[test]
fn state_stays_exact_when_decisions_are_killed_at_each_place() {
    is_killed_and_stays_exact("kill-decision", DECISION);
}

/// Counts by key, from a topic with three keys into a topic.
fn counted(stem: &str) -> Job {
    let mut job = Job::new(stem);
    let (input, output) = (job.create_topic("in"), job.create_topic("out"));
    job.add_kafka_source("orders", &input);
    job.add_operator("count", "orders", "count_by_key", "");
    job.add_kafka_sink("out", "count", &output);
    job
}

fn produce_of_each_key(job: &Job, times: usize) {
    let keys = ["a", "b", "c"].into_iter().cycle().take(3 * times).enumerate();
    let records: Vec<Record> =
        keys.map(|(n, key)| Record::of(n as i32 % PARTITIONS, "x").keyed(key)).collect();
    job.cluster.produce(&job.topic("in"), &records);
}

#[test]
fn a_migration_that_is_killed_is_done_again() {
    let mut job = counted("migration");
    produce_of_each_key(&job, 5);
    job.run_to_end();
    let (old, new) =
        (crate::harness::guests::guest("count_by_key"), crate::harness::guests::guest("count_by_key_2"));
    job.text = job.text.replace(&old, &new);
    produce_of_each_key(&job, 2);
    for kill_at in ["migration_done:1", "migration_done:2", "state_restored:1", "before_send_offsets:2"] {
        job.start_with(&[], &[("WEIR_KILL_AT", kill_at)]).dies();
    }
    job.run_to_end();
    let mut last = std::collections::BTreeMap::new();
    for record in job.cluster.read_committed(&job.topic("out")) {
        let count: u64 = record.text().parse().unwrap();
        let before = last.insert(record.key.clone(), count).unwrap_or(0);
        assert_eq!(count, before + 1, "{:?}", record.key);
    }
    assert_eq!(last.into_values().collect::<Vec<_>>(), [7, 7, 7]);
    // And back: the older component cannot read what the newer has written.
    job.text = job.text.replace(&new, &old);
    let mut weir = job.start();
    weir.ends_with(4);
    assert!(weir.last_line().contains("count"), "{}", weir.last_line());
    assert!(fs::read_dir(job.pipeline_dir().join("checkpoints")).unwrap().count() >= 1);
}
