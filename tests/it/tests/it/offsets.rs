//! Recovery of a pipeline whose whole truth is in Kafka: lost directories, changed and deleted offsets, the way out.

use crate::harness::job::{Job, PARTITIONS};
use crate::harness::model;
use crate::harness::record::Record;
use crate::harness::weir::Weir;

/// A pipeline that has processed `count` records per partition, and its input.
fn processed(stem: &str, count: u64) -> (Job, Vec<Record>) {
    let job = Job::processed(stem);
    let input = Record::numbered_batch(PARTITIONS, count);
    job.cluster.produce(&job.topic("in"), &input);
    job.run_to_end();
    (job, input)
}

/// It refuses to start, tells why, and names the way out.
fn refused(job: &Job, why: &str) {
    let mut weir = job.start();
    weir.ends_with(4);
    let said = weir.last_line();
    assert!(said.contains(why), "{said}");
    let (file, data) = (job.path("pipeline.toml"), job.data_dir());
    let command = format!("`weir offsets reset {} --data-dir {} --to-", file.display(), data.display());
    assert!(said.contains(&command), "{said}");
}

fn reset(job: &Job, options: &[&str]) -> Weir {
    let mut weir = job.command(&["offsets", "reset"], options, &[]);
    weir.ends_with(0);
    weir
}

/// Each record was processed so often.
fn times(job: &Job, input: &[Record], times: usize) {
    let output = job.cluster.read_committed(&job.topic("out"));
    for text in model::prefixed_texts(input) {
        assert_eq!(output.iter().filter(|record| record.text() == text).count(), times, "{text}");
    }
    assert_eq!(output.len(), input.len() * times);
}

#[test]
fn a_stateless_pipeline_whose_data_directory_was_deleted_goes_on_from_the_committed_offsets() {
    let (job, first) = processed("stateless", 50);
    std::fs::remove_dir_all(job.data_dir()).unwrap();
    let all = Record::numbered_batch(PARTITIONS, 80);
    job.cluster.produce(&job.topic("in"), &all[first.len()..]);
    let weir = job.run_to_end();
    assert!(weir.log().contains("its manifest is missing"), "{}", weir.log());
    model::prefixed(&all, &job.cluster.read_committed(&job.topic("out")), PARTITIONS);
}

#[test]
fn the_decision_is_in_the_metadata_of_every_partition() {
    let (job, _) = processed("metadata", 5);
    let committed = job.cluster.committed(&job.group(), &job.topic("in"));
    assert_eq!(committed.len(), PARTITIONS as usize);
    for entry in &committed {
        assert_eq!(entry.offset, Some(5));
        assert_eq!(entry.metadata, committed[0].metadata);
        assert!(entry.metadata.starts_with("w1;p="), "{entry:?}");
    }
}

#[test]
fn offsets_that_were_reset_behind_its_back_are_refused_and_a_reset_by_weir_is_obeyed() {
    let (job, input) = processed("reset", 10);
    job.cluster.commit_plainly(&job.group(), &job.topic("in"), &[(0, 0), (1, 0), (2, 0)]);
    refused(&job, "was changed from outside");
    let dry = reset(&job, &["--to-earliest"]);
    assert!(dry.log().contains("--execute"), "{}", dry.log());
    refused(&job, "was changed from outside");
    reset(&job, &["--to-earliest", "--execute"]);
    job.run_to_end();
    times(&job, &input, 2);
}

#[test]
fn one_offset_that_was_set_back_is_refused_by_its_name() {
    let (job, _) = processed("one", 10);
    job.cluster.commit_plainly(&job.group(), &job.topic("in"), &[(1, 3)]);
    refused(&job, &format!("{}:1 was changed from outside", job.topic("in")));
}

#[test]
fn a_reset_to_the_snapshot_goes_on_where_the_last_checkpoint_was() {
    let (job, input) = processed("snapshot", 10);
    job.cluster.commit_plainly(&job.group(), &job.topic("in"), &[(0, 0), (1, 0), (2, 0)]);
    reset(&job, &["--to-snapshot", "--execute"]);
    job.run_to_end();
    times(&job, &input, 1);
}

#[test]
fn a_reset_to_latest_skips_what_is_there() {
    let (job, input) = processed("latest", 10);
    let more = Record::numbered_batch(PARTITIONS, 15);
    job.cluster.produce(&job.topic("in"), &more[input.len()..]);
    reset(&job, &["--to-latest", "--execute"]);
    job.run_to_end();
    times(&job, &input, 1);
}

#[test]
fn a_group_that_was_deleted_is_refused_and_a_reset_to_the_snapshot_brings_it_back() {
    let (job, input) = processed("deleted", 10);
    job.cluster.delete_group(&job.group());
    refused(&job, "no committed offsets");
    reset(&job, &["--to-snapshot", "--execute"]);
    job.run_to_end();
    times(&job, &input, 1);
}

#[test]
fn the_group_of_another_pipeline_is_refused() {
    let (owner, _) = processed("owner", 10);
    let mut guest = Job::new("guest");
    guest.text.push_str(&format!("group = \"{}\"\n", owner.group()));
    let output = guest.create_topic("out");
    guest.add_kafka_source("orders", &owner.topic("in"));
    guest.add_operator("prefix", "orders", "prefix", "");
    guest.add_kafka_sink("out", "prefix", &output);
    let mut weir = guest.start();
    weir.ends_with(4);
    assert!(weir.last_line().contains("used by another pipeline"), "{}", weir.last_line());
    assert!(guest.cluster.read_committed(&output).is_empty());
}

#[test]
fn offsets_are_shown_beside_a_running_host_and_nothing_is_made() {
    let (job, input) = processed("beside", 10);
    let mut weir = job.start();
    weir.await_log("restored");
    let mut show = job.command(&["offsets", "show"], &[], &[]);
    show.ends_with(0);
    assert!(show.log().contains("decided: checkpoint"), "{}", show.log());
    assert!(!show.log().contains("a start would be refused"), "{}", show.log());
    let nowhere = job.path("nowhere");
    job.command(&["offsets", "show"], &["--data-dir", &nowhere.display().to_string()], &[]).ends_with(0);
    assert!(!nowhere.exists(), "it was made");
    weir.signal(libc::SIGTERM);
    weir.ends_with(0);
    assert!(weir.log().contains("restarts=0"), "{}", weir.log());
    times(&job, &input, 1);
}

#[test]
fn offsets_show_says_what_a_start_would_be_refused_for_and_what_helps() {
    let (job, _) = processed("show-refused", 10);
    job.cluster.commit_plainly(&job.group(), &job.topic("in"), &[(1, 3)]);
    let mut show = job.command(&["offsets", "show"], &[], &[]);
    show.ends_with(0);
    let said = show.last_line();
    let why =
        format!("a start would be refused: the offset of {}:1 was changed from outside", job.topic("in"));
    assert!(
        said.contains(&why) && said.contains("--to-snapshot`") && said.contains("(--to-current)"),
        "{said}"
    );
}

#[test]
fn offsets_show_tells_where_a_pipeline_stands() {
    let (job, _) = processed("show", 10);
    let mut show = job.command(&["offsets", "show"], &[], &[]);
    show.ends_with(0);
    assert!(show.log().contains("decided: checkpoint"), "{}", show.log());
    for partition in 0..PARTITIONS {
        assert!(show.log().contains(&format!("{}:{partition}", job.topic("in"))), "{}", show.log());
    }
}

#[test]
fn a_source_that_is_renamed_is_refused_until_its_positions_are_taken_over() {
    let mut job = Job::processed("renamed");
    job.cluster.produce(&job.topic("in"), &Record::numbered_batch(PARTITIONS, 5));
    job.run_to_end();
    job.text = job
        .text
        .replace("[source.orders]", "[source.sales]")
        .replace("input = \"orders\"", "input = \"sales\"");
    let mut refused = job.start_with(&["--until-end"], &[]);
    refused.ends_with(4);
    let line = refused.last_line();
    for part in ["under the name orders, and source sales reads it now", "begins anew", " --to-current`"] {
        assert!(line.contains(part), "{part:?} is not in {line}");
    }
    job.command(&["offsets", "reset"], &["--to-current", "--execute"], &[]).ends_with(0);
    job.cluster.produce(&job.topic("in"), &Record::numbered_batch(PARTITIONS, 10)[5 * PARTITIONS as usize..]);
    job.run_to_end();
    assert_eq!(job.cluster.read_committed(&job.topic("out")).len(), 10 * PARTITIONS as usize);
}

#[test]
fn a_position_behind_the_end_of_its_topic_is_refused_by_a_bounded_run_too() {
    let job = Job::processed("behind");
    job.cluster.produce(&job.topic("in"), &Record::numbered_batch(PARTITIONS, 10));
    job.cluster.commit_plainly(&job.group(), &job.topic("in"), &[(0, 500), (1, 10), (2, 10)]);
    for options in [&["--until-end"][..], &["--until-end", "--drain"], &[]] {
        let mut weir = job.start_with(options, &[]);
        weir.ends_with(4);
        let said = weir.last_line();
        assert!(said.contains("offset 500 is not there any more (it has 0 to 10"), "{said}");
        assert!(said.contains(&format!("--topic {}:0 --to-latest", job.topic("in"))), "{said}");
    }
    reset(&job, &["--topic", &format!("{}:0", job.topic("in")), "--to-earliest", "--execute"]);
    job.run_to_end();
    assert_eq!(job.cluster.read_committed(&job.topic("out")).len(), 10, "those of partition 0");
}

#[test]
fn a_cluster_that_went_back_further_than_checkpoints_are_kept_skips_nothing() {
    let mut job = Job::processed("went-back");
    job.text = job.text.replace("interval = \"200ms\"", "retain = 2, interval = \"200ms\"");
    let all = Record::numbered_batch(PARTITIONS, 9);
    let mut before = Vec::new();
    for third in all.chunks(all.len() / 3) {
        job.cluster.produce(&job.topic("in"), third);
        job.run_to_end();
        before.push(job.cluster.committed(&job.group(), &job.topic("in")));
    }
    job.cluster.commit_as_it_was(&job.group(), &job.topic("in"), &before[0]);
    refused(&job, "to go on from the last checkpoint that is known here");
    let mut lost = job.command(&["offsets", "reset"], &["--to-snapshot", "--execute"], &[]);
    lost.ends_with(2);
    assert!(lost.last_line().contains("is not kept here any more"), "{}", lost.last_line());
    reset(&job, &["--to-current", "--execute"]);
    job.run_to_end();
    let output = job.cluster.read_committed(&job.topic("out"));
    assert_eq!(output.len(), all.len() + all.len() / 3 * 2, "what came behind that decision is made again");
}

#[test]
fn a_topic_that_was_made_again_shorter_is_not_reset_to_where_the_old_one_was() {
    let (job, _) = processed("shorter", 5);
    job.cluster.delete_group(&job.group());
    let (input, all) = (job.topic("in"), Record::numbered_batch(PARTITIONS, 8));
    job.cluster.produce(&input, &all[5 * PARTITIONS as usize..]);
    job.cluster.delete_records(&input, PARTITIONS, 7);
    let mut lost = job.command(&["offsets", "reset"], &["--to-snapshot"], &[]);
    lost.ends_with(4);
    let said = lost.last_line();
    assert!(said.contains("offset 5 is not there any more (it has 7 to 8"), "{said}");
    reset(&job, &["--to-earliest", "--execute"]);
    job.run_to_end();
    assert_eq!(job.cluster.read_committed(&job.topic("out")).len(), 6 * PARTITIONS as usize);
}
