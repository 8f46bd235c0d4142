//! A pipeline without a server: the decision is a file, and the output is files.

use crate::harness::job::Job;
use crate::harness::model;
use crate::harness::waiting::until;

const RECORDS: u64 = 4000;

fn generated(stem: &str) -> Job {
    let mut job = Job::local(stem);
    job.add(&format!(
        "[source.made]\nkind = \"generator\"\nrate = 2000\ncount = {RECORDS}\npartitions = 2\n"
    ));
    job.add_operator("prefix", "made", "prefix", "");
    job.add_files_sink("files", "prefix");
    job
}

fn check(job: &Job) {
    let half = RECORDS / 2;
    let expected: Vec<String> =
        (0..RECORDS).map(|number| format!("processed_made-{}-{}", number / half, number % half)).collect();
    let found = job.values("files");
    model::each_once(&expected, &found);
}

#[test]
fn a_local_pipeline_that_is_killed_again_and_again_publishes_each_record_once() {
    let job = generated("local");
    for _ in 0..5 {
        let before = job.values("files").len();
        let mut weir = job.start_with(&["--until-end"], &[]);
        until("more records", || (weir.has_ended() || job.values("files").len() > before).then_some(()));
        weir.kill();
    }
    job.run_to_end();
    check(&job);
}

#[test]
fn a_local_pipeline_that_is_killed_at_its_own_places_publishes_each_record_once() {
    let job = generated("local-places");
    for kill_at in ["in_commit:3", "staged_file_renamed:3", "after_side_commit:2", "manifest_durable:2"] {
        job.start_with(&[], &[("WEIR_KILL_AT", kill_at)]).dies();
    }
    job.run_to_end();
    check(&job);
}

#[test]
fn decided_output_of_a_sink_that_is_gone_is_published_when_it_is_named_again() {
    let mut job = generated("local-renamed");
    job.start_with(&[], &[("WEIR_KILL_AT", "after_commit:3")]).dies();
    let published = job.values("files").len();
    job.text = job.text.replace("[sink.files]", "[sink.later]");
    let mut weir = job.start_with(&[], &[("WEIR_KILL_AT", "after_commit:2")]);
    weir.dies();
    assert!(weir.log().contains("sink.files: the pipeline does not have it any more"), "{}", weir.log());
    job.run_to_end();
    let renamed = job.values("files").len();
    assert!(
        published < renamed && renamed < RECORDS as usize,
        "{published}, {renamed}: an epoch is not published"
    );
    // A reset decides anew, and forgets nothing of it.
    job.command(&["offsets", "reset"], &["--to-current", "--execute"], &[]).ends_with(0);
    job.text = job.text.replace("[sink.later]", "[sink.files]");
    job.run_to_end();
    check(&job);
}

#[test]
fn files_are_read_once_to_their_end() {
    let mut job = Job::local("from-files");
    let text: String = (0..500).map(|number| format!("line-{number}\n")).collect();
    std::fs::write(job.path("input.txt"), text).unwrap();
    job.add("[source.lines]\nkind = \"files\"\npath = \"input.txt\"\nformat = \"raw\"");
    job.add_operator("prefix", "lines", "prefix", "");
    job.add_files_sink("files", "prefix");
    job.start_with(&["--until-end"], &[("WEIR_KILL_AT", "after_commit:1")]).dies();
    job.run_to_end();
    let expected: Vec<String> = (0..500).map(|number| format!("processed_line-{number}")).collect();
    model::each_once(&expected, &job.values("files"));
}
