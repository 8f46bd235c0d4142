//! The layers of one state over the database: reads through all of them, and their way down.

use super::Stored;
use super::gaps::Gaps;
use super::layer::{Found, FrozenLayer, Layer};
use super::merge::MemoryMerge;
use std::borrow::Cow;
use std::cell::RefCell;
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
    /// Where no layer shows anything. Scans learn it.
    known: RefCell<Known>,
}

/// Gaps as scans have found them.
#[derive(Default)]
struct Known {
    /// Of committed calls.
    gaps: Gaps,
    /// With what the running call has removed.
    of_call: Gaps,
    /// Entries of memory and of the database that scans have looked at.
    #[cfg(test)]
    walked: usize,
}

impl Known {
    fn memory_bytes(&self) -> usize {
        self.gaps.memory_bytes() + self.of_call.memory_bytes()
    }

    /// Where a scan from here can begin.
    fn first(&self, from: &[u8]) -> Vec<u8> {
        let mut first = from;
        while let Some(end) = self.gaps.end_of(first).or_else(|| self.of_call.end_of(first)) {
            first = end;
        }
        first.to_vec()
    }
}

/// What a scan has seen so far.
struct Walk<'a> {
    visit: &'a mut dyn FnMut(&[u8], &[u8]) -> bool,
    /// Entries that no longer are, before the first that is.
    hidden: usize,
    /// The first that is.
    first: Option<Vec<u8>>,
    looked: usize,
}

impl Walk<'_> {
    /// An entry, or the place of one that is no more. False where nothing else is wanted.
    fn sees(&mut self, key: &[u8], value: Option<&[u8]>) -> bool {
        self.looked += 1;
        let Some(value) = value else {
            self.hidden += usize::from(self.first.is_none());
            return true;
        };
        if self.first.is_none() {
            self.first = Some(key.to_vec());
        }
        (self.visit)(key, value)
    }
}

impl Layers {
    pub(super) fn new(stored: Box<dyn Stored>) -> Layers {
        Layers {
            overlay: Layer::default(),
            dirty: Layer::default(),
            frozen: None,
            stored,
            known: RefCell::default(),
        }
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
        let from = self.known.borrow().first(from);
        if from.as_slice() >= until {
            return Ok(());
        }
        let mut walk = Walk { visit, hidden: 0, first: None, looked: 0 };
        self.walk(&from, until, &mut walk)?;
        let mut known = self.known.borrow_mut();
        #[cfg(test)]
        {
            known.walked += walk.looked;
        }
        if walk.hidden > 0 {
            let end = walk.first.as_deref().unwrap_or(until);
            let gaps = if self.overlay.contents().is_empty() { &mut known.gaps } else { &mut known.of_call };
            gaps.add(&from, end);
        }
        Ok(())
    }

    fn walk(&self, from: &[u8], until: &[u8], walk: &mut Walk<'_>) -> Result<(), String> {
        let mut memory = MemoryMerge::new(self.in_memory(), from, until);
        let mut wanted = true;
        // What was cleared as a whole needs no look at the database, where its entries may still be many.
        if !self.in_memory().any(|layer| layer.hides_range(from, until)) {
            self.stored.scan(from, until, &mut |key, value| {
                let mut decided = false;
                while let Some((newer, written)) = memory.next_up_to(Some(key)) {
                    decided = newer == key;
                    wanted = walk.sees(newer, written);
                    if !wanted {
                        return false;
                    }
                }
                if !decided {
                    let hidden = self.in_memory().any(|layer| layer.hides(key));
                    wanted = walk.sees(key, (!hidden).then_some(value));
                }
                wanted
            })?;
        }
        while wanted && let Some((newer, written)) = memory.next_up_to(None) {
            wanted = walk.sees(newer, written);
        }
        Ok(())
    }

    /// Sets or, with `None`, deletes an entry in the running call.
    pub(super) fn put(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) {
        if value.is_some() {
            let known = self.known.get_mut();
            known.gaps.set(&key);
            known.of_call.set(&key);
        }
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
        let known = self.known.get_mut();
        known.gaps.take(&mut known.of_call);
    }

    /// The call has not happened.
    pub(super) fn discard(&mut self) {
        self.overlay = Layer::default();
        self.known.get_mut().of_call.clear();
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
        self.overlay.memory_bytes() + self.dirty.memory_bytes() + frozen + self.known.borrow().memory_bytes()
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

    /// A queue per key: written at its end, removed from its beginning one by one, each removal found by a scan.
    fn walked_by_queues(keys: usize, length: u32, persisted: bool) -> usize {
        let database = DatabaseDouble::default();
        let mut layers = Layers::new(Box::new(database.clone()));
        let entry = |key: usize, position: u32| [&[0, key as u8][..], &position.to_be_bytes()].concat();
        for key in 0..keys {
            (0..length).for_each(|position| layers.put(entry(key, position), Some(b"v".to_vec())));
        }
        layers.commit();
        if persisted {
            let frozen = layers.freeze();
            database.apply(&frozen, usize::MAX);
            layers.persisted(&frozen);
        }
        for position in 0..length {
            for key in 0..keys {
                let mut first = None;
                layers
                    .scan(&[0, key as u8], &[0, key as u8 + 1], &mut |key, _| {
                        first = Some(key.to_vec());
                        false
                    })
                    .unwrap();
                assert_eq!(first, Some(entry(key, position)));
                layers.put(first.unwrap(), None);
            }
            if position % 2 == 0 {
                layers.commit();
            }
        }
        layers.known.borrow().walked + database.shown()
    }

    #[test]
    fn a_queue_that_is_read_from_its_beginning_is_walked_over_once() {
        for persisted in [false, true] {
            for keys in [1, 4] {
                let (short, long) =
                    (walked_by_queues(keys, 100, persisted), walked_by_queues(keys, 1000, persisted));
                assert!(long < 12 * short, "{short} steps for 100 entries, {long} for 1000");
            }
        }
    }

    #[test]
    fn what_a_discarded_call_removed_is_found_again() {
        let mut layers = Layers::new(Box::new(DatabaseDouble::default()));
        layers.put(b"\0a".to_vec(), Some(b"v".to_vec()));
        layers.commit();
        layers.put(b"\0a".to_vec(), None);
        let found = |layers: &Layers| {
            let mut found = 0;
            layers
                .scan(b"\0", b"\x01", &mut |_, _| {
                    found += 1;
                    true
                })
                .unwrap();
            found
        };
        assert_eq!(found(&layers), 0);
        layers.discard();
        assert_eq!(found(&layers), 1);
    }
}
