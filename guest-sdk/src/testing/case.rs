//! A test case: configuration and one batch of records in, an outcome out.

use std::collections::BTreeMap;

use super::outcome::Outcome;
use super::sample::SampleRecord;
use super::subtask::Subtask;
use crate::operator::Operator;

/// What an operator is run with.
#[derive(Clone, Debug, Default)]
pub struct Case {
    config: BTreeMap<String, String>,
    records: Vec<SampleRecord>,
    now: i64,
    watermark: i64,
}

impl Case {
    /// No configuration, no records, no watermark yet, and a clock at 0.
    pub fn new() -> Self {
        Case { watermark: i64::MIN, ..Case::default() }
    }

    /// Sets a configuration key.
    pub fn config(mut self, name: &str, value: &str) -> Self {
        self.config.insert(name.to_string(), value.to_string());
        self
    }

    /// Adds a record. All records of a case are one batch; for more of them there is [`Subtask`].
    pub fn record(mut self, record: SampleRecord) -> Self {
        self.records.push(record);
        self
    }

    /// Sets the processing time of the call, in milliseconds since 1970-01-01T00:00:00Z.
    pub fn now(mut self, milliseconds: i64) -> Self {
        self.now = milliseconds;
        self
    }

    /// Sets the watermark, in milliseconds since 1970-01-01T00:00:00Z.
    pub fn watermark(mut self, milliseconds: i64) -> Self {
        self.watermark = milliseconds;
        self
    }

    /// Opens a fresh instance and gives it the records, if there are any. An `Err` is what the host would report:
    /// a configuration that the operator does not take, a failed `open`, a failed call, or a malformed output.
    pub fn run<T: Operator>(&self) -> Result<Outcome, String> {
        let mut subtask = Subtask::<T>::open(&self.config)?;
        subtask.set_clocks(self.now, self.watermark);
        subtask.send(0, &self.records)
    }
}
