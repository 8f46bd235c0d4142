//! Map state: a sorted map from subkey to value per key.

use super::Stored;
use super::layer::FrozenLayer;
use super::layers::Layers;
use super::page::{ScanRange, read_page};
use super::stored_value::ValueCodec;
use std::sync::Arc;
use weir_protocol::batch::Column;
use weir_protocol::state::Page;

/// One declared map state. Keys are encoded: the prefix of the record's key, then the subkey.
pub struct MapState {
    layers: Layers,
    codec: ValueCodec,
    page_bytes_max: usize,
}

impl MapState {
    /// A state over its column family. `ttl_ms` 0 = entries are kept for ever.
    pub fn new(stored: Box<dyn Stored>, ttl_ms: i64, page_bytes_max: usize) -> MapState {
        MapState { layers: Layers::new(stored), codec: ValueCodec { ttl_ms, now_ms: 0 }, page_bytes_max }
    }

    /// A call begins.
    pub fn begin(&mut self, now_ms: i64) {
        self.codec.now_ms = now_ms;
    }

    /// The values of encoded keys, in the order asked; null = there is none.
    pub fn get_many(&self, keys: &[Vec<u8>]) -> Result<Column, String> {
        let stored = self.layers.get_many(keys)?;
        let mut values = Column::default();
        values.reserve(stored.len(), stored.iter().flatten().map(|bytes| bytes.len()).sum());
        for entry in &stored {
            values.push(entry.as_deref().map_or(Ok(None), |bytes| self.codec.decode(bytes))?);
        }
        Ok(values)
    }

    /// Sets the value of an encoded key; `None` removes it.
    pub fn put(&mut self, key: Vec<u8>, value: Option<&[u8]>) {
        self.layers.put(key, value.map(|value| self.codec.encode(value)));
    }

    /// Reads ranges in order; see [`Page`]. `limit` per range, 0 = none; a range that reached its limit is read to its
    /// end.
    pub fn scan(&self, ranges: &[ScanRange<'_>], limit: u32) -> Result<Page, String> {
        read_page(&self.layers, self.codec, ranges, limit, self.page_bytes_max)
    }

    /// Empties the map of a key.
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
