//! `weir state`: what operators keep, read beside a running host and out of savepoints.

use crate::harness::job::Job;
use crate::harness::waiting::until;
use crate::harness::weir::Weir;

const RECORDS: u64 = 2000;
const KEYS: u64 = 10;

fn counted(stem: &str, rate: u64) -> Job {
    let mut job = Job::local(stem);
    job.add(&format!(
        "[source.made]\nkind = \"generator\"\nrate = {rate}\ncount = {RECORDS}\nkeys = {KEYS}\npartitions = 2"
    ));
    job.add_operator("count", "made", "count_by_key", "");
    job.add("[sink.none]\nkind = \"blackhole\"\ninput = \"count\"");
    job
}

fn state(job: &Job, words: &[&str]) -> Weir {
    let (name, data) = (job.name.clone(), job.data_dir().display().to_string());
    let mut arguments = vec!["state", words[0], &name, "--data-dir", &data];
    arguments.extend(&words[1..]);
    Weir::start(&arguments, &[], &job.path("state.log"))
}

#[track_caller]
fn shown(mut weir: Weir) -> String {
    weir.ends_with(0);
    weir.log()
}

fn keys_of(text: &str) -> Vec<String> {
    let lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let mut keys: Vec<String> = lines.map(|line| line["key"].as_str().unwrap().to_owned()).collect();
    keys.sort();
    keys
}

/// The sum of the counts of all keys.
fn counted_records(job: &Job) -> u64 {
    let counts = (0..KEYS).map(|key| {
        let key = format!("key-{key}");
        let hex = shown(state(job, &["get", "count", "count", &key])).trim().replace(' ', "");
        u64::from_str_radix(&hex, 16).unwrap().swap_bytes()
    });
    counts.sum()
}

#[test]
fn every_key_is_found_once_whatever_the_parallelism() {
    let job = counted("state-scan", 100_000);
    job.run_to_end();
    let expected: Vec<String> = (0..KEYS).map(|key| format!("key-{key}")).collect();
    assert_eq!(keys_of(&shown(state(&job, &["scan", "count"]))), expected);
    let stats = shown(state(&job, &["stats", "--json"]));
    let stats: serde_json::Value = serde_json::from_str(stats.trim()).unwrap();
    assert_eq!((stats["entries"].as_u64(), stats["value_bytes"].as_u64()), (Some(KEYS), Some(KEYS * 8)));
    assert_eq!(shown(state(&job, &["scan", "count", "count", "--limit", "3"])).lines().count(), 3);
    assert_eq!(counted_records(&job), RECORDS);
    assert!(!job.pipeline_dir().join("reading").exists(), "nothing is left behind");
}

#[test]
fn state_is_read_beside_a_running_host_again_and_again() {
    let job = counted("state-beside", 400);
    let mut weir = job.start();
    until("a checkpoint", || job.pipeline_dir().join("LAST_COMMITTED").exists().then_some(()));
    let mut reads = 0;
    while !weir.has_ended() && reads < 20 {
        let mut read = state(&job, &["stats"]);
        read.ends_with(0);
        reads += 1;
    }
    assert!(reads > 3, "{reads}");
    weir.signal(libc::SIGTERM);
    weir.ends_with(0);
    job.run_to_end();
}

#[test]
fn a_reset_of_positions_leaves_state_as_it_was() {
    let job = counted("state-reset", 100_000);
    job.run_to_end();
    let mut reset =
        job.command(&["offsets", "reset"], &["--to-earliest", "--state", "keep", "--execute"], &[]);
    reset.ends_with(0);
    assert!(reset.log().contains("state and timers stay as checkpoint"), "{}", reset.log());
    assert_eq!(counted_records(&job), RECORDS);
    job.run_to_end();
    assert_eq!(counted_records(&job), 2 * RECORDS);
}

#[test]
fn what_is_not_there_is_named_with_what_is() {
    let job = counted("state-names", 100_000);
    job.run_to_end();
    for (words, code, says) in [
        (&["get", "sum", "count", "k"][..], 2, "no operator \"sum\" with state; it has count"),
        (&["get", "count", "sums", "k"], 2, "operator count has no state \"sums\"; it has count"),
        (&["get", "count", "count", "nobody"], 1, "keeps nothing for this key"),
        (&["scan", "count", "--savepoint", "none"], 2, "there is no such savepoint"),
    ] {
        let mut weir = state(&job, words);
        weir.ends_with(code);
        assert!(weir.last_line().contains(says), "{}", weir.last_line());
    }
}
