//! Why recovery is refused, in words that name what was found and the way out.

use crate::decision::Owner;
use crate::epoch::CheckpointId;
use crate::position::Partition;
use crate::remedy::{Remedy, ResetTo};

/// Why recovery is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The group belongs to another pipeline.
    #[error(
        "the consumer group is used by another pipeline: partition {partition} carries a decision of owner {found}, this pipeline is {expected}; give this pipeline a `group` of its own"
    )]
    ForeignOwner {
        /// Where it was found.
        partition: Partition,
        /// Whose it is.
        found: Owner,
        /// Who we are.
        expected: Owner,
    },
    /// Metadata that this build cannot read.
    #[error(
        "partition {partition} carries committed metadata that this weir cannot read ({found:?}): it is another program's, or of a newer weir; use another `group`, or say that its offsets are to be taken over"
    )]
    UnknownMetadata {
        /// Where it was found.
        partition: Partition,
        /// Its beginning.
        found: String,
    },
    /// The partitions name different checkpoints.
    #[error(
        "partitions name different checkpoints ({first} and {second}): somebody else has written to the consumer group"
    )]
    Disagree {
        /// One of them.
        first: String,
        /// Another.
        second: String,
    },
    /// Somebody changed the offsets.
    #[error(
        "the offset of {partition} was changed from outside: found {found}, checkpoint {id} says {expected}; set it back{}", or_take_it_over(.way)
    )]
    OffsetsReset {
        /// Where.
        partition: Partition,
        /// What is there.
        found: String,
        /// What the checkpoint has.
        expected: String,
        /// The checkpoint.
        id: String,
        /// Where one can go on.
        way: ResetTo,
    },
    /// A source has another name.
    #[error(
        "checkpoint {id} has the position of {partition} under the name {was}, and source {now} reads it now: a source that is renamed begins anew, and what is committed would be passed over; call it {was} again"
    )]
    SourceRenamed {
        /// One of its partitions.
        partition: Partition,
        /// What it was called.
        was: String,
        /// What it is called.
        now: String,
        /// The checkpoint.
        id: String,
    },
    /// An entry is gone.
    #[error("the committed offset of {partition} is gone (expired or deleted) though checkpoint {id} has it")]
    EntryMissing {
        /// Where.
        partition: Partition,
        /// The checkpoint.
        id: String,
    },
    /// All entries are gone.
    #[error(
        "the consumer group has no committed offsets though this data directory has seen checkpoint {last}: the group expired (offsets.retention.minutes) or was deleted, its topics were deleted (if they were made again, go on --to-earliest), or this is another cluster"
    )]
    GroupGone {
        /// What was seen.
        last: String,
    },
    /// Without Kafka: none of the inputs is one that was decided about.
    #[error(
        "the local decision knows none of the inputs that source {sources} reads now ({now}), though this data directory has seen checkpoint {last}: they were moved or renamed, or the pipeline file names others; bring them back to where they were"
    )]
    InputsUnknown {
        /// The sources.
        sources: String,
        /// What they read.
        now: String,
        /// What was seen.
        last: String,
    },
    /// Without Kafka: an input that is part of the checkpoint is not there.
    #[error(
        "source {from}: {partition} of checkpoint {id} is not there any more; bring it back to where it was"
    )]
    InputGone {
        /// The source.
        from: String,
        /// Which.
        partition: Partition,
        /// The checkpoint.
        id: String,
    },
    /// Without Kafka: the decision is older than the checkpoints beside it.
    #[error(
        "the local decision is {found}, this data directory has seen {hint}: the file DECISION was brought back from an older copy; bring back the newer one"
    )]
    DecisionWentBack {
        /// The decision.
        found: CheckpointId,
        /// The hint.
        hint: CheckpointId,
    },
    /// The cluster went back.
    #[error(
        "the cluster has decision {found}, this data directory has seen {hint}: the cluster lost committed data or was rolled back"
    )]
    RolledBack {
        /// The decision.
        found: CheckpointId,
        /// The hint.
        hint: CheckpointId,
    },
    /// A partition that is part of the checkpoint does not exist any more.
    #[error(
        "partition {partition} of checkpoint {id} does not exist any more: the topic was deleted and made again with fewer partitions"
    )]
    PartitionGone {
        /// Which.
        partition: Partition,
        /// The checkpoint.
        id: String,
    },
    /// The manifest is needed and not there.
    #[error("the decided checkpoint {id} cannot be restored: {why}; {needed}; bring the data directory back")]
    ManifestLost {
        /// The checkpoint.
        id: CheckpointId,
        /// What is wrong with it.
        why: String,
        /// Why the pipeline needs it.
        needed: String,
    },
    /// Written by a newer weir.
    #[error("the manifest of checkpoint {id} is from the future: {why}")]
    Future {
        /// The checkpoint.
        id: CheckpointId,
        /// What was found.
        why: String,
    },
    /// Decisions without a manifest cannot tell a new partition from an expired one.
    #[error(
        "partition {partition} has no committed offset, and the manifest that would tell whether it is new is lost"
    )]
    CannotTellNew {
        /// Which.
        partition: Partition,
    },
    /// Where the last replay of dead letters ended is in a manifest that is not there.
    #[error(
        "where the last replay of the letters in {partition} ended is in checkpoint {id} alone, and {why}: all of them would come back once more; bring the data directory back"
    )]
    LettersUnknown {
        /// The first partition of them.
        partition: Partition,
        /// The checkpoint.
        id: CheckpointId,
        /// What is wrong with it.
        why: String,
    },
}

impl Refusal {
    /// What helps. `docs/REFUSALS.md` has a section for each refusal, with its reasons.
    pub fn remedy(&self) -> Remedy {
        let reset = |to| Remedy::Reset { to, only: None };
        match self {
            Refusal::ForeignOwner { .. } => Remedy::OwnGroup,
            // Another version of weir; only that can say what it means.
            Refusal::UnknownMetadata { found, .. } if is_of_weir(found) => Remedy::Show,
            Refusal::Future { .. } => Remedy::Show,
            Refusal::UnknownMetadata { .. }
            | Refusal::CannotTellNew { .. }
            | Refusal::SourceRenamed { .. } => reset(ResetTo::Current),
            Refusal::OffsetsReset { way, .. } => reset(*way),
            Refusal::Disagree { .. }
            | Refusal::EntryMissing { .. }
            | Refusal::GroupGone { .. }
            | Refusal::InputGone { .. }
            | Refusal::DecisionWentBack { .. }
            | Refusal::RolledBack { .. } => reset(ResetTo::Snapshot),
            Refusal::LettersUnknown { .. } => Remedy::Savepoints,
            Refusal::InputsUnknown { .. } | Refusal::PartitionGone { .. } | Refusal::ManifestLost { .. } => {
                reset(ResetTo::Earliest)
            }
        }
    }

    /// The heading of its section in `docs/REFUSALS.md`.
    pub fn name(&self) -> &'static str {
        match self {
            Refusal::ForeignOwner { .. } => "foreign-owner",
            Refusal::UnknownMetadata { .. } => "unknown-metadata",
            Refusal::Disagree { .. } => "disagree",
            Refusal::OffsetsReset { .. } => "offsets-reset",
            Refusal::SourceRenamed { .. } => "source-renamed",
            Refusal::EntryMissing { .. } => "entry-missing",
            Refusal::GroupGone { .. } => "group-gone",
            Refusal::InputsUnknown { .. } => "inputs-unknown",
            Refusal::InputGone { .. } => "input-gone",
            Refusal::DecisionWentBack { .. } => "decision-went-back",
            Refusal::RolledBack { .. } => "rolled-back",
            Refusal::PartitionGone { .. } => "partition-gone",
            Refusal::ManifestLost { .. } => "manifest-lost",
            Refusal::Future { .. } => "future",
            Refusal::CannotTellNew { .. } => "cannot-tell-new",
            Refusal::LettersUnknown { .. } => "letters-unknown",
        }
    }
}

/// Where the remedy goes back to a checkpoint, going on from what is committed now is a way out too.
fn or_take_it_over(way: &ResetTo) -> &'static str {
    match way {
        ResetTo::Snapshot => ", or take it over as it is (--to-current)",
        ResetTo::Earliest | ResetTo::Latest | ResetTo::Current => "",
    }
}

/// `w2;…`: the form of a decision, of a version that this build does not know.
pub fn is_of_weir(metadata: &str) -> bool {
    let version = metadata.strip_prefix('w').and_then(|rest| rest.split_once(';'));
    version.is_some_and(|(number, _)| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}
