//! The decision log of a pipeline without Kafka: one file, replaced as a whole.
//!
//! Persisted, keep stable. `<pipeline's directory>/DECISION` has two lines: JSON of [`VERSION`] 1,
//! `{"version":1,"offsets":[{"topic":…,"number":…,"offset":…,"leader_epoch":…,"metadata":…}]}`, and the first 16 hex
//! digits of the SHA-256 of the first line. The metadata is the decision record, as Kafka would hold it. A partition
//! that a decision does not name keeps its last entry, as in Kafka.
//!
//! Fencing is the host's lock on the data directory: while it is held no earlier incarnation is alive.

use crate::durable_file::{io_error, remove_if_there, replace, sync_directory, temporary_path};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use weir_protocol::connector::{ConnectorError, DecisionLog};
use weir_protocol::decision::{CommittedOffset, Decision, Metadata};
use weir_protocol::epoch::Epoch;
use weir_protocol::kill_point;
use weir_protocol::manifest::ManifestHash;
use weir_protocol::position::{Partition, Position};
use weir_protocol::remedy::Remedy;

/// The version of the file that this build writes. It reads all versions up to it.
pub const VERSION: u64 = 1;

/// The name of the file in the pipeline's directory.
pub const FILE_NAME: &str = "DECISION";

/// Where the decision is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalDecisionOptions {
    /// The pipeline's directory, which exists, on a local file system and locked by this process.
    pub directory: PathBuf,
}

/// The decision log.
#[derive(Debug)]
pub struct LocalDecision {
    path: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    #[serde(flatten)]
    partition: Partition,
    #[serde(flatten)]
    position: Position,
    metadata: String,
}

#[derive(Serialize, Deserialize)]
struct Content {
    version: u64,
    offsets: Vec<Entry>,
}

type Entries = BTreeMap<Partition, (Position, String)>;

impl LocalDecision {
    /// The decision log in a directory.
    pub fn new(options: LocalDecisionOptions) -> LocalDecision {
        LocalDecision { path: options.directory.join(FILE_NAME) }
    }

    /// All entries; none where nothing was decided yet.
    fn load(&self) -> Result<Entries, ConnectorError> {
        let text = match fs::read(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Entries::new()),
            Err(error) => return Err(io_error("read the decision", &self.path, &error)),
        };
        let content = decode(&text).map_err(|why| {
            ConnectorError::refused(format!(
                "the decision in {} cannot be used: {why}. Bring the file back as it was; without it nobody can tell \
                 which checkpoint is true. Where there is no copy, make a savepoint of what is there, remove this \
                 file, and start from that savepoint",
                self.path.display()
            ))
            .helped_by(Remedy::NewSavepoint)
        })?;
        let entries = content.offsets.into_iter();
        Ok(entries.map(|entry| (entry.partition, (entry.position, entry.metadata))).collect())
    }
}

fn encode(entries: Entries) -> Vec<u8> {
    let offsets = entries.into_iter();
    let offsets = offsets.map(|(partition, (position, metadata))| Entry { partition, position, metadata });
    let content = Content { version: VERSION, offsets: offsets.collect() };
    let mut text = serde_json::to_vec(&content).expect("text and numbers are always JSON");
    let hash = ManifestHash::of(&text);
    text.extend_from_slice(format!("\n{hash}\n").as_bytes());
    text
}

fn decode(text: &[u8]) -> Result<Content, String> {
    let not_whole = || "it is not whole".to_owned();
    let text = std::str::from_utf8(text).map_err(|_| not_whole())?;
    let (body, hash) =
        text.strip_suffix('\n').and_then(|text| text.split_once('\n')).ok_or_else(not_whole)?;
    let (found, expected) = (ManifestHash::of(body.as_bytes()).to_string(), hash);
    if found != expected {
        return Err(format!("its hash is {found} and not {expected}, as its second line says"));
    }
    let value: serde_json::Value = serde_json::from_str(body).map_err(|error| error.to_string())?;
    match value.get("version").and_then(serde_json::Value::as_u64) {
        Some(version) if version > VERSION => {
            Err(format!("it has version {version}, this weir reads up to {VERSION}: run the newer weir"))
        }
        Some(_) => serde_json::from_value(value).map_err(|error| error.to_string()),
        None => Err("it has no version".to_owned()),
    }
}

impl DecisionLog for LocalDecision {
    fn look(&mut self, partitions: &[Partition]) -> Result<Vec<CommittedOffset>, ConnectorError> {
        let entries = self.load()?;
        let committed = |partition: &Partition| {
            let entry = entries.get(partition);
            CommittedOffset {
                partition: partition.clone(),
                position: entry.map(|(position, _)| *position),
                metadata: entry.map_or(Metadata::Empty, |(_, text)| Metadata::parse(text)),
            }
        };
        Ok(partitions.iter().map(committed).collect())
    }

    fn fence(&mut self) -> Result<(), ConnectorError> {
        // What an earlier incarnation had begun is undone here if it was not renamed, and made durable if it was:
        // nobody may act on a decision that a power cut can take back.
        remove_if_there(&temporary_path(&self.path))?;
        self.path.parent().map_or(Ok(()), sync_directory)
    }

    fn read(&mut self, partitions: &[Partition]) -> Result<Vec<CommittedOffset>, ConnectorError> {
        self.look(partitions)
    }

    fn covered(&self, partitions: &[Partition]) -> Vec<Partition> {
        partitions.to_vec()
    }

    fn begin(&mut self, _epoch: Epoch) -> Result<(), ConnectorError> {
        Ok(())
    }

    fn flush(&mut self, _epoch: Epoch) -> Result<(), ConnectorError> {
        Ok(())
    }

    fn decide(&mut self, decision: &Decision) -> Result<(), ConnectorError> {
        let mut entries = self.load()?;
        let metadata = decision.record.to_string();
        for (partition, position) in &decision.offsets {
            entries.insert(partition.clone(), (*position, metadata.clone()));
        }
        replace(&self.path, &encode(entries), || kill_point::reached("in_commit"))
    }

    fn retire(&mut self, _epoch: Epoch) -> Result<(), ConnectorError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_protocol::decision::{DecisionRecord, Owner};
    use weir_protocol::epoch::{CheckpointId, Incarnation};

    fn decision(epoch: u64, offsets: &[(&str, i64)]) -> Decision {
        let incarnation = Incarnation::parse("01J9ZQ3W5X7Y8Z9A0B1C2D3E4F").unwrap();
        Decision {
            record: DecisionRecord {
                owner: Owner::of("weir.", "orders"),
                id: CheckpointId { epoch: Epoch(epoch), incarnation },
                manifest: ManifestHash::parse("00112233445566ff").unwrap(),
            },
            offsets: offsets
                .iter()
                .map(|(topic, at)| (Partition::new(*topic, 0), Position::at(*at)))
                .collect(),
        }
    }

    fn log(directory: &tempfile::TempDir) -> LocalDecision {
        LocalDecision::new(LocalDecisionOptions { directory: directory.path().to_owned() })
    }

    fn committed(topic: &str, of: &Decision, offset: i64) -> CommittedOffset {
        CommittedOffset {
            partition: Partition::new(topic, 0),
            position: Some(Position::at(offset)),
            metadata: Metadata::Decision(of.record.clone()),
        }
    }

    #[test]
    fn a_decision_is_read_by_the_next_incarnation() {
        let directory = tempfile::tempdir().unwrap();
        let partitions = ["a", "b", "new"].map(|topic| Partition::new(topic, 0));
        assert!(log(&directory).look(&partitions).unwrap().iter().all(|entry| entry.position.is_none()));
        let (first, second) = (decision(3, &[("a", 7), ("b", 9)]), decision(4, &[("a", 8)]));
        log(&directory).decide(&first).unwrap();
        log(&directory).decide(&second).unwrap();
        let mut next = log(&directory);
        next.fence().unwrap();
        let none =
            CommittedOffset { partition: partitions[2].clone(), position: None, metadata: Metadata::Empty };
        let expected = [committed("a", &second, 8), committed("b", &first, 9), none];
        assert_eq!(next.read(&partitions).unwrap(), expected);
        assert_eq!(next.covered(&partitions), partitions);
    }

    #[test]
    fn version_1_is_read_as_it_was_written() {
        // Persisted on users' disks: if this test fails, raise the version instead of changing the text.
        let golden = concat!(
            r#"{"version":1,"offsets":[{"topic":"a","number":0,"offset":7,"leader_epoch":-1,"metadata":""#,
            r#"w1;p=7ff8d81b8b8a;n=3;i=01J9ZQ3W5X7Y8Z9A0B1C2D3E4F;h=00112233445566ff"}]}"#,
        );
        let directory = tempfile::tempdir().unwrap();
        log(&directory).decide(&decision(3, &[("a", 7)])).unwrap();
        let text = fs::read_to_string(directory.path().join(FILE_NAME)).unwrap();
        assert_eq!(text, format!("{golden}\n{}\n", ManifestHash::of(golden.as_bytes())));
        assert!(text.ends_with("\n9ab9f101682cd63a\n"));
        let read = log(&directory).look(&[Partition::new("a", 0)]).unwrap();
        assert_eq!(read, [committed("a", &decision(3, &[]), 7)]);
    }

    #[test]
    fn a_file_cut_or_changed_at_any_byte_is_refused_with_its_path() {
        let directory = tempfile::tempdir().unwrap();
        log(&directory).decide(&decision(3, &[("a", 7)])).unwrap();
        let path = directory.path().join(FILE_NAME);
        let whole = fs::read(&path).unwrap();
        let refused = |text: &[u8]| {
            fs::write(&path, text).unwrap();
            let error = log(&directory).look(&[Partition::new("a", 0)]).unwrap_err();
            assert_eq!(error.kind, weir_protocol::connector::ErrorKind::Refused);
            assert!(error.message.contains(path.to_str().unwrap()), "{}", error.message);
            assert!(log(&directory).decide(&decision(4, &[])).is_err());
        };
        for at in 0..whole.len() {
            refused(&whole[..at]);
            let mut changed = whole.clone();
            changed[at] ^= 1;
            refused(&changed);
        }
        refused(&[whole.as_slice(), b"\n"].concat());
    }

    #[test]
    fn a_decision_cut_short_before_its_rename_leaves_the_old_one() {
        let directory = tempfile::tempdir().unwrap();
        let (old, partitions) = (decision(3, &[("a", 7)]), [Partition::new("a", 0)]);
        log(&directory).decide(&old).unwrap();
        let path = directory.path().join(FILE_NAME);
        let next = encode(Entries::from([(partitions[0].clone(), (Position::at(8), String::new()))]));
        for length in 0..=next.len() {
            fs::write(temporary_path(&path), &next[..length]).unwrap();
            let mut log = log(&directory);
            assert_eq!(log.look(&partitions).unwrap(), [committed("a", &old, 7)]);
            log.fence().unwrap();
            assert_eq!(log.read(&partitions).unwrap(), [committed("a", &old, 7)]);
            assert!(!temporary_path(&path).exists());
        }
    }

    #[test]
    fn a_file_from_the_future_names_its_version() {
        let body = r#"{"version":9,"else":1}"#;
        let error =
            decode(format!("{body}\n{}\n", ManifestHash::of(body.as_bytes())).as_bytes()).err().unwrap();
        assert!(error.contains("version 9"), "{error}");
    }
}
