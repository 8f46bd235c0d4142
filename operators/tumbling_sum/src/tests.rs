//! Which window a record counts in, when it is emitted, and what is late.

use super::ThisOperator;
use weir_sdk::testing::{Subtask, keyless, record, tombstone};

fn subtask() -> Subtask<ThisOperator> {
    Subtask::with_config([("window_ms", "10")])
}

#[test]
fn a_window_is_emitted_when_the_watermark_reaches_its_end() {
    let mut subtask = subtask();
    subtask.process(
        [("b", "1", 0), ("a", "2", 9), ("b", "-4", 10), ("b", "5", 3)]
            .map(|(key, value, time)| record(key, value).at(time)),
    );
    assert_eq!(subtask.advance_watermark(9).emitted.len(), 0);
    let outcome = subtask.advance_watermark(10);
    assert_eq!(
        outcome.values_to("sums"),
        [r#"{"key":"a","window_start":0,"sum":2}"#, r#"{"key":"b","window_start":0,"sum":6}"#]
    );
    assert_eq!(outcome.emitted[0].record.timestamp, 9);
    assert_eq!(subtask.end_input().values(), [r#"{"key":"b","window_start":10,"sum":-4}"#]);
    assert_eq!(subtask.entries("sum"), 0);
}

#[test]
fn a_record_of_a_window_that_was_emitted_is_late() {
    let mut subtask = subtask();
    subtask.advance_watermark(12);
    let outcome = subtask.process([record("a", "1").at(9), record("a", "2").at(11)]);
    assert_eq!(outcome.values_to("late"), ["1"]);
    assert_eq!(outcome.emitted[0].record, record("a", "1").at(9));
    assert_eq!(subtask.end_input().values(), [r#"{"key":"a","window_start":10,"sum":2}"#]);
}

#[test]
fn times_before_1970_and_records_without_a_key_have_windows_too() {
    let mut subtask = subtask();
    subtask.process([keyless("7").at(-1), keyless("7").at(-10)]);
    assert_eq!(subtask.end_input().values(), [r#"{"key":null,"window_start":-10,"sum":14}"#]);
}

#[test]
fn what_cannot_be_summed_is_refused_and_leaves_no_window() {
    let mut subtask = subtask();
    let max = i64::MAX.to_string();
    let outcome = subtask.process([
        record("a", "x"),
        tombstone("a"),
        record("b", "1").at(i64::MAX),
        record("c", &max),
        record("c", "1"),
    ]);
    assert_eq!(outcome.rejections.iter().map(|(row, _)| *row).collect::<Vec<_>>(), [0, 1, 2, 4]);
    assert_eq!(subtask.timers("window_end"), [10]);
}

#[test]
#[should_panic(expected = "window_ms \"0\" is no number of milliseconds above 0")]
fn a_window_has_a_length() {
    Subtask::<ThisOperator>::with_config([("window_ms", "0")]);
}
