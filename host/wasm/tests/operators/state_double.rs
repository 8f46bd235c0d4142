//! Keyed state in a sorted map, with the overlay of a call: what the crate with the database does, in little.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use weir_protocol::batch::{Batch, Column, read_i64, read_u32};
use weir_protocol::connector::ConnectorError;
use weir_protocol::epoch::Epoch;
use weir_protocol::slots::Slots;
use weir_protocol::state::{
    ColumnRef, FrozenState, KeyedState, OperatorShape, Page, StateError, StateKind, StateUsage,
};

/// Declaration (timers behind the states), key, subkey. A list's subkey is its position, a timer's its time.
type Address = (usize, Vec<u8>, Vec<u8>);

/// What calls that were committed have left, for the test and the double.
#[derive(Default)]
pub struct Disk {
    stored: Mutex<BTreeMap<Address, Vec<u8>>>,
    is_full: AtomicBool,
}

impl Disk {
    /// From now on every state function fails.
    pub fn fill(&self) {
        self.is_full.store(true, Ordering::Relaxed);
    }

    /// The keys and times of all timers.
    pub fn timers(&self, shape: &OperatorShape) -> Vec<(String, i64)> {
        let stored = self.stored.lock().unwrap();
        let timers = stored.keys().filter(|address| address.0 >= shape.states.len());
        timers.map(|(_, key, time)| (String::from_utf8(key.clone()).unwrap(), read_i64(time, 0))).collect()
    }
}

/// Keyed state without a database.
pub struct StateDouble {
    shape: OperatorShape,
    disk: Arc<Disk>,
    /// The keys of the call, by slot.
    keys: Vec<Vec<u8>>,
    overlay: BTreeMap<Address, Option<Vec<u8>>>,
    next_position: u64,
}

impl StateDouble {
    pub fn new(shape: OperatorShape, disk: Arc<Disk>) -> StateDouble {
        StateDouble { shape, disk, keys: Vec::new(), overlay: BTreeMap::new(), next_position: 0 }
    }

    fn declared(&self, name: &str, kind: StateKind) -> Result<usize, StateError> {
        if self.disk.is_full.load(Ordering::Relaxed) {
            return Err(StateError::Broken("the disk is full".into()));
        }
        let found = self.shape.states.iter().position(|state| state.name == name && state.kind == kind);
        found.ok_or_else(|| StateError::Misuse(format!("no {} state {name:?} is declared", kind.name())))
    }

    fn declared_timer(&self, name: &str) -> Result<usize, StateError> {
        let found = self.shape.timers.iter().position(|timer| timer.name == name);
        let index = found.ok_or_else(|| StateError::Misuse(format!("no timer {name:?} is declared")))?;
        Ok(self.shape.states.len() + index)
    }

    fn address(
        &self,
        state: usize,
        slots: &[u8],
        index: usize,
        subkey: &[u8],
    ) -> Result<Address, StateError> {
        let slot = read_u32(slots, index) as usize;
        let slots = self.keys.len();
        let key = self.keys.get(slot);
        let key = key.ok_or_else(|| StateError::Misuse(format!("slot {slot} of {slots}")))?;
        Ok((state, key.clone(), subkey.to_vec()))
    }

    fn value(&self, address: &Address) -> Option<Vec<u8>> {
        match self.overlay.get(address) {
            Some(written) => written.clone(),
            None => self.disk.stored.lock().unwrap().get(address).cloned(),
        }
    }

    /// The entries of one key, in order of subkey.
    fn entries(&self, state: usize, key: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
        let from = (state, key.to_vec(), Vec::new());
        let of_key = |address: &Address| address.0 == state && address.1 == key;
        let stored = self.disk.stored.lock().unwrap();
        let stored = stored.range(from.clone()..).take_while(|(address, _)| of_key(address));
        let mut merged: BTreeMap<Vec<u8>, Option<Vec<u8>>> =
            stored.map(|(address, value)| (address.2.clone(), Some(value.clone()))).collect();
        let written = self.overlay.range(from..).take_while(|(address, _)| of_key(address));
        merged.extend(written.map(|(address, value)| (address.2.clone(), value.clone())));
        merged.into_iter().filter_map(|(subkey, value)| Some((subkey, value?))).collect()
    }

    fn scan(&self, state: usize, slots: &[u8]) -> Result<Page, StateError> {
        let mut page = Page { complete: true, ..Page::default() };
        for index in 0..slots.len() / 4 {
            let (_, key, _) = self.address(state, slots, index, &[])?;
            for (subkey, value) in self.entries(state, &key) {
                page.ranges.extend((index as u32).to_le_bytes());
                page.subkeys.push(Some(&subkey));
                page.values.push(Some(&value));
            }
        }
        Ok(page)
    }

    fn clear(&mut self, state: usize, slots: &[u8]) -> Result<(), StateError> {
        for index in 0..slots.len() / 4 {
            let (_, key, _) = self.address(state, slots, index, &[])?;
            for (subkey, _) in self.entries(state, &key) {
                self.overlay.insert((state, key.clone(), subkey), None);
            }
        }
        Ok(())
    }

    fn write_timers(
        &mut self,
        timer: usize,
        slots: &[u8],
        times: &[u8],
        set: bool,
    ) -> Result<(), StateError> {
        for (index, time) in times.chunks_exact(8).enumerate() {
            let address = self.address(timer, slots, index, time)?;
            self.overlay.insert(address, set.then(Vec::new));
        }
        Ok(())
    }
}

fn owned(column: ColumnRef<'_>) -> Column {
    Column { offsets: column.offsets.to_vec(), data: column.data.to_vec(), nulls: column.nulls.to_vec() }
}

impl KeyedState for StateDouble {
    fn begin_call(&mut self, keys: &Column, slots: &Slots, _now_ms: i64) {
        assert!(self.overlay.is_empty(), "the call before was neither committed nor discarded");
        self.keys = slots.first_rows.iter().map(|row| keys.bytes(*row as usize).to_vec()).collect();
    }

    fn commit_call(&mut self) -> Result<(), ConnectorError> {
        let mut stored = self.disk.stored.lock().unwrap();
        for (address, value) in std::mem::take(&mut self.overlay) {
            match value {
                Some(value) => stored.insert(address, value),
                None => stored.remove(&address),
            };
        }
        Ok(())
    }

    fn discard_call(&mut self) -> Result<(), ConnectorError> {
        self.overlay.clear();
        Ok(())
    }

    fn value_get_many(&mut self, state: &str, slots: &[u8]) -> Result<Column, StateError> {
        let state = self.declared(state, StateKind::Value)?;
        let mut column = Column::default();
        for index in 0..slots.len() / 4 {
            column.push(self.value(&self.address(state, slots, index, &[])?).as_deref());
        }
        Ok(column)
    }

    fn value_put_many(&mut self, state: &str, slots: &[u8], values: ColumnRef<'_>) -> Result<(), StateError> {
        let (state, values) = (self.declared(state, StateKind::Value)?, owned(values));
        for index in 0..slots.len() / 4 {
            let address = self.address(state, slots, index, &[])?;
            self.overlay.insert(address, values.get(index).map(<[u8]>::to_vec));
        }
        Ok(())
    }

    fn map_get_many(
        &mut self,
        state: &str,
        slots: &[u8],
        subkeys: ColumnRef<'_>,
    ) -> Result<Column, StateError> {
        let (state, subkeys) = (self.declared(state, StateKind::Map)?, owned(subkeys));
        let mut column = Column::default();
        for index in 0..slots.len() / 4 {
            let address = self.address(state, slots, index, subkeys.bytes(index))?;
            column.push(self.value(&address).as_deref());
        }
        Ok(column)
    }

    fn map_put_many(
        &mut self,
        state: &str,
        slots: &[u8],
        subkeys: ColumnRef<'_>,
        values: ColumnRef<'_>,
    ) -> Result<(), StateError> {
        let (state, subkeys) = (self.declared(state, StateKind::Map)?, owned(subkeys));
        let values = owned(values);
        for index in 0..slots.len() / 4 {
            let address = self.address(state, slots, index, subkeys.bytes(index))?;
            self.overlay.insert(address, values.get(index).map(<[u8]>::to_vec));
        }
        Ok(())
    }

    fn map_scan(
        &mut self,
        state: &str,
        slots: &[u8],
        _starts: ColumnRef<'_>,
        _ends: ColumnRef<'_>,
        limit: u32,
    ) -> Result<Page, StateError> {
        assert_eq!(limit, 0, "the guests of these tests ask without a limit");
        self.scan(self.declared(state, StateKind::Map)?, slots)
    }

    fn map_clear_many(&mut self, state: &str, slots: &[u8]) -> Result<(), StateError> {
        self.clear(self.declared(state, StateKind::Map)?, slots)
    }

    fn list_append_many(
        &mut self,
        state: &str,
        slots: &[u8],
        values: ColumnRef<'_>,
    ) -> Result<(), StateError> {
        let (state, values) = (self.declared(state, StateKind::List)?, owned(values));
        for index in 0..slots.len() / 4 {
            let position = self.next_position.to_be_bytes();
            self.next_position += 1;
            let address = self.address(state, slots, index, &position)?;
            self.overlay.insert(address, values.get(index).map(<[u8]>::to_vec));
        }
        Ok(())
    }

    fn list_scan(
        &mut self,
        state: &str,
        slots: &[u8],
        _starts: ColumnRef<'_>,
        limit: u32,
    ) -> Result<Page, StateError> {
        assert_eq!(limit, 0, "the guests of these tests ask without a limit");
        self.scan(self.declared(state, StateKind::List)?, slots)
    }

    fn list_clear_many(&mut self, state: &str, slots: &[u8]) -> Result<(), StateError> {
        self.clear(self.declared(state, StateKind::List)?, slots)
    }

    fn timer_register_many(&mut self, timer: &str, slots: &[u8], times: &[u8]) -> Result<(), StateError> {
        self.write_timers(self.declared_timer(timer)?, slots, times, true)
    }

    fn timer_delete_many(&mut self, timer: &str, slots: &[u8], times: &[u8]) -> Result<(), StateError> {
        self.write_timers(self.declared_timer(timer)?, slots, times, false)
    }

    fn next_due(&mut self, _timer: usize) -> Result<Option<i64>, ConnectorError> {
        unreachable!("the task asks this, and there is none here")
    }

    fn due(&mut self, _timer: usize, _until_ms: i64, _rows_max: usize) -> Result<Batch, ConnectorError> {
        unreachable!("the task asks this, and there is none here")
    }

    fn drop_due(&mut self, _rows: &[usize]) -> Result<(), ConnectorError> {
        unreachable!("the task asks this, and there is none here")
    }

    fn freeze(&mut self, _epoch: Epoch) -> Result<Box<dyn FrozenState>, ConnectorError> {
        unreachable!("the task asks this, and there is none here")
    }

    fn usage(&self) -> StateUsage {
        StateUsage::default()
    }
}
