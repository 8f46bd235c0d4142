//! Durations, byte sizes and times as people write them.

use std::time::{Duration, UNIX_EPOCH};

/// The longest duration, 100 years: several of them can be added up, and to the time that it is.
pub const DURATION_MAX: Duration = Duration::from_secs(100 * 366 * 24 * 3600);

/// `5s`, `200ms`, `10m`, `1h 30m`.
pub fn duration(text: &str) -> Option<Duration> {
    humantime::parse_duration(text.trim()).ok().filter(|duration| *duration <= DURATION_MAX)
}

/// A duration as an argument of the command line.
pub fn duration_argument(text: &str) -> Result<Duration, String> {
    duration(text).ok_or_else(|| "expected a duration with its unit, such as 5s".to_owned())
}

/// `64MiB`, `16 MB`, `1024`: with an `i` a power of 1024, without it of 1000.
pub fn byte_size(text: &str) -> Option<usize> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '_').unwrap_or(text.len());
    let number: u64 = text[..digits].replace('_', "").parse().ok()?;
    let factor: u64 = match text[digits..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" => 1000,
        "kib" => 1 << 10,
        "m" | "mb" => 1_000_000,
        "mib" => 1 << 20,
        "g" | "gb" => 1_000_000_000,
        "gib" => 1 << 30,
        _ => return None,
    };
    usize::try_from(number.checked_mul(factor)?).ok()
}

/// RFC 3339 (`2026-01-31T12:00:00Z`, `…+02:00`) or milliseconds since 1970, as milliseconds.
pub fn timestamp_ms(text: &str) -> Option<i64> {
    let text = text.trim();
    if let Ok(milliseconds) = text.parse() {
        return Some(milliseconds);
    }
    let (local, shift_minutes) = split_offset(text)?;
    let time = humantime::parse_rfc3339_weak(&local).ok()?;
    let milliseconds = i64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok()?;
    milliseconds.checked_sub(shift_minutes * 60_000)
}

/// The local time, and how many minutes it is before universal time.
fn split_offset(text: &str) -> Option<(String, i64)> {
    let at = text.len().checked_sub(6)?;
    let Some((local, offset)) = text.split_at_checked(at) else { return Some((text.to_owned(), 0)) };
    let sign = match offset.as_bytes()[0] {
        b'+' => 1,
        b'-' if offset.as_bytes()[3] == b':' => -1,
        _ => return Some((text.to_owned(), 0)),
    };
    let (hours, minutes) = offset[1..].split_once(':')?;
    let (hours, minutes): (i64, i64) = (hours.parse().ok()?, minutes.parse().ok()?);
    Some((local.to_owned(), sign * (hours * 60 + minutes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit() {
        assert_eq!(duration("5s"), Some(Duration::from_secs(5)));
        assert_eq!(duration("200 ms"), Some(Duration::from_millis(200)));
        assert_eq!(duration("1h 30m"), Some(Duration::from_secs(5400)));
        assert_eq!(duration("5"), None);
        assert_eq!(duration("soon"), None);
        assert_eq!(duration("36600 days"), Some(DURATION_MAX));
        assert_eq!(duration("101years"), None);
    }

    #[test]
    fn sizes_are_decimal_or_binary_as_their_unit_says() {
        assert_eq!(byte_size("64MiB"), Some(64 << 20));
        assert_eq!(byte_size("16 MB"), Some(16_000_000));
        assert_eq!(byte_size("1_024"), Some(1024));
        assert_eq!(byte_size("1.5GiB"), None);
        assert_eq!(byte_size("many"), None);
        assert_eq!(byte_size("99999999999GiB"), None);
    }

    #[test]
    fn times_are_rfc_3339_or_milliseconds() {
        assert_eq!(timestamp_ms("1700000000000"), Some(1_700_000_000_000));
        assert_eq!(timestamp_ms("2023-11-14T22:13:20Z"), Some(1_700_000_000_000));
        assert_eq!(timestamp_ms("2023-11-15T00:13:20+02:00"), Some(1_700_000_000_000));
        assert_eq!(timestamp_ms("2023-11-14T17:13:20-05:00"), Some(1_700_000_000_000));
        assert_eq!(timestamp_ms("yesterday"), None);
    }
}
