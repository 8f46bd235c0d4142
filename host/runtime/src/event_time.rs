//! Event time out of a record's value: a field of a JSON object takes the place of the record's own timestamp.
//!
//! The value is read once, field by field, and nothing of it is built: other fields are passed over where they stand.
//! RFC 3339 is read by hand, because a fixed layout of at most 35 bytes needs neither a table of time zones nor an
//! allocation, which is what the crates for it bring along.

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use std::fmt;
use weir_protocol::batch::Batch;
use weir_protocol::connector::ConnectorError;
use weir_protocol::plan::{TimestampMissing, TimestampSpec};

/// What [`stamp`] did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StampOutcome {
    /// Rows whose timestamp is now the one of the field.
    pub stamped: usize,
    /// Rows without a usable field that have kept their own timestamp, because the pipeline file says so.
    pub kept: usize,
}

/// Sets the timestamps of a batch as its source asks. The error names the first record without a usable field; no
/// restart mends it.
pub fn stamp(spec: &TimestampSpec, batch: &mut Batch) -> Result<StampOutcome, ConnectorError> {
    let mut outcome = StampOutcome::default();
    let TimestampSpec::JsonField { field, missing } = spec else { return Ok(outcome) };
    for row in 0..batch.rows {
        match find(field, batch.values.get(row)) {
            Found::Time(milliseconds) => {
                batch.timestamps[row * 8..row * 8 + 8].copy_from_slice(&milliseconds.to_le_bytes());
                outcome.stamped += 1;
            }
            _ if *missing == TimestampMissing::Record => outcome.kept += 1,
            found => return Err(unusable(field, &found, batch, row)),
        }
    }
    Ok(outcome)
}

#[cold]
fn unusable(field: &str, found: &Found, batch: &Batch, row: usize) -> ConnectorError {
    let record = batch.origins.of(row).map_or_else(
        || format!("row {row}"),
        |origin| format!("{} offset {}", origin.partition, origin.offset),
    );
    ConnectorError::permanent(format!(
        "{record}: the field {field:?} of the value is the event time and {found}; expected milliseconds since 1970 or a time such as \"2026-01-31T12:00:00Z\"; mend what writes it, or set timestamp_missing = \"record\" to keep such a record's own timestamp"
    ))
}

/// What stands in a value where the time should.
#[derive(Debug, PartialEq)]
enum Found {
    Time(i64),
    Tombstone,
    NotAnObject,
    NoField,
    NotATime(String),
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Found::Time(milliseconds) => write!(f, "is {milliseconds}"),
            Found::Tombstone => f.write_str("the value is null"),
            Found::NotAnObject => f.write_str("the value is not a JSON object"),
            Found::NoField => f.write_str("is not there"),
            Found::NotATime(shown) => write!(f, "is {shown}"),
        }
    }
}

fn find(field: &str, value: Option<&[u8]>) -> Found {
    let Some(value) = value else { return Found::Tombstone };
    let mut reader = serde_json::Deserializer::from_slice(value);
    let found = reader.deserialize_map(Fields { wanted: field });
    match found.and_then(|found| reader.end().map(|()| found)) {
        Ok(found) => found,
        Err(_) => Found::NotAnObject,
    }
}

/// Walks over the fields of an object. Of a field that is there twice the last one counts, as most readers have it.
struct Fields<'a> {
    wanted: &'a str,
}

impl<'de> Visitor<'de> for Fields<'_> {
    type Value = Found;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Found, A::Error> {
        let mut found = Found::NoField;
        while let Some(is_it) = map.next_key_seed(IsWanted { wanted: self.wanted })? {
            if is_it {
                found = map.next_value_seed(Time)?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

struct IsWanted<'a> {
    wanted: &'a str,
}

impl<'de> DeserializeSeed<'de> for IsWanted<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, key: D) -> Result<bool, D::Error> {
        key.deserialize_str(self)
    }
}

impl Visitor<'_> for IsWanted<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<bool, E> {
        Ok(name == self.wanted)
    }
}

/// Reads the field itself; what is no time is kept as a few words for the message.
struct Time;

impl<'de> DeserializeSeed<'de> for Time {
    type Value = Found;

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<Found, D::Error> {
        value.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Time {
    type Value = Found;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time")
    }

    fn visit_i64<E>(self, number: i64) -> Result<Found, E> {
        Ok(Found::Time(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Found, E> {
        Ok(i64::try_from(number).map_or_else(|_| Found::NotATime(number.to_string()), Found::Time))
    }

    /// A fraction of a millisecond is left out.
    fn visit_f64<E>(self, number: f64) -> Result<Found, E> {
        // Up to here every whole number is a float of its own.
        const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
        let fits = number.abs() <= EXACT_MAX;
        Ok(if fits { Found::Time(number.floor() as i64) } else { Found::NotATime(number.to_string()) })
    }

    fn visit_str<E>(self, text: &str) -> Result<Found, E> {
        Ok(rfc_3339_ms(text.as_bytes()).map_or_else(|| shown(text), Found::Time))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Found, E> {
        Ok(Found::NotATime(value.to_string()))
    }

    fn visit_unit<E>(self) -> Result<Found, E> {
        Ok(Found::NotATime("null".to_owned()))
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut items: A) -> Result<Found, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Found::NotATime("a list".to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Found, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Found::NotATime("an object".to_owned()))
    }
}

#[cold]
fn shown(text: &str) -> Found {
    const CHARACTERS_MAX: usize = 60;
    let cut: String = text.chars().take(CHARACTERS_MAX).collect();
    let rest = if cut.len() < text.len() { "…" } else { "" };
    Found::NotATime(format!("{cut:?}{rest}"))
}

/// `2026-01-31T12:00:00.123Z` or with an offset such as `+02:00`, as milliseconds since 1970. Digits behind the
/// milliseconds are left out; a leap second counts as the first of the next minute.
fn rfc_3339_ms(text: &[u8]) -> Option<i64> {
    let digits = |from: usize, count: usize| {
        text.get(from..from + count)?.iter().try_fold(0i64, |number, digit| {
            digit.is_ascii_digit().then(|| number * 10 + i64::from(digit - b'0'))
        })
    };
    let sign = |at: usize, signs: &[u8]| text.get(at).is_some_and(|found| signs.contains(found));
    let punctuated = sign(4, b"-") && sign(7, b"-") && sign(10, b"Tt ") && sign(13, b":") && sign(16, b":");
    let (year, month, day) = (digits(0, 4)?, digits(5, 2)?, digits(8, 2)?);
    let (hour, minute, second) = (digits(11, 2)?, digits(14, 2)?, digits(17, 2)?);
    let leap_year = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days_of_month = match month {
        2 => 28 + i64::from(leap_year),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let in_range = (1..=12).contains(&month)
        && (1..=days_of_month).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    if !(punctuated && in_range) {
        return None;
    }
    let mut at = 19;
    let mut fraction_ms = 0;
    if sign(at, b".") {
        let fraction = text[at + 1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let kept = fraction.min(3);
        fraction_ms = digits(at + 1, kept)? * [0, 100, 10, 1][kept];
        at += 1 + fraction;
        if fraction == 0 {
            return None;
        }
    }
    let offset_minutes = match text.get(at)? {
        b'Z' | b'z' if text.len() == at + 1 => 0,
        b'+' | b'-' if text.len() == at + 6 && sign(at + 3, b":") => {
            let (hours, minutes) = (digits(at + 1, 2)?, digits(at + 4, 2)?);
            let ahead = if text[at] == b'+' { 1 } else { -1 };
            (hours < 24 && minutes < 60).then_some(ahead * (hours * 60 + minutes))?
        }
        _ => return None,
    };
    let minutes = (days_since_1970(year, month, day) * 24 + hour) * 60 + minute - offset_minutes;
    Some((minutes * 60 + second) * 1000 + fraction_ms)
}

/// Howard Hinnant's `days_from_civil`: years begin in March, so that the leap day is the last one.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, month) = (year.div_euclid(400), (month + 9) % 12);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests;
