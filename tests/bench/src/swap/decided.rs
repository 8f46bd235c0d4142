//! What weir said in its log: each decided checkpoint, and each panic of the version that traps.

use super::clock::{self, UnixMs};
use super::windows::Decided;
use crate::failure::Failure;
use serde_json::Value;
use std::fs;
use std::path::Path;

/// What the guest `measured_traps` says when it traps.
const TRAP: &str = "traps at the last record of each half million";

/// What a log tells.
#[derive(Debug, Default, PartialEq)]
pub struct Told {
    /// Decided checkpoints of one pipeline, in their order.
    pub decided: Vec<Decided>,
    /// When the bad version trapped.
    pub traps: Vec<UnixMs>,
}

/// Reads a log.
pub fn read(log: &Path, pipeline: &str) -> Result<Told, Failure> {
    let text = fs::read_to_string(log).map_err(Failure::of(log.display()))?;
    let mut told = Told::default();
    for line in text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        let Some(at) = line["timestamp"].as_str().and_then(clock::read) else { continue };
        if line["message"].as_str().is_some_and(|message| message.contains(TRAP)) {
            told.traps.push(at);
        }
        let numbers = line["took_ms"].as_f64().zip(line["longest_gap_us"].as_f64());
        if let Some((took_ms, gap_us)) = numbers.filter(|_| line["pipeline"] == pipeline) {
            told.decided.push(Decided { at, took_ms, gap_ms: gap_us / 1e3 });
        }
    }
    Ok(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decisions_of_one_pipeline_and_traps_are_found_among_other_lines() {
        let log = std::env::temp_dir().join(format!("weir-bench-decided-{}", std::process::id()));
        let lines = [
            "listening on http://127.0.0.1:1",
            r#"{"timestamp":"1970-01-01T00:00:01.500Z","message":"decided","pipeline":"p","epoch":3,"took_ms":12,"longest_gap_us":2500}"#,
            r#"{"timestamp":"1970-01-01T00:00:02Z","message":"decided","pipeline":"q","epoch":3,"took_ms":12,"longest_gap_us":2500}"#,
            r#"{"timestamp":"1970-01-01T00:00:03Z","message":"panicked: this version traps at the last record of each half million"}"#,
        ];
        fs::write(&log, lines.join("\n")).unwrap();
        let decided = vec![Decided { at: 1_500, took_ms: 12.0, gap_ms: 2.5 }];
        assert_eq!(read(&log, "p").unwrap(), Told { decided, traps: vec![3_000] });
        fs::remove_file(&log).unwrap();
    }
}
