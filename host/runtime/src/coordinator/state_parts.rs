//! The state of the checkpoint that is being made: handed to threads beside the stream, and collected again.

use super::Coordinator;
use crate::persist::{FrozenPart, Job, Persisted};
use weir_protocol::checkpoint::Event;
use weir_protocol::connector::ErrorKind;
use weir_protocol::epoch::Epoch;
use weir_protocol::state::StatePart;

/// The state of the checkpoint that is being made.
#[derive(Default)]
pub(super) struct StateSnapshot {
    /// Jobs under way.
    pub(super) outstanding: usize,
    /// Parts that are on disk.
    pub(super) parts: Vec<StatePart>,
    /// Parts that could not be put there.
    pub(super) failed: Vec<FrozenPart>,
    pub(super) failure: Option<String>,
    /// The rule has asked for the manifest.
    pub(super) wanted: Option<Epoch>,
}

impl Coordinator<'_> {
    pub(super) fn persist(&mut self, epoch: Epoch, part: FrozenPart) {
        self.state.outstanding += 1;
        let checkpoint = self.store.temporary(&self.id(epoch));
        self.give(Job::Persist { epoch, part, checkpoint });
    }

    pub(super) fn persisted(&mut self, epoch: Epoch, result: Persisted) -> Option<Event> {
        self.state.outstanding -= 1;
        match result {
            Persisted::Done(part, new_bytes) => {
                self.options.meters.state_bytes_written.add(new_bytes);
                self.state.parts.push(part);
            }
            Persisted::Failed(part, error) => {
                tracing::warn!(%epoch, operator = part.operator, "state cannot be stored: {error}");
                if matches!(error.kind, ErrorKind::Permanent | ErrorKind::Refused) {
                    return Some(Event::Failed(error));
                }
                self.state.failure.get_or_insert(error.message);
                self.state.failed.push(part);
            }
        }
        if self.state.outstanding > 0 {
            return None;
        }
        self.state.wanted.take().map(|epoch| self.snapshot(epoch))
    }
}
