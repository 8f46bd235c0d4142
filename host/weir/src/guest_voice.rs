//! What operators say: log lines go to the log, metrics are kept and shown.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use weir_wasm::{GuestSink, Level};

/// Metrics of all operators, by `operator.metric`.
#[derive(Debug, Clone, Default)]
pub struct GuestMetrics(Arc<Mutex<BTreeMap<String, f64>>>);

impl GuestMetrics {
    fn all(&self) -> MutexGuard<'_, BTreeMap<String, f64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All of them in one line, `None` where there are none.
    pub fn text(&self) -> Option<String> {
        let all = self.all();
        let texts: Vec<String> = all.iter().map(|(name, value)| format!("{name}={value}")).collect();
        (!texts.is_empty()).then(|| texts.join(" "))
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
        *self.metrics.all().entry(format!("{}.{name}", self.operator)).or_default() += delta;
    }

    fn metric_set(&self, name: &str, value: f64) {
        self.metrics.all().insert(format!("{}.{name}", self.operator), value);
    }
}
