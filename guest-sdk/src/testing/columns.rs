//! Between sample records and the contract's columns.

use super::sample::SampleRecord;
use crate::bindings::types::{Batch, Column};
use crate::column_builder::ColumnBuilder;
use crate::headers;

/// A batch of the given records, laid out as the host lays it out.
pub(super) fn batch(records: &[SampleRecord], now: i64, watermark: i64) -> Batch {
    Batch {
        port: 0,
        count: records.len() as u32,
        now,
        watermark,
        timestamps: records.iter().flat_map(|record| record.timestamp.to_le_bytes()).collect(),
        keys: column(records.iter().map(|record| record.key.clone())),
        values: column(records.iter().map(|record| record.value.clone())),
        headers: match records.iter().all(|record| record.headers.is_empty()) {
            true => Column::default(),
            false => column(records.iter().map(|record| Some(header_entry(record)))),
        },
        slot_count: 0,
        slots: Vec::new(),
    }
}

fn column(entries: impl Iterator<Item = Option<Vec<u8>>>) -> Column {
    let mut builder = ColumnBuilder::with_capacity(0, 0);
    for entry in entries {
        match entry {
            Some(entry) => builder.push(&entry),
            None => builder.push_null(),
        }
    }
    builder.finish()
}

fn header_entry(record: &SampleRecord) -> Vec<u8> {
    let mut entry = Vec::new();
    for (name, value) in &record.headers {
        headers::append(&mut entry, 0, name, value.as_deref());
    }
    entry
}
