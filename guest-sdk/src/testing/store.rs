//! State and timers in memory, with the rules of the host: what a keyed operator's imports reach in a native test.

use std::collections::{BTreeMap, BTreeSet};

use crate::bindings::map_state::Page;
use crate::bindings::types::Column;
use crate::column::{read_i64, read_u32};
use crate::column_builder::ColumnBuilder;
use crate::declaration::{Description, StateDeclaration, StateKind, TimerDeclaration};
use crate::packed::column;

/// A record key; `None` is a key too.
pub(crate) type Key = Option<Vec<u8>>;

/// What a page holds where a test does not say otherwise: as the host's `state_page_bytes_max`.
const PAGE_BYTES_MAX: usize = 1 << 20;

/// All state and timers of one subtask.
#[derive(Clone)]
pub(crate) struct Store {
    /// By state, key and subkey; a value has the empty subkey, an entry of a list its position.
    pub(super) entries: BTreeMap<(String, Key, Vec<u8>), Stored>,
    /// By name, time and key: the order in which they fire.
    pub(super) timers: BTreeSet<(String, i64, Key)>,
    pub(super) page_bytes_max: usize,
    /// Number of imports called.
    pub(super) imports_called: usize,
    next_position: u64,
    states: &'static [StateDeclaration],
    timer_names: &'static [TimerDeclaration],
    /// The current call's keys, by slot.
    keys: Vec<Key>,
    now: i64,
}

/// An entry, and the processing time of its last write.
#[derive(Clone)]
pub(super) struct Stored {
    pub(super) bytes: Vec<u8>,
    pub(super) written: i64,
}

impl Default for Store {
    fn default() -> Self {
        Store {
            entries: BTreeMap::new(),
            timers: BTreeSet::new(),
            page_bytes_max: PAGE_BYTES_MAX,
            imports_called: 0,
            next_position: 0,
            states: &[],
            timer_names: &[],
            keys: Vec::new(),
            now: 0,
        }
    }
}

impl Store {
    /// The declarations by which it judges calls from now on.
    pub(super) fn declare(&mut self, description: &Description) {
        self.states = description.states;
        self.timer_names = description.timers;
    }

    /// A call begins, with these keys by slot.
    pub(super) fn begin_call(&mut self, keys: Vec<Key>, now: i64) {
        self.keys = keys;
        self.now = now;
    }

    /// An entry, unless its time to live is over.
    pub(super) fn read(&self, state: &str, key: &Key, subkey: &[u8]) -> Option<&[u8]> {
        let stored = self.entries.get(&(state.to_string(), key.clone(), subkey.to_vec()))?;
        self.lives(state, stored).then_some(&stored.bytes)
    }

    fn lives(&self, state: &str, stored: &Stored) -> bool {
        let ttl = self.states.iter().find(|each| each.name == state).map_or(0, |each| each.ttl_seconds);
        ttl == 0 || stored.written.saturating_add(i64::from(ttl) * 1000) > self.now
    }

    fn write(&mut self, state: &str, key: Key, subkey: Vec<u8>, value: Option<&[u8]>) {
        let at = (state.to_string(), key, subkey);
        match value {
            Some(bytes) => self.entries.insert(at, Stored { bytes: bytes.to_vec(), written: self.now }),
            None => self.entries.remove(&at),
        };
    }

    pub(crate) fn get_many(
        &mut self,
        kind: StateKind,
        state: &str,
        slots: &[u8],
        subkeys: &Column,
    ) -> Column {
        self.check_state(state, kind);
        let keys = self.keys_of(slots);
        let found: Vec<_> = keys
            .iter()
            .enumerate()
            .map(|(entry, key)| self.read(state, key, subkeys.get(entry).unwrap_or_default()))
            .collect();
        column(found.into_iter())
    }

    pub(crate) fn put_many(
        &mut self,
        kind: StateKind,
        state: &str,
        slots: &[u8],
        subkeys: &Column,
        values: &Column,
    ) {
        self.check_state(state, kind);
        let keys = self.keys_of(slots);
        check_entries(values, keys.len());
        for (entry, key) in keys.into_iter().enumerate() {
            let subkey = subkeys.get(entry).unwrap_or_default().to_vec();
            self.write(state, key, subkey, values.get(entry));
        }
    }

    pub(crate) fn append_many(&mut self, state: &str, slots: &[u8], values: &Column) {
        self.check_state(state, StateKind::List);
        let keys = self.keys_of(slots);
        check_entries(values, keys.len());
        for (entry, key) in keys.into_iter().enumerate() {
            let value = values.get(entry).expect("a list holds no nulls");
            self.write(state, key, self.next_position.to_be_bytes().to_vec(), Some(value));
            self.next_position += 1;
        }
    }

    pub(crate) fn clear_many(&mut self, kind: StateKind, state: &str, slots: &[u8]) {
        self.check_state(state, kind);
        for key in self.keys_of(slots) {
            self.entries.retain(|(name, owner, _), _| name != state || *owner != key);
        }
    }

    pub(crate) fn scan(
        &mut self,
        kind: StateKind,
        state: &str,
        slots: &[u8],
        starts: &Column,
        ends: &Column,
        limit: u32,
    ) -> Page {
        self.check_state(state, kind);
        let mut ranges = Vec::new();
        let (mut subkeys, mut values) =
            (ColumnBuilder::with_capacity(0, 0), ColumnBuilder::with_capacity(0, 0));
        let mut bytes = 0;
        for (range, key) in self.keys_of(slots).into_iter().enumerate() {
            let start = (state.to_string(), key.clone(), starts.get(range).unwrap_or_default().to_vec());
            let mut found = 0;
            for ((name, owner, subkey), stored) in self.entries.range(start..) {
                if name != state || *owner != key || ends.get(range).is_some_and(|end| **subkey >= *end) {
                    break;
                }
                if !self.lives(state, stored) {
                    continue;
                }
                if limit != 0 && found == limit {
                    break;
                }
                bytes += subkey.len() + stored.bytes.len();
                if bytes > self.page_bytes_max && !ranges.is_empty() {
                    return Page {
                        ranges,
                        subkeys: subkeys.finish(),
                        values: values.finish(),
                        complete: false,
                    };
                }
                found += 1;
                ranges.extend_from_slice(&(range as u32).to_le_bytes());
                subkeys.push(subkey);
                values.push(&stored.bytes);
            }
        }
        Page { ranges, subkeys: subkeys.finish(), values: values.finish(), complete: true }
    }

    pub(crate) fn change_timers(&mut self, timer: &str, slots: &[u8], times: &[u8], set: bool) {
        self.imports_called += 1;
        assert!(self.timer_names.iter().any(|each| each.name == timer), "no timer \"{timer}\" is declared");
        let keys = self.keys_of(slots);
        assert_eq!(times.len(), 8 * keys.len(), "as many times as slots");
        for (entry, key) in keys.into_iter().enumerate() {
            let timer = (timer.to_string(), read_i64(times, entry).unwrap_or_default(), key);
            match set {
                true => self.timers.insert(timer),
                false => self.timers.remove(&timer),
            };
        }
    }

    fn check_state(&mut self, state: &str, kind: StateKind) {
        self.imports_called += 1;
        let declared = self.states.iter().find(|each| each.name == state);
        let declared = declared.unwrap_or_else(|| panic!("no state \"{state}\" is declared"));
        assert_eq!(declared.kind, kind, "the state \"{state}\" is of another kind");
    }

    fn keys_of(&self, slots: &[u8]) -> Vec<Key> {
        assert_eq!(slots.len() % 4, 0, "slots are packed u32");
        let slots = (0..slots.len() / 4).filter_map(|entry| read_u32(slots, entry));
        slots
            .map(|slot| {
                let key = self.keys.get(slot as usize).cloned();
                key.unwrap_or_else(|| panic!("slot {slot} is out of range: the call has {}", self.keys.len()))
            })
            .collect()
    }
}

fn check_entries(column: &Column, entries: usize) {
    assert_eq!(column.offsets.len(), 4 * (entries + 1), "as many values as slots");
    let end = read_u32(&column.offsets, entries).unwrap_or_default() as usize;
    assert_eq!(end, column.data.len(), "the offsets end where the data does");
    assert!(column.ends().is_sorted(), "offsets never go down");
}
