//! What one version of an operator has done, over all subtasks: counted per call, judged while a swap is on probation.

use crate::meters::Counter;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use weir_protocol::connector::FailureKind;
use weir_protocol::swap::Tally;

/// Failed records that are kept as samples.
pub const SAMPLES_MAX: usize = 3;

/// A counter per kind of failure.
#[derive(Debug, Default)]
pub struct FailureCounters([Counter; FailureKind::ALL.len()]);

impl FailureCounters {
    /// One more.
    pub fn add(&self, kind: FailureKind) {
        self.0[kind as usize].add(1);
    }

    /// How many there are of a kind.
    pub fn of(&self, kind: FailureKind) -> u64 {
        self.0[kind as usize].get()
    }

    /// Those that are not zero.
    pub fn read(&self) -> BTreeMap<FailureKind, u64> {
        let all = FailureKind::ALL.into_iter().map(|kind| (kind, self.0[kind as usize].get()));
        all.filter(|(_, count)| *count > 0).collect()
    }
}

/// What a version has done. A version keeps its tally for as long as it is the one that runs, over restarts.
#[derive(Debug, Default)]
pub struct VersionTally {
    /// Rows given to it.
    pub rows: Counter,
    /// Rows that were not handled.
    pub rejected: Counter,
    /// Rows that it returned.
    pub output_rows: Counter,
    /// Calls.
    pub calls: Counter,
    /// CPU time spent in them, in nanoseconds.
    pub busy_ns: Counter,
    /// Failed calls.
    pub failures: FailureCounters,
    stopped: Mutex<Option<String>>,
    samples: Mutex<Vec<String>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl VersionTally {
    /// The numbers as they are now.
    pub fn read(&self) -> Tally {
        Tally {
            rows: self.rows.get(),
            rejected: self.rejected.get(),
            output_rows: self.output_rows.get(),
            calls: self.calls.get(),
            busy_ns: self.busy_ns.get(),
            failures: self.failures.read(),
            stopped: locked(&self.stopped).clone(),
        }
    }

    /// It cannot go on; the first reason counts.
    pub fn stop(&self, why: &str) {
        locked(&self.stopped).get_or_insert_with(|| why.to_owned());
    }

    /// Keeps the first few records that it could not handle.
    pub fn sample(&self, line: impl FnOnce() -> String) {
        let mut samples = locked(&self.samples);
        if samples.len() < SAMPLES_MAX {
            samples.push(line());
        }
    }

    /// Records that it could not handle: place, kind, message.
    pub fn samples(&self) -> Vec<String> {
        locked(&self.samples).clone()
    }
}
