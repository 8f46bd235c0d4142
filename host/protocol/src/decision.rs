//! The decision record: the committed offset of a source partition whose metadata names the checkpoint.
//!
//! `w1;p=<owner>;n=<epoch>;i=<incarnation>;h=<16 hex digits of the manifest's hash>`. It is written with every
//! source partition in the transaction that carries the epoch's output, so that all of it becomes true at once.
//! The form is persisted in Kafka: keep it stable, add `w2` beside it if it must change.

use crate::epoch::{CheckpointId, Epoch, Incarnation};
use crate::manifest::ManifestHash;
use crate::position::{Partition, Position};
use sha2::{Digest, Sha256};
use std::fmt;

/// A short hash of the id prefix and the pipeline's name: who the decision belongs to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner(String);

impl Owner {
    /// The owner of the decisions of a pipeline under an id prefix (`weir.` unless configured).
    pub fn of(id_prefix: &str, pipeline: &str) -> Owner {
        let mut hash = Sha256::new();
        hash.update(id_prefix.as_bytes());
        hash.update([0]);
        hash.update(pipeline.as_bytes());
        Owner(hash.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect())
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the metadata of a committed offset says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecisionRecord {
    /// Whose decision it is.
    pub owner: Owner,
    /// The checkpoint that became true.
    pub id: CheckpointId,
    /// The first 16 hex digits of the SHA-256 of its manifest.
    pub manifest: ManifestHash,
}

impl fmt::Display for DecisionRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DecisionRecord { owner, id, manifest } = self;
        write!(f, "w1;p={owner};n={};i={};h={manifest}", id.epoch, id.incarnation)
    }
}

/// Metadata of a committed offset, as recovery sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Metadata {
    /// Nothing: a plain commit of some consumer, or of `kafka-consumer-groups --reset-offsets`.
    Empty,
    /// A decision of weir.
    Decision(DecisionRecord),
    /// Text that is not ours, or of a version that this build does not know.
    Unknown(String),
}

impl Metadata {
    /// Reads what stands in a committed offset. Never fails: what is not a decision is `Unknown`.
    pub fn parse(text: &str) -> Metadata {
        if text.is_empty() {
            return Metadata::Empty;
        }
        parse_record(text)
            .map_or_else(|| Metadata::Unknown(text.chars().take(80).collect()), Metadata::Decision)
    }
}

fn parse_record(text: &str) -> Option<DecisionRecord> {
    let mut parts = text.strip_prefix("w1;")?.split(';');
    let mut part = |name: &str| parts.next()?.strip_prefix(name)?.strip_prefix('=');
    let owner = Owner(part("p")?.to_owned());
    let epoch = Epoch(part("n")?.parse().ok()?);
    let incarnation = Incarnation::parse(part("i")?)?;
    let manifest = ManifestHash::parse(part("h")?)?;
    let record = DecisionRecord { owner, id: CheckpointId { epoch, incarnation }, manifest };
    // A decision has one text: `n=+5` was written by somebody else.
    (parts.next().is_none() && record.to_string() == text).then_some(record)
}

/// What the decision log holds for one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedOffset {
    /// The partition.
    pub partition: Partition,
    /// The committed position, `None` where there is no entry.
    pub position: Option<Position>,
    /// The metadata of the entry; `Empty` where there is no entry.
    pub metadata: Metadata,
}

/// What is to become true: the checkpoint's name on every covered partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The record written as metadata.
    pub record: DecisionRecord,
    /// The covered partitions and the offsets committed for them.
    pub offsets: Vec<(Partition, Position)>,
}

/// All decisions that partitions name, the newest first. They differ where somebody else has written to the group, or a
/// topic is read again that was left out for a while.
pub fn decisions(committed: &[CommittedOffset]) -> Vec<&DecisionRecord> {
    let mut all: Vec<&DecisionRecord> = Vec::new();
    for entry in committed {
        if let Metadata::Decision(record) = &entry.metadata
            && !all.contains(&record)
        {
            all.push(record);
        }
    }
    all.sort_by_key(|record| std::cmp::Reverse(record.id.epoch));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> DecisionRecord {
        DecisionRecord {
            owner: Owner::of("weir.", "orders"),
            id: CheckpointId {
                epoch: Epoch(41),
                incarnation: Incarnation::parse("01J9ZQ3W5X7Y8Z9A0B1C2D3E4F").unwrap(),
            },
            manifest: ManifestHash::parse("00112233445566ff").unwrap(),
        }
    }

    #[test]
    fn a_decision_survives_its_text_form() {
        let text = record().to_string();
        assert!(text.len() < 120, "{text}");
        assert_eq!(Metadata::parse(&text), Metadata::Decision(record()));
    }

    #[test]
    fn what_is_not_ours_is_unknown_and_never_a_panic() {
        for text in ["x", "w1;", "w2;p=a;n=1", "w1;p=a;n=x;i=y;h=z", "consumer metadata"] {
            assert!(matches!(Metadata::parse(text), Metadata::Unknown(_)), "{text}");
        }
        let longer = format!("{};x=1", record());
        assert!(matches!(Metadata::parse(&longer), Metadata::Unknown(_)));
        assert_eq!(Metadata::parse(""), Metadata::Empty);
    }

    #[test]
    fn pipelines_and_prefixes_have_different_owners() {
        assert_ne!(Owner::of("weir.", "a"), Owner::of("weir.", "b"));
        assert_ne!(Owner::of("weir.", "a"), Owner::of("test.", "a"));
        assert_ne!(Owner::of("we", "ir"), Owner::of("wei", "r"));
    }

    #[test]
    fn of_several_decisions_the_newest_is_first_and_each_is_named_once() {
        let of =
            |epoch| DecisionRecord { id: CheckpointId { epoch: Epoch(epoch), ..record().id }, ..record() };
        let entry = |number, metadata| CommittedOffset {
            partition: Partition::new("in", number),
            position: Some(Position::at(7)),
            metadata,
        };
        let committed = [
            entry(0, Metadata::Decision(of(3))),
            entry(1, Metadata::Empty),
            entry(2, Metadata::Decision(of(5))),
            entry(3, Metadata::Decision(of(3))),
        ];
        assert_eq!(decisions(&committed), [&of(5), &of(3)]);
    }
}
