//! Savepoints: made beside a running pipeline, moved, verified, and started from.

use crate::harness::job::{Job, PARTITIONS};
use crate::harness::record::Record;
use crate::harness::waiting::until;
use crate::harness::weir::Weir;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Places that have a test here.
pub const TESTED: &[&str] = &["savepoint_linked", "savepoint_imported"];

const RECORDS: u64 = 3000;
const KEYS: u64 = 7;

/// Counts made-up records per key into files.
pub fn counted(stem: &str, rate: u64) -> Job {
    let mut job = Job::local(stem);
    job.add(&format!(
        "[source.made]\nkind = \"generator\"\nrate = {rate}\ncount = {RECORDS}\nkeys = {KEYS}\npartitions = 2"
    ));
    job.add_operator("count", "made", "count_by_key", "");
    job.add_files_sink("files", "count");
    job
}

/// A command of `weir savepoint` on the pipeline.
pub fn savepoint(job: &Job, words: &[&str], environment: &[(&str, &str)]) -> Weir {
    let (name, data) = (job.name.clone(), job.data_dir().display().to_string());
    let mut arguments = vec!["savepoint", words[0], &name, "--data-dir", &data];
    arguments.extend(&words[1..]);
    Weir::start(&arguments, environment, &job.path("savepoint.log"))
}

#[track_caller]
pub fn done(mut weir: Weir) -> String {
    weir.ends_with(0);
    weir.log()
}

fn hint(job: &Job) -> Option<String> {
    std::fs::read_to_string(job.pipeline_dir().join("LAST_COMMITTED")).ok()
}

/// Runs until something was published, and leaves the process running.
fn running(job: &Job) -> Weir {
    let mut weir = job.start();
    until("published output", || {
        assert!(!weir.has_ended(), "weir has ended meanwhile");
        (!job.values("files").is_empty()).then_some(())
    });
    weir
}

/// The highest count that was published, over all keys: the number of records that were counted.
fn counts(job: &Job) -> Vec<u64> {
    let mut counts: Vec<u64> = job.values("files").iter().map(|value| value.parse().unwrap()).collect();
    counts.sort_unstable();
    counts
}

/// Each record counted once: every count from 1 on comes as often as there are keys that reach it.
fn each_counted_once(job: &Job) {
    let counts = counts(job);
    assert_eq!(counts.len() as u64, RECORDS);
    let mut times: BTreeMap<u64, u64> = BTreeMap::new();
    counts.iter().for_each(|count| *times.entry(*count).or_default() += 1);
    assert_eq!(times[&1], KEYS, "every key has a first record");
    assert!(times.values().zip(times.values().skip(1)).all(|(earlier, later)| earlier >= later), "{times:?}");
}

pub fn path_of(job: &Job, name: &str) -> PathBuf {
    job.pipeline_dir().join("savepoints").join(name)
}

#[test]
fn a_savepoint_is_made_beside_a_running_pipeline_and_another_host_goes_on_from_it() {
    let job = counted("savepoint", 1000);
    let mut weir = running(&job);
    done(savepoint(&job, &["create", "--name", "first"], &[]));
    assert!(done(savepoint(&job, &["list"], &[])).contains("first"));
    let seen = done(savepoint(&job, &["inspect", "first"], &[]));
    assert!(seen.contains("every file is as it was written") && seen.contains("count.count"), "{seen}");
    let file = job.path("first.tar").display().to_string();
    done(savepoint(&job, &["export", "first", "--to", &file], &[]));
    weir.kill();

    // Another host: nothing but the tar file and the pipeline file.
    let mut other = counted("savepoint-elsewhere", 100_000);
    other.text = other.text.replace(&other.name, &job.name);
    other.name.clone_from(&job.name);
    done(savepoint(&other, &["import", &file], &[]));
    let mut weir = other.start_with(&["--until-end", "--from-savepoint", "first"], &[]);
    weir.ends_with(0);
    assert!(weir.log().contains("started from a savepoint"), "{}", weir.log());
    let after = counts(&other);
    assert!(
        !after.is_empty() && (after.len() as u64) < RECORDS,
        "{} records after the savepoint",
        after.len()
    );
    // What the savepoint held is counted on: together they are all records, each once.
    let positions = seen.lines().filter(|line| line.starts_with("position"));
    let before: u64 = positions.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum();
    assert_eq!(before + after.len() as u64, RECORDS);
    let first = *after.first().unwrap();
    assert!(first > 1, "counts go on where the savepoint was, found {first}");
}

#[test]
fn a_start_from_a_savepoint_works_once() {
    let job = counted("savepoint-once", 2000);
    let mut weir = running(&job);
    done(savepoint(&job, &["create", "--name", "s"], &[]));
    let before = job.values("files").len();
    // The second more is of a checkpoint behind the savepoint, whichever the first was of.
    for more in [1, 2] {
        let seen = job.values("files").len();
        until("output beyond the savepoint", || (job.values("files").len() > seen).then_some(()));
        assert!(job.values("files").len() >= before + more);
    }
    weir.kill();
    let mut refused = job.start_with(&["--until-end", "--from-savepoint", "s"], &[]);
    refused.ends_with(4);
    assert!(refused.last_line().contains("--replay-output"), "{}", refused.last_line());
    let options = ["--until-end", "--from-savepoint", "s", "--replay-output"];
    job.start_with(&options, &[("WEIR_KILL_AT", "after_commit:2")]).dies();
    // A rollback that is not done must not look like one that is.
    let mut refused = job.start_with(&options, &[]);
    refused.ends_with(4);
    assert!(refused.last_line().contains("--again"), "{}", refused.last_line());
    // What was started from is not needed any more.
    done(savepoint(&job, &["delete", "s"], &[]));
    let mut restart = job.start_with(&["--until-end", "--from-savepoint", "s"], &[]);
    restart.ends_with(0);
    assert!(restart.log().contains("was started from this savepoint before"), "{}", restart.log());
    let mut missed = job.start_with(&["--from-savepoint", "s", "--replay-output", "--again"], &[]);
    missed.ends_with(4);
    assert!(missed.last_line().contains("no such savepoint"), "{}", missed.last_line());
    let mut last = counts(&job);
    last.dedup();
    assert_eq!(last.first(), Some(&1), "every count is there");
    assert!(last.windows(2).all(|pair| pair[1] == pair[0] + 1), "no count is missing");
}

#[test]
fn a_lost_data_directory_is_replaced_by_the_savepoint() {
    let mut job = Job::new("savepoint-lost");
    let (input, output) = (job.create_topic("in"), job.create_topic("out"));
    job.add_kafka_source("orders", &input);
    job.add_operator("count", "orders", "count_by_key", "null_key = \"group\"");
    job.add_kafka_sink("out", "count", &output);
    job.cluster.produce(&input, &Record::numbered_batch(PARTITIONS, 10));
    job.run_to_end();
    done(savepoint(&job, &["create", "--name", "s", "--dir", &job.path("kept").display().to_string()], &[]));
    std::fs::remove_dir_all(job.data_dir()).unwrap();
    let mut lost = job.start_with(&["--until-end"], &[]);
    lost.ends_with(4);
    let path = job.path("kept").join(&job.name).join("s").display().to_string();
    let more = Record::numbered_batch(PARTITIONS, 15);
    job.cluster.produce(&input, &more[10 * PARTITIONS as usize..]);
    job.start_with(&["--until-end", "--from-savepoint", &path], &[]).ends_with(0);
    assert_eq!(job.cluster.read_committed(&output).len(), 15 * PARTITIONS as usize);
    // Now something is published beyond it: once more needs the person's word.
    std::fs::remove_dir_all(job.data_dir()).unwrap();
    let mut refused = job.start_with(&["--until-end", "--from-savepoint", &path], &[]);
    refused.ends_with(4);
    assert!(refused.last_line().contains("--replay-output"), "{}", refused.last_line());
    job.start_with(&["--until-end", "--from-savepoint", &path, "--replay-output"], &[]).ends_with(0);
    assert_eq!(job.cluster.read_committed(&output).len(), 20 * PARTITIONS as usize);
}

#[test]
fn a_savepoint_that_was_damaged_is_named_and_not_taken_in() {
    let job = counted("savepoint-damaged", 100_000);
    job.run_to_end();
    done(savepoint(&job, &["create", "--name", "s"], &[]));
    let path = path_of(&job, "s");
    let copy = job.path("copy");
    for file in ["manifest.json", "pipeline.toml", "components", "state"] {
        copy_tree(&path, &copy);
        let damaged = first_file(&copy.join(file));
        let mut bytes = std::fs::read(&damaged).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&damaged, bytes).unwrap();
        let mut import = savepoint(&job, &["import", &copy.display().to_string(), "--name", "x"], &[]);
        let code = import.exit_code();
        assert_eq!(code, 4, "{file}: {}", import.log());
        assert!(import.log().contains(&damaged.display().to_string()), "{file}: {}", import.log());
        assert!(!path_of(&job, "x").exists());
        std::fs::remove_dir_all(&copy).unwrap();
    }
}

#[test]
fn killed_while_it_is_made_or_imported_a_savepoint_is_whole_or_not_there() {
    let job = counted("savepoint-killed", 100_000);
    job.run_to_end();
    savepoint(&job, &["create", "--name", "s"], &[("WEIR_KILL_AT", "savepoint_linked:1")]).dies();
    assert!(!path_of(&job, "s").exists());
    assert!(!done(savepoint(&job, &["list"], &[])).contains("s.tmp"));
    done(savepoint(&job, &["create", "--name", "s"], &[]));
    let from = path_of(&job, "s").display().to_string();
    let words = ["import", &from, "--name", "again"];
    savepoint(&job, &words, &[("WEIR_KILL_AT", "savepoint_imported:1")]).dies();
    assert!(!path_of(&job, "again").exists());
    done(savepoint(&job, &words, &[]));
    done(savepoint(&job, &["inspect", "again"], &[]));
    done(savepoint(&job, &["rm", "again", "s"], &[]));
    assert!(!path_of(&job, "s").exists() && !path_of(&job, "again").exists());
    each_counted_once(&job);
}

#[test]
fn the_schedule_takes_savepoints_and_keeps_the_newest() {
    let mut job = counted("savepoint-schedule", 500);
    job.add("[savepoint]\nevery = \"300ms\"\nkeep = 2\ndir = \"kept\"");
    let mut weir = job.start();
    let kept = job.path("kept").join(&job.name);
    let names = || -> Vec<String> {
        let entries = std::fs::read_dir(&kept).map(Iterator::flatten).into_iter().flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let mut names: Vec<String> = names.filter(|name| name.ends_with('Z')).collect();
        names.sort();
        names
    };
    weir.await_log("old savepoint removed");
    let first = names();
    until("newer savepoints", || (names().first() > first.last()).then_some(()));
    weir.signal(libc::SIGTERM);
    weir.ends_with(0);
    let last = names();
    assert!(last.len() <= 3, "two, and one that was being taken: {last:?}");
    assert!(hint(&job).is_some());
}

#[test]
fn a_savepoint_needs_a_decided_checkpoint_and_the_operators_that_ran() {
    let job = counted("savepoint-nothing", 100_000);
    let mut nobody = savepoint(&job, &["create"], &[]);
    nobody.ends_with(2);
    assert!(nobody.last_line().contains("has no pipeline"), "{}", nobody.last_line());
    job.run_to_end();
    std::fs::remove_dir_all(job.data_dir().join("components")).unwrap();
    let mut without = savepoint(&job, &["create", "--name", "s"], &[]);
    without.ends_with(1);
    assert!(without.last_line().contains("bytes of operator count"), "{}", without.last_line());
    assert!(!path_of(&job, "s").exists());
}

fn copy_tree(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// The file itself, or the largest one below it.
fn first_file(path: &Path) -> PathBuf {
    if path.is_file() {
        return path.to_owned();
    }
    let entries = std::fs::read_dir(path).unwrap().flatten();
    let files = entries.map(|entry| first_file(&entry.path()));
    files.max_by_key(|file| file.metadata().unwrap().len()).unwrap()
}
