//! What a call knows of a map state: entries that were read or written, per slot.

use std::collections::BTreeMap;

use crate::bindings::types::Column;
use crate::call::NO_ROW;
use crate::column_builder::ColumnBuilder;

/// The known entries of all slots.
pub(super) struct MapCache {
    slots: Vec<KnownMap>,
    /// Slots with writes that the host has not seen, each once.
    written: Vec<u32>,
    /// The row whose undoing is remembered.
    row: u32,
    undo: Vec<Undo>,
    /// What the current row wrote has gone to the host.
    row_is_flushed: bool,
}

/// The known entries of one slot.
#[derive(Default)]
struct KnownMap {
    entries: BTreeMap<Vec<u8>, Known>,
    /// It was emptied in this call, so an entry that is not known is absent.
    emptied: bool,
    /// The host must be told that it was emptied.
    to_clear: bool,
    /// It is in [`MapCache::written`].
    is_written: bool,
}

/// An entry.
#[derive(Clone)]
struct Known {
    value: Option<Vec<u8>>,
    /// The host must be told.
    is_new: bool,
}

/// How a write of the current row is undone.
enum Undo {
    Entry { subkey: Vec<u8>, before: Option<Known> },
    Cleared { entries: BTreeMap<Vec<u8>, Known>, emptied: bool, to_clear: bool },
}

/// Arguments for the host: first the clears, then the puts.
pub(super) struct MapWrites {
    pub(super) cleared: Vec<u8>,
    pub(super) slots: Vec<u8>,
    pub(super) subkeys: Column,
    pub(super) values: Column,
}

impl MapCache {
    pub(super) fn new(slot_count: usize) -> Self {
        let slots = (0..slot_count).map(|_| KnownMap::default()).collect();
        MapCache { slots, written: Vec::new(), row: NO_ROW, undo: Vec::new(), row_is_flushed: false }
    }

    /// What is known of an entry: `None` if the host must be asked, `Some(None)` if there is none.
    pub(super) fn get(&self, slot: u32, subkey: &[u8]) -> Option<Option<&[u8]>> {
        let map = &self.slots[slot as usize];
        match map.entries.get(subkey) {
            Some(known) => Some(known.value.as_deref()),
            None => map.emptied.then_some(None),
        }
    }

    /// Notes what the host said of an entry.
    pub(super) fn remember(&mut self, slot: u32, subkey: &[u8], value: Option<&[u8]>) {
        let known = Known { value: value.map(<[u8]>::to_vec), is_new: false };
        self.slots[slot as usize].entries.insert(subkey.to_vec(), known);
    }

    /// Sets or removes an entry.
    pub(super) fn write(&mut self, row: u32, slot: u32, subkey: Vec<u8>, value: Option<Vec<u8>>) {
        self.begin(row, slot);
        let known = Known { value, is_new: true };
        let before = self.slots[slot as usize].entries.insert(subkey.clone(), known);
        self.undo.push(Undo::Entry { subkey, before });
    }

    /// Empties a slot's map.
    pub(super) fn clear(&mut self, row: u32, slot: u32) {
        self.begin(row, slot);
        let map = &mut self.slots[slot as usize];
        let entries = std::mem::take(&mut map.entries);
        self.undo.push(Undo::Cleared { entries, emptied: map.emptied, to_clear: map.to_clear });
        (map.emptied, map.to_clear) = (true, true);
    }

    /// Whether a slot has writes that the host has not seen.
    pub(super) fn is_written(&self, slot: u32) -> bool {
        self.slots[slot as usize].is_written
    }

    fn begin(&mut self, row: u32, slot: u32) {
        if self.row != row {
            self.row = row;
            self.row_is_flushed = false;
            self.undo.clear();
        }
        let map = &mut self.slots[slot as usize];
        if !map.is_written {
            map.is_written = true;
            self.written.push(slot);
        }
    }

    /// Undoes what a row wrote. `false`: the host has seen some of it.
    pub(super) fn take_back(&mut self, row: u32, slot: u32) -> bool {
        if self.row != row {
            return true;
        }
        if self.row_is_flushed {
            return false;
        }
        let map = &mut self.slots[slot as usize];
        while let Some(undo) = self.undo.pop() {
            match undo {
                Undo::Entry { subkey, before: Some(before) } => {
                    map.entries.insert(subkey, before);
                }
                Undo::Entry { subkey, before: None } => {
                    map.entries.remove(&subkey);
                }
                Undo::Cleared { entries, emptied, to_clear } => {
                    (map.entries, map.emptied, map.to_clear) = (entries, emptied, to_clear);
                }
            }
        }
        self.row = NO_ROW;
        true
    }

    /// Takes the writes that the host has not seen, slot by slot, in order of subkey.
    pub(super) fn take_writes(&mut self) -> MapWrites {
        let (mut cleared, mut slots) = (Vec::new(), Vec::new());
        let (mut subkeys, mut values) =
            (ColumnBuilder::with_capacity(0, 0), ColumnBuilder::with_capacity(0, 0));
        for slot in std::mem::take(&mut self.written) {
            let map = &mut self.slots[slot as usize];
            map.is_written = false;
            if std::mem::take(&mut map.to_clear) {
                cleared.extend_from_slice(&slot.to_le_bytes());
            }
            for (subkey, known) in map.entries.iter_mut().filter(|(_, known)| known.is_new) {
                known.is_new = false;
                slots.extend_from_slice(&slot.to_le_bytes());
                subkeys.push(subkey);
                match &known.value {
                    Some(value) => values.push(value),
                    None => values.push_null(),
                }
            }
        }
        self.row_is_flushed |= !self.undo.is_empty();
        MapWrites { cleared, slots, subkeys: subkeys.finish(), values: values.finish() }
    }
}
