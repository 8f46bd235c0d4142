//! Savepoints: the file that describes one, and what a start from one may do.
//!
//! A savepoint is a directory (or a tar file of it) that needs nothing from outside:
//!
//! ```text
//! savepoint.json             this description, with size and checksum of every other file
//! manifest.json              the manifest of the decided checkpoint, byte for byte
//! state/<operator>/<subtask>/  its state
//! components/<sha256>.wasm   the operators that ran
//! pipeline.toml              the pipeline file as it was written, without anything filled in
//! ```
//!
//! Persisted and carried from host to host: keep stable, raise [`VERSION`] if it must change.

use crate::epoch::CheckpointId;
use crate::manifest::ManifestHash;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;

mod schedule;
mod start;

pub use schedule::until_next;
pub use start::{Decided, SavepointRefusal, SavepointStart, SavepointVerdict, judge_start};

/// The version of the encoding that this build writes. It reads all versions up to it.
pub const VERSION: u32 = 2;

/// From this version on the description ends with a hash of itself.
const HASHED_SINCE: u32 = 2;

/// What stands in front of that hash, and behind it.
const HASH_HEAD: &str = ",\n  \"sha256\": \"";
const HASH_TAIL: &str = "\"\n}\n";
/// Hex digits of a hash.
const HASH_DIGITS: usize = 64;

/// The name of the description.
pub const DESCRIPTION: &str = "savepoint.json";

/// Characters of a name.
const NAME_CHARS_MAX: usize = 100;

/// The name of a savepoint: a directory's name on every file system.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SavepointName(String);

impl SavepointName {
    /// Accepts 1 to 100 of `A-Z a-z 0-9 . _ -`, not beginning with a dot or a dash, not ending in `.tmp`, and not `LOCK`.
    pub fn parse(text: &str) -> Result<SavepointName, String> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let fits = !text.is_empty()
            && text.len() <= NAME_CHARS_MAX
            && text.chars().all(allowed)
            && !text.starts_with(['.', '-'])
            && !text.ends_with(".tmp")
            // A file beside the savepoints, on some file systems in whatever case.
            && !text.eq_ignore_ascii_case("LOCK");
        if fits {
            return Ok(SavepointName(text.to_owned()));
        }
        Err(format!(
            "{text:?} cannot be the name of a savepoint: expected 1 to {NAME_CHARS_MAX} of A-Z a-z 0-9 . _ -, not beginning with . or -, not ending in .tmp, not LOCK"
        ))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for SavepointName {
    type Error = String;

    fn try_from(text: String) -> Result<SavepointName, String> {
        SavepointName::parse(&text)
    }
}

impl From<SavepointName> for String {
    fn from(name: SavepointName) -> String {
        name.0
    }
}

impl fmt::Display for SavepointName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One file of a savepoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavepointFile {
    /// Its path in the savepoint, with `/`.
    pub path: String,
    /// Its bytes.
    pub size: u64,
    /// `sha256:` and 64 hex digits, or, for a file of state, `xxh3:` and 16.
    pub checksum: String,
}

/// What a savepoint is: the content of [`DESCRIPTION`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Savepoint {
    /// The version of the encoding.
    pub version: u32,
    /// Its name when it was made; a copy may have another.
    pub name: SavepointName,
    /// The pipeline's name.
    pub pipeline: String,
    /// The decided checkpoint that it is a copy of.
    #[serde(flatten)]
    pub id: CheckpointId,
    /// The hash of the manifest, as the decision named it.
    pub manifest: String,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: i64,
    /// The schedule made it; such savepoints go when there are newer ones.
    pub scheduled: bool,
    /// All other files, in order of path.
    pub files: Vec<SavepointFile>,
}

/// Why bytes do not describe a savepoint that this build can use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SavepointError {
    /// Written by a newer weir.
    #[error("it has version {found}, this weir reads up to {VERSION}: use the newer weir that wrote it")]
    Future {
        /// The version found.
        found: u64,
    },
    /// Not a description.
    #[error("it cannot be read: {0}; the savepoint is damaged, use another copy")]
    Damaged(String),
}

impl Savepoint {
    /// The bytes that are stored. A description of an earlier version is written as that version was.
    pub fn encode(&self) -> Vec<u8> {
        let mut text =
            serde_json::to_string_pretty(self).expect("a savepoint has no maps with keys that are no text");
        if self.version >= HASHED_SINCE {
            // The hash is of every byte in front of its member.
            text.truncate(text.len() - "\n}".len());
            let hash = hash_of(text.as_bytes());
            text = [text.as_str(), HASH_HEAD, &hash, "\"\n}"].concat();
        }
        text.push('\n');
        text.into_bytes()
    }

    /// Reads stored bytes. A path that leads out of the savepoint is damage.
    pub fn decode(bytes: &[u8]) -> Result<Savepoint, SavepointError> {
        let damaged = |error: serde_json::Error| SavepointError::Damaged(error.to_string());
        let value: serde_json::Value = serde_json::from_slice(bytes).map_err(damaged)?;
        let version = match value.get("version").and_then(serde_json::Value::as_u64) {
            Some(found) if found > u64::from(VERSION) => return Err(SavepointError::Future { found }),
            Some(version) => version,
            None => return Err(SavepointError::Damaged("it has no version".to_owned())),
        };
        // A member that version 1 does not have tells that the version is not as it was written.
        if version >= u64::from(HASHED_SINCE) || value.get("sha256").is_some() {
            check_hash(bytes)?;
        }
        let savepoint: Savepoint = serde_json::from_value(value).map_err(damaged)?;
        if savepoint.manifest_hash().is_none() {
            return Err(SavepointError::Damaged(format!(
                "{:?} is no hash of a manifest",
                savepoint.manifest
            )));
        }
        match savepoint.files.iter().find(|file| !stays_inside(&file.path)) {
            Some(file) => Err(SavepointError::Damaged(format!("the path {:?} leads out of it", file.path))),
            None => Ok(savepoint),
        }
    }

    /// The hash of its manifest; none only where `manifest` was not checked by [`Savepoint::decode`].
    pub fn manifest_hash(&self) -> Option<ManifestHash> {
        ManifestHash::parse(&self.manifest)
    }

    /// Bytes of all files.
    pub fn size(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }
}

/// SHA-256 as hex digits.
fn hash_of(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The description is as it was written, byte for byte.
fn check_hash(bytes: &[u8]) -> Result<(), SavepointError> {
    let damaged = |what: String| Err(SavepointError::Damaged(what));
    let rest = bytes.strip_suffix(HASH_TAIL.as_bytes());
    let Some((rest, digits)) = rest.and_then(|rest| rest.split_last_chunk::<HASH_DIGITS>()) else {
        return damaged("it does not end with its own sha256".to_owned());
    };
    let Some(described) = rest.strip_suffix(HASH_HEAD.as_bytes()) else {
        return damaged("it does not end with its own sha256".to_owned());
    };
    let found = hash_of(described);
    if found.as_bytes() == digits {
        return Ok(());
    }
    damaged(format!("its sha256 is {found}, expected {}", String::from_utf8_lossy(digits)))
}

/// True for a relative path of plain names.
pub fn stays_inside(path: &str) -> bool {
    let plain = |name: &str| !name.is_empty() && name != "." && name != ".." && !name.contains(['\\', '\0']);
    path.split('/').all(plain) && path != DESCRIPTION
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::epoch::{Epoch, Incarnation};

    fn savepoint() -> Savepoint {
        let file = |path: &str, checksum: &str| SavepointFile {
            path: path.to_owned(),
            size: 3,
            checksum: checksum.to_owned(),
        };
        Savepoint {
            version: VERSION,
            name: SavepointName::parse("before-upgrade").unwrap(),
            pipeline: "orders".to_owned(),
            id: CheckpointId {
                epoch: Epoch(12),
                incarnation: Incarnation::parse("01J9ZQ3W5X7Y8Z9A0B1C2D3E4F").unwrap(),
            },
            manifest: "00112233445566ff".to_owned(),
            created_ms: 1_700_000_000_000,
            scheduled: false,
            files: vec![
                file("manifest.json", "sha256:ab"),
                file("state/sum/0/000012.sst", "xxh3:00112233445566ff"),
            ],
        }
    }

    #[test]
    fn every_version_is_read_as_it_was_written() {
        // Carried from host to host: if this test fails, raise the version instead of changing the text.
        for (version, golden) in [
            (1, include_str!("../golden/savepoint-v1.json")),
            (2, include_str!("../golden/savepoint-v2.json")),
        ] {
            let savepoint = Savepoint { version, ..savepoint() };
            assert_eq!(Savepoint::decode(golden.as_bytes()), Ok(savepoint.clone()));
            assert_eq!(String::from_utf8(savepoint.encode()).unwrap(), golden);
        }
    }

    #[test]
    fn every_flipped_bit_of_a_description_is_refused() {
        let bytes = savepoint().encode();
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut flipped = bytes.clone();
                flipped[at] ^= 1 << bit;
                assert!(Savepoint::decode(&flipped).is_err(), "bit {bit} of byte {at}");
            }
        }
    }

    #[test]
    fn a_description_that_was_changed_and_says_to_be_old_is_refused() {
        let text = String::from_utf8(savepoint().encode()).unwrap();
        let old = text.replace("\"version\": 2", "\"version\": 1").replace("orders", "others");
        assert!(
            matches!(Savepoint::decode(old.as_bytes()), Err(SavepointError::Damaged(why)) if why.contains("sha256"))
        );
    }

    #[test]
    fn every_cut_of_a_description_is_refused() {
        let bytes = savepoint().encode();
        for length in 0..bytes.len() - 1 {
            assert!(Savepoint::decode(&bytes[..length]).is_err());
        }
    }

    #[test]
    fn a_savepoint_from_the_future_names_its_version() {
        let text =
            String::from_utf8(savepoint().encode()).unwrap().replace("\"version\": 2", "\"version\": 7");
        assert_eq!(Savepoint::decode(text.as_bytes()), Err(SavepointError::Future { found: 7 }));
    }

    #[test]
    fn a_path_that_leads_out_of_the_savepoint_is_damage() {
        for path in ["../x", "/etc/passwd", "state/../../x", "", "a//b", "a/", "savepoint.json", "a\\b", "."]
        {
            let mut bad = savepoint();
            bad.files[0].path = path.to_owned();
            let read = Savepoint::decode(&bad.encode());
            assert!(
                matches!(&read, Err(SavepointError::Damaged(why)) if why.contains("leads out")),
                "{path}"
            );
        }
        assert!(stays_inside("state/sum/0/MANIFEST-000004"));
    }

    #[test]
    fn a_name_is_a_plain_name_of_a_directory() {
        for good in ["a", "before-upgrade", "2026-01-31T12.00.00Z", "_x"] {
            assert_eq!(SavepointName::parse(good).unwrap().as_str(), good);
        }
        for bad in ["LOCK", "lock", "", ".", "..", ".x", "-x", "a/b", "a b", "x.tmp", "ü", &"x".repeat(101)]
        {
            assert!(SavepointName::parse(bad).is_err_and(|why| why.contains("expected 1 to 100")), "{bad}");
        }
    }
}
