//! Takes in what happens to one pipeline. What must be durable is, when an event's call returns: a rejected digest is
//! known before the old version starts again.

use super::Slot;
use super::outcome::{complete_swap, end_swap, tell};
use crate::control::Control;
use crate::deployment::Event;
use crate::host::{Ending, Listener, PipelineEvent, SwapEvent};
use crate::problem::Problem;
use crate::store::pipelines::StartFrom;
use crate::store::swaps::{Swap, SwapState};
use crate::store::{events, pipelines, swaps};
use rusqlite::Connection;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How often an event that cannot be written is tried again, and the time between: a minute in which a full disk may
/// get room. The pipeline waits as long.
const ATTEMPTS_MAX: u32 = 300;
const ATTEMPT_PAUSE: Duration = Duration::from_millis(200);

/// The listener of one pipeline.
pub struct Observer {
    /// Where it is written.
    pub control: Arc<Control>,
    /// Whose state is stepped.
    pub slot: Arc<Slot>,
    /// The pipeline's key.
    pub pipeline: i64,
    /// How its start was asked to begin.
    pub start: StartFrom,
}

impl Listener for Observer {
    fn happened(&self, pipeline: &str, event: PipelineEvent) {
        for attempt in 1..=ATTEMPTS_MAX {
            match self.control.store.write(|transaction| self.write(transaction, &event)) {
                Ok(()) => break,
                Err(error) if attempt == ATTEMPTS_MAX => {
                    tracing::error!(pipeline, ?event, "an event is lost: {error}");
                }
                Err(_) => std::thread::sleep(ATTEMPT_PAUSE),
            }
        }
        self.control.wake();
        self.step(event);
    }
}

impl Observer {
    fn step(&self, event: PipelineEvent) {
        match event {
            PipelineEvent::Running { incarnation, .. } => {
                self.slot.note_incarnation(&incarnation);
                self.slot.step(&Event::Begun);
            }
            PipelineEvent::Restarting { cause, .. } => {
                self.slot.note_restart(self.control.now(), &cause);
                self.slot.step(&Event::Restarting(cause));
            }
            PipelineEvent::Replaying { incarnation, .. } => {
                self.slot.note_incarnation(&incarnation);
                self.slot.step(&Event::ReplayBegun);
            }
            PipelineEvent::Replayed { .. } | PipelineEvent::ReplayEnded { .. } => {}
            PipelineEvent::GoingBack { cause } => self.slot.step(&Event::Restarting(cause)),
            PipelineEvent::Ended(ending) => self.slot.step(&Event::Ended(ending)),
            PipelineEvent::Swap(SwapEvent::Prepared | SwapEvent::Probation { .. }) => {}
            PipelineEvent::Swap(_) => self.slot.step(&Event::SwapEnded),
        }
    }

    fn write(&self, connection: &Connection, event: &PipelineEvent) -> Result<(), Problem> {
        match event {
            PipelineEvent::Running { incarnation, epoch, operators, candidate } => {
                pipelines::forget_start(connection, self.pipeline, &self.start)?;
                let body = json!({ "incarnation": incarnation, "epoch": epoch, "operators": operators });
                self.event(connection, "running", &body)?;
                self.decide_swap(connection, *epoch, operators, *candidate)
            }
            PipelineEvent::Restarting { cause, wait_ms } => {
                self.event(connection, "restarting", &json!({ "cause": cause, "wait_ms": wait_ms }))
            }
            PipelineEvent::GoingBack { cause } => {
                self.event(connection, "going_back", &json!({ "cause": cause }))
            }
            PipelineEvent::Replaying { incarnation, letters } => {
                let body = json!({ "incarnation": incarnation, "letters": letters });
                self.event(connection, "replaying", &body)
            }
            PipelineEvent::Replayed { letters, failed_again, notes } => {
                let mut body = json!({ "letters": letters, "failed_again": failed_again });
                if !notes.is_empty() {
                    body["notes"] = json!(notes);
                }
                self.event(connection, "replayed", &body)
            }
            PipelineEvent::ReplayEnded { letters, left, failed_again, cause } => {
                let mut body = json!({ "letters": letters, "left": left, "failed_again": failed_again });
                let Some(cause) = cause else { return self.event(connection, "replay_stopped", &body) };
                body["cause"] = json!(cause);
                self.event(connection, "replay_failed", &body)
            }
            PipelineEvent::Ended(ending) => self.write_end(connection, ending),
            PipelineEvent::Swap(swap) => self.write_swap(connection, swap),
        }
    }

    /// A swap that was in probation when its incarnation ended unheard: what runs now says how it ended. So it does where
    /// its end was told and could not be written, and the next life begins in the same process.
    fn decide_swap(
        &self,
        connection: &Connection,
        epoch: u64,
        operators: &BTreeMap<String, String>,
        candidate: bool,
    ) -> Result<(), Problem> {
        let open = swaps::find_open(connection, self.pipeline)?;
        let new_runs = |swap: &Swap| {
            swap.to_sha256 != swap.from_sha256 && operators.get(&swap.operator) == Some(&swap.to_sha256)
        };
        match open.filter(|swap| swap.state == SwapState::Probation) {
            Some(swap) if candidate || new_runs(&swap) => {
                complete_swap(&self.control, connection, swap, epoch)
            }
            Some(swap) => end_swap(
                &self.control,
                connection,
                swap,
                SwapState::Interrupted,
                "the pipeline ended in probation, before the new version's first epoch was decided",
            ),
            None => Ok(()),
        }
    }

    fn write_end(&self, connection: &Connection, ending: &Ending) -> Result<(), Problem> {
        let (kind, body) = match ending {
            Ending::Finished => ("finished", json!({})),
            Ending::Stopped => ("stopped", json!({})),
            Ending::Superseded(by) => ("superseded", json!({ "by": by })),
            Ending::Failed(cause) => ("failed", json!({ "cause": cause })),
        };
        self.event(connection, kind, &body)?;
        // In probation it is not known which version will run: the next start decides.
        let open = swaps::find_open(connection, self.pipeline)?;
        match open.filter(|swap| swap.state != SwapState::Probation) {
            Some(swap) => {
                end_swap(&self.control, connection, swap, SwapState::Interrupted, "the pipeline ended")
            }
            None => Ok(()),
        }
    }

    fn write_swap(&self, connection: &Connection, event: &SwapEvent) -> Result<(), Problem> {
        // None where it was ended by other means: the first end counts.
        let Some(mut swap) = swaps::find_open(connection, self.pipeline)? else { return Ok(()) };
        let control = &self.control;
        match event {
            SwapEvent::Prepared => {
                swap.state = SwapState::Prepared;
                tell(control, connection, &swap)
            }
            SwapEvent::Probation { epoch } => {
                swap.state = SwapState::Probation;
                swap.epoch_before = Some(i64::try_from(*epoch).unwrap_or(i64::MAX));
                tell(control, connection, &swap)
            }
            SwapEvent::Completed { epoch } => complete_swap(control, connection, swap, *epoch),
            SwapEvent::RolledBack { reason, samples } => {
                swap.samples.clone_from(samples);
                end_swap(control, connection, swap, SwapState::RolledBack, reason)
            }
            SwapEvent::Interrupted { reason } => {
                end_swap(control, connection, swap, SwapState::Interrupted, reason)
            }
            SwapEvent::Abandoned { reason } => {
                let state = if swap.cancel_asked { SwapState::Cancelled } else { SwapState::Failed };
                end_swap(control, connection, swap, state, reason)
            }
        }
    }

    fn event(&self, connection: &Connection, kind: &str, body: &serde_json::Value) -> Result<(), Problem> {
        events::insert(connection, self.pipeline, self.control.now(), kind, body)
    }
}
