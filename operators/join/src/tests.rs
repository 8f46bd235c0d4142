//! Which records of the two sides meet, and what is left behind.

use super::ThisOperator;
use weir_sdk::testing::{Subtask, keyless, record, tombstone};

fn subtask() -> Subtask<ThisOperator> {
    Subtask::with_config([("within_ms", "10")])
}

#[test]
fn records_of_one_key_meet_from_either_side() {
    let mut subtask = subtask();
    assert_eq!(subtask.process_on("left", [record("a", "1").at(5), record("b", "2").at(5)]).emitted.len(), 0);
    let outcome = subtask.process_on("right", [record("a", "\"x\"").at(7), record("c", "{}").at(5)]);
    assert_eq!(outcome.emitted.len(), 1);
    assert_eq!(outcome.emitted[0].record, record("a", r#"{"left":1,"right":"x"}"#).at(7));
    let outcome = subtask.process_on("left", [record("a", "3").at(6)]);
    assert_eq!(outcome.emitted[0].record, record("a", r#"{"left":3,"right":"x"}"#).at(7));
}

#[test]
fn only_records_within_the_bound_meet() {
    let mut subtask = subtask();
    subtask.process_on("left", [0, 1, 11, 21, 22].map(|time| record("a", time.to_string()).at(time)));
    let pairs = subtask.process_on("right", [record("a", "0").at(11)]).values();
    assert_eq!(pairs, ["1", "11", "21"].map(|left| format!(r#"{{"left":{left},"right":0}}"#)));
}

#[test]
fn records_of_one_time_are_kept_apart() {
    let mut subtask = subtask();
    subtask.process_on("left", [record("a", "1"), record("a", "1"), record("a", "2")]);
    assert_eq!(subtask.process_on("right", [record("a", "3"), record("a", "4")]).emitted.len(), 6);
}

#[test]
fn what_can_meet_nothing_any_more_is_forgotten() {
    let mut subtask = subtask();
    subtask.process_on("left", [record("a", "1").at(5), record("a", "2").at(6)]);
    subtask.process_on("right", [record("b", "1").at(5)]);
    subtask.advance_watermark(15);
    assert_eq!((subtask.entries("lefts"), subtask.entries("rights")), (2, 1));
    subtask.advance_watermark(16);
    assert_eq!((subtask.entries("lefts"), subtask.entries("rights")), (1, 0));
    assert_eq!(subtask.process_on("right", [record("a", "3").at(16)]).values(), [r#"{"left":2,"right":3}"#]);
    subtask.end_input();
    let left_over = ["lefts", "rights", "arrivals"].map(|state| subtask.entries(state));
    assert_eq!(left_over, [0, 0, 0]);
}

#[test]
fn what_cannot_be_joined_is_refused() {
    let mut subtask = subtask();
    let bad = [keyless("1"), tombstone("a"), record("a", "{"), record("a", "1").at(i64::MAX)];
    assert_eq!(subtask.process_on("left", bad).rejections.len(), 4);
    assert_eq!(subtask.entries("lefts"), 0);
    assert_eq!(subtask.timers("expired"), [0; 0]);
}

#[test]
#[should_panic(expected = "within_ms \"-1\" is no number of milliseconds")]
fn a_bound_is_not_negative() {
    Subtask::<ThisOperator>::with_config([("within_ms", "-1")]);
}
