//! List state: a sequence of values per key that grows at the end.
//!
//! The subkey of a value is its position, 8 bytes big-endian, from one counter per operator and subtask. The counter
//! only rises, also over failed calls, so appending reads nothing.

use super::Stored;
use super::layer::FrozenLayer;
use super::layers::Layers;
use super::page::{ScanRange, read_page};
use super::stored_value::ValueCodec;
use std::sync::Arc;
use weir_protocol::state::Page;

/// One declared list state. Keys are encoded: the prefix of the record's key, then the position.
pub struct ListState {
    layers: Layers,
    codec: ValueCodec,
    page_bytes_max: usize,
}

impl ListState {
    /// A state over its column family. `ttl_ms` 0 = entries are kept for ever.
    pub fn new(stored: Box<dyn Stored>, ttl_ms: i64, page_bytes_max: usize) -> ListState {
        ListState { layers: Layers::new(stored), codec: ValueCodec { ttl_ms, now_ms: 0 }, page_bytes_max }
    }

    /// A call begins.
    pub fn begin(&mut self, now_ms: i64) {
        self.codec.now_ms = now_ms;
    }

    /// Appends a value to the sequence of a key. `position` is above all positions that were ever given.
    pub fn append(&mut self, prefix: &[u8], position: u64, value: &[u8]) {
        let key = [prefix, &position.to_be_bytes()].concat();
        self.layers.put(key, Some(self.codec.encode(value)));
    }

    /// Reads sequences in order; see [`Page`]. `limit` per range, 0 = none; a range that reached its limit is read to
    /// its end.
    pub fn scan(&self, ranges: &[ScanRange<'_>], limit: u32) -> Result<Page, String> {
        read_page(&self.layers, self.codec, ranges, limit, self.page_bytes_max)
    }

    /// Empties the sequence of a key.
    pub fn clear(&mut self, prefix: &[u8]) {
        self.layers.clear(prefix);
    }

    /// The call has happened.
    pub fn commit(&mut self) {
        self.layers.commit();
    }

    /// The call has not happened.
    pub fn discard(&mut self) {
        self.layers.discard();
    }

    /// The barrier: takes what was written since the last one. An earlier set that was not persisted is part of it.
    pub fn freeze(&mut self) -> Arc<FrozenLayer> {
        self.layers.freeze()
    }

    /// The database has this frozen layer. One that a later freeze has replaced is passed over.
    pub fn persisted(&mut self, layer: &Arc<FrozenLayer>) {
        self.layers.persisted(layer);
    }

    /// Bytes of keys and values that the running call wrote.
    pub fn overlay_bytes(&self) -> usize {
        self.layers.overlay_bytes()
    }

    /// Bytes of memory of what was written and is not frozen.
    pub fn dirty_bytes(&self) -> usize {
        self.layers.dirty_bytes()
    }

    /// Entries written and not frozen.
    pub fn dirty_entries(&self) -> usize {
        self.layers.dirty_entries()
    }

    /// Bytes of memory in all, the frozen layer included.
    pub fn memory_bytes(&self) -> usize {
        self.layers.memory_bytes()
    }
}
