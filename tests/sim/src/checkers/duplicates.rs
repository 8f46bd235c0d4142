//! No duplicate: readers of committed data see the result of a record, or its dead letter, once, and none of a record
//! that the decision does not cover.

use crate::history::{History, Said};
use std::collections::BTreeSet;

/// Finds a result that is committed twice, or before its record counts as read.
pub fn check(history: &History) -> Result<(), String> {
    let (mut committed, mut reminded) = (BTreeSet::new(), BTreeSet::new());
    for record in &history.committed {
        let decided = &history.decisions[record.decision];
        match record.says() {
            Said::Row(partition, offset, _) | Said::Dead(partition, offset) => {
                if !committed.insert((partition, offset)) {
                    return Err(format!(
                        "record {partition}-{offset} has a second result in {}: {:?}",
                        decided.id, record.written
                    ));
                }
                let covered = decided.checkpoint.as_ref().is_ok_and(|checkpoint| {
                    checkpoint.positions.get(partition).is_some_and(|end| offset < *end)
                });
                if !covered && decided.checkpoint.is_ok() {
                    return Err(format!(
                        "record {partition}-{offset} has a result in {}, which does not cover it",
                        decided.id
                    ));
                }
            }
            Said::Remind if !reminded.insert(record.written.key.clone()) => {
                return Err(format!("key {} has a second reminder in {}", record.written.key, decided.id));
            }
            Said::Unknown(value) => return Err(format!("{value:?} is the result of nothing")),
            _ => {}
        }
    }
    Ok(())
}
