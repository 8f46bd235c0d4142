//! Names that come with a request: nothing of it becomes a path or a key unchecked.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Characters of a [`Name`].
const NAME_CHARS_MAX: usize = 63;
/// Characters of an [`Id`].
const ID_CHARS_MAX: usize = 100;

/// The name of an operator, a pipeline or a token: `[a-z][a-z0-9-]{0,62}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

/// The id of an operator inside a pipeline, of a swap or a token: 1 to 100 of `A-Z a-z 0-9 _ -`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Id(String);

/// The name of a savepoint: 1 to 100 of `A-Z a-z 0-9 . _ -`, not beginning with a dot or a dash, not ending in `.tmp`,
/// not `LOCK`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SavepointName(String);

impl Name {
    /// Checks.
    pub fn parse(text: &str) -> Result<Name, String> {
        let mut characters = text.chars();
        let fits = characters.next().is_some_and(|first| first.is_ascii_lowercase())
            && characters.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
            && text.len() <= NAME_CHARS_MAX;
        match fits {
            true => Ok(Name(text.to_owned())),
            false => Err(format!(
                "{} is no name: expected a letter and up to 62 of a-z 0-9 -, such as orders-eu",
                shown(text)
            )),
        }
    }
}

impl Id {
    /// Checks.
    pub fn parse(text: &str) -> Result<Id, String> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        match !text.is_empty() && text.len() <= ID_CHARS_MAX && text.chars().all(allowed) {
            true => Ok(Id(text.to_owned())),
            false => {
                Err(format!("{} is no id: expected 1 to {ID_CHARS_MAX} of A-Z a-z 0-9 _ -", shown(text)))
            }
        }
    }
}

impl SavepointName {
    /// Checks.
    pub fn parse(text: &str) -> Result<SavepointName, String> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let fits = !text.is_empty()
            && text.len() <= ID_CHARS_MAX
            && text.chars().all(allowed)
            && !text.starts_with(['.', '-'])
            && !text.ends_with(".tmp")
            // A file beside the savepoints, on some file systems in whatever case.
            && !text.eq_ignore_ascii_case("LOCK");
        match fits {
            true => Ok(SavepointName(text.to_owned())),
            false => Err(format!(
                "{} cannot be the name of a savepoint: expected 1 to {ID_CHARS_MAX} of A-Z a-z 0-9 . _ -, not beginning with . or -, not ending in .tmp, not LOCK",
                shown(text)
            )),
        }
    }
}

/// What was sent, short enough for a message.
fn shown(text: &str) -> String {
    let mut short: String = text.chars().take(ID_CHARS_MAX).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    format!("{short:?}")
}

macro_rules! text_newtype {
    ($($name:ident)*) => {$(
        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<$name, String> {
                $name::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }
    )*};
}

text_newtype!(Name Id SavepointName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_letter_and_letters_digits_and_dashes() {
        for good in ["a", "orders", "orders-2", &"a".repeat(63)] {
            assert!(Name::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "1a", "-a", "A", "a_b", "a/b", "..", "a.b", "a\0", "ä", "a b", &"a".repeat(64)] {
            assert!(Name::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_name_of_a_savepoint_stays_in_its_directory() {
        for bad in ["", ".", "..", ".hidden", "-x", "a/b", "a\\b", "x.tmp", "a\0", "LOCK", "Lock"] {
            assert!(SavepointName::parse(bad).is_err(), "{bad}");
        }
        assert!(SavepointName::parse("2026-01-31T12.00.00.123Z").is_ok());
    }

    #[test]
    fn an_id_has_no_dot_and_no_slash() {
        for bad in ["", "a.b", "a/b", "%2e", &"a".repeat(101)] {
            assert!(Id::parse(bad).is_err(), "{bad}");
        }
        assert!(Id::parse("count_by-Key1").is_ok());
    }
}
