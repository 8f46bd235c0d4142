//! An operator's metrics: checked, held back until the call has taken effect, bounded in number.

use crate::guest_sink::GuestSink;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Distinct names that one operator may use on one subtask.
pub const METRIC_NAMES_MAX: usize = 256;
/// Length of a name.
pub const METRIC_NAME_BYTES_MAX: usize = 128;

/// A use of the metrics that breaks the contract; it traps the call.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum BadMetric {
    /// A name outside `[a-z][a-z0-9_]*`.
    #[error("metric name {0:?}: expected [a-z][a-z0-9_]*, at most {METRIC_NAME_BYTES_MAX} bytes")]
    Name(String),
    /// A counter cannot go down, and a number must be one.
    #[error("metric {name}: added {delta} to a counter, expected a finite number not below 0")]
    Delta {
        /// The counter.
        name: String,
        /// What was added.
        delta: f64,
    },
    /// Not a number.
    #[error("metric {0}: the value is not a number")]
    Value(String),
    /// More names than the host keeps.
    #[error("metric {0}: more than {METRIC_NAMES_MAX} names; a name is not a place for data")]
    TooMany(String),
}

/// Outlives the instances of an operator, as the names do.
pub struct GuestMetrics {
    sink: Arc<dyn GuestSink>,
    names: BTreeSet<String>,
    added: BTreeMap<String, f64>,
    set: BTreeMap<String, f64>,
}

impl GuestMetrics {
    /// Without any names yet.
    pub fn new(sink: Arc<dyn GuestSink>) -> GuestMetrics {
        GuestMetrics { sink, names: BTreeSet::new(), added: BTreeMap::new(), set: BTreeMap::new() }
    }

    /// `metrics.add`.
    pub fn add(&mut self, name: &str, delta: f64) -> Result<(), BadMetric> {
        self.check_name(name)?;
        if !(delta.is_finite() && delta >= 0.0) {
            return Err(BadMetric::Delta { name: name.to_owned(), delta });
        }
        match self.added.get_mut(name) {
            Some(sum) => *sum += delta,
            None => drop(self.added.insert(name.to_owned(), delta)),
        }
        Ok(())
    }

    /// `metrics.set`.
    pub fn set(&mut self, name: &str, value: f64) -> Result<(), BadMetric> {
        self.check_name(name)?;
        if value.is_nan() {
            return Err(BadMetric::Value(name.to_owned()));
        }
        match self.set.get_mut(name) {
            Some(last) => *last = value,
            None => drop(self.set.insert(name.to_owned(), value)),
        }
        Ok(())
    }

    fn check_name(&mut self, name: &str) -> Result<(), BadMetric> {
        if self.names.contains(name) {
            return Ok(());
        }
        let mut bytes = name.bytes();
        let well_formed = bytes.next().is_some_and(|first| first.is_ascii_lowercase())
            && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        if !well_formed || name.len() > METRIC_NAME_BYTES_MAX {
            return Err(BadMetric::Name(name.chars().take(METRIC_NAME_BYTES_MAX).collect()));
        }
        if self.names.len() == METRIC_NAMES_MAX {
            return Err(BadMetric::TooMany(name.to_owned()));
        }
        self.names.insert(name.to_owned());
        Ok(())
    }

    /// The call took effect, and so do its metrics.
    pub fn apply(&mut self) {
        for (name, delta) in std::mem::take(&mut self.added) {
            self.sink.metric_add(&name, delta);
        }
        for (name, value) in std::mem::take(&mut self.set) {
            self.sink.metric_set(&name, value);
        }
    }

    /// The call did not take effect.
    pub fn discard(&mut self) {
        self.added.clear();
        self.set.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::RecordingSink;

    #[test]
    fn metrics_take_effect_with_the_call_or_not_at_all() {
        let sink = Arc::new(RecordingSink::default());
        let mut metrics = GuestMetrics::new(sink.clone());
        metrics.add("rows", 2.0).unwrap();
        metrics.discard();
        metrics.add("rows", 1.0).unwrap();
        metrics.add("rows", 4.0).unwrap();
        metrics.set("depth", 7.5).unwrap();
        metrics.apply();
        assert_eq!(sink.lines(), ["add rows 5", "set depth 7.5"]);
    }

    #[test]
    fn bad_names_and_numbers_are_refused() {
        let mut metrics = GuestMetrics::new(Arc::new(RecordingSink::default()));
        for name in ["", "Rows", "1st", "a-b", "_a", &"a".repeat(METRIC_NAME_BYTES_MAX + 1)] {
            assert!(matches!(metrics.add(name, 1.0), Err(BadMetric::Name(_))), "{name}");
        }
        assert!(matches!(metrics.add("a", -1.0), Err(BadMetric::Delta { .. })));
        assert!(matches!(metrics.add("a", f64::NAN), Err(BadMetric::Delta { .. })));
        assert!(matches!(metrics.set("a", f64::NAN), Err(BadMetric::Value(_))));
        (1..METRIC_NAMES_MAX).for_each(|n| metrics.add(&format!("n{n}"), 1.0).unwrap());
        assert!(matches!(metrics.add("one_more", 1.0), Err(BadMetric::TooMany(_))));
    }
}
