//! The running call: its keys by slot, and its time.

use weir_protocol::batch::Column;
use weir_protocol::slots::Slots;

/// What a call addresses. The columns are copied in one piece, because the batch lives shorter than the call's imports
/// can know.
#[derive(Debug, Default)]
pub(crate) struct Call {
    keys: Column,
    hashes: Vec<u32>,
    first_rows: Vec<u32>,
    /// Processing time of the call in milliseconds.
    pub(crate) now_ms: i64,
}

impl Call {
    /// A call begins.
    pub(crate) fn begin(&mut self, keys: &Column, slots: &Slots, now_ms: i64) {
        self.keys.offsets.clone_from(&keys.offsets);
        self.keys.data.clone_from(&keys.data);
        self.keys.nulls.clone_from(&keys.nulls);
        self.hashes.clone_from(&slots.hashes);
        self.first_rows.clone_from(&slots.first_rows);
        self.now_ms = now_ms;
    }

    /// No slot is valid until the next call begins.
    pub(crate) fn end(&mut self) {
        self.hashes.clear();
        self.first_rows.clear();
    }

    /// Number of slots.
    #[inline]
    pub(crate) fn slots(&self) -> usize {
        self.hashes.len()
    }

    /// The hash of a slot's key.
    #[inline]
    pub(crate) fn hash(&self, slot: u32) -> u32 {
        self.hashes[slot as usize]
    }

    /// A slot's key, `None` = the null key.
    #[inline]
    pub(crate) fn key(&self, slot: u32) -> Option<&[u8]> {
        self.keys.get(self.first_rows[slot as usize] as usize)
    }
}
