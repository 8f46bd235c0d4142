//! Letters counted by operator and kind.

use super::Found;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write;
use weir_control::host::{LettersFound, LettersOfKind as OfKind, LettersOfReason as OfReason};
use weir_protocol::replay::Stays;

/// What is in the sinks.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Letters that a replay with the same selection would take, by operator and kind.
    pub taken: BTreeMap<(String, String), u64>,
    /// Letters that it would leave, by why.
    pub left: BTreeMap<String, u64>,
    /// What is no letter of this pipeline.
    pub others: u64,
    /// What a person has to see to before those letters come back, a line each; one per partition at most.
    pub notes: Vec<String>,
}

impl Summary {
    /// Counts a letter.
    pub fn add(&mut self, found: &Found<'_>) {
        if found.stays.as_ref().is_some_and(Stays::is_passed_over) {
            self.others += 1;
            return;
        }
        match (&found.stays, &found.letter) {
            (None, Some(letter)) => {
                let key = (letter.operator.clone(), letter.kind.clone());
                *self.taken.entry(key).or_default() += 1;
            }
            (Some(Stays::NotSelected), _) => *self.left.entry("not selected".to_owned()).or_default() += 1,
            (stays, _) => {
                let why = stays.as_ref().map(ToString::to_string).unwrap_or_default();
                *self.left.entry(why).or_default() += 1;
            }
        }
    }

    /// Counts a letter that cannot be copied.
    pub fn add_blocked(&mut self, note: String) {
        *self.left.entry("larger than its topic takes now".to_owned()).or_default() += 1;
        self.notes.push(note);
    }

    /// Counts a letter behind one that cannot be copied.
    pub fn add_behind(&mut self, found: &Found<'_>) {
        match found.stays.as_ref().is_some_and(Stays::is_passed_over) {
            true => self.others += 1,
            false => *self.left.entry("behind a letter that cannot be copied".to_owned()).or_default() += 1,
        }
    }

    /// As a server told it.
    pub fn told(found: &LettersFound) -> Summary {
        let taken = found.by_kind.iter();
        let left = found.by_reason.iter();
        Summary {
            taken: taken.map(|of| ((of.operator.clone(), of.kind.clone()), of.count)).collect(),
            left: left.map(|of| (of.reason.clone(), of.count)).collect(),
            others: found.passed_over,
            notes: Vec::new(),
        }
    }

    /// As a server tells it, with these letters.
    pub fn found(self, items: Vec<Value>, matching: u64, complete: bool) -> LettersFound {
        let (replayable, staying) = (self.taken(), self.left());
        let by_kind = self.taken.into_iter();
        let by_reason = self.left.into_iter();
        LettersFound {
            items,
            replayable,
            staying,
            matching,
            complete,
            by_kind: by_kind.map(|((operator, kind), count)| OfKind { operator, kind, count }).collect(),
            by_reason: by_reason.map(|(reason, count)| OfReason { reason, count }).collect(),
            passed_over: self.others,
        }
    }

    /// How many a replay would take.
    pub fn taken(&self) -> u64 {
        self.taken.values().sum()
    }

    /// How many it would leave.
    pub fn left(&self) -> u64 {
        self.left.values().sum()
    }

    /// How many it would leave, as a sentence ends.
    pub fn stay(&self) -> String {
        let left = self.left();
        format!("{left} {}", if left == 1 { "stays" } else { "stay" })
    }

    /// Lines for people.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for ((operator, kind), count) in &self.taken {
            let _ = writeln!(text, "{count:>10}  {operator}: {kind}");
        }
        for (why, count) in &self.left {
            let _ = writeln!(text, "{count:>10}  stay: {why}");
        }
        if self.others > 0 {
            let _ = writeln!(text, "{:>10}  are no letters of this pipeline, and passed over", self.others);
        }
        for note in &self.notes {
            let _ = writeln!(text, "{note}");
        }
        text
    }
}
