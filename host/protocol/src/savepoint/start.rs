//! May the pipeline start from this savepoint, and what does that mean for what it has decided already?
//!
//! The start is a decision of its own, behind everything that was ever decided, so the rules against going back hold.
//! Output that was published beyond the savepoint would be published again: that needs a word of the person.
//!
//! - **P1** A start from a savepoint works once: as soon as the decision descends from the savepoint, restarts go on from
//!   the decision. A command that asks for a rollback (`--replay-output`) is refused then rather than passed over, and
//!   one that asks for it again (`--again`) is carried out once in the life of its process.
//! - **P4** The savepoint has to be there only for a start that is still to happen.
//! - **P2** Nothing that another owner decided, and nothing that cannot be read, is overwritten.
//! - **P3** Without the person's word nothing is published twice: where it cannot be known that nothing was published
//!   beyond the savepoint, it counts as published.

use crate::decision::DecisionRecord;
use crate::epoch::{CheckpointId, Epoch, Incarnation};
use crate::manifest::{Manifest, PreparedHandle};
use crate::remedy::Remedy;
use crate::verdict::{Facts, FoundManifest, NewPartition, Refusal, Verdict, judge, named, new_partitions};

/// What the rule looks at.
#[derive(Debug, Clone, Copy)]
pub struct SavepointStart<'a> {
    /// What recovery found.
    pub facts: &'a Facts,
    /// What the person calls it.
    pub asked: &'a str,
    /// The manifest of the savepoint, or why there is none.
    pub savepoint: Result<&'a Manifest, &'a str>,
    /// The person knows that output will be published again.
    pub replay_output: bool,
    /// The person wants it although it has happened before.
    pub again: bool,
    /// The incarnations of this process: what they have started is not started again.
    pub ours: &'a [Incarnation],
}

impl SavepointStart<'_> {
    /// True where the decision descends from this savepoint.
    fn has_led_to(&self, decided: &Manifest) -> bool {
        match self.savepoint {
            Ok(savepoint) => decided.started_from.as_ref() == Some(&savepoint.id),
            Err(_) => decided.started_from.is_some() && decided.savepoint.as_deref() == Some(self.asked),
        }
    }
}

/// What was decided before, as far as a start from a savepoint needs it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decided {
    /// The decided checkpoint.
    pub id: Option<CheckpointId>,
    /// What its sinks had prepared: it is decided, so it is published before anything else.
    pub prepared: Vec<PreparedHandle>,
}

/// What a start with a savepoint does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SavepointVerdict {
    /// This start has happened: the decision descends from the savepoint, and recovery goes on from the decision.
    Happened,
    /// Positions, time and state are the savepoint's.
    Start {
        /// The epoch of the offsets-only decision.
        epoch: Epoch,
        /// Partitions that the savepoint does not know.
        resolve: Vec<NewPartition>,
        /// What was decided before.
        decided: Decided,
    },
    /// A person has to decide.
    Refuse(SavepointRefusal),
}

/// Why a start from a savepoint is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SavepointRefusal {
    /// The decision is not ours to go on from.
    #[error("{0}")]
    NotOurs(Refusal),
    /// A rollback was asked for, and it has happened before.
    #[error(
        "the pipeline was started from savepoint {asked} before, and checkpoint {decided} has been decided since: nothing was rolled back; add --again to start from the savepoint once more, or leave out --from-savepoint and --replay-output to go on"
    )]
    HappenedBefore {
        /// What the person calls the savepoint.
        asked: String,
        /// The decision.
        decided: CheckpointId,
    },
    /// It is to be started from, and there is none.
    #[error("{0}")]
    NotThere(String),
    /// There is output that the savepoint does not know of.
    #[error(
        "the pipeline has gone on beyond savepoint checkpoint {savepoint}: {what}; what it has published since would be published again; add --replay-output to start from the savepoint all the same, or leave out --from-savepoint to go on"
    )]
    Beyond {
        /// What the person calls the savepoint.
        asked: String,
        /// The checkpoint of the savepoint.
        savepoint: CheckpointId,
        /// What was found.
        what: String,
    },
}

impl SavepointRefusal {
    /// What helps.
    pub fn remedy(&self) -> Remedy {
        match self {
            SavepointRefusal::NotOurs(refusal) => refusal.remedy(),
            SavepointRefusal::HappenedBefore { asked, .. } => {
                Remedy::FromSavepoint { asked: asked.clone(), again: true }
            }
            SavepointRefusal::NotThere(_) => Remedy::Savepoints,
            SavepointRefusal::Beyond { asked, .. } => {
                Remedy::FromSavepoint { asked: asked.clone(), again: false }
            }
        }
    }
}

/// Judges a start from a savepoint.
pub fn judge_start(start: &SavepointStart<'_>) -> SavepointVerdict {
    let SavepointStart { facts, replay_output, .. } = *start;
    let verdict = judge(facts);
    if let Verdict::Restore { manifest, .. } = &verdict
        && start.has_led_to(manifest)
    {
        match (start.ours.contains(&manifest.id.incarnation), start.again, replay_output) {
            (true, _, _) | (false, false, false) => return SavepointVerdict::Happened,
            (false, false, true) => {
                let (asked, decided) = (start.asked.to_owned(), manifest.id.clone());
                return SavepointVerdict::Refuse(SavepointRefusal::HappenedBefore { asked, decided });
            }
            (false, true, _) => {}
        }
    }
    let foreign = |refusal: &Refusal| {
        matches!(
            refusal,
            Refusal::ForeignOwner { .. }
                | Refusal::UnknownMetadata { .. }
                | Refusal::Disagree { .. }
                | Refusal::Future { .. }
        )
    };
    if let Verdict::Refuse(refusal) = &verdict
        && foreign(refusal)
    {
        return SavepointVerdict::Refuse(SavepointRefusal::NotOurs(refusal.clone()));
    }
    let savepoint = match start.savepoint {
        Ok(savepoint) => savepoint,
        Err(why) => return SavepointVerdict::Refuse(SavepointRefusal::NotThere(why.to_owned())),
    };
    let resolve = match new_partitions(facts, savepoint) {
        Ok(resolve) => resolve,
        Err(refusal) => return SavepointVerdict::Refuse(SavepointRefusal::NotOurs(refusal)),
    };
    let record = named(&facts.committed);
    if let (Some(what), false) = (beyond(facts, record, savepoint), replay_output) {
        let (asked, savepoint) = (start.asked.to_owned(), savepoint.id.clone());
        return SavepointVerdict::Refuse(SavepointRefusal::Beyond { asked, savepoint, what });
    }
    let known = [record.map(|record| record.id.epoch), facts.hint.as_ref().map(|hint| hint.id.epoch)];
    let last = known.into_iter().flatten().fold(savepoint.id.epoch, Epoch::max);
    // A hint is written behind a decision. Where the decision is lost, it proves that the savepoint's checkpoint was one.
    let is_hinted = record.is_none() && facts.hint.as_ref().is_some_and(|hint| hint.id == savepoint.id);
    let decided = decided_manifest(facts).or(is_hinted.then_some(savepoint));
    let prepared = decided.map_or_else(Vec::new, |manifest| manifest.prepared.clone());
    let decided = Decided { id: record.map(|record| record.id.clone()), prepared };
    SavepointVerdict::Start { epoch: last.next(), resolve, decided }
}

/// The decided manifest, where it is there and whole.
fn decided_manifest(facts: &Facts) -> Option<&Manifest> {
    match &facts.manifest {
        FoundManifest::Found(manifest) => Some(manifest),
        _ => None,
    }
}

/// What was, or may have been, published beyond the savepoint; none where it is certain that nothing was.
fn beyond(facts: &Facts, record: Option<&DecisionRecord>, savepoint: &Manifest) -> Option<String> {
    let hint = facts.hint.as_ref().map(|hint| &hint.id);
    let Some(record) = record else {
        return match hint {
            Some(id) if *id != savepoint.id => Some(format!(
                "this data directory has seen checkpoint {id}, and the consumer group has no decision any more"
            )),
            _ => plain_offsets_beyond(facts, savepoint),
        };
    };
    if let Some(id) = hint.filter(|id| id.epoch > record.id.epoch) {
        return Some(format!(
            "this data directory has seen checkpoint {id}, the consumer group has {}",
            record.id
        ));
    }
    let id = &record.id;
    let manifest = decided_manifest(facts);
    if facts.stand_in && manifest.is_none() && *id != savepoint.id {
        return Some(format!("checkpoint {id} is decided, and its manifest with the positions is lost"));
    }
    if let Some(what) = positions_beyond(facts, manifest, savepoint) {
        return Some(format!("checkpoint {id} is decided, {what}"));
    }
    let has_timers =
        savepoint.keyed.iter().flat_map(|keyed| keyed.operators.values()).any(|o| !o.timers.is_empty());
    let time_went_on = manifest.is_none_or(|manifest| manifest.now_ms > savepoint.now_ms);
    if has_timers && time_went_on && *id != savepoint.id {
        return Some(format!("checkpoint {id} is decided, and timers may have fired since the savepoint"));
    }
    None
}

fn positions_beyond(facts: &Facts, decided: Option<&Manifest>, savepoint: &Manifest) -> Option<String> {
    let Some(decided) = decided else { return plain_offsets_beyond(facts, savepoint) };
    decided.positions.iter().find_map(|known| {
        let before =
            savepoint.position(&known.source, &known.partition).map_or(0, |position| position.offset);
        let offset = known.position.offset;
        (offset > before).then(|| format!("{} is at {offset}, in the savepoint at {before}", known.partition))
    })
}

/// The committed offsets, compared with the savepoint. A stand-in holds no offset of a source.
fn plain_offsets_beyond(facts: &Facts, savepoint: &Manifest) -> Option<String> {
    if facts.stand_in {
        return None;
    }
    facts.committed.iter().find_map(|entry| {
        let offset = entry.position?.offset;
        let of_source = facts.partitions.iter().find(|known| known.partition == entry.partition)?;
        let before =
            savepoint.position(&of_source.source, &entry.partition).map_or(0, |position| position.offset);
        (offset > before).then(|| format!("{} is at {offset}, in the savepoint at {before}", entry.partition))
    })
}

#[cfg(test)]
mod tests;
