//! Offsets that are reset or handed over beside a pipeline that runs unseen: with nothing to do it decides nothing.

use crate::harness::job::{Job, PARTITIONS};
use crate::harness::record::Record;
use crate::harness::weir::Weir;

/// Records of each partition that are processed before anybody interferes, and after that.
const RECORDS: u64 = 5;

/// A pipeline that runs and has decided all there is: it is idle.
fn idle(job: &Job, count: usize) -> Weir {
    job.cluster.produce(&job.topic("in"), &Record::numbered_batch(PARTITIONS, RECORDS));
    let mut weir = job.start();
    job.await_outputs(&mut weir, &job.topic("out"), count);
    weir
}

/// Records that come afterwards.
fn more(job: &Job) {
    let all = Record::numbered_batch(PARTITIONS, 2 * RECORDS);
    job.cluster.produce(&job.topic("in"), &all[RECORDS as usize * PARTITIONS as usize..]);
}

/// `weir offsets reset` with another data directory, as from another machine.
fn elsewhere(job: &Job, options: &[&str]) -> Weir {
    let elsewhere = job.path("elsewhere").display().to_string();
    let mut all = vec!["--data-dir", &elsewhere, "--execute"];
    all.extend(options);
    job.command(&["offsets", "reset"], &all, &[])
}

fn offsets(job: &Job, group: &str) -> Vec<Option<i64>> {
    job.cluster.committed(group, &job.topic("in")).iter().map(|one| one.offset).collect()
}

/// It has found that another one went on.
#[track_caller]
fn ends_as_superseded(weir: &mut Weir) {
    weir.ends_with(3);
    assert!(weir.last_line().contains("another weir has taken over"), "{}", weir.last_line());
    let starts = weir.log().lines().filter(|line| line.contains("starting")).count();
    assert_eq!(starts, 1, "it did not start again: {}", weir.log());
}

#[test]
fn an_idle_pipeline_whose_offsets_are_handed_over_ends_as_superseded_and_processes_nothing_more() {
    let job = Job::processed("idle-given");
    let (once, group) = (RECORDS as usize * PARTITIONS as usize, format!("other-{}", job.name));
    let mut weir = idle(&job, once);
    elsewhere(&job, &["--to-group", &group]).ends_with(0);
    assert_eq!(offsets(&job, &group), [Some(RECORDS as i64); PARTITIONS as usize]);
    more(&job);
    ends_as_superseded(&mut weir);
    assert_eq!(job.cluster.read_committed(&job.topic("out")).len(), once, "the rest is the other program's");
    job.run_to_end();
    assert_eq!(
        job.cluster.read_committed(&job.topic("out")).len(),
        2 * once,
        "it goes on when it is started"
    );
}

#[test]
fn an_idle_pipeline_that_is_reset_from_elsewhere_ends_as_superseded_and_the_reset_is_obeyed() {
    let job = Job::processed("idle-reset");
    let once = RECORDS as usize * PARTITIONS as usize;
    let mut weir = idle(&job, once);
    elsewhere(&job, &["--to-earliest"]).ends_with(0);
    more(&job);
    ends_as_superseded(&mut weir);
    job.run_to_end();
    assert_eq!(job.cluster.read_committed(&job.topic("out")).len(), 3 * once, "the first half came twice");
}

#[test]
fn a_group_in_which_a_pipeline_of_weir_decides_about_other_topics_is_not_written_to() {
    let (job, other) = (Job::processed("given-to"), Job::processed("owner-of"));
    for one in [&job, &other] {
        one.cluster.produce(&one.topic("in"), &Record::numbered_batch(PARTITIONS, RECORDS));
        one.run_to_end();
    }
    for really in [&["--to-group", &other.group()][..], &["--to-group", &other.group(), "--execute"]] {
        let mut given = job.command(&["offsets", "reset"], really, &[]);
        given.ends_with(4);
        let said = given.last_line();
        let why =
            format!("consumer group {} belongs to a pipeline of weir: {}:", other.group(), other.topic("in"));
        assert!(said.contains(&why), "{said}");
    }
    assert_eq!(offsets(&job, &other.group()), [None; PARTITIONS as usize], "nothing was written");
    other.run_to_end();
}

/// A pipeline with state that has counted all there is.
fn counted(stem: &str) -> Job {
    counted_by(stem, &["--until-end"])
}

fn counted_by(stem: &str, options: &[&str]) -> Job {
    let mut job = Job::new(stem);
    let (input, output) = (job.create_topic("in"), job.create_topic("out"));
    job.add_kafka_source("orders", &input);
    job.add_operator("count", "orders", "count_by_key", "");
    job.add_kafka_sink("out", "count", &output);
    job.cluster.produce(&input, &Record::numbered_batch(PARTITIONS, RECORDS));
    job.start_with(options, &[]).ends_with(0);
    job
}

/// The highest count that was published.
fn highest(job: &Job) -> u64 {
    let output = job.cluster.read_committed(&job.topic("out"));
    output.iter().map(|record| record.text().parse::<u64>().expect("a count")).max().unwrap_or(0)
}

#[test]
fn state_per_key_is_there_when_a_pipeline_starts_again_that_was_handed_over() {
    let job = counted("given-state");
    let group = format!("other-{}", job.name);
    job.command(&["offsets", "reset"], &["--to-group", &group, "--execute"], &[]).ends_with(0);
    assert_eq!(offsets(&job, &group), offsets(&job, &job.group()));
    let before = highest(&job);
    // The same keys once more.
    job.cluster.produce(&job.topic("in"), &Record::numbered_batch(PARTITIONS, RECORDS));
    job.run_to_end();
    assert_eq!(highest(&job), 2 * before, "it has counted on");
}

#[test]
fn a_partition_that_came_since_the_last_decision_is_handed_over_from_its_first_record() {
    let job = counted("given-more");
    let group = format!("other-{}", job.name);
    job.cluster.add_partitions(&job.topic("in"), PARTITIONS + 1);
    job.cluster.produce(&job.topic("in"), &[Record::numbered(PARTITIONS, 0)]);
    job.command(&["offsets", "reset"], &["--to-group", &group, "--execute"], &[]).ends_with(0);
    let mut expected = vec![Some(RECORDS as i64); PARTITIONS as usize];
    expected.push(Some(0));
    assert_eq!(offsets(&job, &group), expected);
    let before = job.cluster.read_committed(&job.topic("out")).len();
    job.run_to_end();
    assert_eq!(job.cluster.read_committed(&job.topic("out")).len(), before + 1);
}

#[test]
fn what_a_start_would_be_refused_for_is_not_handed_over_either() {
    let job = counted("given-refused");
    let group = format!("other-{}", job.name);
    let decided = job.cluster.committed(&job.group(), &job.topic("in"));
    let mut given = elsewhere(&job, &["--to-group", &group]);
    given.ends_with(4);
    let said = given.last_line();
    assert!(said.contains("cannot be restored") && said.contains("--to-earliest --state empty`"), "{said}");
    assert_eq!(offsets(&job, &group), [None; PARTITIONS as usize]);
    assert_eq!(job.cluster.committed(&job.group(), &job.topic("in")), decided, "nothing was decided");
    job.run_to_end();
}

#[test]
fn a_pipeline_that_was_drained_to_its_end_is_still_finished_when_it_was_handed_over() {
    let job = counted_by("given-drained", &["--until-end", "--drain"]);
    let group = format!("other-{}", job.name);
    job.command(&["offsets", "reset"], &["--to-group", &group, "--execute"], &[]).ends_with(0);
    let mut again = job.start();
    again.ends_with(0);
    assert!(again.log().contains("is finished"), "{}", again.log());
}
