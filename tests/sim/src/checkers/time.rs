//! Time never goes down: neither the processing time that operators see, over crashes and clocks that jump, nor the
//! processing time and the watermarks of decided checkpoints.

use crate::history::{History, Said};
use std::collections::BTreeMap;

/// Finds a time that went down.
pub fn check(history: &History) -> Result<(), String> {
    for record in &history.committed {
        if let Said::Back(what) = record.says() {
            return Err(format!("key {}: processing time went down: {what}", record.written.key));
        }
    }
    let (mut now_ms, mut highest) = (i64::MIN, BTreeMap::new());
    for decided in &history.decisions {
        let Ok(checkpoint) = &decided.checkpoint else { continue };
        if checkpoint.now_ms < now_ms {
            return Err(format!(
                "checkpoint {} has the processing time {} behind {now_ms}",
                decided.id, checkpoint.now_ms
            ));
        }
        now_ms = checkpoint.now_ms;
        for watermark in &checkpoint.watermarks {
            let before = highest.insert(watermark.partition.clone(), watermark.highest_ms);
            if before.is_some_and(|before| before > watermark.highest_ms) {
                return Err(format!(
                    "checkpoint {}: event time of {} went down to {}",
                    decided.id, watermark.partition, watermark.highest_ms
                ));
            }
        }
    }
    Ok(())
}
