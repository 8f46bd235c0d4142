//! Tests of the rule that sends dead letters back.

use super::*;
use crate::batch::Batch;
use crate::error_policy::{Blamed, FailedRow, Given, push_dead_letter};
use std::sync::Arc;

fn record(own: &[(&str, &str)]) -> Batch {
    let topic: Arc<str> = "orders".into();
    let mut entry = Vec::new();
    for (name, value) in own {
        push_header(&mut entry, name, Some(value.as_bytes()));
    }
    let mut batch = Batch::default();
    batch.push(77, Some(b"key"), Some(b"value"), Some(&entry));
    batch.origins.push(&topic, 3, 41);
    batch
}

fn letter_of(record: &Batch, given: Given<'_>, most: Option<usize>) -> Batch {
    let failed = FailedRow { row: 0, kind: FailureKind::Trap, message: "boom".to_owned() };
    let blamed = Blamed { pipeline: "weir.p", operator: "count", digest: "ab12", given, now_ms: 5000 };
    let mut letters = Batch::default();
    push_dead_letter(&mut letters, record, &failed, blamed, most);
    letters
}

fn read(letters: &Batch) -> Letter {
    Letter::read(letters.headers.bytes(0)).unwrap()
}

fn named(entry: &[u8]) -> Vec<(String, String)> {
    let text = |value: Option<&[u8]>| String::from_utf8(value.unwrap_or_default().to_vec()).unwrap();
    headers(entry).map(Result::unwrap).map(|(name, value)| (name.to_owned(), text(value))).collect()
}

fn replay(targets: &[(&str, &str)]) -> Replay {
    let target = |(operator, port): &(&str, &str)| Target {
        operator: (*operator).to_owned(),
        port: (*port).to_owned(),
    };
    Replay {
        pipeline: "weir.p".to_owned(),
        selection: Selection::default(),
        targets: targets.iter().map(target).collect(),
    }
}

#[test]
fn a_letter_comes_back_with_its_own_headers_and_a_count() {
    let letters = letter_of(&record(&[("trace", "7")]), Given::Record("left"), None);
    let letter = read(&letters);
    assert_eq!((letter.operator.as_str(), letter.kind.as_str()), ("count", "trap"));
    assert_eq!(letter.origin, Some(("orders".to_owned(), 3, 41)));
    assert_eq!((letter.port.as_deref(), letter.time_ms, letter.attempt), (Some("left"), Some(5000), 0));
    let own = |attempt: &str| {
        vec![("trace".to_owned(), "7".to_owned()), (names::ATTEMPT.to_owned(), attempt.to_owned())]
    };
    assert_eq!(named(&letter.headers_of_return()), own("1"));
    // It fails again, and comes back again.
    let mut again = Batch::default();
    again.push(77, Some(b"key"), Some(b"value"), Some(&letter.headers_of_return()));
    let letter = read(&letter_of(&again, Given::Record("left"), None));
    assert_eq!(letter.attempt, 1);
    assert_eq!(named(&letter.headers_of_return()), own("2"));
}

#[test]
fn a_record_that_was_a_dead_letter_of_another_pipeline_keeps_what_that_one_said() {
    let theirs = letter_of(&record(&[]), Given::Record("in"), None);
    let ours = letter_of(&theirs, Given::Record("in"), None);
    let letter = read(&ours);
    assert_eq!(named(&letter.own), named(theirs.headers.bytes(0)));
}

#[test]
fn the_port_that_the_letter_names_is_entered() {
    let letter = |port| read(&letter_of(&record(&[]), Given::Record(port), None));
    let rule = replay(&[("other", "in"), ("count", "left"), ("count", "right")]);
    assert_eq!(rule.target(Some(&letter("right")), 0), Ok(2));
    assert_eq!(rule.target(Some(&letter("left")), 0), Ok(1));
    let gone = Stays::NoPort { operator: "count".to_owned(), port: "middle".to_owned() };
    assert_eq!(rule.target(Some(&letter("middle")), 0), Err(gone));
}

#[test]
fn a_letter_without_a_port_enters_the_only_one() {
    let mut letter = read(&letter_of(&record(&[]), Given::Record("in"), None));
    letter.port = None;
    assert_eq!(replay(&[("count", "in")]).target(Some(&letter), 0), Ok(0));
    let two = replay(&[("count", "left"), ("count", "right")]);
    assert_eq!(two.target(Some(&letter), 0), Err(Stays::PortUnknown("count".to_owned())));
}

#[test]
fn what_cannot_come_back_stays_and_says_why() {
    let rule = replay(&[("count", "in")]);
    assert_eq!(rule.target(None, 0), Err(Stays::Foreign));
    let timer = read(&letter_of(&record(&[]), Given::Timer("close"), None));
    assert_eq!(rule.target(Some(&timer), 0), Err(Stays::Timer("close".to_owned())));
    let mut large = Batch::default();
    large.push(1, Some(b"key"), Some(&[b'x'; 10_000]), None);
    let cut = read(&letter_of(&large, Given::Record("in"), Some(1000)));
    assert!(matches!(rule.target(Some(&cut), 0), Err(Stays::Cut(_))));
    let gone = read(&letter_of(&record(&[]), Given::Record("in"), None));
    let stays = replay(&[("other", "in")]).target(Some(&gone), 0);
    assert_eq!(stays, Err(Stays::NoOperator("count".to_owned())));
}

#[test]
fn only_what_is_selected_comes_back() {
    let letter = read(&letter_of(&record(&[]), Given::Record("in"), None));
    let with = |selection: Selection| Replay { selection, ..replay(&[("count", "in")]) };
    let selections = [
        (Selection { kinds: vec![FailureKind::Trap], ..Selection::default() }, true),
        (Selection { kinds: vec![FailureKind::Timeout], ..Selection::default() }, false),
        (Selection { operators: vec!["count".to_owned()], ..Selection::default() }, true),
        (Selection { operators: vec!["other".to_owned()], ..Selection::default() }, false),
        (Selection { since_ms: Some(5000), ..Selection::default() }, true),
        (Selection { since_ms: Some(5001), ..Selection::default() }, false),
    ];
    for (selection, wanted) in selections {
        assert_eq!(with(selection.clone()).target(Some(&letter), 77).is_ok(), wanted, "{selection:?}");
    }
    let old = Letter { time_ms: None, ..letter };
    let since = Selection { since_ms: Some(77), ..Selection::default() };
    assert!(since.wants(&old, 77) && !since.wants(&old, 76), "a letter without a time has the record's");
}

#[test]
fn what_is_not_of_this_pipeline_is_passed_over() {
    let letter = read(&letter_of(&record(&[]), Given::Record("in"), None));
    let other = Replay { pipeline: "weir.other".to_owned(), ..replay(&[("count", "in")]) };
    let stays = other.target(Some(&letter), 0).unwrap_err();
    assert_eq!(stays, Stays::OtherPipeline("weir.p".to_owned()));
    assert!(stays.is_passed_over() && Stays::Foreign.is_passed_over());
    assert!(!Stays::NotSelected.is_passed_over());
    // Older versions did not name the pipeline.
    let old = Letter { pipeline: None, ..letter };
    assert_eq!(other.target(Some(&old), 0), Ok(0));
}
