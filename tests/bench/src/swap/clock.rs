//! Times that three programs on one machine tell: this one, weir (events and log lines), and the broker (appends). All are
//! milliseconds since 1970 of the machine's clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970.
pub type UnixMs = i64;

/// Now.
pub fn now() -> UnixMs {
    unix_ms(SystemTime::now())
}

/// A time as it stands in an event or a log line, RFC 3339.
pub fn read(text: &str) -> Option<UnixMs> {
    humantime::parse_rfc3339(text).ok().map(unix_ms)
}

fn unix_ms(time: SystemTime) -> UnixMs {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_events_and_of_log_lines_are_read() {
        assert_eq!(read("1970-01-01T00:00:01.250Z"), Some(1_250));
        assert_eq!(read("1970-01-01T00:00:01.250999Z"), Some(1_250));
        assert_eq!(read("yesterday"), None);
    }
}
