//! Numbers that name a checkpoint: the epoch, the incarnation that made it, and both together.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The number of an epoch. It rises by one with each decision and is never reused after one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub u64);

impl Epoch {
    /// The epoch that a first start decides, before the first record is read.
    pub const FIRST: Epoch = Epoch(0);

    /// The epoch after this one.
    #[must_use]
    pub fn next(self) -> Epoch {
        Epoch(self.0 + 1)
    }

    /// Which of the two transactional ids carries this epoch.
    pub fn slot(self) -> usize {
        (self.0 % 2) as usize
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One life of a pipeline: from recovery to its end. A ULID in its text form, made by the host.
///
/// Two processes can be at the same epoch number (one of them is a zombie); they are never the same incarnation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Incarnation(String);

impl Incarnation {
    /// Accepts 26 characters of Crockford's base 32, as ULIDs are written.
    pub fn parse(text: &str) -> Option<Incarnation> {
        let fits = text.len() == 26 && text.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase());
        fits.then(|| Incarnation(text.to_owned()))
    }

    /// The text form.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A file may say anything, and an incarnation is part of a directory's name.
impl TryFrom<String> for Incarnation {
    type Error = String;

    fn try_from(text: String) -> Result<Incarnation, String> {
        Incarnation::parse(&text).ok_or_else(|| format!("{text:?} is no incarnation"))
    }
}

impl From<Incarnation> for String {
    fn from(incarnation: Incarnation) -> String {
        incarnation.0
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Names one checkpoint: an epoch number alone could be a zombie's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CheckpointId {
    /// The epoch that the checkpoint ends.
    pub epoch: Epoch,
    /// Who made it.
    pub incarnation: Incarnation,
}

impl fmt::Display for CheckpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.incarnation)
    }
}

impl CheckpointId {
    /// Reads the form that `Display` writes; it is the name of a checkpoint's directory.
    pub fn parse(text: &str) -> Option<CheckpointId> {
        let (epoch, incarnation) = text.split_once('-')?;
        Some(CheckpointId {
            epoch: Epoch(epoch.parse().ok()?),
            incarnation: Incarnation::parse(incarnation)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_id_survives_its_text_form() {
        let id = CheckpointId {
            epoch: Epoch(12),
            incarnation: Incarnation::parse("01J9ZQ3W5X7Y8Z9A0B1C2D3E4F").unwrap(),
        };
        assert_eq!(CheckpointId::parse(&id.to_string()), Some(id));
        assert_eq!(CheckpointId::parse("12-short"), None);
        assert_eq!(CheckpointId::parse("x-01J9ZQ3W5X7Y8Z9A0B1C2D3E4F"), None);
    }

    #[test]
    fn neighbouring_epochs_use_different_slots() {
        assert_ne!(Epoch(7).slot(), Epoch(8).slot());
    }
}
