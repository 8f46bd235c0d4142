//! A keyed state of one value state `count` and two timers, in memory; what a test looks at is shared with it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};
use weir_protocol::batch::{Batch, Column, read_i64, read_u32};
use weir_protocol::connector::ConnectorError;
use weir_protocol::epoch::Epoch;
use weir_protocol::slots::Slots;
use weir_protocol::state::*;

pub type Key = Option<Vec<u8>>;

/// What is part of the state.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Contents {
    pub counts: BTreeMap<Key, Vec<u8>>,
    /// Time, key.
    pub timers: [BTreeSet<(i64, Key)>; 2],
}

/// What is part of the state, for the test to look at.
pub type Shared = Arc<Mutex<Contents>>;

pub struct CountState {
    shared: Shared,
    /// The state as the call that was begun sees it.
    overlay: Contents,
    keys: Vec<Key>,
    /// The timers that `due` has handed out.
    due: Vec<(usize, i64, Key)>,
    /// The call that begins next is the one of those.
    told: bool,
    /// A call that was begun has neither happened nor failed.
    in_call: bool,
}

impl CountState {
    pub fn new(shared: Shared) -> CountState {
        CountState {
            shared,
            overlay: Contents::default(),
            keys: vec![],
            due: vec![],
            told: false,
            in_call: false,
        }
    }

    fn keys_of(&self, slots: &[u8]) -> Vec<Key> {
        (0..slots.len() / 4).map(|index| self.keys[read_u32(slots, index) as usize].clone()).collect()
    }
}

fn timer_index(timer: &str) -> usize {
    ["early", "other"].iter().position(|name| *name == timer).expect("a declared timer")
}

fn missing<T>(what: &str) -> Result<T, StateError> {
    Err(StateError::Misuse(format!("{what} is not declared")))
}

impl KeyedState for CountState {
    fn begin_call(&mut self, keys: &Column, slots: &Slots, _: i64) {
        assert!(!self.in_call, "S1: a call begins while another has not ended");
        self.in_call = true;
        self.overlay = self.shared.lock().unwrap().clone();
        let fires = std::mem::take(&mut self.told);
        for (timer, time, key) in self.due.iter().filter(|_| fires) {
            assert!(self.overlay.timers[*timer].remove(&(*time, key.clone())), "a timer that fires is set");
        }
        self.keys = slots.first_rows.iter().map(|row| keys.get(*row as usize).map(<[u8]>::to_vec)).collect();
    }

    fn commit_call(&mut self) -> Result<(), ConnectorError> {
        assert!(std::mem::take(&mut self.in_call), "S1: no call was begun");
        *self.shared.lock().unwrap() = std::mem::take(&mut self.overlay);
        self.due.clear();
        Ok(())
    }

    fn discard_call(&mut self) -> Result<(), ConnectorError> {
        assert!(std::mem::take(&mut self.in_call), "S1: no call was begun");
        self.overlay = Contents::default();
        Ok(())
    }

    fn value_get_many(&mut self, _: &str, slots: &[u8]) -> Result<Column, StateError> {
        let mut values = Column::default();
        for key in self.keys_of(slots) {
            values.push(self.overlay.counts.get(&key).map(Vec::as_slice));
        }
        Ok(values)
    }

    fn value_put_many(&mut self, _: &str, slots: &[u8], values: ColumnRef<'_>) -> Result<(), StateError> {
        let values = Column {
            offsets: values.offsets.to_vec(),
            data: values.data.to_vec(),
            nulls: values.nulls.to_vec(),
        };
        for (index, key) in self.keys_of(slots).into_iter().enumerate() {
            self.overlay.counts.insert(key, values.bytes(index).to_vec());
        }
        Ok(())
    }

    fn map_get_many(&mut self, state: &str, _: &[u8], _: ColumnRef<'_>) -> Result<Column, StateError> {
        missing(state)
    }

    fn map_put_many(
        &mut self,
        state: &str,
        _: &[u8],
        _: ColumnRef<'_>,
        _: ColumnRef<'_>,
    ) -> Result<(), StateError> {
        missing(state)
    }

    fn map_scan(
        &mut self,
        state: &str,
        _: &[u8],
        _: ColumnRef<'_>,
        _: ColumnRef<'_>,
        _: u32,
    ) -> Result<Page, StateError> {
        missing(state)
    }

    fn map_clear_many(&mut self, state: &str, _: &[u8]) -> Result<(), StateError> {
        missing(state)
    }

    fn list_append_many(&mut self, state: &str, _: &[u8], _: ColumnRef<'_>) -> Result<(), StateError> {
        missing(state)
    }

    fn list_scan(&mut self, state: &str, _: &[u8], _: ColumnRef<'_>, _: u32) -> Result<Page, StateError> {
        missing(state)
    }

    fn list_clear_many(&mut self, state: &str, _: &[u8]) -> Result<(), StateError> {
        missing(state)
    }

    fn timer_register_many(&mut self, timer: &str, slots: &[u8], times: &[u8]) -> Result<(), StateError> {
        for (index, key) in self.keys_of(slots).into_iter().enumerate() {
            self.overlay.timers[timer_index(timer)].insert((read_i64(times, index), key));
        }
        Ok(())
    }

    fn timer_delete_many(&mut self, timer: &str, slots: &[u8], times: &[u8]) -> Result<(), StateError> {
        for (index, key) in self.keys_of(slots).into_iter().enumerate() {
            self.overlay.timers[timer_index(timer)].remove(&(read_i64(times, index), key));
        }
        Ok(())
    }

    fn next_due(&mut self, timer: usize) -> Result<Option<i64>, ConnectorError> {
        Ok(self.shared.lock().unwrap().timers[timer].first().map(|(time, _)| *time))
    }

    fn due(&mut self, timer: usize, until_ms: i64, rows_max: usize) -> Result<Batch, ConnectorError> {
        let contents = self.shared.lock().unwrap();
        let due = contents.timers[timer].iter().take_while(|(time, _)| *time <= until_ms).take(rows_max);
        self.due = due.map(|(time, key)| (timer, *time, key.clone())).collect();
        self.told = true;
        let mut batch = Batch { rows: self.due.len(), ..Batch::default() };
        for (_, time, key) in &self.due {
            batch.timestamps.extend_from_slice(&time.to_le_bytes());
            batch.keys.push(key.as_deref());
        }
        Ok(batch)
    }

    fn drop_due(&mut self, rows: &[usize]) -> Result<(), ConnectorError> {
        let mut contents = self.shared.lock().unwrap();
        for row in rows {
            let (timer, time, key) = self.due[*row].clone();
            assert!(contents.timers[timer].remove(&(time, key)), "a timer that is dropped is set");
        }
        self.due.clear();
        Ok(())
    }

    fn freeze(&mut self, _: Epoch) -> Result<Box<dyn FrozenState>, ConnectorError> {
        struct Nothing;
        impl FrozenState for Nothing {
            fn persist(&mut self, _: &Path) -> Result<PersistedState, ConnectorError> {
                Ok(PersistedState::default())
            }
        }
        Ok(Box::new(Nothing))
    }

    fn usage(&self) -> StateUsage {
        StateUsage::default()
    }
}
