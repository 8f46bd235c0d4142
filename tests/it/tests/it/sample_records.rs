//! `weir test`: operators over sample records, with state, time and timers as a pipeline would have them.

use crate::harness::guests::{guest, repository};
use crate::harness::weir::Weir;

/// `weir test` on an operator's own sample files.
fn tried(operator: &str, options: &[&str]) {
    let directory = tempfile::tempdir().unwrap();
    let own = repository().join("operators").join(operator);
    let [input, expected] =
        ["input.jsonl", "expected.jsonl"].map(|name| own.join(name).display().to_string());
    let component = guest(operator);
    let mut arguments = vec!["test", &component, "--input", &input, "--expect", &expected];
    arguments.extend(options);
    Weir::start(&arguments, &[], &directory.path().join("log")).ends_with(0);
}

/// `weir test` on lines of a test's own; what it says, and its exit code.
fn said(operator: &str, lines: &str, options: &[&str]) -> (i32, String) {
    let directory = tempfile::tempdir().unwrap();
    let input = directory.path().join("input.jsonl");
    std::fs::write(&input, lines).unwrap();
    let (component, input) = (guest(operator), input.display().to_string());
    let mut arguments = vec!["test", &component, "--input", &input];
    arguments.extend(options);
    let mut weir = Weir::start(&arguments, &[], &directory.path().join("log"));
    (weir.exit_code(), weir.log())
}

#[test]
fn counts_are_kept_per_key() {
    tried("count_by_key", &[]);
}

#[test]
fn an_entry_is_forgotten_when_processing_time_has_passed_its_ttl() {
    tried("dedup", &[]);
}

#[test]
fn windows_close_when_the_watermark_has_reached_their_end() {
    tried("tumbling_sum", &["--config", "window_ms=60000"]);
}

#[test]
fn records_of_two_ports_are_joined_until_their_timers_fire() {
    tried("join", &["--config", "within_ms=1000"]);
}

#[test]
fn a_difference_is_shown_and_fails() {
    let directory = tempfile::tempdir().unwrap();
    let expected = directory.path().join("expected.jsonl");
    std::fs::write(&expected, "{\"key\":\"a\",\"value\":\"2\"}\n").unwrap();
    let options = ["--expect", &expected.display().to_string()];
    let (code, log) = said("count_by_key", "{\"key\":\"a\",\"value\":\"x\"}\n", &options);
    assert_eq!(code, 1, "{log}");
    assert!(
        log.contains("-{\"key\":\"a\",\"value\":\"2\"") && log.contains("+{\"key\":\"a\",\"value\":\"1\""),
        "{log}"
    );
}

#[test]
fn what_is_left_in_state_and_timers_is_shown_at_the_end() {
    let lines = "{\"key\":\"a\",\"value\":\"7\",\"timestamp\":61000}\n";
    let (code, log) = said("tumbling_sum", lines, &["--config", "window_ms=60000", "--dump-state"]);
    assert_eq!(code, 0, "{log}");
    for line in [
        r#"{"operator":"test","state":"sum","kind":"map","key":"a","subkey":{"base64":"gAAAAAAA6mA="},"value":{"base64":"BwAAAAAAAAA="}}"#,
        r#"{"operator":"test","timer":"window_end","clock":"event_time","key":"a","time":120000}"#,
    ] {
        assert!(log.contains(line), "{log}");
    }
}

#[test]
fn a_record_without_a_key_is_refused_with_its_line_or_shares_one_key() {
    let lines = "{\"key\":\"a\",\"value\":\"x\"}\n{\"value\":\"y\"}\n";
    let (code, log) = said("count_by_key", lines, &[]);
    assert_eq!(code, 0, "{log}");
    assert!(
        log.contains("input.jsonl:2: null_key:") && log.contains("2 records in, 1 out, 1 rejected"),
        "{log}"
    );
    let (code, log) = said("count_by_key", lines, &["--null-key", "group"]);
    assert_eq!(code, 0, "{log}");
    assert!(log.contains("2 records in, 2 out, 0 rejected"), "{log}");
}

#[test]
fn a_line_that_cannot_be_used_is_named_before_anything_runs() {
    let (code, log) =
        said("join", "{\"port\":\"middle\",\"key\":\"k\",\"value\":1}\n", &["--config", "within_ms=1"]);
    assert_eq!(code, 2, "{log}");
    assert!(
        log.contains("input.jsonl:1: the operator has no input port \"middle\"; its inputs are left, right"),
        "{log}"
    );
}
