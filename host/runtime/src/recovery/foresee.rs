//! What a start would come to now, by the same rules, and without its consequences: nobody is fenced, nothing is written.

use super::{Judged, Recovery};
use crate::connect::Connected;
use weir_protocol::connector::ConnectorError;
use weir_protocol::epoch::CheckpointId;
use weir_protocol::verdict::{NewStart, Verdict};

/// Where a start would go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Foreseen {
    /// Nothing was ever decided.
    FirstStart {
        /// Partitions that are read by their start policy.
        partitions: usize,
    },
    /// The group has offsets of another consumer.
    TakeOver {
        /// Partitions that go on where it was.
        adopted: usize,
        /// Partitions that are read by their start policy.
        others: usize,
    },
    /// From a decided checkpoint.
    Restore {
        /// Which.
        checkpoint: CheckpointId,
        /// Partitions that appeared since.
        new_partitions: usize,
        /// Files of keyed state, of which each was found with its size.
        state_files: usize,
    },
    /// From the committed offsets alone.
    RestoreFromOffsets {
        /// The decided checkpoint.
        checkpoint: CheckpointId,
        /// What happened to its manifest.
        warning: String,
    },
    /// The checkpoint was drained to the end of the input: a start ends at once.
    Finished {
        /// Which.
        checkpoint: CheckpointId,
    },
}

impl Recovery<'_> {
    /// Looks, judges, and tells. An error is what the start would say before it fences anybody.
    pub fn foresee(&self, connected: &mut Connected) -> Result<Foreseen, ConnectorError> {
        let partitions = self.partitions(connected)?;
        let covered = self.covered(connected.decisions.as_ref(), &partitions);
        let committed = connected.decisions.look(&covered)?;
        let judged = self.judge(&self.facts(connected, &partitions, committed)?)?;
        if let Some(checkpoint) = self.finished(&judged) {
            return Ok(Foreseen::Finished { checkpoint });
        }
        let keyed = self.keyed_start(connected, &partitions, &judged)?;
        let parts = keyed.iter().flat_map(|start| &start.states.parts);
        let state_files = parts.map(|part| part.files.len()).sum();
        let verdict = match judged {
            Judged::Decision(verdict) => verdict,
            Judged::Savepoint { from, resolve, .. } => {
                let checkpoint = from.manifest.id.clone();
                return Ok(Foreseen::Restore { checkpoint, new_partitions: resolve.len(), state_files });
            }
        };
        Ok(match verdict {
            Verdict::FirstStart { resolve } => Foreseen::FirstStart { partitions: resolve.len() },
            Verdict::TakeOver { adopted, resolve } => {
                Foreseen::TakeOver { adopted: adopted.len(), others: resolve.len() }
            }
            Verdict::Restore { manifest, resolve } => {
                let new = resolve.iter().filter(|new| new.start == NewStart::Earliest);
                Foreseen::Restore { checkpoint: manifest.id, new_partitions: new.count(), state_files }
            }
            Verdict::RestoreFromOffsets { record, warning, .. } => {
                Foreseen::RestoreFromOffsets { checkpoint: record.id, warning }
            }
            Verdict::Refuse(refusal) => return Err(ConnectorError::refused(refusal.to_string())),
        })
    }
}
