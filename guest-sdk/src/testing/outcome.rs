//! What came of a test case.

use std::collections::BTreeMap;

use super::sample::SampleRecord;
use crate::bindings::types::{Batch, Column, Output};
use crate::column::{read_i64, read_u32};
use crate::declaration::OutputPort;
use crate::headers::Headers;
use crate::log::Level;

/// What an operator emitted, refused, logged and counted.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The emitted records, in order.
    pub emitted: Vec<Emitted>,
    /// The refused rows, each with its reason.
    pub rejections: Vec<(usize, String)>,
    /// The lines of the task log.
    pub logs: Vec<(Level, String)>,
    /// The counters of `metrics::add`.
    pub counters: BTreeMap<String, f64>,
    /// The gauges of `metrics::set`.
    pub gauges: BTreeMap<String, f64>,
}

/// One emitted record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Emitted {
    /// The name of the output port.
    pub port: &'static str,
    /// Number of the input row, or of the fired timer in its call, that it comes from.
    pub source_row: usize,
    /// The record, with everything that it inherits.
    pub record: SampleRecord,
}

impl Outcome {
    /// The emitted values as text, in order. A tombstone reads as the empty text.
    pub fn values(&self) -> Vec<String> {
        self.emitted.iter().map(Emitted::value_text).collect()
    }

    /// The values emitted to one port, as text, in order.
    pub fn values_to(&self, port: &str) -> Vec<String> {
        self.emitted.iter().filter(|emitted| emitted.port == port).map(Emitted::value_text).collect()
    }
}

impl Outcome {
    /// The same, followed by what came of a later call.
    pub(super) fn followed_by(mut self, later: Outcome) -> Self {
        self.emitted.extend(later.emitted);
        self.rejections.extend(later.rejections);
        self.logs.extend(later.logs);
        for (name, delta) in later.counters {
            *self.counters.entry(name).or_default() += delta;
        }
        self.gauges.extend(later.gauges);
        self
    }
}

impl Emitted {
    fn value_text(&self) -> String {
        String::from_utf8_lossy(self.record.value.as_deref().unwrap_or_default()).into_owned()
    }
}

/// The emitted records of a checked output.
pub(super) fn emitted(batch: &Batch, output: &Output, outputs: &'static [OutputPort]) -> Vec<Emitted> {
    (0..output.count as usize)
        .map(|record| {
            let row = read_u32(&output.rows, record).map_or(record, |row| row as usize);
            let port = output.ports.get(record).copied().unwrap_or_default();
            Emitted {
                port: outputs[usize::from(port)].name,
                source_row: row,
                record: SampleRecord {
                    key: entry(&output.keys, record, &batch.keys, row),
                    value: entry(&output.values, record, &batch.values, row),
                    timestamp: read_i64(&output.timestamps, record)
                        .or_else(|| read_i64(&batch.timestamps, row))
                        .unwrap_or_default(),
                    headers: headers(
                        &entry(&output.headers, record, &batch.headers, row).unwrap_or_default(),
                    ),
                },
            }
        })
        .collect()
}

/// The record's entry, or the source row's if the output column is absent.
fn entry(output: &Column, record: usize, source: &Column, row: usize) -> Option<Vec<u8>> {
    let entry = if output.is_absent() { source.get(row) } else { output.get(record) };
    entry.map(<[u8]>::to_vec)
}

fn headers(entry: &[u8]) -> Vec<(String, Option<Vec<u8>>)> {
    Headers::of(entry).map(|(name, value)| (name.to_string(), value.map(<[u8]>::to_vec))).collect()
}
