//! Which letters, as people and clients name them.

use crate::pipeline_file::units::timestamp_ms;
use std::time::Duration;
use weir_protocol::connector::FailureKind;

/// A time, or how long ago, as milliseconds since 1970.
pub fn since_ms(text: &str, now_ms: i64) -> Result<i64, String> {
    let age = |age: Duration| i64::try_from(age.as_millis()).ok();
    let ago = || now_ms.checked_sub(age(humantime::parse_duration(text.trim()).ok()?)?);
    timestamp_ms(text).or_else(ago).ok_or_else(|| {
        format!(
            "{text:?}: expected a time such as 2026-01-31T12:00:00Z, milliseconds since 1970, or an age such as 2h"
        )
    })
}

/// A way of failing by its name.
pub fn parse_kind(text: &str) -> Result<FailureKind, String> {
    let found = FailureKind::ALL.into_iter().find(|kind| kind.name() == text);
    let names: Vec<&str> = FailureKind::ALL.into_iter().map(FailureKind::name).collect();
    found.ok_or_else(|| format!("{text:?}: expected one of {}", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_a_time_or_an_age() {
        assert_eq!(since_ms("1970-01-01T00:00:05Z", 99_000), Ok(5000));
        assert_eq!(since_ms("2s", 99_000), Ok(97_000));
        assert!(since_ms("yesterday", 99_000).unwrap_err().starts_with("\"yesterday\": expected a time"));
    }

    #[test]
    fn a_kind_that_does_not_exist_names_those_that_do() {
        assert_eq!(parse_kind("trap"), Ok(FailureKind::Trap));
        assert!(parse_kind("boom").unwrap_err().contains("rejection"));
    }
}
