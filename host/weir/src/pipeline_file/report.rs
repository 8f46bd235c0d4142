//! Gathers everything that is wrong with a pipeline file, and every key that is known.

use super::accepted::Accepted;
use super::place::{Place, SourceText};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

/// One problem with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// Where.
    pub place: Place,
    /// The path of the key, empty where there is none.
    pub path: String,
    /// What is wrong and what to do.
    pub message: String,
}

/// Takes problems from all readers of one file.
#[derive(Debug, Default)]
pub struct Report {
    problems: RefCell<Vec<Located>>,
    known: RefCell<BTreeMap<String, Asked>>,
}

/// What the readers want of a key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    /// The forms that its value may have; none for a table.
    pub accepted: BTreeSet<Accepted>,
    /// It must be there.
    pub required: bool,
}

impl Report {
    /// Notes a problem.
    pub fn problem(&self, place: Place, path: &str, message: impl Into<String>) {
        let located = Located { place, path: path.to_owned(), message: message.into() };
        self.problems.borrow_mut().push(located);
    }

    /// Notes that a key is known, by the pattern of its path (`source.NAME.kind`).
    pub fn known(&self, pattern: String) {
        self.known.borrow_mut().entry(pattern).or_default();
    }

    /// Notes a form that the value of a key may have.
    pub fn accepts(&self, pattern: String, form: Accepted) {
        self.known.borrow_mut().entry(pattern).or_default().accepted.insert(form);
    }

    /// Notes that a key must be there.
    pub fn requires(&self, pattern: String) {
        self.known.borrow_mut().entry(pattern).or_default().required = true;
    }

    /// Every key that was asked for, by the pattern of its path.
    pub fn asked(&self) -> BTreeMap<String, Asked> {
        self.known.borrow().clone()
    }

    /// Every key that was asked for.
    #[cfg(test)]
    pub fn known_keys(&self) -> Vec<String> {
        self.known.borrow().keys().cloned().collect()
    }

    /// True where nothing is wrong so far.
    pub fn is_clean(&self) -> bool {
        self.problems.borrow().is_empty()
    }

    /// True where a problem was noted in the section of this key: what follows from it would only be noise.
    pub fn mentions(&self, path: &str) -> bool {
        let section = |path: &str| path.splitn(3, '.').take(2).map(str::to_owned).collect::<Vec<_>>();
        self.problems.borrow().iter().any(|problem| section(&problem.path) == section(path))
    }

    /// One line per problem, in the file's order.
    pub fn lines(&self, source: &SourceText<'_>) -> Vec<String> {
        let mut problems = self.problems.borrow().clone();
        problems.sort_by(|a, b| (a.place, &a.path).cmp(&(b.place, &b.path)));
        problems.dedup();
        let line = |problem: &Located| {
            let place = source.describe(problem.place);
            in_one_line(&match problem.path.as_str() {
                "" => format!("{place}: {}", problem.message),
                path => format!("{place}: {path}: {}", problem.message),
            })
        };
        problems.iter().map(line).collect()
    }
}

/// A key may hold any character, also a line feed.
fn in_one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        match character.is_control() {
            true => line.extend(character.escape_default()),
            false => line.push(character),
        }
    }
    line
}
