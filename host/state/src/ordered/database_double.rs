//! The database of the tests: a map, to which frozen layers are applied as the real one applies them.

use super::{FrozenLayer, Stored};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

impl Contents {
    fn check(&self) -> Result<(), String> {
        if self.is_broken { Err("000042.sst: input/output error".to_owned()) } else { Ok(()) }
    }
}

/// Clones share their entries.
#[derive(Debug, Clone, Default)]
pub(super) struct DatabaseDouble(Arc<Mutex<Contents>>);

#[derive(Debug, Default)]
struct Contents {
    entries: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Entries that scans have shown.
    shown: usize,
    is_broken: bool,
}

impl DatabaseDouble {
    /// Applies a frozen layer up to `steps` of its writes; all of it where there are no more.
    pub(super) fn apply(&self, layer: &FrozenLayer, steps: usize) {
        let mut contents = self.0.lock().unwrap();
        for prefix in layer.cleared.iter().take(steps) {
            contents.entries.retain(|key, _| !key.starts_with(prefix));
        }
        for (key, value) in layer.entries.iter().take(steps.saturating_sub(layer.cleared.len())) {
            match value {
                Some(value) => contents.entries.insert(key.clone(), value.clone()),
                None => contents.entries.remove(key),
            };
        }
    }

    /// A database of its own with the same entries: a checkpoint, or what is restored from one.
    pub(super) fn copy(&self) -> DatabaseDouble {
        let entries = self.0.lock().unwrap().entries.clone();
        DatabaseDouble(Arc::new(Mutex::new(Contents { entries, ..Contents::default() })))
    }

    /// From now on every read fails.
    pub(super) fn break_it(&self) {
        self.0.lock().unwrap().is_broken = true;
    }

    /// Entries that scans have shown so far.
    pub(super) fn shown(&self) -> usize {
        self.0.lock().unwrap().shown
    }
}

impl Stored for DatabaseDouble {
    fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, String> {
        assert!(keys.is_sorted_by(|one, next| one < next), "keys are sorted, and none comes twice");
        let contents = self.0.lock().unwrap();
        contents.check()?;
        Ok(keys.iter().map(|key| contents.entries.get(key).cloned()).collect())
    }

    fn scan(
        &self,
        from: &[u8],
        until: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), String> {
        assert!(from < until, "a range has a beginning and an end behind it");
        let mut contents = self.0.lock().unwrap();
        contents.check()?;
        let mut shown = 0;
        for (key, value) in contents.entries.range(from.to_vec()..until.to_vec()) {
            shown += 1;
            if !visit(key, value) {
                break;
            }
        }
        contents.shown += shown;
        Ok(())
    }
}
