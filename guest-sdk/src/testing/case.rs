//! A test case: configuration and records in, an outcome out.

use std::collections::BTreeMap;

use super::outcome::{self, Outcome};
use super::sample::SampleRecord;
use super::{check, columns};
use crate::declaration::{Description, World};
use crate::imports;
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

    /// Adds a record. All records of a case are one batch.
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
        let config = checked_config(&T::DESCRIPTION, &self.config)?;
        let before = imports::replace_host(imports::Host { config, ..imports::Host::default() });
        let answer = self.call::<T>();
        let host = imports::replace_host(before);
        let outcome = answer?;
        Ok(Outcome { logs: host.logs, counters: host.counters, gauges: host.gauges, ..outcome })
    }

    fn call<T: Operator>(&self) -> Result<Outcome, String> {
        T::open()?;
        if self.records.is_empty() {
            return Ok(Outcome::default());
        }
        let batch = columns::batch(&self.records, self.now, self.watermark);
        let outputs = T::DESCRIPTION.outputs;
        let output = T::process(&batch)?;
        check::check(&batch, &output, outputs)?;
        let rejections = output.rejections.iter();
        Ok(Outcome {
            emitted: outcome::emitted(&batch, &output, outputs),
            rejections: rejections
                .map(|rejection| (rejection.row as usize, rejection.reason.clone()))
                .collect(),
            ..Outcome::default()
        })
    }
}

/// The given keys and the defaults of the others. A mapper declares nothing, so nothing of it is checked.
fn checked_config(
    description: &Description,
    given: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, String> {
    let mut config = given.clone();
    if description.world == World::Mapper {
        return Ok(config);
    }
    if let Some(name) = given.keys().find(|name| description.config.iter().all(|key| key.name != **name)) {
        return Err(format!("the operator has no configuration key \"{name}\""));
    }
    for key in description.config {
        if key.required && !given.contains_key(key.name) {
            return Err(format!("the configuration key \"{}\" is required", key.name));
        }
        config.entry(key.name.to_string()).or_insert_with(|| key.default.to_string());
    }
    Ok(config)
}
