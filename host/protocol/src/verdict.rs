//! What recovery may do with what it found: one total function from facts to a verdict.
//!
//! The decision is the only truth; manifests and the hint are checked against it. What has no row in the table of
//! `docs/EXACTLY_ONCE.md` is refused: a wrong guess here loses or doubles records without a trace.

use crate::connector::StartPolicy;
use crate::decision::{CommittedOffset, DecisionRecord, Metadata, Owner};
use crate::epoch::CheckpointId;
use crate::manifest::{Manifest, ManifestHash};
use crate::plan::replay::is_letters;
use crate::position::{Partition, Position};
use crate::remedy::ResetTo;

mod letters;
mod refusal;

pub use self::letters::Replayed;
pub use self::refusal::{Refusal, is_of_weir};

/// A partition that a source of the plan has now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownPartition {
    /// The source of the plan.
    pub source: String,
    /// The partition.
    pub partition: Partition,
    /// Where it starts if nothing says otherwise.
    pub policy: StartPolicy,
    /// True where the decision holds this partition's own offset.
    pub covered: bool,
    /// True for dead letters that are replayed: other decisions were made since the last replay, and the position is
    /// where that one ended.
    pub letters: bool,
}

/// The file `LAST_COMMITTED`: which decision this data directory saw last. Never the decision itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    /// The checkpoint.
    pub id: CheckpointId,
    /// The hash of its manifest.
    pub manifest: ManifestHash,
}

/// The manifest that the decision names, as the data directory has it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "there is one of them per start")]
pub enum FoundManifest {
    /// No decision names one.
    NotNamed,
    /// It is there and has the decided hash.
    Found(Manifest),
    /// It is not there.
    Missing,
    /// It is there and cannot be trusted: why.
    Damaged(String),
    /// It was written by a newer weir: why it cannot be read.
    Future(String),
}

impl FoundManifest {
    /// The manifest, where it is there and can be used.
    pub fn found(self) -> Option<Manifest> {
        if let FoundManifest::Found(manifest) = self { Some(manifest) } else { None }
    }
}

/// All that the judgement rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Who we are.
    pub owner: Owner,
    /// What the decision log holds for the covered partitions (or for the stand-in).
    pub committed: Vec<CommittedOffset>,
    /// True where the log holds one stand-in whose offset is the epoch, instead of source offsets.
    pub stand_in: bool,
    /// The partitions that the plan reads now.
    pub partitions: Vec<KnownPartition>,
    /// The manifest that the decision names.
    pub manifest: FoundManifest,
    /// The hint of the data directory.
    pub hint: Option<Hint>,
    /// The data directory has a checkpoint of an epoch after the first, so a decision was made once.
    pub later_checkpoint: bool,
    /// Why the pipeline cannot go on without its manifest, `None` for one that is whole in Kafka.
    pub needs_manifest: Option<&'static str>,
    /// Where the decision is.
    pub place: DecisionPlace,
}

/// Where decisions are kept, for the words of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecisionPlace {
    /// In the offsets of a consumer group.
    ConsumerGroup,
    /// In a file of the data directory.
    LocalFile,
}

/// Where a partition without a position starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewStart {
    /// A partition added to a known topic: nothing of it may be missed.
    Earliest,
    /// By its start policy.
    Policy(StartPolicy),
    /// Where an earlier decision has it.
    At(Position),
}

/// A partition whose start has to be resolved, and decided before use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPartition {
    /// The source of the plan.
    pub source: String,
    /// The partition.
    pub partition: Partition,
    /// How.
    pub start: NewStart,
}

/// A position that recovery goes on from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownPosition {
    /// The source of the plan.
    pub source: String,
    /// The partition.
    pub partition: Partition,
    /// What is read next.
    pub position: Position,
}

/// What recovery does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing was ever decided: resolve the start policies once, decide them as epoch 0.
    FirstStart {
        /// All partitions.
        resolve: Vec<NewPartition>,
    },
    /// Another consumer's plain offsets are adopted, decided as epoch 0.
    TakeOver {
        /// Offsets found in the group.
        adopted: Vec<KnownPosition>,
        /// Partitions that the group has no offset for, or whose policy does not ask for it.
        resolve: Vec<NewPartition>,
    },
    /// Go on from the decided checkpoint.
    Restore {
        /// The decided manifest.
        manifest: Box<Manifest>,
        /// Partitions that appeared since.
        resolve: Vec<NewPartition>,
    },
    /// Go on from the committed offsets alone: the manifest is lost, and a stateless pipeline does not need it.
    RestoreFromOffsets {
        /// The decision.
        record: DecisionRecord,
        /// The committed positions.
        positions: Vec<KnownPosition>,
        /// What happened to the manifest, for the warning.
        warning: String,
    },
    /// Exactly-once cannot be kept: a person has to decide.
    Refuse(Refusal),
}

/// The decision that all covered partitions agree on, if there is one. The shell loads the manifest that it names and
/// judges then. Entries of dead letters name what was decided when they came back last: they are not asked.
pub fn named(committed: &[CommittedOffset]) -> Option<&DecisionRecord> {
    committed.iter().find_map(|entry| match &entry.metadata {
        Metadata::Decision(record) => Some(record),
        _ => None,
    })
}

/// Judges. Total: every combination of facts has a verdict.
pub fn judge(facts: &Facts) -> Verdict {
    match check_entries(facts) {
        Err(refusal) => Verdict::Refuse(refusal),
        Ok(None) => judge_without_decision(facts),
        Ok(Some(record)) => judge_decision(facts, record).unwrap_or_else(Verdict::Refuse),
    }
}

/// Every entry is ours or plain, and all of ours name the same checkpoint.
fn check_entries(facts: &Facts) -> Result<Option<&DecisionRecord>, Refusal> {
    let mut first: Option<&DecisionRecord> = None;
    for entry in &facts.committed {
        let partition = entry.partition.clone();
        match &entry.metadata {
            Metadata::Unknown(found) => {
                return Err(Refusal::UnknownMetadata { partition, found: found.clone() });
            }
            Metadata::Decision(record) if record.owner != facts.owner => {
                let (found, expected) = (record.owner.clone(), facts.owner.clone());
                return Err(Refusal::ForeignOwner { partition, found, expected });
            }
            Metadata::Decision(_) if is_of_letters(facts, entry) => {}
            Metadata::Decision(record) => match first {
                Some(other) if other != record => {
                    let (first, second) = (other.to_string(), record.to_string());
                    return Err(Refusal::Disagree { first, second });
                }
                _ => first = Some(record),
            },
            Metadata::Empty => {}
        }
    }
    Ok(first)
}

fn judge_without_decision(facts: &Facts) -> Verdict {
    let seen = match &facts.hint {
        Some(hint) => Some(hint.id.to_string()),
        None if facts.later_checkpoint => Some("of a later epoch".to_owned()),
        None => None,
    };
    let stream = facts.committed.iter().filter(|entry| !is_of_letters(facts, entry));
    let plain = stream.into_iter().find(|entry| entry.position.is_some());
    match (plain, seen) {
        (None, None) => Verdict::FirstStart {
            resolve: facts.partitions.iter().map(|known| first(facts, known)).collect(),
        },
        (None, Some(last)) => Verdict::Refuse(nothing_decided(facts, last)),
        (Some(entry), Some(last)) => Verdict::Refuse(Refusal::OffsetsReset {
            partition: entry.partition.clone(),
            found: found_text(entry),
            expected: "a decision".to_owned(),
            id: last,
            way: ResetTo::Snapshot,
        }),
        // A plain offset on the stand-in is not a source position that could be adopted.
        (Some(entry), None) if facts.stand_in => Verdict::Refuse(Refusal::OffsetsReset {
            partition: entry.partition.clone(),
            found: found_text(entry),
            expected: "no offset or a decision".to_owned(),
            id: "none".to_owned(),
            way: ResetTo::Earliest,
        }),
        (Some(_), None) => take_over(facts),
    }
}

/// Something was decided once, and nothing is known of what is read now.
fn nothing_decided(facts: &Facts, last: String) -> Refusal {
    if facts.place == DecisionPlace::ConsumerGroup {
        return Refusal::GroupGone { last };
    }
    let mut sources: Vec<&str> = facts.partitions.iter().map(|known| known.source.as_str()).collect();
    sources.dedup();
    let now: Vec<String> = facts.partitions.iter().map(|known| known.partition.to_string()).collect();
    Refusal::InputsUnknown { sources: sources.join(", "), now: now.join(", "), last }
}

fn take_over(facts: &Facts) -> Verdict {
    let (mut adopted, mut resolve) = (Vec::new(), Vec::new());
    for known in &facts.partitions {
        let wants = matches!(known.policy, StartPolicy::CommittedOrEarliest | StartPolicy::CommittedOrLatest);
        match position_of(facts, &known.partition) {
            Some(position) if wants && known.covered => {
                let (source, partition) = (known.source.clone(), known.partition.clone());
                adopted.push(KnownPosition { source, partition, position });
            }
            _ => resolve.push(first(facts, known)),
        }
    }
    Verdict::TakeOver { adopted, resolve }
}

fn judge_decision(facts: &Facts, record: &DecisionRecord) -> Result<Verdict, Refusal> {
    if let Some(hint) = &facts.hint {
        let went_back = record.id.epoch < hint.id.epoch;
        let other_past =
            record.id.epoch == hint.id.epoch && (record.id != hint.id || record.manifest != hint.manifest);
        if went_back || other_past {
            let (found, hint) = (record.id.clone(), hint.id.clone());
            return Err(match facts.place {
                DecisionPlace::ConsumerGroup => Refusal::RolledBack { found, hint },
                DecisionPlace::LocalFile => Refusal::DecisionWentBack { found, hint },
            });
        }
    }
    let id = record.id.clone();
    let lost = |why: &str| match facts.needs_manifest {
        Some(needed) => {
            let (id, why, needed) = (id.clone(), why.to_owned(), needed.to_owned());
            Err(Refusal::ManifestLost { id, why, needed })
        }
        None => from_offsets(facts, record, why),
    };
    match &facts.manifest {
        FoundManifest::Future(why) => Err(Refusal::Future { id, why: why.clone() }),
        FoundManifest::Missing | FoundManifest::NotNamed => lost("its manifest is missing"),
        FoundManifest::Damaged(why) => lost(why),
        FoundManifest::Found(manifest) => restore(facts, record, manifest),
    }
}

fn restore(facts: &Facts, record: &DecisionRecord, manifest: &Manifest) -> Result<Verdict, Refusal> {
    let id = record.id.to_string();
    if facts.stand_in {
        check_stand_in(facts, record)?;
    }
    let mut resolve = Vec::new();
    for known in &facts.partitions {
        let expected = manifest.position(&known.source, &known.partition);
        if known.letters {
            let to = letters_to(facts, Some(manifest), known);
            if to.is_none() || to != expected {
                resolve.push(letters_from(known, to));
            }
            continue;
        }
        if !known.covered {
            if expected.is_none() {
                resolve.push(new_partition(known, manifest));
            }
            continue;
        }
        let entry = facts.committed.iter().find(|entry| entry.partition == known.partition);
        let found = entry.and_then(|entry| entry.position);
        match (expected, found) {
            (None, None) => resolve.push(new_partition(known, manifest)),
            (Some(_), None) => {
                return Err(Refusal::EntryMissing { partition: known.partition.clone(), id });
            }
            (expected, Some(found)) => {
                if expected.is_none()
                    && let Some(was) = other_name(known, manifest)
                {
                    let (partition, now) = (known.partition.clone(), known.source.clone());
                    return Err(Refusal::SourceRenamed { partition, was, now, id });
                }
                let ours = entry.is_some_and(|entry| entry.metadata != Metadata::Empty);
                if !ours || expected.is_none_or(|expected| expected.offset != found.offset) {
                    let what = if ours { "a decision" } else { "a plain offset" };
                    return Err(Refusal::OffsetsReset {
                        partition: known.partition.clone(),
                        found: format!("{what} at {}", found.offset),
                        expected: expected
                            .map_or("no offset".to_owned(), |p| format!("a decision at {}", p.offset)),
                        id,
                        way: ResetTo::Snapshot,
                    });
                }
            }
        }
    }
    check_gone(facts, manifest, &id)?;
    Ok(Verdict::Restore { manifest: Box::new(manifest.clone()), resolve })
}

/// What a source was called when the checkpoint was made, where it is not called so now.
fn other_name(known: &KnownPartition, manifest: &Manifest) -> Option<String> {
    let of = manifest.positions.iter().find(|old| old.partition == known.partition)?;
    Some(of.source.clone()).filter(|was| *was != known.source && !is_letters(was))
}

fn check_stand_in(facts: &Facts, record: &DecisionRecord) -> Result<(), Refusal> {
    for entry in &facts.committed {
        let offset = entry.position.map(|position| position.offset);
        if offset != Some(record.id.epoch.0 as i64) {
            return Err(Refusal::OffsetsReset {
                partition: entry.partition.clone(),
                found: found_text(entry),
                expected: record.id.epoch.to_string(),
                id: record.id.to_string(),
                way: ResetTo::Snapshot,
            });
        }
    }
    Ok(())
}

/// A topic that the plan still reads must still have all partitions of the checkpoint.
fn check_gone(facts: &Facts, manifest: &Manifest, id: &str) -> Result<(), Refusal> {
    for old in manifest.positions.iter().filter(|old| !is_letters(&old.source)) {
        let same_topic = |known: &&KnownPartition| {
            known.source == old.source && known.partition.topic == old.partition.topic
        };
        let topic_is_read = facts.partitions.iter().any(|known| same_topic(&known));
        let there =
            facts.partitions.iter().any(|known| same_topic(&known) && known.partition == old.partition);
        if topic_is_read && !there {
            let (from, partition, id) = (old.source.clone(), old.partition.clone(), id.to_owned());
            return Err(match facts.place {
                DecisionPlace::ConsumerGroup => Refusal::PartitionGone { partition, id },
                DecisionPlace::LocalFile => Refusal::InputGone { from, partition, id },
            });
        }
    }
    Ok(())
}

fn from_offsets(facts: &Facts, record: &DecisionRecord, why: &str) -> Result<Verdict, Refusal> {
    let mut positions = Vec::new();
    for known in &facts.partitions {
        let entry = facts.committed.iter().find(|entry| entry.partition == known.partition);
        match entry {
            // Only manifests say it of letters that are no part of the decision.
            _ if known.letters && !known.covered => {
                let (partition, id) = (known.partition.clone(), record.id.clone());
                return Err(Refusal::LettersUnknown { partition, id, why: why.to_owned() });
            }
            _ if known.letters => {
                let position = letters_to(facts, None, known).unwrap_or(Position::at(0));
                let (source, partition) = (known.source.clone(), known.partition.clone());
                positions.push(KnownPosition { source, partition, position });
            }
            Some(CommittedOffset { position: Some(position), metadata: Metadata::Decision(_), .. }) => {
                let (source, partition) = (known.source.clone(), known.partition.clone());
                positions.push(KnownPosition { source, partition, position: *position });
            }
            Some(entry @ CommittedOffset { position: Some(_), .. }) => {
                return Err(Refusal::OffsetsReset {
                    partition: known.partition.clone(),
                    found: found_text(entry),
                    expected: "a decision".to_owned(),
                    id: record.id.to_string(),
                    way: ResetTo::Current,
                });
            }
            _ => return Err(Refusal::CannotTellNew { partition: known.partition.clone() }),
        }
    }
    let warning = format!("{why}; checkpoint {} is restored from the committed offsets alone", record.id);
    Ok(Verdict::RestoreFromOffsets { record: record.clone(), positions, warning })
}

/// The partitions that a manifest does not know; refused where it knows one that is gone.
pub(crate) fn new_partitions(facts: &Facts, manifest: &Manifest) -> Result<Vec<NewPartition>, Refusal> {
    check_gone(facts, manifest, &manifest.id.to_string())?;
    let known = facts.partitions.iter();
    let unknown = known.filter(|known| manifest.position(&known.source, &known.partition).is_none());
    Ok(unknown.map(|known| new_partition(known, manifest)).collect())
}

/// True for what the decision log holds of dead letters.
fn is_of_letters(facts: &Facts, entry: &CommittedOffset) -> bool {
    let mut letters = facts.partitions.iter().filter(|known| known.letters && known.covered);
    letters.any(|known| known.partition == entry.partition)
}

/// Where a partition starts of which no decision says anything.
fn first(facts: &Facts, known: &KnownPartition) -> NewPartition {
    if known.letters { letters_from(known, letters_to(facts, None, known)) } else { by_policy(known) }
}

/// Letters begin behind the last replay, where there was one.
fn letters_from(known: &KnownPartition, to: Option<Position>) -> NewPartition {
    let start = to.map(NewStart::At);
    start.map_or(by_policy(known), |start| NewPartition { start, ..by_policy(known) })
}

fn letters_to(facts: &Facts, manifest: Option<&Manifest>, known: &KnownPartition) -> Option<Position> {
    let letters = facts.partitions.iter().filter(|known| known.letters);
    let sources: Vec<&str> = letters.map(|known| known.source.as_str()).collect();
    let committed = if known.covered { &facts.committed[..] } else { &[] };
    Replayed { manifest, committed, sources: &sources }.to(&known.source, &known.partition)
}

/// The decision that an entry names.
fn ours(metadata: &Metadata) -> Option<&DecisionRecord> {
    match metadata {
        Metadata::Decision(record) => Some(record),
        Metadata::Empty | Metadata::Unknown(_) => None,
    }
}

fn by_policy(known: &KnownPartition) -> NewPartition {
    let (source, partition) = (known.source.clone(), known.partition.clone());
    NewPartition { source, partition, start: NewStart::Policy(known.policy) }
}

fn new_partition(known: &KnownPartition, manifest: &Manifest) -> NewPartition {
    let knows_topic = manifest
        .positions
        .iter()
        .any(|old| old.source == known.source && old.partition.topic == known.partition.topic);
    let start = if knows_topic { NewStart::Earliest } else { NewStart::Policy(known.policy) };
    NewPartition { source: known.source.clone(), partition: known.partition.clone(), start }
}

fn position_of(facts: &Facts, partition: &Partition) -> Option<Position> {
    facts.committed.iter().find(|entry| entry.partition == *partition)?.position
}

fn found_text(entry: &CommittedOffset) -> String {
    let what = if entry.metadata == Metadata::Empty { "a plain offset" } else { "a decision" };
    match entry.position {
        Some(position) => format!("{what} at {}", position.offset),
        None => "no offset".to_owned(),
    }
}

#[cfg(test)]
mod tests;
