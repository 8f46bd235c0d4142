//! Feature levels: in which formats a data directory is written, and which weir may open it.
//!
//! A level is a row of [`LEVELS`]. `format.json` in the data directory names the level that is in force; a directory
//! without it is of level 1. Persisted, keep stable: `level` and `readable_by` keep their names and meaning for ever, so
//! that any weir can say which one is needed.
//!
//! - FL1: a weir reads its newest level and the one before, and writes the level in force, no other.
//! - FL2: the level in force rises by `weir upgrade finalize` alone, and never falls. A new directory begins at the newest.
//! - FL3: a directory of another level than those that a weir reads is refused before anything of it is read.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The weir that this is.
pub const THIS_WEIR: &str = env!("CARGO_PKG_VERSION");

/// The name of the file in the data directory.
pub const FILE_NAME: &str = "format.json";

/// The version of that file's form which this build writes.
const FILE_VERSION: u32 = 1;

/// A level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FeatureLevel(pub u32);

impl fmt::Display for FeatureLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The version of each persistent format that a level writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Formats {
    /// `manifest.json` of checkpoints and savepoints ([`crate::manifest`]).
    pub manifest: u32,
    /// `savepoint.json`, in directories and archives ([`crate::savepoint`]).
    pub savepoint: u32,
    /// The metadata of committed offsets, `w1;…` ([`crate::decision`]), and with it the scheme of transactional ids.
    pub decision: u32,
    /// `DECISION` of a pipeline without Kafka.
    pub local_decision: u32,
    /// Keys, values and column families of keyed state.
    pub state: u32,
    /// Names of staged and published files of a files sink.
    pub staged_files: u32,
    /// `user_version` of `control.sqlite` and its backup.
    pub control: u32,
}

impl Formats {
    /// Each with its name, for people.
    pub fn named(&self) -> [(&'static str, u32); 7] {
        [
            ("manifest", self.manifest),
            ("savepoint", self.savepoint),
            ("decision", self.decision),
            ("local_decision", self.local_decision),
            ("state", self.state),
            ("staged_files", self.staged_files),
            ("control", self.control),
        ]
    }
}

/// A level, and the first weir that knew it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level {
    /// Its number.
    pub number: FeatureLevel,
    /// The first weir that reads and writes it.
    pub since: &'static str,
    /// What it writes.
    pub formats: Formats,
}

const FIRST: Formats = Formats {
    manifest: 2,
    savepoint: 2,
    decision: 1,
    local_decision: 1,
    state: 1,
    staged_files: 1,
    control: 1,
};

/// All levels that there ever were, lowest first. A line that was released does not change.
pub const LEVELS: &[Level] = &[
    Level { number: FeatureLevel(1), since: "0.1.0", formats: FIRST },
    // The manifest says which weir wrote it; the store of `weir serve` remembers which weirs have served.
    Level { number: FeatureLevel(2), since: "0.2.0", formats: Formats { manifest: 3, control: 2, ..FIRST } },
];

/// The level of a directory without [`FILE_NAME`].
pub const UNMARKED: FeatureLevel = FeatureLevel(1);

/// Which levels a weir reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// The oldest.
    pub oldest: FeatureLevel,
    /// The newest, which it writes once it is in force.
    pub newest: FeatureLevel,
}

impl Known {
    /// By this weir.
    pub fn by_this_weir() -> Known {
        Known::by(newest_of_this_build())
    }

    /// By a weir whose newest level this is.
    fn by(newest: FeatureLevel) -> Known {
        Known { oldest: FeatureLevel(newest.0.saturating_sub(1).max(UNMARKED.0)), newest }
    }

    fn has(&self, level: FeatureLevel) -> bool {
        self.oldest <= level && level <= self.newest
    }
}

impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.oldest == self.newest {
            true => write!(f, "level {}", self.newest),
            false => write!(f, "levels {} to {}", self.oldest, self.newest),
        }
    }
}

/// What a level writes; of one that is not known, what the newest writes.
pub fn formats(level: FeatureLevel) -> Formats {
    let newest = newest_of_this_build();
    let found = LEVELS.iter().rev().find(|known| known.number <= level.min(newest));
    found.unwrap_or(&LEVELS[0]).formats
}

/// The newest that this weir reads.
pub fn newest_formats() -> Formats {
    formats(newest_of_this_build())
}

#[cfg(not(feature = "kill-points"))]
fn newest_of_this_build() -> FeatureLevel {
    LEVELS[LEVELS.len() - 1].number
}

#[cfg(feature = "kill-points")]
fn newest_of_this_build() -> FeatureLevel {
    *LOWERED.get().unwrap_or(&LEVELS[LEVELS.len() - 1].number)
}

#[cfg(feature = "kill-points")]
static LOWERED: std::sync::OnceLock<FeatureLevel> = std::sync::OnceLock::new();

/// Makes this process the weir whose newest level this was, for tests of going back. The first call counts.
#[cfg(feature = "kill-points")]
pub fn lower_newest(level: FeatureLevel) {
    let _ = LOWERED.set(level);
}

/// `format.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FormatFile {
    /// The version of the file's form.
    pub version: u32,
    /// The level in force.
    pub level: FeatureLevel,
    /// The first weir that reads it.
    pub readable_by: String,
    /// The weir that put it in force.
    pub written_by: String,
}

impl FormatFile {
    /// For a level that this weir puts in force.
    pub fn of(level: FeatureLevel) -> FormatFile {
        let known = LEVELS.iter().find(|known| known.number == level);
        FormatFile {
            version: FILE_VERSION,
            level,
            readable_by: known.map_or(THIS_WEIR, |known| known.since).to_owned(),
            written_by: THIS_WEIR.to_owned(),
        }
    }

    /// The bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("texts and numbers are always JSON");
        bytes.push(b'\n');
        bytes
    }

    /// Reads them; members that a newer weir has added are passed over.
    pub fn decode(bytes: &[u8]) -> Result<FormatFile, String> {
        serde_json::from_slice(bytes).map_err(|error| error.to_string())
    }
}

/// What a data directory says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Marking {
    /// There is nothing in it that was ever written.
    New,
    /// It has no [`FILE_NAME`].
    Unmarked,
    /// It has one.
    Marked(FormatFile),
}

/// Why a directory is not opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LevelRefusal {
    /// Its level is newer than all that this weir reads.
    #[error(
        "it is of feature level {level}; this is weir {THIS_WEIR}, which reads {known}: run weir {readable_by} or newer (there is no way back from a finalized upgrade but a savepoint that was made before it)"
    )]
    TooNew {
        /// Its level.
        level: FeatureLevel,
        /// What this weir reads.
        known: Known,
        /// Which weir reads it.
        readable_by: String,
    },
    /// Its level is older than all that this weir reads.
    #[error(
        "it is of feature level {level}; this is weir {THIS_WEIR}, which reads {known}: run weir {step} on it first, then that weir's `weir upgrade finalize`, then this one"
    )]
    TooOld {
        /// Its level.
        level: FeatureLevel,
        /// What this weir reads.
        known: Known,
        /// The first weir that knew the oldest level that this one reads, and still reads this one.
        step: String,
    },
}

/// The level in which a directory is to be written.
pub fn judge(marking: &Marking, known: Known) -> Result<FeatureLevel, LevelRefusal> {
    let (level, readable_by) = match marking {
        Marking::New => return Ok(known.newest),
        Marking::Unmarked => (UNMARKED, LEVELS[0].since.to_owned()),
        Marking::Marked(file) => (file.level, file.readable_by.clone()),
    };
    if known.has(level) {
        return Ok(level);
    }
    if level > known.newest {
        return Err(LevelRefusal::TooNew { level, known, readable_by });
    }
    let next = LEVELS.iter().find(|other| other.number > level);
    let step = next.map_or(THIS_WEIR, |next| next.since).to_owned();
    Err(LevelRefusal::TooOld { level, known, step })
}

/// What `weir upgrade finalize` puts in force; none where that is the newest already.
pub fn next(in_force: FeatureLevel, known: Known) -> Option<FeatureLevel> {
    (in_force < known.newest).then_some(known.newest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marked(level: u32, readable_by: &str) -> Marking {
        Marking::Marked(FormatFile {
            readable_by: readable_by.to_owned(),
            ..FormatFile::of(FeatureLevel(level))
        })
    }

    #[test]
    fn a_new_directory_begins_at_the_newest_level_and_one_without_the_file_is_of_the_first() {
        let known = Known::by(FeatureLevel(2));
        assert_eq!(judge(&Marking::New, known), Ok(FeatureLevel(2)));
        assert_eq!(judge(&Marking::Unmarked, known), Ok(FeatureLevel(1)));
        assert_eq!(judge(&Marking::New, Known::by(FeatureLevel(1))), Ok(FeatureLevel(1)));
    }

    #[test]
    fn a_weir_reads_its_newest_level_and_the_one_before() {
        for newest in 1..=4 {
            let known = Known::by(FeatureLevel(newest));
            for level in 1..=5 {
                let read = judge(&marked(level, "9.9.9"), known);
                let expected = level == newest || level + 1 == newest;
                assert_eq!(read.is_ok(), expected, "level {level} by a weir of level {newest}");
                assert!(read.is_err() || read == Ok(FeatureLevel(level)), "it is written as it is");
            }
        }
    }

    #[test]
    fn a_refusal_names_the_weir_that_is_needed() {
        let too_new = judge(&marked(3, "0.3.0"), Known::by(FeatureLevel(2))).unwrap_err().to_string();
        assert!(
            too_new.contains("feature level 3")
                && too_new.contains("reads levels 1 to 2: run weir 0.3.0 or newer"),
            "{too_new}"
        );
        let too_old = judge(&Marking::Unmarked, Known::by(FeatureLevel(3))).unwrap_err().to_string();
        assert!(
            too_old.contains("feature level 1") && too_old.contains("run weir 0.2.0 on it first"),
            "{too_old}"
        );
        let first = judge(&marked(2, "0.2.0"), Known::by(FeatureLevel(1))).unwrap_err().to_string();
        assert!(first.contains("reads level 1: run weir 0.2.0 or newer"), "{first}");
    }

    #[test]
    fn the_level_rises_by_finalize_and_never_falls() {
        let known = Known::by(FeatureLevel(2));
        assert_eq!(next(FeatureLevel(1), known), Some(FeatureLevel(2)));
        assert_eq!(next(FeatureLevel(2), known), None);
        assert_eq!(next(FeatureLevel(3), known), None);
    }

    #[test]
    fn every_level_has_its_number_and_the_first_weir_that_knew_it() {
        for (index, level) in LEVELS.iter().enumerate() {
            assert_eq!(level.number.0 as usize, index + 1);
            assert_eq!(formats(level.number), level.formats);
        }
        assert!(LEVELS.windows(2).all(|pair| pair[0].since != pair[1].since));
        // What the newest level writes is what the formats' own modules call their newest.
        let newest = LEVELS[LEVELS.len() - 1].formats;
        assert_eq!(newest.manifest, crate::manifest::VERSION);
        assert_eq!(newest.savepoint, crate::savepoint::VERSION);
    }

    #[test]
    fn the_file_is_read_as_it_was_written_and_with_what_a_newer_weir_has_added() {
        // Persisted on users' disks: if this test fails, raise the version and read both.
        let golden = "{\n  \"version\": 1,\n  \"level\": 2,\n  \"readable_by\": \"0.2.0\",\n  \"written_by\": \"0.2.0\"\n}\n";
        let file = FormatFile { written_by: "0.2.0".to_owned(), ..FormatFile::of(FeatureLevel(2)) };
        assert_eq!(String::from_utf8(file.encode()).unwrap(), golden);
        assert_eq!(FormatFile::decode(golden.as_bytes()), Ok(file.clone()));
        let newer = golden.replacen("\"level\"", "\"added\": [1], \"level\"", 1);
        assert_eq!(FormatFile::decode(newer.as_bytes()), Ok(file));
        for length in 0..golden.len() - 2 {
            assert!(FormatFile::decode(&golden.as_bytes()[..length]).is_err());
        }
    }
}
