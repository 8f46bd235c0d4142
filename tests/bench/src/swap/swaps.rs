//! Swaps to a version that behaves and back, each between ordinary checkpoints of the same run.

use super::clock::UnixMs;
use super::job::Job;
use super::windows::Step;
use crate::failure::Failure;
use serde_json::json;

/// Ordinary checkpoints that are watched before each swap, and behind it.
const CHECKPOINTS_BEFORE: u64 = 4;
const CHECKPOINTS_BEHIND: u64 = 3;
/// Checkpoint intervals that a step takes at most: those, settling, and probation.
const INTERVALS_MAX: u32 = 18;

/// A swap and its times.
#[derive(Debug, Clone, Copy)]
pub struct Swap {
    /// The answer 202.
    pub accepted: UnixMs,
    /// All instances are there.
    pub prepared: UnixMs,
    /// The old version's last epoch is decided, the new version runs.
    pub running: UnixMs,
    /// The new version's first epoch is decided.
    pub completed: UnixMs,
    /// It is to the version whose output is marked.
    pub to_next: bool,
    /// When it was asked for, and what was watched.
    pub step: Step,
}

/// So many swaps, back and forth.
pub fn measure(job: &mut Job<'_>, times: usize) -> Result<Vec<Swap>, Failure> {
    let mut swaps = Vec::new();
    for number in 0..times {
        let to_next = number % 2 == 0;
        let Some(swap) = one(job, to_next)? else { continue };
        eprintln!("bench: swap {} of {times}: {} ms", number + 1, swap.completed - swap.step.asked);
        swaps.push(swap);
    }
    // What follows begins with the old version.
    if times % 2 == 1 {
        one(job, false)?;
    }
    Ok(swaps)
}

fn one(job: &mut Job<'_>, to_next: bool) -> Result<Option<Swap>, Failure> {
    let from = job.steady(job.seconds_of(INTERVALS_MAX))?;
    job.checkpoints(CHECKPOINTS_BEFORE)?;
    let version = if to_next { job.next.clone() } else { job.old.clone() };
    let last = job.server.last_event(job.name)?;
    let (asked, accepted, _) = job.swap(&json!({ "version": version }))?;
    let at = |kind: &str| job.server.await_event(job.name, last, kind).map(|event| event.at);
    let (prepared, running, completed) = (at("swap_prepared")?, at("swap_probation")?, at("swap_completed")?);
    job.checkpoints(CHECKPOINTS_BEHIND)?;
    Ok(job.was_steady()?.map(|to| {
        let step = Step { from, asked, done: completed, to };
        Swap { accepted, prepared, running, completed, to_next, step }
    }))
}
