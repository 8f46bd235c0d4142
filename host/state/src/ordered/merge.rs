//! The entries of several layers in memory, merged in order of key: the newest layer decides.

use super::layer::FrozenLayer;
use std::collections::btree_map::Range;
use std::iter::Peekable;
use std::ops::Bound;

/// A merge of layers over a range of keys.
pub(super) struct MemoryMerge<'a> {
    /// Newest first.
    sources: Vec<Source<'a>>,
}

struct Source<'a> {
    layer: &'a FrozenLayer,
    rest: Peekable<Range<'a, Vec<u8>, Option<Vec<u8>>>>,
}

impl<'a> MemoryMerge<'a> {
    /// `layers` newest first; `from` inclusive and below `until`, which is exclusive.
    pub(super) fn new(
        layers: impl Iterator<Item = &'a FrozenLayer>,
        from: &[u8],
        until: &[u8],
    ) -> MemoryMerge<'a> {
        let bounds = (Bound::Included(from), Bound::Excluded(until));
        let sources = layers
            .map(|layer| Source { layer, rest: layer.entries.range::<[u8], _>(bounds).peekable() })
            .collect();
        MemoryMerge { sources }
    }

    /// The next entry, if its key is at most `last`; the value is `None` where the entry was deleted. Entries that a
    /// newer layer has cleared do not appear.
    pub(super) fn next_up_to(&mut self, last: Option<&[u8]>) -> Option<(&'a [u8], Option<&'a [u8]>)> {
        loop {
            let heads = self.sources.iter_mut().filter_map(|source| source.rest.peek());
            let key: &'a [u8] = heads.map(|(key, _)| key.as_slice()).min()?;
            if last.is_some_and(|last| key > last) {
                return None;
            }
            let mut entry = None;
            let mut settled = false;
            for source in &mut self.sources {
                let own = source.rest.next_if(|(own, _)| own.as_slice() == key);
                if settled {
                    continue;
                }
                entry = own.map(|(_, value)| (key, value.as_deref()));
                settled = entry.is_some() || source.layer.hides(key);
            }
            if entry.is_some() {
                return entry;
            }
        }
    }
}
