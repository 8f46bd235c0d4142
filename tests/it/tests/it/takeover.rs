//! A job of the Java client is taken over, and given back: nothing is lost or doubled over the whole journey.

use crate::harness::java::{self, Consumed, Member};
use crate::harness::job::{Job, PARTITIONS};
use crate::harness::model;
use crate::harness::record::Record;

/// A pipeline on the group of another program, and that group.
fn job_on_group(stem: &str, prefix: &str) -> (Job, String) {
    let mut job = Job::new(stem);
    let group = format!("{prefix}-{}", job.name);
    job.add(&format!("group = \"{group}\""));
    (job.with_processed(), group)
}

/// Commits 0 everywhere, as a job did that had a first start, and lets it process `count` records of each partition.
fn java_job(job: &Job, group: &str, count: u64, metadata: &str) -> Vec<Consumed> {
    let topic = job.topic("in");
    java::commit(&job.cluster, group, &topic, metadata, &[(0, 0), (1, 0), (2, 0)]);
    java::consume(&job.cluster, group, &topic, Some(count), metadata)
}

fn values(consumed: &[Consumed]) -> impl Iterator<Item = String> {
    consumed.iter().map(|record| record.value.clone())
}

/// What weir has processed, by the values of its input.
fn processed(job: &Job) -> Vec<String> {
    let output = job.cluster.read_committed(&job.topic("out"));
    let text = |record: &Record| record.text().strip_prefix("processed_").expect("our output").to_owned();
    output.iter().map(text).collect()
}

#[test]
fn the_group_of_a_java_job_is_taken_over_and_given_back_and_no_record_is_lost_or_doubled() {
    let (job, group) = job_on_group("takeover", "connect");
    let (cluster, topic) = (&job.cluster, job.topic("in"));
    let back = format!("flink-{}", job.name);
    let all = Record::numbered_batch(PARTITIONS, 90);
    let third = all.len() / 3;
    cluster.produce(&topic, &all[..third]);
    let first = java_job(&job, &group, 10, "");
    let left = java::committed(cluster, &group, &topic);
    assert!(left.iter().all(|one| one.offset == 10 && one.leader_epoch == 0), "{left:?}");

    cluster.produce(&topic, &all[third..2 * third]);
    let weir = job.run_to_end();
    assert!(weir.log().contains("taken over"), "{}", weir.log());
    cluster.produce(&topic, &all[2 * third..]);
    let decided = java::committed(cluster, &group, &topic);
    assert!(decided.iter().all(|one| one.offset == 60 && one.leader_epoch == 0), "{decided:?}");

    let mut tried = job.command(&["offsets", "reset"], &["--to-group", &back], &[]);
    tried.ends_with(0);
    assert!(tried.log().contains("--execute"), "{}", tried.log());
    assert!(java::committed(cluster, &back, &topic).is_empty(), "a dry run writes nothing");
    job.command(&["offsets", "reset"], &["--to-group", &back, "--execute"], &[]).ends_with(0);
    let given = java::committed(cluster, &back, &topic);
    for (given, decided) in given.iter().zip(&decided) {
        assert_eq!((given.offset, given.leader_epoch), (decided.offset, decided.leader_epoch));
        assert_eq!(given.metadata, "", "nothing claims it for weir");
    }
    let last = java::consume(cluster, &back, &topic, None, "");

    let journey: Vec<String> = values(&first).chain(processed(&job)).chain(values(&last)).collect();
    let model: Vec<String> = all.iter().map(Record::text).collect();
    model::each_once(&model, &journey);
    let mut in_its_own = java::consume(cluster, &group, &topic, None, "");
    let mut last = last;
    (in_its_own.sort(), last.sort());
    assert_eq!(in_its_own, last, "the group that was taken over goes on at the same place");
}

#[test]
fn offsets_with_metadata_of_another_program_are_taken_over_only_when_a_person_says_so() {
    let (job, group) = job_on_group("metadata", "streams");
    let all = Record::numbered_batch(PARTITIONS, 20);
    job.cluster.produce(&job.topic("in"), &all);
    let first = java_job(&job, &group, 7, "AgAAAZdXyQ==");
    let mut weir = job.start();
    weir.ends_with(4);
    let said = weir.last_line();
    assert!(said.contains("AgAAAZdXyQ=="), "{said}");
    assert!(said.contains("weir offsets reset ") && said.contains("--to-current"), "{said}");
    job.command(&["offsets", "reset"], &["--to-current", "--execute"], &[]).ends_with(0);
    job.run_to_end();
    let journey: Vec<String> = values(&first).chain(processed(&job)).collect();
    model::each_once(&all.iter().map(Record::text).collect::<Vec<_>>(), &journey);
}

#[test]
fn what_a_java_job_has_done_after_the_way_back_is_taken_over_again() {
    let (job, group) = job_on_group("again", "connect");
    let all = Record::numbered_batch(PARTITIONS, 30);
    let (cluster, topic, third) = (&job.cluster, job.topic("in"), all.len() / 3);
    cluster.produce(&topic, &all[..third]);
    job.run_to_end();
    cluster.produce(&topic, &all[third..2 * third]);
    let between = java::consume(cluster, &group, &topic, None, "");
    cluster.produce(&topic, &all[2 * third..]);
    let mut weir = job.start();
    weir.ends_with(4);
    assert!(weir.last_line().contains("was changed from outside"), "{}", weir.last_line());
    job.command(&["offsets", "reset"], &["--to-current", "--execute"], &[]).ends_with(0);
    job.run_to_end();
    let journey: Vec<String> = values(&between).chain(processed(&job)).collect();
    model::each_once(&all.iter().map(Record::text).collect::<Vec<_>>(), &journey);
}

#[test]
fn a_group_that_is_at_work_is_neither_taken_over_nor_written_to() {
    let (job, group) = job_on_group("active", "connect");
    let (cluster, topic) = (&job.cluster, job.topic("in"));
    cluster.produce(&topic, &Record::numbered_batch(PARTITIONS, 5));
    let busy = format!("busy-{}", job.name);
    java::commit(cluster, &busy, &topic, "", &[(0, 1), (1, 1), (2, 1)]);
    java::commit(cluster, &group, &topic, "", &[(0, 1), (1, 1), (2, 1)]);
    let member = Member::join(cluster, &group, &topic);
    let mut weir = job.start();
    weir.ends_with(2);
    assert!(weir.last_line().contains("1 active members"), "{}", weir.last_line());
    let mut reset = job.command(&["offsets", "reset"], &["--to-current", "--execute"], &[]);
    reset.ends_with(4);
    assert!(reset.last_line().contains("1 active members"), "{}", reset.last_line());
    member.leave();
    job.run_to_end();

    let member = Member::join(cluster, &busy, &topic);
    let mut given = job.command(&["offsets", "reset"], &["--to-group", &busy, "--execute"], &[]);
    given.ends_with(4);
    assert!(given.last_line().contains("1 active members"), "{}", given.last_line());
    member.leave();
    let untouched = java::committed(cluster, &busy, &topic);
    assert!(untouched.iter().all(|one| one.offset == 1), "{untouched:?}");
}

#[test]
fn a_group_that_is_weirs_own_or_another_pipelines_is_not_written_to() {
    let (job, group) = job_on_group("owned", "connect");
    job.cluster.produce(&job.topic("in"), &Record::numbered_batch(PARTITIONS, 5));
    job.run_to_end();
    let mut other = Job::new("other");
    other.add_kafka_source("orders", &job.topic("in"));
    other.add_operator("prefix", "orders", "prefix", "");
    let output = other.create_topic("out");
    other.add_kafka_sink("out", "prefix", &output);
    other.run_to_end();
    for (to, why) in [(group.as_str(), "the pipeline's own group"), (&other.group(), "a pipeline of weir")] {
        let mut given = job.command(&["offsets", "reset"], &["--to-group", to, "--execute"], &[]);
        given.ends_with(4);
        assert!(given.last_line().contains(why), "{}", given.last_line());
    }
}
