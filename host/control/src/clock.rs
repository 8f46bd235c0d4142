//! Time, injected: the service reads it through a [`Clock`], and keeps it as milliseconds since 1970.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What says which time it is.
pub type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// The clock of the machine.
pub fn machine_clock() -> Clock {
    Arc::new(SystemTime::now)
}

/// Milliseconds since 1970; 0 for times before.
pub fn unix_ms(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// RFC 3339 in UTC with milliseconds, as every time in an answer is written.
pub fn time_text(unix_ms: i64) -> String {
    // The last time that RFC 3339 can write: a token may be asked to live longer.
    const LATEST_MS: u64 = 253_402_300_799_999;
    let since = Duration::from_millis(u64::try_from(unix_ms).unwrap_or(0).min(LATEST_MS));
    humantime::format_rfc3339_millis(UNIX_EPOCH + since).to_string()
}
