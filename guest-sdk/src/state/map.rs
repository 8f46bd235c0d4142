//! A sorted map per key. Reads are remembered, writes wait until the end of the call or until a scan must see them.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::ops::{Bound, RangeBounds};
use std::rc::Rc;

use super::map_cache::MapCache;
use super::page::{behind, bound, visit_pages};
use super::undecodable;
use crate::bindings::types::Batch;
use crate::call::{Call, Part};
use crate::codec::Codec;
use crate::column_builder::ColumnBuilder;
use crate::imports;
use crate::packed::single;
use crate::record::Record;
use crate::subkey::Subkey;

/// A sorted map per key: `state seen: Map<String, u64>;`. Entries are in order of subkey.
pub struct Map<K, V> {
    name: &'static str,
    call: Rc<Call>,
    cache: RefCell<MapCache>,
    /// Where subkeys are encoded to be looked up.
    scratch: RefCell<Vec<u8>>,
    entry: PhantomData<(K, V)>,
}

impl<K: Subkey, V: Codec> Map<K, V> {
    #[doc(hidden)]
    pub fn declared(name: &'static str, call: &Rc<Call>) -> Self {
        Map {
            name,
            call: call.clone(),
            cache: RefCell::new(MapCache::new(call.slot_count())),
            scratch: RefCell::new(Vec::new()),
            entry: PhantomData,
        }
    }

    /// The value of a subkey in the current key's map. Asks the host once per key, subkey and call; `fn read_ahead`
    /// asks for all rows at once.
    pub fn get(&self, subkey: &K) -> Option<V> {
        let slot = self.call.slot();
        self.with_encoded(subkey, |bytes| {
            let mut cache = self.cache.borrow_mut();
            if cache.get(slot, bytes).is_none() {
                let stored = imports::map_get_many(self.name, &slot.to_le_bytes(), &single(bytes));
                cache.remember(slot, bytes, stored.get(0));
            }
            let value = cache.get(slot, bytes).flatten();
            value.map(|value| self.decode(value))
        })
    }

    /// Sets the value of a subkey in the current key's map.
    pub fn put(&self, subkey: &K, value: V) {
        let mut encoded = Vec::new();
        value.encode(&mut encoded);
        self.write(subkey, Some(encoded));
    }

    /// Removes a subkey from the current key's map.
    pub fn remove(&self, subkey: &K) {
        self.write(subkey, None);
    }

    /// Empties the current key's map.
    pub fn clear(&self) {
        self.cache.borrow_mut().clear(self.call.row(), self.call.slot());
    }

    /// The entries of a range of subkeys in the current key's map, in order. Use [`visit`](Self::visit) for those that may be many.
    pub fn scan(&self, range: impl RangeBounds<K>) -> Vec<(K, V)> {
        let mut entries = Vec::new();
        self.visit(range, |subkey, value| {
            entries.push((subkey, value));
            true
        });
        entries
    }

    /// The first entry of a range of subkeys in the current key's map.
    pub fn first(&self, range: impl RangeBounds<K>) -> Option<(K, V)> {
        let mut first = None;
        self.visit_up_to(1, range, |subkey, value| {
            first = Some((subkey, value));
            false
        });
        first
    }

    /// Visits the entries of a range of subkeys in the current key's map, in order, until `visit` says `false`.
    /// One page of the host's at a time is in memory. What `visit` writes to this map is not visited surely.
    pub fn visit(&self, range: impl RangeBounds<K>, visit: impl FnMut(K, V) -> bool) {
        self.visit_up_to(0, range, visit);
    }

    fn visit_up_to(&self, limit: u32, range: impl RangeBounds<K>, mut visit: impl FnMut(K, V) -> bool) {
        let slot = self.call.slot();
        if self.cache.borrow().is_written(slot) {
            self.flush();
        }
        let start = match range.start_bound() {
            Bound::Included(subkey) => Some(encoded(subkey)),
            Bound::Excluded(subkey) => Some(behind(&encoded(subkey))),
            Bound::Unbounded => None,
        };
        let end = match range.end_bound() {
            Bound::Included(subkey) => Some(behind(&encoded(subkey))),
            Bound::Excluded(subkey) => Some(encoded(subkey)),
            Bound::Unbounded => None,
        };
        // An empty range is no mistake of an author's, but may be one for the host.
        if start.is_some() && end.is_some() && start >= end {
            return;
        }
        let end = bound(end.as_deref());
        let ask = |start: Option<&[u8]>| {
            imports::map_scan(self.name, &slot.to_le_bytes(), &bound(start), &end, limit)
        };
        visit_pages(start, ask, |subkey, value| {
            let subkey = K::decode(subkey).unwrap_or_else(|error| undecodable(self.name, "subkey", &error));
            visit(subkey, self.decode(value))
        });
    }

    /// Fetches one subkey per row with one question to the host. `None`: nothing for this row.
    #[doc(hidden)]
    pub fn read_ahead(&self, batch: &Batch, mut subkey_of: impl FnMut(Record<'_>) -> Option<K>) {
        let mut cache = self.cache.borrow_mut();
        let (mut slots, mut subkeys) = (Vec::new(), ColumnBuilder::with_capacity(batch.count as usize, 0));
        for record in batch.records() {
            let Some(subkey) = subkey_of(record) else { continue };
            self.call.enter(batch, record.row());
            self.with_encoded(&subkey, |bytes| {
                if cache.get(self.call.slot(), bytes).is_none() {
                    // Remembered as absent until the answer comes, so that it is asked for once.
                    cache.remember(self.call.slot(), bytes, None);
                    slots.extend_from_slice(&self.call.slot().to_le_bytes());
                    subkeys.push(bytes);
                }
            });
        }
        if slots.is_empty() {
            return;
        }
        let subkeys = subkeys.finish();
        let stored = imports::map_get_many(self.name, &slots, &subkeys);
        for (entry, slot) in slots.chunks_exact(4).enumerate() {
            let slot = u32::from_le_bytes([slot[0], slot[1], slot[2], slot[3]]);
            if let Some(value) = stored.get(entry) {
                cache.remember(slot, subkeys.get(entry).unwrap_or_default(), Some(value));
            }
        }
    }

    fn write(&self, subkey: &K, value: Option<Vec<u8>>) {
        self.cache.borrow_mut().write(self.call.row(), self.call.slot(), encoded(subkey), value);
    }

    fn with_encoded<R>(&self, subkey: &K, look_up: impl FnOnce(&[u8]) -> R) -> R {
        let mut scratch = self.scratch.borrow_mut();
        scratch.clear();
        subkey.encode(&mut scratch);
        look_up(&scratch)
    }

    fn decode(&self, bytes: &[u8]) -> V {
        V::decode(bytes).unwrap_or_else(|error| undecodable(self.name, "value", &error))
    }
}

fn encoded(subkey: &impl Subkey) -> Vec<u8> {
    let mut bytes = Vec::new();
    subkey.encode(&mut bytes);
    bytes
}

impl<K, V> Part for Map<K, V> {
    fn take_back(&self) -> bool {
        self.cache.borrow_mut().take_back(self.call.row(), self.call.slot())
    }

    fn flush(&self) {
        let writes = self.cache.borrow_mut().take_writes();
        if !writes.cleared.is_empty() {
            imports::map_clear_many(self.name, &writes.cleared);
        }
        if !writes.slots.is_empty() {
            imports::map_put_many(self.name, &writes.slots, &writes.subkeys, &writes.values);
        }
    }
}
