//! The start of the service: every pipeline comes to its desired state, whatever ended the process before, and however
//! long the store cannot be written.

use super::end_swap;
use crate::control::Control;
use crate::deployment::{Actual, Event};
use crate::name::Name;
use crate::problem::Problem;
use crate::store::pipelines;
use crate::store::swaps::{self, SwapState};
use rusqlite::Transaction;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// The time between two attempts.
const ATTEMPT_PAUSE: Duration = Duration::from_secs(1);

/// Starts every pipeline that is to run. One that cannot be started is tried again until it is, or the service closes,
/// and keeps no other from its start.
pub async fn start_all(control: Arc<Control>) {
    let mut closing = control.closing.subscribe();
    let mut told = Vec::new();
    while !*closing.borrow() {
        let starting = control.clone();
        let failed = crate::http::blocking(move || attempt(&starting)).await;
        let failed = failed.unwrap_or_else(|problem| vec![problem.to_string()]);
        if failed.is_empty() {
            control.ready.store(true, Ordering::SeqCst);
            return;
        }
        // Once, however often it is tried.
        if failed != told {
            failed.iter().for_each(|line| tracing::error!("not started yet, and tried again: {line}"));
            told = failed;
        }
        // Either way the condition of the loop sees to it.
        let _ = tokio::time::timeout(ATTEMPT_PAUSE, closing.wait_for(|closing| *closing)).await;
    }
}

/// All pipelines once; what keeps which from its start.
fn attempt(control: &Arc<Control>) -> Result<Vec<String>, Problem> {
    let all = control.store.read(pipelines::all)?;
    let started = all.iter().map(|pipeline| {
        let name = Name::parse(&pipeline.name).map_err(Problem::internal);
        let started = name.and_then(|name| start(control, &name));
        started.map_err(|problem| format!("pipeline {}: {problem}", pipeline.name))
    });
    Ok(started.filter_map(Result::err).collect())
}

/// One pipeline, as long as nothing was done with it since the service began.
fn start(control: &Arc<Control>, name: &Name) -> Result<(), Problem> {
    let slot = control.slots.slot(control, name)?;
    let _held = slot.hold();
    if slot.show().actual != Actual::Stopped {
        return Ok(());
    }
    let desired_running = control.store.write(|transaction| {
        let Some(pipeline) = pipelines::find(transaction, name.as_str())? else {
            // Deleted meanwhile.
            return Ok(false);
        };
        end_left_swap(control, transaction, pipeline.id)?;
        Ok(pipeline.desired_running)
    })?;
    if desired_running {
        slot.step(&Event::StartAsked);
    }
    Ok(())
}

/// Before the first life of a pipeline: a swap of an earlier process is over. One in probation is decided by what the
/// pipeline finds to be decided.
pub fn end_left_swap(control: &Control, transaction: &Transaction<'_>, pipeline: i64) -> Result<(), Problem> {
    match swaps::find_open(transaction, pipeline)? {
        Some(swap) if swap.state != SwapState::Probation => {
            end_swap(control, transaction, swap, SwapState::Interrupted, "the host went down")
        }
        _ => Ok(()),
    }
}
