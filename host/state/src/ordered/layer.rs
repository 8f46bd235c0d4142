//! One layer: writes in order of key, and the prefixes that were cleared before them.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

/// Memory that an entry takes beside its bytes: two vectors, their heap headers, its share of a tree node.
const ENTRY_OVERHEAD_BYTES: usize = 96;

/// The writes of an epoch. To persist it, clear the prefixes first, then put and delete the entries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FrozenLayer {
    /// Prefixes whose entries in the layers below are gone. None of them is a prefix of another.
    pub cleared: BTreeSet<Vec<u8>>,
    /// Stored bytes by key; `None` = deleted.
    pub entries: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

/// What a layer says of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found<'a> {
    Value(&'a [u8]),
    Absent,
    AskBelow,
}

impl FrozenLayer {
    /// True where there is nothing to persist.
    pub fn is_empty(&self) -> bool {
        self.cleared.is_empty() && self.entries.is_empty()
    }

    /// What this layer says of a key.
    pub(super) fn find(&self, key: &[u8]) -> Found<'_> {
        match self.entries.get(key) {
            Some(Some(value)) => Found::Value(value),
            Some(None) => Found::Absent,
            None if self.hides(key) => Found::Absent,
            None => Found::AskBelow,
        }
    }

    /// True where a clear of this layer hides the key in the layers below.
    pub(super) fn hides(&self, key: &[u8]) -> bool {
        self.hiding_prefix(key).is_some()
    }

    /// True where a clear of this layer hides all keys of the range in the layers below.
    pub(super) fn hides_range(&self, from: &[u8], until: &[u8]) -> bool {
        self.hiding_prefix(from).is_some_and(|prefix| until <= prefix_end(prefix).as_slice())
    }

    fn hiding_prefix(&self, key: &[u8]) -> Option<&[u8]> {
        // What lies between a prefix and the key begins with that prefix as well, and no cleared prefix begins with
        // another: so only the nearest one can be it.
        let nearest = self.cleared.range::<[u8], _>((Bound::Unbounded, Bound::Included(key))).next_back()?;
        key.starts_with(nearest).then_some(nearest.as_slice())
    }

    /// Bytes of keys, values and prefixes.
    fn payload_bytes(&self) -> usize {
        let entries = self.entries.iter().map(|(key, value)| key.len() + length(value));
        entries.sum::<usize>() + self.cleared.iter().map(Vec::len).sum::<usize>()
    }
}

/// A layer that is written to.
#[derive(Debug, Default)]
pub(super) struct Layer {
    contents: FrozenLayer,
    payload_bytes: usize,
}

impl Layer {
    /// A layer that goes on from these contents.
    pub(super) fn from_contents(contents: FrozenLayer) -> Layer {
        Layer { payload_bytes: contents.payload_bytes(), contents }
    }

    pub(super) fn contents(&self) -> &FrozenLayer {
        &self.contents
    }

    pub(super) fn into_contents(self) -> FrozenLayer {
        self.contents
    }

    /// Sets or, with `None`, deletes an entry.
    pub(super) fn put(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) {
        if value.is_none() && self.contents.hides(&key) {
            // The clear says it already.
            if let Some(old) = self.contents.entries.remove(&key) {
                self.payload_bytes -= key.len() + length(&old);
            }
            return;
        }
        match self.contents.entries.entry(key) {
            Entry::Occupied(mut entry) => {
                self.payload_bytes += length(&value);
                let old = entry.insert(value);
                self.payload_bytes -= length(&old);
            }
            Entry::Vacant(entry) => {
                self.payload_bytes += entry.key().len() + length(&value);
                entry.insert(value);
            }
        }
    }

    /// Removes all entries under a prefix, here and in the layers below.
    pub(super) fn clear(&mut self, prefix: Vec<u8>) {
        let range = prefix.clone()..prefix_end(&prefix);
        for (key, value) in self.contents.entries.extract_if(range.clone(), |_, _| true) {
            self.payload_bytes -= key.len() + length(&value);
        }
        if self.contents.hides(&prefix) {
            return;
        }
        for longer in self.contents.cleared.extract_if(range, |_| true) {
            self.payload_bytes -= longer.len();
        }
        self.payload_bytes += prefix.len();
        self.contents.cleared.insert(prefix);
    }

    /// Takes over the writes of the layer above.
    pub(super) fn apply(&mut self, above: Layer) {
        if self.contents.is_empty() {
            *self = above;
            return;
        }
        for prefix in above.contents.cleared {
            self.clear(prefix);
        }
        for (key, value) in above.contents.entries {
            self.put(key, value);
        }
    }

    /// Bytes of keys, values and cleared prefixes.
    pub(super) fn payload_bytes(&self) -> usize {
        self.payload_bytes
    }

    /// Bytes of memory, about.
    pub(super) fn memory_bytes(&self) -> usize {
        let entries = self.contents.entries.len() + self.contents.cleared.len();
        self.payload_bytes + entries * ENTRY_OVERHEAD_BYTES
    }
}

fn length(value: &Option<Vec<u8>>) -> usize {
    value.as_ref().map_or(0, Vec::len)
}

/// The first key behind all keys with the prefix. A prefix begins with an ordinal, which is below 32,768.
pub(super) fn prefix_end(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while end.last() == Some(&0xff) {
        end.pop();
    }
    *end.last_mut().expect("an ordinal below 32,768 has a first byte below 0xff") += 1;
    end
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_clear_hides_what_is_below_and_not_what_was_written_after_it() {
        let mut layer = Layer::default();
        layer.put(b"a1".to_vec(), Some(b"old".to_vec()));
        layer.clear(b"a".to_vec());
        layer.put(b"a2".to_vec(), Some(b"new".to_vec()));
        assert_eq!(layer.contents().find(b"a1"), Found::Absent);
        assert_eq!(layer.contents().find(b"a2"), Found::Value(b"new"));
        assert_eq!(layer.contents().find(b"b"), Found::AskBelow);
        assert!(layer.contents().hides_range(b"a", b"b") && !layer.contents().hides_range(b"a", b"b0"));
    }

    #[test]
    fn the_end_of_a_prefix_is_behind_all_keys_with_it() {
        assert_eq!(prefix_end(b"\x01\xff\xff"), b"\x02");
        assert_eq!(prefix_end(b"ab"), b"ac");
    }

    proptest! {
        #[test]
        fn bytes_are_counted_and_no_cleared_prefix_begins_with_another(
            writes in prop::collection::vec(("[ab]{1,3}", prop::option::of("[a-z]{0,5}"), any::<bool>()), 0..60)
        ) {
            let mut layer = Layer::default();
            for (key, value, clear) in writes {
                if clear {
                    layer.clear(key.into_bytes());
                } else {
                    layer.put(key.into_bytes(), value.map(String::into_bytes));
                }
                prop_assert_eq!(layer.payload_bytes(), layer.contents().payload_bytes());
                let cleared = &layer.contents().cleared;
                prop_assert!(cleared.iter().zip(cleared.iter().skip(1)).all(|(one, next)| !next.starts_with(one)));
            }
        }
    }
}
