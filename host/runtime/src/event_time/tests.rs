//! Which times are taken from a value, and what is said of a record without one.

use super::*;
use proptest::prelude::*;
use std::sync::Arc;

fn spec(missing: TimestampMissing) -> TimestampSpec {
    TimestampSpec::JsonField { field: "ts".to_owned(), missing }
}

fn batch(values: &[Option<&str>]) -> Batch {
    let (topic, mut batch): (Arc<str>, _) = ("orders".into(), Batch::default());
    for (offset, value) in values.iter().enumerate() {
        batch.push(7, None, value.map(str::as_bytes), None);
        batch.origins.push(&topic, 2, 40 + offset as i64);
    }
    batch
}

/// The timestamp that a value gives its record.
fn time_of(value: &str) -> Result<i64, String> {
    let mut batch = batch(&[Some(value)]);
    let stamped = stamp(&spec(TimestampMissing::Fail), &mut batch);
    stamped.map(|_| batch.timestamp(0)).map_err(|error| error.message)
}

#[test]
fn a_field_is_milliseconds_or_a_time_in_rfc_3339() {
    for value in [
        r#"{"ts": 1700000000123}"#,
        r#"{"ts": 1.700000000123e12, "other": 1}"#,
        r#"{"before": {"ts": 1, "x": [1, {"ts": 2}]}, "ts": 1700000000123}"#,
        r#"{"ts": "2023-11-14T22:13:20.123Z"}"#,
        r#"{"ts": "2023-11-14t22:13:20.123999z"}"#,
        r#"{"ts": "2023-11-15T00:13:20.123+02:00"}"#,
        r#"{"ts": "2023-11-14 17:13:20.123-05:00"}"#,
        r#"{"\u0074s": 1700000000123}"#,
        r#"{"ts": 1, "ts": 1700000000123}"#,
    ] {
        assert_eq!(time_of(value), Ok(1_700_000_000_123), "{value}");
    }
    assert_eq!(time_of(r#"{"ts": -5}"#), Ok(-5));
    assert_eq!(time_of(r#"{"ts": "1969-12-31T23:59:59Z"}"#), Ok(-1000));
    assert_eq!(time_of(r#"{"ts": "2024-02-29T00:00:00Z"}"#), Ok(1_709_164_800_000));
    assert_eq!(time_of(r#"{"ts": "2016-12-31T23:59:60Z"}"#), Ok(1_483_228_800_000));
}

#[test]
fn what_is_no_time_is_shown() {
    for (value, words) in [
        (r#"{"ts": "yesterday"}"#, "is \"yesterday\""),
        (r#"{"ts": "1700000000123"}"#, "is \"1700000000123\""),
        (r#"{"ts": "2023-11-14T22:13:20"}"#, "is \"2023-11-14T22:13:20\""),
        (r#"{"ts": "2023-02-29T00:00:00Z"}"#, "is \"2023-02-29"),
        (r#"{"ts": "2023-11-14T24:00:00Z"}"#, "is \"2023-11-14"),
        (r#"{"ts": "2023-11-14T22:13:20.Z"}"#, "is \"2023-11-14"),
        (r#"{"ts": "2023-11-14T22:13:20+2:00"}"#, "is \"2023-11-14"),
        (r#"{"ts": true}"#, "is true"),
        (r#"{"ts": null}"#, "is null"),
        (r#"{"ts": [1, 2]}"#, "is a list"),
        (r#"{"ts": {"a": 1}}"#, "is an object"),
        (r#"{"ts": 18446744073709551615}"#, "is 18446744073709551615"),
        (r#"{"ts": 1e300}"#, "is 1"),
        (r#"{"tss": 1}"#, "is not there"),
        ("{}", "is not there"),
        ("[1]", "not a JSON object"),
        (r#"{"ts": 5"#, "not a JSON object"),
        (r#"{"ts": 5} x"#, "not a JSON object"),
        ("", "not a JSON object"),
    ] {
        let message = time_of(value).unwrap_err();
        assert!(message.contains(words), "{value}: {message}");
    }
    let long = format!(r#"{{"ts": "{}"}}"#, "ä".repeat(1000));
    assert!(time_of(&long).unwrap_err().len() < 500);
}

#[test]
fn the_first_record_without_a_time_is_named_with_the_way_out() {
    let mut batch = batch(&[Some(r#"{"ts": 1}"#), None]);
    let error = stamp(&spec(TimestampMissing::Fail), &mut batch).unwrap_err();
    assert_eq!(
        error,
        ConnectorError::permanent(
            "orders:2 offset 41: the field \"ts\" of the value is the event time and the value is null; expected milliseconds since 1970 or a time such as \"2026-01-31T12:00:00Z\"; mend what writes it, or set timestamp_missing = \"record\" to keep such a record's own timestamp"
        )
    );
}

#[test]
fn a_record_without_a_time_may_keep_its_own() {
    let mut batch = batch(&[Some(r#"{"ts": 1}"#), None, Some("x")]);
    let outcome = stamp(&spec(TimestampMissing::Record), &mut batch);
    assert_eq!(outcome, Ok(StampOutcome { stamped: 1, kept: 2 }));
    assert_eq!([batch.timestamp(0), batch.timestamp(1), batch.timestamp(2)], [1, 7, 7]);
}

#[test]
fn a_records_own_timestamp_is_left_alone() {
    let mut unchanged = batch(&[Some(r#"{"ts": 1}"#)]);
    assert_eq!(stamp(&TimestampSpec::Record, &mut unchanged), Ok(StampOutcome::default()));
    assert_eq!(unchanged, batch(&[Some(r#"{"ts": 1}"#)]));
}

proptest! {
    #[test]
    fn no_value_makes_it_panic(value in prop::collection::vec(any::<u8>(), 0..60)) {
        find("ts", Some(&value));
        rfc_3339_ms(&value);
    }

    #[test]
    fn every_cut_and_change_of_a_time_is_read_or_refused(cut in 0usize..30, at in 0usize..29, byte in any::<u8>()) {
        let mut text = b"2023-11-14T22:13:20.123+02:00".to_vec();
        text[at] = byte;
        text.truncate(cut);
        rfc_3339_ms(&text);
    }

    #[test]
    fn days_follow_one_another(days in -700_000i64..2_900_000) {
        // A day is found by its number, month by month, from a year that is surely before it.
        let mut year = 1970 + days.div_euclid(366) - 1;
        if days < 0 { year = 1970 + days.div_euclid(365) - 2; }
        let (mut month, mut first) = (1, days_since_1970(year, 1, 1));
        loop {
            let (next_year, next_month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
            let next = days_since_1970(next_year, next_month, 1);
            prop_assert!((28..=31).contains(&(next - first)));
            if next > days { break; }
            (year, month, first) = (next_year, next_month, next);
        }
        prop_assert!(first <= days);
        prop_assert_eq!(days_since_1970(year, month, days - first + 1), days);
    }
}
