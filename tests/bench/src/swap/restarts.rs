//! What a swap is compared with: stop, another version in the document, start.

use super::clock::{self, UnixMs};
use super::job::Job;
use crate::failure::Failure;
use serde_json::json;

/// Checkpoint intervals that one takes at most.
const INTERVALS_MAX: u32 = 12;

/// A stop, a change and a start, and their times.
#[derive(Debug, Clone, Copy)]
pub struct Restart {
    /// The stop was asked for.
    pub asked: UnixMs,
    /// What was read is decided, the pipeline has stopped.
    pub stopped: UnixMs,
    /// The document with the other version is applied.
    pub applied: UnixMs,
    /// The pipeline has its state and begins.
    pub running: UnixMs,
    /// It is to the version whose output is marked.
    pub to_next: bool,
}

/// So many of them, back and forth.
pub fn measure(job: &mut Job<'_>, times: usize) -> Result<Vec<Restart>, Failure> {
    let mut restarts = Vec::new();
    for number in 0..times {
        let to_next = number % 2 == 0;
        let Some(restart) = one(job, to_next)? else { continue };
        let took = restart.running - restart.asked;
        eprintln!("bench: stop, change and start {} of {times}: {took} ms", number + 1);
        restarts.push(restart);
    }
    // What follows begins with the old version.
    if times % 2 == 1 {
        one(job, false)?;
    }
    Ok(restarts)
}

fn one(job: &mut Job<'_>, to_next: bool) -> Result<Option<Restart>, Failure> {
    job.steady(job.seconds_of(INTERVALS_MAX))?;
    let version = if to_next { job.next.clone() } else { job.old.clone() };
    let last = job.server.last_event(job.name)?;
    let asked = clock::now();
    job.stop()?;
    let stopped = job.server.await_event(job.name, last, "stopped")?;
    job.server.apply(job.name, &job.document(&version))?;
    let applied = clock::now();
    job.server.post(&format!("/v1/pipelines/{}/start", job.name), &json!({}))?;
    let running = job.server.await_event(job.name, stopped.seq, "running")?;
    job.checkpoints(2)?;
    let restart = Restart { asked, stopped: stopped.at, applied, running: running.at, to_next };
    Ok(job.was_steady()?.map(|_| restart))
}
