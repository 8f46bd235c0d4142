//! A backlog that has piled up while nobody was there: the first epochs behind a start are decided in time.

use crate::harness::broker;
use crate::harness::keyed_job::KeyedJob;
use crate::harness::waiting::until;

/// Records of the backlog, over both topics: with the default of `channel_bytes_max` all of them fit between two operators.
const RECORDS: u64 = 100_000;

#[test]
fn a_backlog_is_read_in_many_epochs_without_a_restart() {
    let mut keyed = KeyedJob::start(broker::shared(), "backlog", 20, 0);
    until("the backlog", || (keyed.model.lock().unwrap().written >= RECORDS).then_some(()));
    keyed.stop_load();
    let mut weir = keyed.job.start_with(&["--until-end"], &[("RUST_LOG", "debug")]);
    weir.ends_with(0);
    let log = weir.log();
    let decided = log.lines().filter(|line| line.contains(" decided ")).count();
    assert!(decided > 2, "the backlog was read in {decided} epochs");
    assert!(log.contains("restarts=0"), "{}", weir.last_line());
    keyed.job.start_with(&["--until-end", "--drain"], &[]).ends_with(0);
    let findings = keyed.end();
    assert!(findings.is_clean(), "{findings:#?}");
}
