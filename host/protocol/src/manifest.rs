//! The checkpoint manifest: everything that an epoch's state depends on, as a versioned, hashed file.
//!
//! The encoding is JSON with a fixed order of fields, so that a person can read it and equal manifests are equal
//! bytes. The hash over those bytes goes into the decision record: a manifest that was changed is not the decided one.

use crate::epoch::CheckpointId;
use crate::feature_level::{Formats, THIS_WEIR, newest_formats};
use crate::key_group::KeyGroups;
use crate::position::{Partition, Position};
use crate::state::{StateDeclaration, StatePart, TimerDeclaration};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt;

/// The newest version of the encoding. Which one is written is said by the feature level in force; all are read.
pub const VERSION: u32 = 3;

/// From this version on a manifest says which weir wrote it.
const SIGNED_SINCE: u32 = 3;
/// Characters of what a manifest says of its writer that a message repeats.
const WRITER_CHARS_MAX: usize = 40;

/// The first 16 hex digits of the SHA-256 of a manifest's bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ManifestHash(String);

impl ManifestHash {
    /// The hash of encoded bytes.
    pub fn of(bytes: &[u8]) -> ManifestHash {
        ManifestHash(Sha256::digest(bytes).iter().take(8).map(|byte| format!("{byte:02x}")).collect())
    }

    /// Accepts 16 lower-case hex digits.
    pub fn parse(text: &str) -> Option<ManifestHash> {
        let fits = text.len() == 16 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        fits.then(|| ManifestHash(text.to_owned()))
    }
}

impl fmt::Display for ManifestHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Work that a sink has prepared and that becomes visible after the decision. What the text means is the sink's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PreparedHandle {
    /// The sink of the plan.
    pub sink: String,
    /// What the sink needs to publish it, and to find that it was published already.
    pub handle: String,
}

/// A position of a partition of a source, as the manifest writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourcePosition {
    /// The source of the plan.
    pub source: String,
    /// The partition.
    #[serde(flatten)]
    pub partition: Partition,
    /// Where it stands.
    #[serde(flatten)]
    pub position: Position,
}

/// How far event time had come in a partition of a source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceWatermark {
    /// The source of the plan.
    pub source: String,
    /// The partition.
    #[serde(flatten)]
    pub partition: Partition,
    /// The highest timestamp that counted, in milliseconds.
    pub highest_ms: i64,
}

/// The state of one operator: what its component declared, and how its keys are divided.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorState {
    /// Declared states.
    pub states: Vec<StateDeclaration>,
    /// Declared timers.
    pub timers: Vec<TimerDeclaration>,
}

/// What keyed operators have left behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyedStates {
    /// How keys are divided; fixed for the pipeline's life.
    pub groups: KeyGroups,
    /// Declarations per operator.
    pub operators: BTreeMap<String, OperatorState>,
    /// The files, per operator and subtask.
    pub parts: Vec<StatePart>,
}

/// All that epoch N's state depends on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of the encoding.
    pub version: u32,
    /// The pipeline's name.
    pub pipeline: String,
    /// This checkpoint.
    #[serde(flatten)]
    pub id: CheckpointId,
    /// The checkpoint that it continues, or the savepoint's; none for a first start.
    pub parent: Option<CheckpointId>,
    /// The positions of all sources.
    pub positions: Vec<SourcePosition>,
    /// The highest processing time that operators were given, in milliseconds: it never goes down.
    pub now_ms: i64,
    /// The operators that ran, by digest of their bytes.
    pub operators: BTreeMap<String, String>,
    /// What sinks publish after the decision.
    pub prepared: Vec<PreparedHandle>,
    /// Number of transactional ids in use; recovery fences all of them.
    pub slots: u32,
    /// How far event time had come, where a source has watermarks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub watermarks: Vec<SourceWatermark>,
    /// Keyed state; none in a pipeline without any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keyed: Option<KeyedStates>,
    /// The input has ended and the pipeline was drained: it does not start again by itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub finished: bool,
    /// The checkpoint of the savepoint that this line of checkpoints was started from, the last one where there were
    /// several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_from: Option<CheckpointId>,
    /// What the person called that savepoint: once it is gone, a restart with the same command is told by this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub savepoint: Option<String>,
    /// The watermark of each operator in milliseconds, where it had one: behind a restart event time is where it was.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub operator_watermarks: BTreeMap<String, i64>,
    /// The weir that wrote it; none before version 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written_by: Option<String>,
}

/// Why bytes are not a manifest that this build can use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// The bytes do not have the hash that the decision names.
    #[error(
        "its hash is {found}, the decision names {expected}: the file was changed or is another checkpoint's"
    )]
    Hash {
        /// What the bytes hash to.
        found: ManifestHash,
        /// What was decided.
        expected: ManifestHash,
    },
    /// Written by a newer weir.
    #[error(
        "it has version {found}, this is weir {THIS_WEIR}, which reads up to {newest}: run {}",
        .written_by.as_deref().map_or_else(|| "the newer weir that wrote it".to_owned(), |weir| format!("weir {weir}, which wrote it"))
    )]
    Future {
        /// The version found.
        found: u64,
        /// The newest that this weir reads.
        newest: u32,
        /// The weir that wrote it, where it says so.
        written_by: Option<String>,
    },
    /// Not a manifest.
    #[error("it cannot be read: {0}")]
    Damaged(String),
}

impl Manifest {
    /// The same in the version that these formats say, signed by this weir where that version has a place for it.
    pub fn in_formats(&self, formats: &Formats) -> Manifest {
        let version = formats.manifest;
        let written_by = (version >= SIGNED_SINCE).then(|| THIS_WEIR.to_owned());
        Manifest { version, written_by, ..self.clone() }
    }

    /// The bytes that are stored, and hashed.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("a manifest has only maps with text keys");
        bytes.push(b'\n');
        bytes
    }

    /// Reads stored bytes, whatever their hash.
    pub fn decode(bytes: &[u8]) -> Result<Manifest, ManifestError> {
        let damaged = |error: serde_json::Error| ManifestError::Damaged(error.to_string());
        let value: serde_json::Value = serde_json::from_slice(bytes).map_err(damaged)?;
        match value.get("version").and_then(serde_json::Value::as_u64) {
            Some(found) if found > u64::from(newest_formats().manifest) => {
                return Err(future(found, &value));
            }
            Some(_) => {}
            None => return Err(ManifestError::Damaged("it has no version".to_owned())),
        }
        let manifest: Manifest = serde_json::from_value(value).map_err(damaged)?;
        let Some(keyed) = &manifest.keyed else { return Ok(manifest) };
        if !keyed.groups.is_sound() {
            return Err(ManifestError::Damaged(format!("its key groups cannot be: {:?}", keyed.groups)));
        }
        match keyed.parts.iter().find(|part| !part.is_sound(&keyed.groups)) {
            Some(part) => Err(ManifestError::Damaged(format!("a part of its state cannot be: {part:?}"))),
            None => Ok(manifest),
        }
    }

    /// Reads stored bytes that must be the decided ones.
    pub fn decode_decided(bytes: &[u8], expected: &ManifestHash) -> Result<Manifest, ManifestError> {
        // A newer weir is named before a hash that this one may compute differently.
        let manifest = Manifest::decode(bytes);
        if let Err(ManifestError::Future { .. }) = manifest {
            return manifest;
        }
        let found = ManifestHash::of(bytes);
        if found != *expected {
            return Err(ManifestError::Hash { found, expected: expected.clone() });
        }
        manifest
    }

    /// True for the decision of a start behind others: it has the state of its parent, as it was.
    pub fn is_start(&self) -> bool {
        self.parent.as_ref().is_some_and(|parent| parent.incarnation != self.id.incarnation)
    }

    /// True where nothing but starts was decided since a savepoint: the state is the savepoint's, as it was.
    pub fn is_savepoint_start(&self) -> bool {
        self.started_from.is_some() && self.started_from == self.parent
    }

    /// The hash that the decision names.
    pub fn hash(&self) -> ManifestHash {
        ManifestHash::of(&self.encode())
    }

    /// The position of a partition of a source.
    pub fn position(&self, source: &str, partition: &Partition) -> Option<Position> {
        let found = |p: &&SourcePosition| p.source == source && p.partition == *partition;
        self.positions.iter().find(found).map(|p| p.position)
    }
}

/// A manifest of a version that this weir does not know; only who wrote it is taken from it.
fn future(found: u64, value: &serde_json::Value) -> ManifestError {
    let writer = value.get("written_by").and_then(serde_json::Value::as_str);
    let plain = |text: &&str| {
        text.chars().count() <= WRITER_CHARS_MAX
            && text.chars().all(|c| c.is_ascii_alphanumeric() || ".-+".contains(c))
    };
    let written_by = writer.filter(plain).map(str::to_owned);
    ManifestError::Future { found, newest: newest_formats().manifest, written_by }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::epoch::{Epoch, Incarnation};
    use crate::key_group::GroupOrder;
    use crate::state::{StateFile, StateKind, TimerClock};

    fn manifest() -> Manifest {
        Manifest {
            version: VERSION,
            pipeline: "orders".to_owned(),
            id: CheckpointId {
                epoch: Epoch(3),
                incarnation: Incarnation::parse("01J9ZQ3W5X7Y8Z9A0B1C2D3E4F").unwrap(),
            },
            parent: None,
            positions: vec![SourcePosition {
                source: "in".to_owned(),
                partition: Partition::new("orders", 1),
                position: Position { offset: 17, leader_epoch: 4 },
            }],
            now_ms: 5,
            operators: BTreeMap::from([("prefix".to_owned(), "ab12".to_owned())]),
            prepared: vec![],
            slots: 2,
            watermarks: vec![],
            keyed: None,
            finished: false,
            started_from: None,
            savepoint: None,
            operator_watermarks: BTreeMap::new(),
            written_by: None,
        }
    }

    /// Of the first feature level.
    fn of_level_1() -> Formats {
        crate::feature_level::LEVELS[0].formats
    }

    /// With everything that version 2 brought.
    fn full() -> Manifest {
        let count = StateDeclaration {
            name: "count".to_owned(),
            kind: StateKind::Value,
            version: 2,
            ttl_seconds: 60,
        };
        let flush = TimerDeclaration { name: "flush".to_owned(), clock: TimerClock::EventTime };
        let file = StateFile {
            name: "000012.sst".to_owned(),
            size: 4096,
            checksum: "xxh3:00112233445566ff".to_owned(),
        };
        let part = StatePart {
            operator: "sum".to_owned(),
            subtask: 1,
            ordinal_start: 2880,
            ordinal_end: 5760,
            next_list_position: 7,
            files: vec![file],
        };
        let order = GroupOrder::CoPartitioned { partitions: 12 };
        Manifest {
            watermarks: vec![SourceWatermark {
                source: "in".to_owned(),
                partition: Partition::new("orders", 1),
                highest_ms: 1_700_000_000_000,
            }],
            keyed: Some(KeyedStates {
                groups: KeyGroups { max_parallelism: 5760, order },
                operators: BTreeMap::from([(
                    "sum".to_owned(),
                    OperatorState { states: vec![count], timers: vec![flush] },
                )]),
                parts: vec![part],
            }),
            finished: true,
            started_from: Some(CheckpointId { epoch: Epoch(2), ..manifest().id }),
            savepoint: Some("before-upgrade".to_owned()),
            ..manifest()
        }
    }

    #[test]
    fn a_manifest_survives_its_encoding() {
        let bytes = manifest().encode();
        assert_eq!(Manifest::decode_decided(&bytes, &manifest().hash()), Ok(manifest()));
        assert_eq!(Manifest::decode_decided(&full().encode(), &full().hash()), Ok(full()));
    }

    #[test]
    fn version_1_is_read_as_it_was_written() {
        // Persisted on users' disks: if this test fails, raise the version instead of changing the text.
        let golden = include_str!("../golden/manifest-v1.json");
        let expected = Manifest { version: 1, ..manifest() };
        assert_eq!(Manifest::decode(golden.as_bytes()), Ok(expected.clone()));
        // Its hash is in a decision record: read and written again it is the same.
        assert_eq!(String::from_utf8(expected.encode()).unwrap(), golden);
    }

    #[test]
    fn version_2_is_read_as_it_was_written() {
        let golden = include_str!("../golden/manifest-v2.json");
        let expected = full().in_formats(&of_level_1());
        assert_eq!(expected.version, 2);
        assert_eq!(Manifest::decode(golden.as_bytes()), Ok(expected.clone()));
        assert_eq!(String::from_utf8(expected.encode()).unwrap(), golden);
    }

    #[test]
    fn version_3_is_read_as_it_was_written() {
        let golden = include_str!("../golden/manifest-v3.json");
        let expected = Manifest { written_by: Some("0.2.0".to_owned()), ..full() };
        assert_eq!(Manifest::decode(golden.as_bytes()), Ok(expected.clone()));
        assert_eq!(String::from_utf8(expected.encode()).unwrap(), golden);
    }

    #[test]
    fn a_manifest_is_written_in_the_version_of_the_level_and_signed_from_version_3_on() {
        let signed = full().in_formats(&newest_formats());
        assert_eq!((signed.version, signed.written_by.as_deref()), (VERSION, Some(THIS_WEIR)));
        // Whatever it was before.
        let back = signed.in_formats(&of_level_1());
        assert_eq!((back.version, back.written_by.clone()), (2, None));
        assert_eq!(back, full().in_formats(&of_level_1()));
    }

    #[test]
    fn a_pipeline_without_state_and_watermarks_writes_nothing_of_them() {
        let text = String::from_utf8(manifest().encode()).unwrap();
        for absent in ["watermarks", "keyed", "finished", "started_from", "savepoint"] {
            assert!(!text.contains(absent), "{text}");
        }
    }

    #[test]
    fn key_groups_that_cannot_be_are_damage() {
        let text = String::from_utf8(full().encode()).unwrap();
        for (right, wrong) in [("5760,\n", "0,\n"), ("\"partitions\": 12", "\"partitions\": 7")] {
            let wrong = text.replacen(right, wrong, 1);
            assert_ne!(wrong, text);
            let read = Manifest::decode(wrong.as_bytes());
            assert!(
                matches!(&read, Err(ManifestError::Damaged(why)) if why.contains("key groups")),
                "{read:?}"
            );
        }
    }

    #[test]
    fn a_start_is_told_by_its_parent() {
        let of = |life: u8, epoch| CheckpointId {
            epoch: Epoch(epoch),
            incarnation: Incarnation::parse(&format!("{life:026}")).unwrap(),
        };
        let start = Manifest { id: of(2, 4), parent: Some(of(1, 3)), ..manifest() };
        assert!(start.is_start() && !start.is_savepoint_start());
        assert!(Manifest { started_from: Some(of(1, 3)), ..start.clone() }.is_savepoint_start());
        assert!(!Manifest { parent: Some(of(2, 3)), ..start }.is_start());
        assert!(!manifest().is_start(), "a first start repeats nothing");
    }

    #[test]
    fn a_changed_byte_is_not_the_decided_manifest() {
        let mut bytes = manifest().encode();
        let at = bytes.iter().position(|b| *b == b'7').unwrap();
        bytes[at] = b'8';
        let read = Manifest::decode_decided(&bytes, &manifest().hash());
        assert!(matches!(read, Err(ManifestError::Hash { .. })));
    }

    #[test]
    fn a_manifest_from_the_future_names_its_version() {
        let text =
            String::from_utf8(manifest().encode()).unwrap().replace("\"version\": 3", "\"version\": 9");
        let read = |text: &str| Manifest::decode_decided(text.as_bytes(), &manifest().hash()).unwrap_err();
        let future = |written_by: Option<&str>| ManifestError::Future {
            found: 9,
            newest: VERSION,
            written_by: written_by.map(str::to_owned),
        };
        assert_eq!(read(&text), future(None));
        let signed = text.replacen('{', "{\"written_by\": \"0.9.0\",", 1);
        assert_eq!(read(&signed), future(Some("0.9.0")));
        assert!(read(&signed).to_string().ends_with("run weir 0.9.0, which wrote it"), "{}", read(&signed));
        let odd = text.replacen('{', "{\"written_by\": \"0.9.0\\nnot a name\",", 1);
        assert_eq!(read(&odd), future(None));
    }

    #[test]
    fn every_cut_of_a_manifest_is_refused() {
        let bytes = full().encode();
        for length in 0..bytes.len() - 1 {
            assert!(Manifest::decode_decided(&bytes[..length], &full().hash()).is_err());
            assert!(Manifest::decode(&bytes[..length]).is_err());
        }
    }
}
