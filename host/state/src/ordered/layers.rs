//! The layers of one state over the database: reads through all of them, and their way down.

use super::Stored;
use super::layer::{Found, FrozenLayer, Layer};
use super::merge::MemoryMerge;
use std::borrow::Cow;
use std::sync::Arc;

/// Overlay, dirty and frozen layer over one column family.
pub(super) struct Layers {
    /// The writes of the running call.
    overlay: Layer,
    /// The writes of the running epoch.
    dirty: Layer,
    /// The writes of the epoch that is being persisted, and the memory that they take.
    frozen: Option<(Arc<FrozenLayer>, usize)>,
    stored: Box<dyn Stored>,
}

impl Layers {
    pub(super) fn new(stored: Box<dyn Stored>) -> Layers {
        Layers { overlay: Layer::default(), dirty: Layer::default(), frozen: None, stored }
    }

    /// The layers in memory, newest first. Most of the time most are empty.
    fn in_memory(&self) -> impl Iterator<Item = &FrozenLayer> {
        let frozen = self.frozen.as_ref().map(|(layer, _)| &**layer);
        [Some(self.overlay.contents()), Some(self.dirty.contents()), frozen]
            .into_iter()
            .flatten()
            .filter(|layer| !layer.is_empty())
    }

    /// The stored bytes of each key, in the order asked. All keys that memory does not know are read at once.
    pub(super) fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Cow<'_, [u8]>>>, String> {
        let mut values = Vec::with_capacity(keys.len());
        let mut missing = Vec::new();
        for (index, key) in keys.iter().enumerate() {
            let found = self.in_memory().map(|layer| layer.find(key)).find(|found| *found != Found::AskBelow);
            match found {
                Some(Found::Value(value)) => values.push(Some(Cow::Borrowed(value))),
                Some(_) => values.push(None),
                None => {
                    values.push(None);
                    missing.push(index);
                }
            }
        }
        if missing.is_empty() {
            return Ok(values);
        }
        missing.sort_unstable_by(|one, other| keys[*one].cmp(&keys[*other]));
        let mut asked: Vec<Vec<u8>> = missing.iter().map(|index| keys[*index].clone()).collect();
        asked.dedup();
        let answers = self.stored.get_many(&asked)?;
        let mut at = 0;
        for index in missing {
            if asked[at] != keys[index] {
                at += 1;
            }
            values[index] = answers[at].clone().map(Cow::Owned);
        }
        Ok(values)
    }

    /// Shows the entries from `from` (inclusive) to `until` (exclusive) in order of key, until `visit` returns false.
    pub(super) fn scan(
        &self,
        from: &[u8],
        until: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), String> {
        if from >= until {
            return Ok(());
        }
        let mut memory = MemoryMerge::new(self.in_memory(), from, until);
        let mut wanted = true;
        // What was cleared as a whole needs no look at the database, where its entries may still be many.
        if !self.in_memory().any(|layer| layer.hides_range(from, until)) {
            self.stored.scan(from, until, &mut |key, value| {
                let mut decided = false;
                while let Some((newer, written)) = memory.next_up_to(Some(key)) {
                    decided = newer == key;
                    wanted = written.is_none_or(|written| visit(newer, written));
                    if !wanted {
                        return false;
                    }
                }
                if !decided && !self.in_memory().any(|layer| layer.hides(key)) {
                    wanted = visit(key, value);
                }
                wanted
            })?;
        }
        while wanted && let Some((newer, written)) = memory.next_up_to(None) {
            wanted = written.is_none_or(|written| visit(newer, written));
        }
        Ok(())
    }

    /// Sets or, with `None`, deletes an entry in the running call.
    pub(super) fn put(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) {
        self.overlay.put(key, value);
    }

    /// Removes all entries under a prefix in the running call.
    pub(super) fn clear(&mut self, prefix: &[u8]) {
        self.overlay.clear(prefix.to_vec());
    }

    /// Deletes an entry outside of calls, or below the running one.
    pub(super) fn delete_committed(&mut self, key: Vec<u8>) {
        self.dirty.put(key, None);
    }

    /// The writes of the running call.
    pub(super) fn written(&self) -> &FrozenLayer {
        self.overlay.contents()
    }

    /// The call has happened.
    pub(super) fn commit(&mut self) {
        self.dirty.apply(std::mem::take(&mut self.overlay));
    }

    /// The call has not happened.
    pub(super) fn discard(&mut self) {
        self.overlay = Layer::default();
    }

    /// Takes the writes of the epoch for persisting. What was frozen before and is not persisted is part of it.
    pub(super) fn freeze(&mut self) -> Arc<FrozenLayer> {
        assert!(self.overlay.contents().is_empty(), "a barrier comes between calls");
        let mut taken = std::mem::take(&mut self.dirty);
        if let Some((earlier, _)) = self.frozen.take()
            && !earlier.is_empty()
        {
            let mut merged = Layer::from_contents(Arc::unwrap_or_clone(earlier));
            merged.apply(taken);
            taken = merged;
        }
        let bytes = taken.memory_bytes();
        let frozen = Arc::new(taken.into_contents());
        self.frozen = Some((frozen.clone(), bytes));
        frozen
    }

    /// The database has this layer. One that was replaced by a later freeze is passed over.
    pub(super) fn persisted(&mut self, layer: &Arc<FrozenLayer>) {
        self.frozen.take_if(|(frozen, _)| Arc::ptr_eq(frozen, layer));
    }

    /// Bytes of keys and values that the running call wrote.
    pub(super) fn overlay_bytes(&self) -> usize {
        self.overlay.payload_bytes()
    }

    /// Bytes of memory of the running epoch's writes.
    pub(super) fn dirty_bytes(&self) -> usize {
        self.dirty.memory_bytes()
    }

    /// Entries written and not frozen yet.
    pub(super) fn dirty_entries(&self) -> usize {
        self.dirty.contents().entries.len() + self.dirty.contents().cleared.len()
    }

    /// Bytes of memory of all layers.
    pub(super) fn memory_bytes(&self) -> usize {
        let frozen = self.frozen.as_ref().map_or(0, |(_, bytes)| *bytes);
        self.overlay.memory_bytes() + self.dirty.memory_bytes() + frozen
    }
}

#[cfg(test)]
mod tests {
    use super::super::database_double::DatabaseDouble;
    use super::*;

    #[test]
    fn a_scan_over_many_keys_leaves_out_those_that_were_cleared() {
        let database = DatabaseDouble::default();
        let mut layers = Layers::new(Box::new(database.clone()));
        let keys = [b"\0a1", b"\0b1", b"\0b2", b"\0c1"];
        keys.iter().for_each(|key| layers.put(key.to_vec(), Some(b"v".to_vec())));
        layers.commit();
        let frozen = layers.freeze();
        database.apply(&frozen, usize::MAX);
        layers.persisted(&frozen);
        layers.clear(b"\0b");
        layers.put(b"\0b2".to_vec(), Some(b"new".to_vec()));
        let mut shown = Vec::new();
        layers
            .scan(b"\0", b"\x01", &mut |key, _| {
                shown.push(key.to_vec());
                true
            })
            .unwrap();
        assert_eq!(shown, [b"\0a1", b"\0b2", b"\0c1"]);
    }
}
