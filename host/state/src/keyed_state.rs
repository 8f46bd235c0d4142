//! The state and the timers of one operator on one subtask: who is asked for what, and the life of a call.

use crate::arguments::misuse;
use crate::call::Call;
use crate::database::Database;
use crate::freeze_gate::FreezeGate;
use crate::memory_share::MemoryShare;
use crate::snapshot::{Frozen, Snapshot};
use crate::store::list::ListStore;
use crate::store::map::MapStore;
use crate::store::timer::TimerStore;
use crate::store::value::ValueStore;
use crate::store::{Store, StoreError};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use weir_protocol::batch::{Batch, Column};
use weir_protocol::connector::ConnectorError;
use weir_protocol::epoch::Epoch;
use weir_protocol::key_group::KeyGroups;
use weir_protocol::slots::Slots;
use weir_protocol::state::{ColumnRef, FrozenState, KeyedState, Page, StateError, StateUsage};

/// Stores of one kind, by declared name.
pub(crate) type Named<S> = Vec<(String, S)>;

/// The stores of a subtask, by kind.
#[derive(Default)]
pub(crate) struct Stores {
    pub(crate) values: Named<ValueStore>,
    pub(crate) maps: Named<MapStore>,
    pub(crate) lists: Named<ListStore>,
    /// In the order in which they are declared.
    pub(crate) timers: Named<TimerStore>,
}

impl Stores {
    fn all(&self) -> impl Iterator<Item = &dyn Store> {
        let values = self.values.iter().map(|(_, store)| store as &dyn Store);
        let maps = self.maps.iter().map(|(_, store)| store as &dyn Store);
        let lists = self.lists.iter().map(|(_, store)| store as &dyn Store);
        let timers = self.timers.iter().map(|(_, store)| store as &dyn Store);
        values.chain(maps).chain(lists).chain(timers)
    }

    fn all_mut(&mut self) -> impl Iterator<Item = &mut dyn Store> {
        let values = self.values.iter_mut().map(|(_, store)| store as &mut dyn Store);
        let maps = self.maps.iter_mut().map(|(_, store)| store as &mut dyn Store);
        let lists = self.lists.iter_mut().map(|(_, store)| store as &mut dyn Store);
        let timers = self.timers.iter_mut().map(|(_, store)| store as &mut dyn Store);
        values.chain(maps).chain(lists).chain(timers)
    }
}

/// The store with a declared name.
fn named<'a, S>(stores: &'a mut Named<S>, function: &str, name: &str) -> Result<&'a mut S, StateError> {
    match stores.iter().position(|(declared, _)| declared == name) {
        Some(index) => Ok(&mut stores[index].1),
        None => {
            let declared: Vec<&str> = stores.iter().map(|(declared, _)| declared.as_str()).collect();
            let declared = if declared.is_empty() { "there is none".to_owned() } else { declared.join(", ") };
            Err(misuse(function, format!("found the name \"{name}\", expected a declared one: {declared}")))
        }
    }
}

/// State in RocksDB behind caches and layers.
pub(crate) struct RocksState {
    pub(crate) database: Arc<Database>,
    pub(crate) groups: KeyGroups,
    pub(crate) stores: Stores,
    pub(crate) next_list_position: u64,
    pub(crate) writes_bytes_max: usize,
    pub(crate) reads_bytes_max: usize,
    pub(crate) memory: MemoryShare,
    call: Call,
    gate: Arc<FreezeGate>,
    /// The frozen set that the stores still hold, and whether the database has it.
    frozen: Option<Arc<AtomicBool>>,
    /// The failure that the running call met.
    failure: Option<ConnectorError>,
    /// The timer that was asked for what is due last.
    last_due: usize,
}

impl RocksState {
    pub(crate) fn new(
        database: Arc<Database>,
        groups: KeyGroups,
        stores: Stores,
        next_list_position: u64,
        (writes_bytes_max, reads_bytes_max): (usize, usize),
        memory: MemoryShare,
    ) -> RocksState {
        RocksState {
            database,
            groups,
            stores,
            next_list_position,
            writes_bytes_max,
            reads_bytes_max,
            memory,
            call: Call::default(),
            gate: Arc::new(FreezeGate::new()),
            frozen: None,
            failure: None,
            last_due: 0,
        }
    }

    /// Asks a store. A failure of the database is kept for the end of the call, and nothing is asked after it.
    fn ask<T>(
        &mut self,
        question: impl FnOnce(&mut Stores, &Call, &mut u64) -> Result<T, StoreError>,
    ) -> Result<T, StateError> {
        if let Some(failure) = &self.failure {
            return Err(StateError::Broken(failure.message.clone()));
        }
        question(&mut self.stores, &self.call, &mut self.next_list_position).map_err(|error| match error {
            StoreError::Misuse(misuse) => misuse,
            StoreError::Failed(failure) => {
                let broken = StateError::Broken(failure.message.clone());
                self.failure = Some(failure);
                broken
            }
        })
    }

    /// The same for a question that writes: it may take the call over its limit.
    fn ask_to_write(
        &mut self,
        question: impl FnOnce(&mut Stores, &Call, &mut u64) -> Result<(), StoreError>,
    ) -> Result<(), StateError> {
        self.ask(question)?;
        let written: usize = self.stores.all().map(Store::overlay_bytes).sum();
        if written <= self.writes_bytes_max {
            return Ok(());
        }
        Err(StateError::Misuse(format!(
            "the call has written {written} bytes of state, expected at most {} (limits.state_writes)",
            self.writes_bytes_max
        )))
    }

    /// Lets go of a frozen set that the database has by now.
    fn let_go_of_written(&mut self) {
        if self.frozen.as_ref().is_some_and(|written| written.load(Ordering::Acquire)) {
            self.frozen = None;
            self.stores.all_mut().for_each(Store::written);
        }
    }

    fn share_of_a_store(&self) -> usize {
        self.memory.bytes() / self.stores.all().count().max(1)
    }

    /// Between calls: keeps memory within its share. What cannot be given up is written to the database early.
    fn keep_within_memory(&mut self) -> Result<(), ConnectorError> {
        let share = self.share_of_a_store();
        self.stores.all_mut().for_each(|store| store.shrink(share));
        // Half for the running epoch, half for the frozen one.
        if self.stores.all().all(|store| store.dirty_bytes() <= share / 2) {
            return Ok(());
        }
        self.gate.wait()?;
        self.let_go_of_written();
        let mut frozen = Frozen::default();
        let over = self.stores.all_mut().filter(|store| store.dirty_bytes() > share / 2);
        over.for_each(|store| store.freeze(&mut frozen));
        frozen.write(&self.groups)?;
        self.stores.all_mut().for_each(Store::written);
        self.stores.all_mut().for_each(|store| store.shrink(share));
        Ok(())
    }
}

impl KeyedState for RocksState {
    fn begin_call(&mut self, keys: &Column, slots: &Slots, now_ms: i64) {
        self.let_go_of_written();
        self.call.begin(keys, slots, now_ms);
        let call = &self.call;
        self.stores.all_mut().for_each(|store| store.begin(call));
    }

    fn commit_call(&mut self) -> Result<(), ConnectorError> {
        if let Some(failure) = self.failure.take() {
            self.stores.all_mut().for_each(Store::discard);
            self.call.end();
            return Err(failure);
        }
        let call = &self.call;
        self.stores.all_mut().for_each(|store| store.commit(call));
        self.call.end();
        self.keep_within_memory()
    }

    fn discard_call(&mut self) -> Result<(), ConnectorError> {
        self.stores.all_mut().for_each(Store::discard);
        self.call.end();
        // What it read stays cached.
        let share = self.share_of_a_store();
        self.stores.all_mut().for_each(|store| store.shrink(share));
        self.failure.take().map_or(Ok(()), Err)
    }

    fn value_get_many(&mut self, state: &str, slots: &[u8]) -> Result<Column, StateError> {
        let most = self.reads_bytes_max;
        self.ask(|stores, call, _| {
            named(&mut stores.values, "value-state.get-many", state)?.get_many(call, slots, most)
        })
    }

    fn value_put_many(&mut self, state: &str, slots: &[u8], values: ColumnRef<'_>) -> Result<(), StateError> {
        self.ask_to_write(|stores, call, _| {
            named(&mut stores.values, "value-state.put-many", state)?.put_many(call, slots, values)
        })
    }

    fn map_get_many(
        &mut self,
        state: &str,
        slots: &[u8],
        subkeys: ColumnRef<'_>,
    ) -> Result<Column, StateError> {
        let most = self.reads_bytes_max;
        self.ask(|stores, call, _| {
            named(&mut stores.maps, "map-state.get-many", state)?.get_many(call, slots, subkeys, most)
        })
    }

    fn map_put_many(
        &mut self,
        state: &str,
        slots: &[u8],
        subkeys: ColumnRef<'_>,
        values: ColumnRef<'_>,
    ) -> Result<(), StateError> {
        self.ask_to_write(|stores, call, _| {
            named(&mut stores.maps, "map-state.put-many", state)?.put_many(call, slots, subkeys, values)
        })
    }

    fn map_scan(
        &mut self,
        state: &str,
        slots: &[u8],
        starts: ColumnRef<'_>,
        ends: ColumnRef<'_>,
        limit: u32,
    ) -> Result<Page, StateError> {
        self.ask(|stores, call, _| {
            named(&mut stores.maps, "map-state.scan", state)?.scan(call, slots, starts, ends, limit)
        })
    }

    fn map_clear_many(&mut self, state: &str, slots: &[u8]) -> Result<(), StateError> {
        self.ask_to_write(|stores, call, _| {
            named(&mut stores.maps, "map-state.clear-many", state)?.clear_many(call, slots)
        })
    }

    fn list_append_many(
        &mut self,
        state: &str,
        slots: &[u8],
        values: ColumnRef<'_>,
    ) -> Result<(), StateError> {
        self.ask_to_write(|stores, call, position| {
            named(&mut stores.lists, "list-state.append-many", state)?
                .append_many(call, slots, values, position)
        })
    }

    fn list_scan(
        &mut self,
        state: &str,
        slots: &[u8],
        starts: ColumnRef<'_>,
        limit: u32,
    ) -> Result<Page, StateError> {
        self.ask(|stores, call, _| {
            named(&mut stores.lists, "list-state.scan", state)?.scan(call, slots, starts, limit)
        })
    }

    fn list_clear_many(&mut self, state: &str, slots: &[u8]) -> Result<(), StateError> {
        self.ask_to_write(|stores, call, _| {
            named(&mut stores.lists, "list-state.clear-many", state)?.clear_many(call, slots)
        })
    }

    fn timer_register_many(&mut self, timer: &str, slots: &[u8], times: &[u8]) -> Result<(), StateError> {
        self.ask_to_write(|stores, call, _| {
            named(&mut stores.timers, "timers.register-many", timer)?.register_many(call, slots, times)
        })
    }

    fn timer_delete_many(&mut self, timer: &str, slots: &[u8], times: &[u8]) -> Result<(), StateError> {
        self.ask_to_write(|stores, call, _| {
            named(&mut stores.timers, "timers.delete-many", timer)?.delete_many(call, slots, times)
        })
    }

    fn next_due(&mut self, timer: usize) -> Result<Option<i64>, ConnectorError> {
        self.stores.timers[timer].1.next_due()
    }

    fn due(&mut self, timer: usize, until_ms: i64, rows_max: usize) -> Result<Batch, ConnectorError> {
        // Only what was told last fires with the next call.
        self.stores.timers.iter_mut().for_each(|(_, store)| store.discard());
        self.last_due = timer;
        self.stores.timers[timer].1.due(until_ms, rows_max)
    }

    fn drop_due(&mut self, rows: &[usize]) -> Result<(), ConnectorError> {
        self.stores.timers[self.last_due].1.drop_due(rows);
        Ok(())
    }

    fn freeze(&mut self, _: Epoch) -> Result<Box<dyn FrozenState>, ConnectorError> {
        self.let_go_of_written();
        self.gate.freeze()?;
        let mut frozen = Frozen::default();
        self.stores.all_mut().for_each(|store| store.freeze(&mut frozen));
        let written = Arc::new(AtomicBool::new(false));
        self.frozen = Some(written.clone());
        Ok(Box::new(Snapshot {
            database: self.database.clone(),
            groups: self.groups,
            frozen,
            next_list_position: self.next_list_position,
            gate: self.gate.clone(),
            written,
            persisted: false,
        }))
    }

    fn usage(&self) -> StateUsage {
        let reads = self.stores.values.iter().map(|(_, store)| store.reads());
        let (hits, misses) = reads.fold((0, 0), |sum, reads| (sum.0 + reads.hits, sum.1 + reads.misses));
        StateUsage {
            cache_bytes: self.stores.all().map(Store::memory_bytes).sum(),
            cache_hits: hits,
            cache_misses: misses,
            dirty_entries: self.stores.all().map(Store::dirty_entries).sum(),
        }
    }
}
