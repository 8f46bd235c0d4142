//! No loss: of every record read before a decision, readers of committed data see what became of it.

use crate::history::{Ending, History, Said};
use std::collections::BTreeSet;

/// Finds a record that a decision covers and whose result, or dead letter, is not committed.
pub fn check(history: &History) -> Result<(), String> {
    let mut committed = BTreeSet::new();
    let mut next = 0;
    for decided in &history.decisions {
        for record in &history.committed[next..decided.committed] {
            match record.says() {
                Said::Row(partition, offset, _) | Said::Dead(partition, offset) => {
                    committed.insert((partition, offset));
                }
                _ => {}
            }
        }
        next = decided.committed;
        let Ok(checkpoint) = &decided.checkpoint else { continue };
        for (partition, end) in checkpoint.positions.iter().enumerate() {
            if let Some(offset) = (0..*end).find(|offset| !committed.contains(&(partition, *offset))) {
                return Err(format!(
                    "checkpoint {} stands at offset {end} of partition {partition}, and record {partition}-{offset} has no result",
                    decided.id
                ));
            }
        }
    }
    if history.ending != Ending::Finished {
        return Ok(());
    }
    for (partition, records) in history.scenario.input.iter().enumerate() {
        if let Some(offset) = (0..records.len()).find(|offset| !committed.contains(&(partition, *offset))) {
            return Err(format!("record {partition}-{offset} has no result at the end"));
        }
    }
    Ok(())
}
