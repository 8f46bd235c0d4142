//! Between sample records and the contract's columns.

use std::collections::BTreeMap;

use super::sample::SampleRecord;
use super::store::Key;
use crate::bindings::types::{Batch, Column};
use crate::column_builder::ColumnBuilder;
use crate::headers;

/// A batch of the given records, laid out as the host lays it out, without slots.
pub(super) fn batch(port: usize, records: &[SampleRecord], now: i64, watermark: i64) -> Batch {
    Batch {
        port: port as u32,
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

/// A batch of timers, each a time and a key, without slots.
pub(super) fn fired(timers: &[(i64, Key)], now: i64, watermark: i64) -> Batch {
    Batch {
        port: 0,
        count: timers.len() as u32,
        now,
        watermark,
        timestamps: timers.iter().flat_map(|(time, _)| time.to_le_bytes()).collect(),
        keys: column(timers.iter().map(|(_, key)| key.clone())),
        values: Column::default(),
        headers: Column::default(),
        slot_count: 0,
        slots: Vec::new(),
    }
}

/// Numbers the keys of a batch in order of first appearance, and returns them by slot.
pub(super) fn number_keys(batch: &mut Batch) -> Vec<Key> {
    let mut numbers = BTreeMap::new();
    let mut keys = Vec::new();
    batch.slots.clear();
    for row in 0..batch.count as usize {
        let key = batch.keys.get(row).map(<[u8]>::to_vec);
        let slot = *numbers.entry(key.clone()).or_insert_with(|| {
            keys.push(key);
            keys.len() as u32 - 1
        });
        batch.slots.extend_from_slice(&slot.to_le_bytes());
    }
    batch.slot_count = keys.len() as u32;
    keys
}

pub(super) fn column(entries: impl Iterator<Item = Option<Vec<u8>>>) -> Column {
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
