//! Swaps to a version that traps at the last record of each half million, and so takes itself back.

use super::clock::UnixMs;
use super::job::Job;
use crate::failure::Failure;
use serde_json::json;

/// Records until the bad one comes, at most: two producers write side by side.
const RECORDS_MAX: u64 = 1_000_000;
/// Probation: the bad record comes first. No more than half of the transaction's time is allowed.
const PROBATION: &str = "28s";
/// Checkpoint intervals beside that.
const INTERVALS: u32 = 8;

/// A swap that was rolled back, and its times.
#[derive(Debug, Clone, Copy)]
pub struct Rollback {
    /// When it was asked for.
    pub asked: UnixMs,
    /// The rollback is written down.
    pub rolled_back: UnixMs,
    /// The old version's incarnation has its state and begins.
    pub running: UnixMs,
}

/// So many of them.
pub fn measure(job: &mut Job<'_>, times: usize) -> Result<Vec<Rollback>, Failure> {
    let mut rollbacks = Vec::new();
    for number in 0..times {
        job.steady(job.seconds_for(RECORDS_MAX) + job.seconds_of(INTERVALS))?;
        let last = job.server.last_event(job.name)?;
        let rules = json!({ "probation": { "time": PROBATION, "records": 2 * RECORDS_MAX } });
        let body = json!({ "version": job.traps, "rules": rules, "force": true });
        let (asked, ..) = job.swap(&body)?;
        let end = job.server.await_event_of(job.name, last, &["swap_rolled_back", "swap_completed"])?;
        if end.kind == "swap_completed" {
            return Err(Failure::new("no bad record came in probation: the machine is too slow"));
        }
        let running = job.server.await_event(job.name, end.seq, "running")?;
        job.checkpoints(1)?;
        if job.was_steady()?.is_none() {
            continue;
        }
        eprintln!("bench: rollback {} of {times}: {}", number + 1, end.body["reason"]);
        rollbacks.push(Rollback { asked, rolled_back: end.at, running: running.at });
    }
    Ok(rollbacks)
}
