//! Epochs are decided in order, one at a time: none is skipped, reused or decided twice, and each checkpoint continues
//! the one that was decided before it.

use crate::history::History;

/// Finds an epoch out of order, or a checkpoint with another parent.
pub fn check(history: &History) -> Result<(), String> {
    for (index, decided) in history.decisions.iter().enumerate() {
        let before = index.checked_sub(1).map(|before| &history.decisions[before].id);
        let expected = before.map_or(0, |before| before.epoch.0 + 1);
        if decided.id.epoch.0 != expected {
            return Err(format!("checkpoint {} is decided, expected epoch {expected}", decided.id));
        }
        let checkpoint = decided.checkpoint.as_ref().map_err(|problem| {
            format!("checkpoint {} is decided and is not whole on disk: {problem}", decided.id)
        })?;
        if checkpoint.parent.as_ref() != before {
            return Err(format!(
                "checkpoint {} continues {:?}, but {before:?} was decided before it",
                decided.id, checkpoint.parent
            ));
        }
    }
    Ok(())
}
