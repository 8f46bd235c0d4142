//! A declared list state.

use super::map::prefixes;
use super::{Store, StoreError, failed};
use crate::arguments::{check_column, check_no_nulls, check_optional_column, check_slots, entry};
use crate::call::Call;
use crate::database::Family;
use crate::ordered::{FrozenLayer, ListState, ScanRange};
use crate::snapshot::Frozen;
use std::sync::Arc;
use weir_protocol::key_group::KeyGroups;
use weir_protocol::state::{ColumnRef, Page};

/// Its layers over its column family.
pub(crate) struct ListStore {
    family: Family,
    state: ListState,
    groups: KeyGroups,
    frozen: Option<Arc<FrozenLayer>>,
}

impl ListStore {
    pub(crate) fn new(family: Family, ttl_ms: i64, groups: KeyGroups, page_bytes_max: usize) -> ListStore {
        let state = ListState::new(Box::new(family.clone()), ttl_ms, page_bytes_max);
        ListStore { family, state, groups, frozen: None }
    }

    /// `list-state.append-many`. `next_position` rises by one with each value, also where the call fails later.
    pub(crate) fn append_many(
        &mut self,
        call: &Call,
        slots: &[u8],
        values: ColumnRef<'_>,
        next_position: &mut u64,
    ) -> Result<(), StoreError> {
        let function = "list-state.append-many";
        let rows = check_slots(function, slots, call.slots())?;
        check_column(function, "values", values, rows)?;
        check_no_nulls(function, "values", values)?;
        for (row, prefix) in prefixes(call, &self.groups, slots).iter().enumerate() {
            self.state.append(prefix, *next_position, entry(values, row).unwrap_or_default());
            *next_position += 1;
        }
        Ok(())
    }

    /// `list-state.scan`.
    pub(crate) fn scan(
        &mut self,
        call: &Call,
        slots: &[u8],
        starts: ColumnRef<'_>,
        limit: u32,
    ) -> Result<Page, StoreError> {
        let function = "list-state.scan";
        let rows = check_slots(function, slots, call.slots())?;
        check_optional_column(function, "starts", starts, rows)?;
        let prefixes = prefixes(call, &self.groups, slots);
        let ranges: Vec<ScanRange<'_>> = (prefixes.iter().enumerate())
            .map(|(row, prefix)| ScanRange { prefix, start: entry(starts, row), end: None })
            .collect();
        Ok(self.state.scan(&ranges, limit).map_err(|line| failed(&self.family, line))?)
    }

    /// `list-state.clear-many`.
    pub(crate) fn clear_many(&mut self, call: &Call, slots: &[u8]) -> Result<(), StoreError> {
        check_slots("list-state.clear-many", slots, call.slots())?;
        prefixes(call, &self.groups, slots).iter().for_each(|prefix| self.state.clear(prefix));
        Ok(())
    }
}

impl Store for ListStore {
    fn begin(&mut self, call: &Call) {
        self.state.begin(call.now_ms);
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
