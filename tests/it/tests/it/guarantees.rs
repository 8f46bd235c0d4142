//! The other two guarantees, and changing from one to another.

use crate::harness::job::{Job, PARTITIONS};
use crate::harness::load::Load;
use crate::harness::model;
use crate::harness::record::Record;
use std::collections::BTreeSet;

const AT_LEAST_ONCE: [&str; 2] = ["--set", "guarantee=at_least_once"];
const AT_MOST_ONCE: [&str; 2] = ["--set", "guarantee=at_most_once"];

/// Runs with the option, is killed twice under load, and runs to the end.
fn killed_twice(stem: &str, guarantee: &[&str; 2]) -> (Vec<String>, Vec<String>) {
    let job = Job::processed(stem);
    let load = Load::start(&job.cluster, &job.topic("in"), PARTITIONS, 5);
    for _ in 0..2 {
        let before = job.cluster.read_stable(&job.topic("out")).len();
        let mut weir = job.start_with(guarantee, &[]);
        job.await_outputs(&mut weir, &job.topic("out"), before + 100);
        weir.kill();
    }
    let input = load.stop();
    job.start_with(&[guarantee[0], guarantee[1], "--until-end"], &[]).ends_with(0);
    let output = job.cluster.read_committed(&job.topic("out"));
    (model::prefixed_texts(&input), output.iter().map(Record::text).collect())
}

#[test]
fn at_least_once_loses_nothing_when_it_is_killed() {
    let (expected, found) = killed_twice("at-least", &AT_LEAST_ONCE);
    let expected: BTreeSet<String> = expected.into_iter().collect();
    assert_eq!(found.into_iter().collect::<BTreeSet<String>>(), expected);
}

#[test]
fn at_most_once_doubles_nothing_when_it_is_killed() {
    let (expected, found) = killed_twice("at-most", &AT_MOST_ONCE);
    let unique: BTreeSet<&String> = found.iter().collect();
    assert_eq!(unique.len(), found.len(), "no record is there twice");
    assert!(unique.is_subset(&expected.iter().collect()), "and none is made up");
}

#[test]
fn the_guarantee_can_be_changed_between_two_runs() {
    let job = Job::processed("changed");
    let all = Record::numbered_batch(PARTITIONS, 50);
    let guarantees = ["exactly_once", "at_least_once", "exactly_once", "at_most_once", "exactly_once"];
    for (part, guarantee) in all.chunks(30).zip(guarantees) {
        job.cluster.produce(&job.topic("in"), part);
        let option = format!("guarantee={guarantee}");
        job.start_with(&["--set", &option, "--until-end"], &[]).ends_with(0);
    }
    model::prefixed(&all, &job.cluster.read_committed(&job.topic("out")), PARTITIONS);
}
