//! Lives that go on when they should not: a paused process, a second copy, a rolling update.

use crate::harness::cluster::Cluster;
use crate::harness::job::{Job, PARTITIONS};
use crate::harness::load::Load;
use crate::harness::model;
use crate::harness::record::Record;
use crate::harness::waiting::pause;
use crate::harness::weir::Weir;
use std::time::Duration;

fn load(job: &Job) -> Load {
    Load::start(&job.cluster, &job.topic("in"), PARTITIONS, 2)
}

fn output(job: &Job) -> Vec<Record> {
    let cluster: &Cluster = &job.cluster;
    cluster.read_committed(&job.topic("out"))
}

/// A copy of the pipeline with a data directory of its own.
fn second_copy(job: &Job) -> Weir {
    job.start_with(&["--data-dir", &job.path("second").display().to_string()], &[])
}

#[test]
fn a_process_that_is_paused_beyond_the_transaction_timeout_recovers_by_itself() {
    const TIMEOUT: Duration = Duration::from_secs(10);
    let job = Job::processed("paused");
    let options = [
        ["--set", "kafka.main.transaction_timeout=10s"],
        ["--set", "checkpoint.interval=1s"],
        ["--set", "checkpoint.timeout=5s"],
    ];
    let load = load(&job);
    let mut weir = job.start_with(&options.concat(), &[]);
    job.await_output(&mut weir, &job.topic("out"));
    weir.signal(libc::SIGSTOP);
    // The fault itself: the broker looks for such transactions every second, every ten by default.
    pause(TIMEOUT + Duration::from_secs(11));
    let before = job.cluster.read_stable(&job.topic("out")).len();
    weir.signal(libc::SIGCONT);
    job.await_outputs(&mut weir, &job.topic("out"), before + 1);
    let input = load.stop();
    weir.signal(libc::SIGTERM);
    weir.ends_with(0);
    job.run_to_end();
    model::prefixed(&input, &output(&job), PARTITIONS);
}

#[test]
fn of_two_live_copies_the_first_ends_as_superseded_and_the_output_stays_right() {
    let job = Job::processed("copies");
    let load = load(&job);
    let mut first = job.start();
    job.await_output(&mut first, &job.topic("out"));
    let mut second = second_copy(&job);
    first.ends_with(3);
    assert!(first.last_line().contains("another weir has taken over"), "{}", first.last_line());
    let before = job.cluster.read_stable(&job.topic("out")).len();
    job.await_outputs(&mut second, &job.topic("out"), before + 1);
    second.kill();
    let input = load.stop();
    job.run_to_end();
    model::prefixed(&input, &output(&job), PARTITIONS);
}

#[test]
fn a_paused_process_whose_successor_has_gone_on_ends_as_superseded() {
    let job = Job::processed("zombie");
    let load = load(&job);
    let mut first = job.start();
    job.await_output(&mut first, &job.topic("out"));
    first.signal(libc::SIGSTOP);
    let before = job.cluster.read_stable(&job.topic("out")).len();
    let mut second = second_copy(&job);
    job.await_outputs(&mut second, &job.topic("out"), before + 1);
    first.signal(libc::SIGCONT);
    first.ends_with(3);
    let input = load.stop();
    second.signal(libc::SIGTERM);
    second.ends_with(0);
    job.run_to_end();
    model::prefixed(&input, &output(&job), PARTITIONS);
}

#[test]
fn a_rolling_update_in_which_both_versions_run_for_a_while_loses_and_doubles_nothing() {
    let job = Job::processed("rolling");
    let load = load(&job);
    let mut old = job.start();
    job.await_output(&mut old, &job.topic("out"));
    let before = job.cluster.read_stable(&job.topic("out")).len();
    let mut new = second_copy(&job);
    old.signal(libc::SIGTERM);
    // It has drained, or was overtaken while it did.
    let code = old.exit_code();
    assert!([0, 3].contains(&code), "{code}: {}", old.log());
    job.await_outputs(&mut new, &job.topic("out"), before + 1);
    let input = load.stop();
    new.signal(libc::SIGTERM);
    new.ends_with(0);
    job.run_to_end();
    model::prefixed(&input, &output(&job), PARTITIONS);
}

#[test]
fn a_stream_that_is_idle_for_longer_than_a_transaction_may_last_goes_on_without_a_restart() {
    const TIMEOUT: Duration = Duration::from_secs(4);
    let job = Job::processed("idle");
    let options = [["--set", "kafka.main.transaction_timeout=4s"], ["--set", "checkpoint.timeout=2s"]];
    let first = [Record::numbered(0, 1)];
    job.cluster.produce(&job.topic("in"), &first);
    let mut weir = job.start_with(&options.concat(), &[]);
    job.await_outputs(&mut weir, &job.topic("out"), 1);
    // The state under test is the time that passes without a record.
    pause(TIMEOUT * 2);
    let second = [Record::numbered(1, 2)];
    job.cluster.produce(&job.topic("in"), &second);
    job.await_outputs(&mut weir, &job.topic("out"), 2);
    weir.signal(libc::SIGTERM);
    weir.ends_with(0);
    assert!(weir.log().contains("restarts=0"), "{}", weir.log());
    model::prefixed(&[first, second].concat(), &output(&job), PARTITIONS);
}
