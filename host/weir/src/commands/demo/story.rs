//! What is told while it happens: the steps, the line by which each can be done by hand, and what came of it.

use crate::commands::client::table::print;

/// The longest reason that is told; a terminal is not a log.
const REASON_CHARACTERS_MAX: usize = 200;

/// A step begins.
pub fn step(number: u32, what: &str) {
    print(&format!("{number}. {what}\n"));
}

/// A line for a shell.
pub fn by_hand(line: &str) {
    print(&format!("     {line}\n"));
}

/// What came of it.
pub fn outcome(what: &str) {
    print(&format!("   -> {what}\n"));
}

/// Any other line.
pub fn line(text: &str) {
    print(&format!("{text}\n"));
}

/// A reason on one line, cut where it is long.
pub fn short(reason: &str) -> String {
    let line = reason.lines().next().unwrap_or_default();
    match line.char_indices().nth(REASON_CHARACTERS_MAX) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line.to_owned(),
    }
}
