//! What weir tells in its log: the numbers that only it knows.

use serde_json::Value;
use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// The lines of a log that are JSON objects.
fn lines(log: &Path) -> Vec<Value> {
    let text = fs::read_to_string(log).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// Microseconds: half of all, 99 of 100, and all of them took no longer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spread {
    /// Half of them.
    pub p50_us: u64,
    /// 99 of 100.
    pub p99_us: u64,
    /// All.
    pub max_us: u64,
}

/// The last line of a run that has ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Told {
    /// Decided checkpoints.
    pub checkpoints: u64,
    /// Bytes of state that were written for them.
    pub state_bytes_written: u64,
    /// How long a subtask stood still at a barrier.
    pub barrier_pause: Spread,
    /// From a barrier to its decision.
    pub decision: Spread,
    /// The longest time that a subtask stood still because of a checkpoint, whatever the cause.
    pub longest_pause_us: u64,
}

impl Told {
    /// Reads a log.
    pub fn read(log: &Path) -> Option<Told> {
        let lines = lines(log);
        let last = lines.iter().rfind(|line| line.get("state_bytes_written").is_some())?;
        let number = |name: &str| last.get(name)?.as_u64();
        let spread = |name: &str| {
            Some(Spread {
                p50_us: number(&format!("{name}_p50_us"))?,
                p99_us: number(&format!("{name}_p99_us"))?,
                max_us: number(&format!("{name}_max_us"))?,
            })
        };
        Some(Told {
            checkpoints: number("checkpoints")?,
            state_bytes_written: number("state_bytes_written")?,
            barrier_pause: spread("barrier_pause")?,
            decision: spread("decision")?,
            longest_pause_us: number("longest_pause_us")?,
        })
    }

    /// State written per checkpoint.
    pub fn bytes_per_checkpoint(&self) -> u64 {
        self.state_bytes_written / self.checkpoints.max(1)
    }
}

/// How the state came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restored {
    /// How long the slowest subtask took, in milliseconds.
    pub took_ms: u64,
    /// From a moment until the last subtask had its state, in milliseconds.
    pub ready_ms: u64,
}

/// Reads from a log how the state came back, and how long after a moment.
pub fn restored(log: &Path, since: SystemTime) -> Option<Restored> {
    let lines = lines(log);
    let restored: Vec<&Value> = lines.iter().filter(|line| line.get("linked_bytes").is_some()).collect();
    let took_ms = restored.iter().filter_map(|line| line.get("took_ms")?.as_u64()).max()?;
    let last_ms = ms_of_day(restored.last()?.get("timestamp")?.as_str()?)?;
    let since_ms = since.duration_since(UNIX_EPOCH).ok()?.as_millis() as u64 % DAY_MS;
    // A day may have ended in between.
    Some(Restored { took_ms, ready_ms: (last_ms + DAY_MS - since_ms) % DAY_MS })
}

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// The milliseconds since midnight of a time such as `2026-01-31T23:59:59.123456Z`.
fn ms_of_day(timestamp: &str) -> Option<u64> {
    let number = |range: std::ops::Range<usize>| timestamp.get(range)?.parse::<u64>().ok();
    Some(((number(11..13)? * 60 + number(14..16)?) * 60 + number(17..19)?) * 1000 + number(20..23)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_of_a_run_is_found_among_others() {
        let log = std::env::temp_dir().join(format!("weir-bench-told-{}", std::process::id()));
        let last = r#"{"checkpoints":4,"state_bytes_written":40,"longest_pause_us":9,"barrier_pause_p50_us":1,"barrier_pause_p99_us":2,"barrier_pause_max_us":3,"decision_p50_us":4,"decision_p99_us":5,"decision_max_us":6}"#;
        let ready = r#"{"timestamp":"2026-01-31T00:00:02.123456Z","linked_bytes":1,"took_ms":7}"#;
        fs::write(&log, format!("no JSON\n{ready}\n{last}\n{{}}\n")).unwrap();
        let told = Told::read(&log).unwrap();
        assert_eq!((told.bytes_per_checkpoint(), told.decision.p99_us), (10, 5));
        let since = UNIX_EPOCH + std::time::Duration::from_millis(3 * DAY_MS + 1_123);
        assert_eq!(restored(&log, since), Some(Restored { took_ms: 7, ready_ms: 1_000 }));
        fs::remove_file(&log).unwrap();
        assert_eq!(Told::read(&log), None);
    }
}
