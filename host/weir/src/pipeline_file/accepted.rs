//! What the reader of a key takes, noted while it reads: the JSON Schema is made of that.

use serde_json::{Value, json};

/// One form of a value that a key may have.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Accepted {
    /// A string.
    Text,
    /// A string, or a list of strings.
    Texts,
    /// A table of strings, numbers and booleans, whose keys may have dots.
    TextMap,
    /// A table of keys that the file chooses, each a string or a list of strings.
    NamedTexts,
    /// A whole number that is not negative.
    Number,
    /// A number with or without a fraction.
    Fraction,
    /// True or false.
    Boolean,
    /// `5s`.
    Duration,
    /// `64MiB`, or a number of bytes.
    ByteSize,
    /// A time in RFC 3339, or milliseconds since 1970.
    Time,
    /// One of several words.
    Words(Vec<String>),
}

/// In every string something can be filled in, and a string stands for what it becomes.
const FILLED_IN: &str = r"\$\{";

impl Accepted {
    /// The schemas of which a value has to fit one.
    pub fn schemas(&self) -> Vec<Value> {
        let filled_in = || json!({ "type": "string", "pattern": FILLED_IN });
        let text = || json!({ "type": "string" });
        let texts = || vec![text(), json!({ "type": "array", "items": { "type": "string" } })];
        match self {
            Accepted::Text => vec![text()],
            Accepted::Texts => texts(),
            Accepted::TextMap => vec![json!({ "type": "object" })],
            Accepted::NamedTexts => {
                vec![json!({ "type": "object", "additionalProperties": { "anyOf": texts() } })]
            }
            Accepted::Number => vec![json!({ "type": "integer", "minimum": 0 }), filled_in()],
            Accepted::Fraction => vec![json!({ "type": "number" }), filled_in()],
            Accepted::Boolean => vec![json!({ "type": "boolean" }), filled_in()],
            Accepted::Duration => {
                let pattern = format!(r"^\s*[0-9].*[a-z]\s*$|{FILLED_IN}");
                vec![
                    json!({ "type": "string", "pattern": pattern, "examples": ["5s", "200ms", "1h 30m"] }),
                    json!({ "const": 0 }),
                ]
            }
            Accepted::ByteSize => {
                let pattern = format!(r"^\s*[0-9][0-9_]*\s*([kKmMgG]?[iI]?[bB])?\s*$|{FILLED_IN}");
                vec![
                    json!({ "type": "string", "pattern": pattern, "examples": ["64MiB", "16 MB"] }),
                    json!({ "type": "integer", "minimum": 0 }),
                ]
            }
            Accepted::Time => vec![text(), json!({ "type": "integer" })],
            Accepted::Words(words) => vec![json!({ "enum": words }), filled_in()],
        }
    }
}
