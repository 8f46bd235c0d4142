//! A declared value state.

use super::{Store, StoreError};
use crate::arguments::{check_column, check_slots};
use crate::call::Call;
use crate::database::Family;
use crate::snapshot::Frozen;
use crate::value::cache::{Reads, ValueCache};
use weir_protocol::batch::Column;
use weir_protocol::key_group::KeyGroups;
use weir_protocol::state::ColumnRef;

/// Its cache over its column family.
pub(crate) struct ValueStore {
    family: Family,
    cache: ValueCache,
}

impl ValueStore {
    pub(crate) fn new(family: Family, ttl_ms: i64, groups: KeyGroups) -> ValueStore {
        ValueStore { family, cache: ValueCache::new(ttl_ms, groups) }
    }

    /// `value-state.get-many`.
    pub(crate) fn get_many(
        &mut self,
        call: &Call,
        slots: &[u8],
        bytes_max: usize,
    ) -> Result<Column, StoreError> {
        check_slots("value-state.get-many", slots, call.slots())?;
        self.cache.get_many(call, slots, &self.family, bytes_max)
    }

    /// `value-state.put-many`.
    pub(crate) fn put_many(
        &mut self,
        call: &Call,
        slots: &[u8],
        values: ColumnRef<'_>,
    ) -> Result<(), StoreError> {
        let function = "value-state.put-many";
        let rows = check_slots(function, slots, call.slots())?;
        check_column(function, "values", values, rows)?;
        self.cache.put_many(slots, values);
        Ok(())
    }

    pub(crate) fn reads(&self) -> Reads {
        self.cache.reads
    }
}

impl Store for ValueStore {
    fn begin(&mut self, call: &Call) {
        self.cache.begin(call);
    }

    fn commit(&mut self, call: &Call) {
        self.cache.commit(call);
    }

    fn discard(&mut self) {
        self.cache.discard();
    }

    fn overlay_bytes(&self) -> usize {
        self.cache.overlay_bytes()
    }

    fn freeze(&mut self, into: &mut Frozen) {
        into.values.extend(self.cache.freeze().map(|frozen| (self.family.clone(), frozen)));
    }

    fn written(&mut self) {
        // Who writes the log settles it.
    }

    fn shrink(&mut self, bytes_max: usize) {
        self.cache.shrink(bytes_max);
    }

    fn dirty_bytes(&self) -> usize {
        self.cache.dirty_bytes()
    }

    fn dirty_entries(&self) -> usize {
        self.cache.dirty_entries()
    }

    fn memory_bytes(&self) -> usize {
        self.cache.memory_bytes()
    }
}
