//! What operators say: log lines go to the log, metrics are kept and shown.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use weir_wasm::{GuestSink, Level};

/// Names that are kept of an operator: as many as it may use on one subtask.
const NAMES_MAX: usize = 256;

/// The metrics of one operator, by name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OperatorNumbers {
    /// What it has added up.
    pub counters: BTreeMap<String, f64>,
    /// What it has set.
    pub gauges: BTreeMap<String, f64>,
}

/// Metrics of all operators.
#[derive(Debug, Clone, Default)]
pub struct GuestMetrics(Arc<Kept>);

#[derive(Debug, Default)]
struct Kept {
    operators: Mutex<BTreeMap<String, OperatorNumbers>>,
    /// Where they are kept instead.
    elsewhere: OnceLock<GuestMetrics>,
}

impl GuestMetrics {
    /// From now on these are kept with others: those of a new version with those of the version that it takes over from.
    pub fn pour_into(&self, others: &GuestMetrics) {
        // Both are the same where a version was prepared twice; a circle has no bottom.
        if !Arc::ptr_eq(&self.0, &others.0) {
            let _ = self.0.elsewhere.set(others.clone());
        }
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<String, OperatorNumbers>> {
        match self.0.elsewhere.get() {
            Some(others) => others.all(),
            None => self.0.operators.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }

    /// Those of one operator.
    pub fn of(&self, operator: &str) -> OperatorNumbers {
        self.all().get(operator).cloned().unwrap_or_default()
    }

    /// All of them in one line, `None` where there are none.
    pub fn text(&self) -> Option<String> {
        let all = self.all();
        let texts = all.iter().flat_map(|(operator, numbers)| {
            let both = numbers.counters.iter().chain(&numbers.gauges);
            both.map(move |(name, value)| format!("{operator}.{name}={value}"))
        });
        let text = texts.collect::<Vec<String>>().join(" ");
        (!text.is_empty()).then_some(text)
    }

    /// Changes one number. Only a name's first use allocates.
    fn change(
        &self,
        operator: &str,
        name: &str,
        which: fn(&mut OperatorNumbers) -> &mut BTreeMap<String, f64>,
        change: impl FnOnce(&mut f64),
    ) {
        let mut all = self.all();
        if !all.contains_key(operator) {
            all.insert(operator.to_owned(), OperatorNumbers::default());
        }
        let Some(numbers) = all.get_mut(operator) else { return };
        let numbers = which(numbers);
        let kept = numbers.len();
        match numbers.get_mut(name) {
            Some(number) => change(number),
            // Subtasks have a limit each; together they have the same one.
            None if kept >= NAMES_MAX => {}
            None => {
                let mut number = 0.0;
                change(&mut number);
                numbers.insert(name.to_owned(), number);
            }
        }
    }
}

/// The voice of one operator on one subtask.
pub struct GuestVoice {
    /// The operator's name in the pipeline.
    pub operator: String,
    /// The subtask.
    pub subtask: usize,
    /// Where metrics are kept.
    pub metrics: GuestMetrics,
}

impl GuestSink for GuestVoice {
    fn log(&self, level: Level, line: &str) {
        let GuestVoice { operator, subtask, .. } = self;
        match level {
            Level::Debug => tracing::debug!(operator, subtask, "{line}"),
            Level::Info => tracing::info!(operator, subtask, "{line}"),
            Level::Warn => tracing::warn!(operator, subtask, "{line}"),
            Level::Error => tracing::error!(operator, subtask, "{line}"),
        }
    }

    fn log_dropped(&self, lines: u64) {
        let GuestVoice { operator, subtask, .. } = self;
        tracing::warn!(
            operator,
            subtask,
            lines,
            "log lines were left out: more than log_lines_per_second_max"
        );
    }

    fn metric_add(&self, name: &str, delta: f64) {
        self.metrics.change(&self.operator, name, |numbers| &mut numbers.counters, |number| *number += delta);
    }

    fn metric_set(&self, name: &str, value: f64) {
        self.metrics.change(&self.operator, name, |numbers| &mut numbers.gauges, |number| *number = value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn voice(metrics: &GuestMetrics) -> GuestVoice {
        GuestVoice { operator: "count".to_owned(), subtask: 0, metrics: metrics.clone() }
    }

    #[test]
    fn numbers_of_a_new_version_are_added_to_those_of_the_old_one() {
        let (old, new) = (GuestMetrics::default(), GuestMetrics::default());
        voice(&old).metric_add("rows", 2.0);
        new.pour_into(&old);
        voice(&new).metric_add("rows", 3.0);
        voice(&new).metric_set("depth", 7.5);
        assert_eq!(old.text().as_deref(), Some("count.rows=5 count.depth=7.5"));
        assert_eq!(new.of("count"), old.of("count"));
        // A rollback prepares the old version anew.
        old.pour_into(&old);
        assert_eq!(old.of("count").counters["rows"], 5.0);
    }

    #[test]
    fn names_beyond_the_limit_are_not_kept() {
        let metrics = GuestMetrics::default();
        (0..2 * NAMES_MAX).for_each(|number| voice(&metrics).metric_add(&format!("n{number}"), 1.0));
        voice(&metrics).metric_add("n0", 1.0);
        let counters = metrics.of("count").counters;
        assert_eq!((counters.len(), counters["n0"]), (NAMES_MAX, 2.0));
    }
}
