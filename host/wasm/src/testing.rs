//! A guest sink that remembers, for the unit tests of this crate.

use crate::guest_sink::{GuestSink, Level};
use std::sync::Mutex;

/// Remembers everything as lines of text.
#[derive(Default)]
pub struct RecordingSink(Mutex<Vec<String>>);

impl RecordingSink {
    /// What was said so far.
    pub fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    fn push(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }
}

impl GuestSink for RecordingSink {
    fn log(&self, level: Level, line: &str) {
        self.push(format!("{level:?} {line}"));
    }

    fn log_dropped(&self, lines: u64) {
        self.push(format!("dropped {lines}"));
    }

    fn metric_add(&self, name: &str, delta: f64) {
        self.push(format!("add {name} {delta}"));
    }

    fn metric_set(&self, name: &str, value: f64) {
        self.push(format!("set {name} {value}"));
    }
}
