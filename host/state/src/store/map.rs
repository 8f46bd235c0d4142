//! A declared map state.

use super::{Store, StoreError, failed};
use crate::arguments::{
    check_answer, check_column, check_no_nulls, check_optional_column, check_slots, entry,
};
use crate::call::Call;
use crate::database::Family;
use crate::key_layout::push_map_prefix;
use crate::ordered::{FrozenLayer, MapState, ScanRange};
use crate::snapshot::Frozen;
use std::sync::Arc;
use weir_protocol::batch::{Column, read_u32};
use weir_protocol::key_group::KeyGroups;
use weir_protocol::state::{ColumnRef, Page};

/// Entries that are read at once; between two such reads the length of the answer is looked at.
const READ_AT_ONCE: usize = 1024;

/// Its layers over its column family.
pub(crate) struct MapStore {
    family: Family,
    state: MapState,
    groups: KeyGroups,
    frozen: Option<Arc<FrozenLayer>>,
}

impl MapStore {
    pub(crate) fn new(family: Family, ttl_ms: i64, groups: KeyGroups, page_bytes_max: usize) -> MapStore {
        let state = MapState::new(Box::new(family.clone()), ttl_ms, page_bytes_max);
        MapStore { family, state, groups, frozen: None }
    }

    /// `map-state.get-many`.
    pub(crate) fn get_many(
        &mut self,
        call: &Call,
        slots: &[u8],
        subkeys: ColumnRef<'_>,
        bytes_max: usize,
    ) -> Result<Column, StoreError> {
        let function = "map-state.get-many";
        let keys = self.keys(function, call, slots, subkeys)?;
        let mut parts = keys.chunks(READ_AT_ONCE);
        let read = |keys: &[Vec<u8>]| self.state.get_many(keys).map_err(|line| failed(&self.family, line));
        let mut values = read(parts.next().unwrap_or_default())?;
        for part in parts {
            check_answer(function, values.data.len(), bytes_max)?;
            values.append(&read(part)?);
        }
        check_answer(function, values.data.len(), bytes_max)?;
        Ok(values)
    }

    /// `map-state.put-many`.
    pub(crate) fn put_many(
        &mut self,
        call: &Call,
        slots: &[u8],
        subkeys: ColumnRef<'_>,
        values: ColumnRef<'_>,
    ) -> Result<(), StoreError> {
        let function = "map-state.put-many";
        let keys = self.keys(function, call, slots, subkeys)?;
        check_column(function, "values", values, keys.len())?;
        for (row, key) in keys.into_iter().enumerate() {
            self.state.put(key, entry(values, row));
        }
        Ok(())
    }

    /// `map-state.scan`.
    pub(crate) fn scan(
        &mut self,
        call: &Call,
        slots: &[u8],
        starts: ColumnRef<'_>,
        ends: ColumnRef<'_>,
        limit: u32,
    ) -> Result<Page, StoreError> {
        let function = "map-state.scan";
        let rows = check_slots(function, slots, call.slots())?;
        check_optional_column(function, "starts", starts, rows)?;
        check_optional_column(function, "ends", ends, rows)?;
        let prefixes = prefixes(call, &self.groups, slots);
        let ranges: Vec<ScanRange<'_>> = (prefixes.iter().enumerate())
            .map(|(row, prefix)| ScanRange { prefix, start: entry(starts, row), end: entry(ends, row) })
            .collect();
        Ok(self.state.scan(&ranges, limit).map_err(|line| failed(&self.family, line))?)
    }

    /// `map-state.clear-many`.
    pub(crate) fn clear_many(&mut self, call: &Call, slots: &[u8]) -> Result<(), StoreError> {
        check_slots("map-state.clear-many", slots, call.slots())?;
        prefixes(call, &self.groups, slots).iter().for_each(|prefix| self.state.clear(prefix));
        Ok(())
    }

    /// The keys of (slot, subkey) pairs, which are checked.
    fn keys(
        &self,
        function: &str,
        call: &Call,
        slots: &[u8],
        subkeys: ColumnRef<'_>,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        let rows = check_slots(function, slots, call.slots())?;
        check_column(function, "subkeys", subkeys, rows)?;
        check_no_nulls(function, "subkeys", subkeys)?;
        let mut keys = prefixes(call, &self.groups, slots);
        for (row, key) in keys.iter_mut().enumerate() {
            key.extend_from_slice(entry(subkeys, row).unwrap_or_default());
        }
        Ok(keys)
    }
}

/// What the entries of each of the packed slots begin with.
pub(super) fn prefixes(call: &Call, groups: &KeyGroups, slots: &[u8]) -> Vec<Vec<u8>> {
    let prefix = |row| {
        let slot = read_u32(slots, row);
        let mut prefix = Vec::new();
        push_map_prefix(groups.ordinal(call.hash(slot)), call.key(slot), &mut prefix);
        prefix
    };
    (0..slots.len() / 4).map(prefix).collect()
}

impl Store for MapStore {
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
