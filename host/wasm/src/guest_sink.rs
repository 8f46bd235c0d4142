//! Where an operator's log lines and metrics go: the trait that the host implements.

/// How much a log line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// For the author.
    Debug,
    /// Standard output arrives with this level.
    Info,
    /// Standard error arrives with this level.
    Warn,
    /// Something failed.
    Error,
}

/// Takes what one operator on one subtask says. Called from the thread that runs the operator.
pub trait GuestSink: Send + Sync {
    /// A line for the task log: without control characters, cut to the limit.
    fn log(&self, level: Level, line: &str);

    /// So many lines were left out because they came too fast.
    fn log_dropped(&self, lines: u64);

    /// Adds to a counter. Only for calls that took effect.
    fn metric_add(&self, name: &str, delta: f64);

    /// Sets a gauge. Only for calls that took effect.
    fn metric_set(&self, name: &str, value: f64);
}

/// Takes nothing: for measurements, and for the instance that is only asked what it is.
pub struct SilentGuestSink;

impl GuestSink for SilentGuestSink {
    fn log(&self, _: Level, _: &str) {}
    fn log_dropped(&self, _: u64) {}
    fn metric_add(&self, _: &str, _: f64) {}
    fn metric_set(&self, _: &str, _: f64) {}
}
