//! What a start would come to now, by the same rules, and without its consequences: nobody is fenced, nothing is written.

use super::{Judged, Recovery};
use crate::connect::Connected;
use weir_protocol::connector::ConnectorError;
use weir_protocol::epoch::CheckpointId;
use weir_protocol::manifest::Manifest;
use weir_protocol::plan::replay::is_letters;
use weir_protocol::position::Positions;
use weir_protocol::verdict::{KnownPosition, NewStart, Verdict};

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
        let judged = match self.judge(&self.facts(connected, &partitions, committed)?) {
            Ok(judged) => judged,
            // Whoever runs beside may have decided between the look at the decision and that at the directory.
            Err(_) => {
                let committed = connected.decisions.look(&covered)?;
                self.judge(&self.facts(connected, &partitions, committed)?)?
            }
        };
        if let Some(checkpoint) = self.finished(&judged) {
            return Ok(Foreseen::Finished { checkpoint });
        }
        let keyed = self.keyed_start(connected, &partitions, &judged)?;
        self.check_starts(connected, &judged)?;
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

    /// The sources are asked whether they could begin where the judgement lets them: their readers find out first when
    /// they read, behind the fence.
    fn check_starts(&self, connected: &mut Connected, judged: &Judged<'_>) -> Result<(), ConnectorError> {
        let known = known_positions(judged);
        for (spec, source) in self.plan.spec.sources.iter().zip(&mut connected.sources) {
            let own = known
                .iter()
                .filter(|known| known.source == spec.name && spec.kind.may_have(&known.partition));
            let start: Positions = own.map(|known| (known.partition.clone(), known.position)).collect();
            if !start.is_empty() && !is_letters(&spec.name) {
                source.check_start(&start)?;
            }
        }
        Ok(())
    }
}

/// Positions that are known before any source is asked.
fn known_positions(judged: &Judged<'_>) -> Vec<KnownPosition> {
    let of_manifest = |manifest: &Manifest| {
        let known = manifest.positions.iter().cloned();
        known
            .map(|old| KnownPosition { source: old.source, partition: old.partition, position: old.position })
            .collect()
    };
    match judged {
        Judged::Savepoint { from, .. } => of_manifest(&from.manifest),
        Judged::Decision(Verdict::Restore { manifest, .. }) => of_manifest(manifest),
        Judged::Decision(Verdict::RestoreFromOffsets { positions, .. }) => positions.clone(),
        Judged::Decision(Verdict::TakeOver { adopted, .. }) => adopted.clone(),
        Judged::Decision(Verdict::FirstStart { .. } | Verdict::Refuse(_)) => Vec::new(),
    }
}
