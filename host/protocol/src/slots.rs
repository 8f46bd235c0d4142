//! Slots: the distinct keys of a batch, numbered in order of first appearance.
//!
//! State and timers of a call are addressed by slot. Each key is hashed once, with the hash that its key group needs;
//! the same hash finds its slot and, in the state, its cached value.

use crate::batch::Column;
use crate::key_group::murmur2;

/// The slots of one batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Slots {
    /// `u32` per row, little-endian: the row's slot.
    pub rows: Vec<u8>,
    /// Per slot: the hash of its key.
    pub hashes: Vec<u32>,
    /// Per slot: the first row with its key.
    pub first_rows: Vec<u32>,
}

impl Slots {
    /// Number of slots.
    #[inline]
    pub fn count(&self) -> usize {
        self.hashes.len()
    }

    /// Forgets everything and keeps the memory.
    pub fn clear(&mut self) {
        self.rows.clear();
        self.hashes.clear();
        self.first_rows.clear();
    }
}

/// A bucket that holds nothing of the current batch.
#[derive(Debug, Clone, Copy, Default)]
struct Bucket {
    /// The batch in which it was filled.
    batch: u32,
    hash: u32,
    slot: u32,
}

/// Numbers keys. Kept from batch to batch for its memory.
#[derive(Debug, Default)]
pub struct SlotNumbering {
    buckets: Vec<Bucket>,
    batch: u32,
}

impl SlotNumbering {
    /// Numbers the distinct keys of a column; a null is a key of its own, equal to no other.
    pub fn assign(&mut self, keys: &Column, slots: &mut Slots) {
        let rows = keys.len();
        slots.clear();
        slots.rows.reserve(rows * 4);
        // At most half full, so that probes stay short.
        let wanted = (rows * 2).next_power_of_two().max(16);
        if self.buckets.len() < wanted {
            self.buckets = vec![Bucket::default(); wanted];
            self.batch = 0;
        }
        if self.batch == u32::MAX {
            self.buckets.fill(Bucket::default());
            self.batch = 0;
        }
        self.batch += 1;
        let mask = self.buckets.len() - 1;
        for row in 0..rows {
            let (key, null) = (keys.bytes(row), keys.is_null(row));
            let hash = murmur2(key);
            // The group takes the hash modulo a number; the multiplication keeps keys of one group apart.
            let mut at = (u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize & mask;
            let slot = loop {
                let bucket = self.buckets[at];
                if bucket.batch != self.batch {
                    let slot = slots.hashes.len() as u32;
                    self.buckets[at] = Bucket { batch: self.batch, hash, slot };
                    slots.hashes.push(hash);
                    slots.first_rows.push(row as u32);
                    break slot;
                }
                if bucket.hash == hash {
                    let first = slots.first_rows[bucket.slot as usize] as usize;
                    if keys.bytes(first) == key && keys.is_null(first) == null {
                        break bucket.slot;
                    }
                }
                at = (at + 1) & mask;
            };
            slots.rows.extend_from_slice(&slot.to_le_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::read_u32;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn slots_number_distinct_keys_in_order_of_first_appearance(
            batches in prop::collection::vec(prop::collection::vec(prop::option::of("[a-d]{0,3}"), 0..60), 1..5)
        ) {
            let (mut numbering, mut slots) = (SlotNumbering::default(), Slots::default());
            for batch in batches {
                let mut keys = Column::default();
                batch.iter().for_each(|key| keys.push(key.as_deref().map(str::as_bytes)));
                numbering.assign(&keys, &mut slots);
                let mut known: Vec<&Option<String>> = Vec::new();
                for (row, key) in batch.iter().enumerate() {
                    let slot = known.iter().position(|k| *k == key).unwrap_or_else(|| {
                        known.push(key);
                        known.len() - 1
                    });
                    prop_assert_eq!(read_u32(&slots.rows, row) as usize, slot);
                    prop_assert_eq!(slots.hashes[slot], murmur2(keys.bytes(row)));
                }
                prop_assert_eq!(slots.count(), known.len());
            }
        }
    }
}
