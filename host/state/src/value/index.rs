//! From the hash of a key to the cached entries with that hash.
//!
//! Open addressing with linear probing. A bucket holds the hash beside the number of the entry, so a probe touches one
//! cache line, removal and growth touch no entry, and only the comparison of keys does. Many small tables instead of one
//! large: growing one is a short pause.

use crate::large_slice::LargeSlice;
use crate::prefetch::prefetch;

/// Tables; a power of two.
const SHARDS: usize = 64;
/// Buckets of a table at first; a power of two.
const BUCKETS_AT_FIRST: usize = 16;

/// One table. A bucket is the hash in the upper half and the entry's number plus one in the lower; 0 = empty.
#[derive(Debug)]
struct Shard {
    buckets: LargeSlice<u64>,
    used: usize,
}

/// The index of one cache.
#[derive(Debug)]
pub(crate) struct ValueIndex {
    shards: Vec<Shard>,
}

/// Spreads the hash: keys of one subtask have hashes with a common remainder.
#[inline]
fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[inline]
fn shard_of(spread: u64) -> usize {
    (spread >> 56) as usize % SHARDS
}

#[inline]
fn home_of(spread: u64, mask: usize) -> usize {
    (spread >> 24) as usize & mask
}

impl ValueIndex {
    pub(crate) fn new() -> ValueIndex {
        let shard = || Shard { buckets: LargeSlice::new(BUCKETS_AT_FIRST), used: 0 };
        ValueIndex { shards: (0..SHARDS).map(|_| shard()).collect() }
    }

    /// Asks for the bucket in which a search for this hash will begin.
    #[inline]
    pub(crate) fn prefetch(&self, hash: u32) {
        let spread = spread(hash);
        let shard = &self.shards[shard_of(spread)];
        prefetch(&raw const shard.buckets[home_of(spread, shard.buckets.len() - 1)]);
    }

    /// The first entry with this hash that `is_it` accepts.
    #[inline]
    pub(crate) fn find(&self, hash: u32, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let spread = spread(hash);
        let shard = &self.shards[shard_of(spread)];
        let mask = shard.buckets.len() - 1;
        let mut at = home_of(spread, mask);
        loop {
            let bucket = shard.buckets[at];
            if bucket == 0 {
                return None;
            }
            if (bucket >> 32) as u32 == hash {
                let entry = bucket as u32 - 1;
                if is_it(entry) {
                    return Some(entry);
                }
            }
            at = (at + 1) & mask;
        }
    }

    /// Adds an entry, which is not in it yet.
    pub(crate) fn insert(&mut self, hash: u32, entry: u32) {
        let spread = spread(hash);
        let shard = &mut self.shards[shard_of(spread)];
        if (shard.used + 1) * 4 > shard.buckets.len() * 3 {
            shard.grow();
        }
        shard.place(spread, u64::from(hash) << 32 | u64::from(entry + 1));
        shard.used += 1;
    }

    /// Takes out an entry, which is in it.
    pub(crate) fn remove(&mut self, hash: u32, entry: u32) {
        let spread = spread(hash);
        let shard = &mut self.shards[shard_of(spread)];
        let mask = shard.buckets.len() - 1;
        let wanted = u64::from(hash) << 32 | u64::from(entry + 1);
        let mut hole = home_of(spread, mask);
        while shard.buckets[hole] != wanted {
            assert!(shard.buckets[hole] != 0, "an entry of the cache is in its index");
            hole = (hole + 1) & mask;
        }
        // Whoever was pushed along by the removed one moves back, so that no search stops at the hole.
        let mut at = hole;
        loop {
            at = (at + 1) & mask;
            let bucket = shard.buckets[at];
            if bucket == 0 {
                break;
            }
            let home = home_of(self::spread((bucket >> 32) as u32), mask);
            if at.wrapping_sub(home) & mask >= at.wrapping_sub(hole) & mask {
                shard.buckets[hole] = bucket;
                hole = at;
            }
        }
        shard.buckets[hole] = 0;
        shard.used -= 1;
    }
}

impl Shard {
    fn place(&mut self, spread: u64, bucket: u64) {
        let mask = self.buckets.len() - 1;
        let mut at = home_of(spread, mask);
        while self.buckets[at] != 0 {
            at = (at + 1) & mask;
        }
        self.buckets[at] = bucket;
    }

    fn grow(&mut self) {
        let doubled = LargeSlice::new(self.buckets.len() * 2);
        let old = std::mem::replace(&mut self.buckets, doubled);
        for bucket in old.iter().copied().filter(|bucket| *bucket != 0) {
            self.place(spread((bucket >> 32) as u32), bucket);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn the_index_finds_what_is_in_it_and_nothing_else(
            // Few hashes, so that entries collide and chains are removed from in the middle.
            steps in prop::collection::vec((0u32..40, 0u32..60), 1..400)
        ) {
            let mut index = ValueIndex::new();
            let mut model: BTreeMap<u32, u32> = BTreeMap::new();
            for (hash, entry) in steps {
                match model.remove(&entry) {
                    Some(known) => index.remove(known, entry),
                    None => {
                        index.insert(hash, entry);
                        model.insert(entry, hash);
                    }
                }
                for entry in 0..60 {
                    for hash in model.get(&entry).copied().into_iter().chain([hash]) {
                        let found = index.find(hash, |candidate| candidate == entry).is_some();
                        prop_assert_eq!(found, model.get(&entry) == Some(&hash));
                    }
                }
            }
        }
    }
}
