//! A declared timer.

use super::{Store, StoreError, failed};
use crate::arguments::{check_slots, check_times};
use crate::call::Call;
use crate::database::Family;
use crate::ordered::{FrozenLayer, TimerSet};
use crate::snapshot::Frozen;
use std::sync::Arc;
use weir_protocol::batch::{Batch, read_i64, read_u32};
use weir_protocol::connector::ConnectorError;

/// Its set over its column family.
pub(crate) struct TimerStore {
    family: Family,
    state: TimerSet,
    frozen: Option<Arc<FrozenLayer>>,
}

impl TimerStore {
    pub(crate) fn new(family: Family) -> TimerStore {
        TimerStore { state: TimerSet::new(Box::new(family.clone())), family, frozen: None }
    }

    /// `timers.register-many`.
    pub(crate) fn register_many(
        &mut self,
        call: &Call,
        slots: &[u8],
        times: &[u8],
    ) -> Result<(), StoreError> {
        let rows = check_slots("timers.register-many", slots, call.slots())?;
        check_times("timers.register-many", times, rows)?;
        (0..rows).for_each(|row| self.state.register(read_i64(times, row), call.key(read_u32(slots, row))));
        Ok(())
    }

    /// `timers.delete-many`.
    pub(crate) fn delete_many(&mut self, call: &Call, slots: &[u8], times: &[u8]) -> Result<(), StoreError> {
        let rows = check_slots("timers.delete-many", slots, call.slots())?;
        check_times("timers.delete-many", times, rows)?;
        (0..rows).for_each(|row| self.state.delete(read_i64(times, row), call.key(read_u32(slots, row))));
        Ok(())
    }

    /// The time of the earliest timer.
    pub(crate) fn next_due(&mut self) -> Result<Option<i64>, ConnectorError> {
        self.state.next_due().map_err(|line| failed(&self.family, line))
    }

    /// Timers that are due, as a batch of keys and timestamps.
    pub(crate) fn due(&mut self, until_ms: i64, rows_max: usize) -> Result<Batch, ConnectorError> {
        let due = self.state.due(until_ms, rows_max).map_err(|line| failed(&self.family, line))?;
        let mut batch = Batch { rows: due.len(), ..Batch::default() };
        for timer in due {
            batch.timestamps.extend_from_slice(&timer.time_ms().to_le_bytes());
            batch.keys.push(timer.key());
        }
        Ok(batch)
    }

    /// Gives up timers that the last `due` told.
    pub(crate) fn drop_due(&mut self, rows: &[usize]) {
        self.state.drop_due(rows);
    }
}

impl Store for TimerStore {
    fn begin(&mut self, _: &Call) {
        self.state.begin();
    }

    fn commit(&mut self, _: &Call) {
        self.state.commit();
    }

    fn discard(&mut self) {
        self.state.discard();
    }

    fn overlay_bytes(&self) -> usize {
        self.state.overlay_bytes()
    }

    fn freeze(&mut self, into: &mut Frozen) {
        let layer = self.state.freeze();
        into.layers.push((self.family.clone(), layer.clone()));
        self.frozen = Some(layer);
    }

    fn written(&mut self) {
        if let Some(layer) = self.frozen.take() {
            self.state.persisted(&layer);
        }
    }

    fn shrink(&mut self, _: usize) {
        // All that is held is dirty or frozen.
    }

    fn dirty_bytes(&self) -> usize {
        self.state.dirty_bytes()
    }

    fn dirty_entries(&self) -> usize {
        self.state.dirty_entries()
    }

    fn memory_bytes(&self) -> usize {
        self.state.memory_bytes()
    }
}
