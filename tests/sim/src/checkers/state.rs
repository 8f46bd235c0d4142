//! The state of every decided checkpoint equals the fold of the input in front of its positions.

use crate::history::{Checkpoint, History, Said};
use crate::pipeline::names;
use std::collections::{BTreeMap, BTreeSet};

/// Finds state that has seen other records than those in front of the positions.
pub fn check(history: &History) -> Result<(), String> {
    for decided in &history.decisions {
        let Ok(checkpoint) = &decided.checkpoint else { continue };
        let committed = &history.committed[..decided.committed];
        let reminded: BTreeSet<&str> = committed
            .iter()
            .filter(|record| record.says() == Said::Remind)
            .map(|record| record.written.key.as_str())
            .collect();
        let compared = counts(history, checkpoint).and_then(|()| reminders(checkpoint, &reminded));
        compared.map_err(|what| format!("checkpoint {}: {what}", decided.id))?;
    }
    Ok(())
}

fn counts(history: &History, checkpoint: &Checkpoint) -> Result<(), String> {
    let mut expected: BTreeMap<String, u32> = BTreeMap::new();
    for (records, end) in history.scenario.input.iter().zip(&checkpoint.positions) {
        for record in records[..*end].iter().filter(|record| !record.poison) {
            *expected.entry(record.key.clone()).or_default() += 1;
        }
    }
    let found = checkpoint.counts();
    if found != expected {
        let differ = |key: &&String| found.get(*key) != expected.get(*key);
        let keys: Vec<&String> = found.keys().chain(expected.keys()).filter(differ).collect();
        let key = keys[0];
        return Err(format!(
            "key {key} has counted {:?} rows, in front of its positions are {:?}",
            found.get(key),
            expected.get(key)
        ));
    }
    Ok(())
}

/// A key that was counted has been reminded of, or will be.
fn reminders(checkpoint: &Checkpoint, reminded: &BTreeSet<&str>) -> Result<(), String> {
    let set: BTreeSet<String> = checkpoint.timers(names::REMIND).into_iter().map(|(key, _)| key).collect();
    for key in checkpoint.counts().keys() {
        if set.contains(key) == reminded.contains(key.as_str()) {
            let (is, was) = (set.contains(key), reminded.contains(key.as_str()));
            return Err(format!("key {key}: its reminder is set: {is}, and has come: {was}"));
        }
    }
    Ok(())
}
