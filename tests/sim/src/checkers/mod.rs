//! What must be true of every history. A checker is a file, and knows nothing of how weir does it: it compares what was
//! read with what readers of committed data see, and with what decided checkpoints hold.

pub mod duplicates;
pub mod ending;
pub mod epochs;
pub mod loss;
pub mod order;
pub mod state;
pub mod time;
pub mod versions;
pub mod windows;

use crate::history::History;

/// The error says what was found and what was expected.
pub type Checker = fn(&History) -> Result<(), String>;

/// All checkers by name.
pub const ALL: [(&str, Checker); 9] = [
    ("ending", ending::check),
    ("loss", loss::check),
    ("duplicates", duplicates::check),
    ("order", order::check),
    ("epochs", epochs::check),
    ("state", state::check),
    ("windows", windows::check),
    ("time", time::check),
    ("versions", versions::check),
];

/// The checkers that find something, with what they found.
pub fn broken(history: &History) -> Vec<(&'static str, String)> {
    ALL.iter().filter_map(|(name, check)| check(history).err().map(|what| (*name, what))).collect()
}
