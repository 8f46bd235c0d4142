//! Order per key: results of one key appear in the order of its partition, and each counts one more row.

use crate::history::{History, Said};
use std::collections::BTreeMap;

/// Finds results of one key that changed places.
pub fn check(history: &History) -> Result<(), String> {
    let mut last_offset: BTreeMap<(&str, usize), usize> = BTreeMap::new();
    let mut last_count: BTreeMap<&str, u32> = BTreeMap::new();
    for record in &history.committed {
        let Said::Row(partition, offset, count) = record.says() else { continue };
        let key = record.written.key.as_str();
        if history.scenario.input[partition][offset].key != key {
            return Err(format!("record {partition}-{offset} came out with the key {key}"));
        }
        if let Some(before) = last_offset.insert((key, partition), offset)
            && before >= offset
        {
            return Err(format!("key {key}: record {partition}-{offset} comes behind {partition}-{before}"));
        }
        let before = last_count.insert(key, count).unwrap_or(0);
        if before >= count {
            return Err(format!("key {key}: row {count} comes behind row {before}"));
        }
    }
    Ok(())
}
