//! Key groups: which share of the keys a key belongs to, and which subtask owns it.
//!
//! The hash is the one of Kafka's Java client (`org.apache.kafka.common.utils.Utils.murmur2`, used by its default
//! partitioner), so that a topic that was partitioned by it needs no exchange: where the number of key groups is a
//! multiple of the number of partitions, each key group belongs to one partition.
//!
//! Ownership is a range of *ordinals*. The ordinal of a group is the group itself, or, in a co-partitioned pipeline,
//! its place when the groups are put in the order of the partitions that they belong to: then a partition is a range
//! too. Ordinals are what keys on disk begin with, so a range of groups is a range of the file.

use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Key groups unless the pipeline says otherwise: 2⁷·3²·5, which the usual partition counts divide, and which fits
/// in two bytes.
pub const DEFAULT_MAX_PARALLELISM: u32 = 5760;

/// The largest number of key groups: an ordinal has two bytes on disk.
pub const MAX_PARALLELISM_LIMIT: u32 = 32_768;

/// `murmur2` with the seed of Kafka's Java client.
#[inline]
pub fn murmur2(key: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    const SEED: u32 = 0x9747_b28c;
    let mut hash = SEED ^ (key.len() as u32);
    let mut words = key.chunks_exact(4);
    for word in &mut words {
        let mut k = u32::from_le_bytes([word[0], word[1], word[2], word[3]]).wrapping_mul(M);
        k = (k ^ (k >> 24)).wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ k;
    }
    let rest = words.remainder();
    for (index, byte) in rest.iter().enumerate() {
        hash ^= u32::from(*byte) << (8 * index);
    }
    if !rest.is_empty() {
        hash = hash.wrapping_mul(M);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(M);
    hash ^ (hash >> 15)
}

/// The order of the key groups on disk and in ownership. Persisted in the manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "order")]
pub enum GroupOrder {
    /// The ordinal is the group.
    Plain,
    /// Groups are put in the order of the source partitions that they belong to.
    CoPartitioned {
        /// Number of partitions of every source topic; divides `max_parallelism`.
        partitions: u32,
    },
}

/// How keys are divided. Fixed for the life of a pipeline; it stands in the manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyGroups {
    /// Number of key groups, and of subtasks that state can be divided among.
    pub max_parallelism: u32,
    /// Their order.
    #[serde(flatten)]
    pub order: GroupOrder,
}

impl KeyGroups {
    /// Groups in their own order.
    pub fn plain(max_parallelism: u32) -> KeyGroups {
        KeyGroups { max_parallelism, order: GroupOrder::Plain }
    }

    /// True where there are groups, ordinals fit two bytes, and every partition has equally many groups.
    pub fn is_sound(&self) -> bool {
        let partitions = match self.order {
            GroupOrder::Plain => 1,
            GroupOrder::CoPartitioned { partitions } => partitions,
        };
        (1..=MAX_PARALLELISM_LIMIT).contains(&self.max_parallelism)
            && partitions > 0
            && self.max_parallelism.is_multiple_of(partitions)
    }

    /// The key group of a key's hash.
    #[inline]
    pub fn group(&self, hash: u32) -> u32 {
        (hash & 0x7fff_ffff) % self.max_parallelism
    }

    /// The ordinal of a key's hash.
    #[inline]
    pub fn ordinal(&self, hash: u32) -> u32 {
        let group = self.group(hash);
        match self.order {
            GroupOrder::Plain => group,
            GroupOrder::CoPartitioned { partitions } => {
                (group % partitions) * (self.max_parallelism / partitions) + group / partitions
            }
        }
    }

    /// The ordinals that a subtask owns. Together the subtasks own each ordinal once.
    pub fn owned(&self, subtask: usize, subtasks: usize) -> Range<u32> {
        let (subtask, subtasks) = (subtask as u64, subtasks as u64);
        match self.order {
            GroupOrder::Plain => {
                let edge = |n: u64| (n * u64::from(self.max_parallelism) / subtasks) as u32;
                edge(subtask)..edge(subtask + 1)
            }
            // Boundaries fall on partitions.
            GroupOrder::CoPartitioned { partitions } => {
                let share = self.max_parallelism / partitions;
                let edge = |n: u64| (n * u64::from(partitions) / subtasks) as u32 * share;
                edge(subtask)..edge(subtask + 1)
            }
        }
    }

    /// The subtask that owns an ordinal.
    #[inline]
    pub fn owner(&self, ordinal: u32, subtasks: usize) -> usize {
        let subtasks = subtasks as u64;
        // The inverse of `owned`: the smallest subtask whose range ends behind the unit that the ordinal lies in.
        let (unit, units) = match self.order {
            GroupOrder::Plain => (u64::from(ordinal), u64::from(self.max_parallelism)),
            GroupOrder::CoPartitioned { partitions } => {
                (u64::from(ordinal / (self.max_parallelism / partitions)), u64::from(partitions))
            }
        };
        (((unit + 1) * subtasks - 1) / units) as usize
    }
}

/// The number of key groups for a first start: the wanted number, or the nearest multiple of the partition count.
pub fn max_parallelism_for(wanted: u32, partitions: u32) -> u32 {
    if partitions == 0 || wanted.is_multiple_of(partitions) {
        return wanted;
    }
    let (below, above) = (wanted / partitions * partitions, wanted.div_ceil(partitions) * partitions);
    let nearest = if below > 0 && wanted - below <= above - wanted { below } else { above };
    if nearest > MAX_PARALLELISM_LIMIT { below.max(partitions) } else { nearest }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn murmur2_is_the_one_of_the_java_client() {
        // From the tests of Apache Kafka's `UtilsTest.testMurmur2`.
        let known: [(&[u8], i32); 6] = [
            (b"21", -973_932_308),
            (b"foobar", -790_332_482),
            (b"a-little-bit-long-string", -985_981_536),
            (b"a-little-bit-longer-string", -1_486_304_829),
            (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            (b"abc", 479_470_107),
        ];
        for (key, hash) in known {
            assert_eq!(murmur2(key) as i32, hash, "{}", String::from_utf8_lossy(key));
        }
    }

    #[test]
    fn a_first_start_takes_the_nearest_multiple_of_the_partition_count() {
        assert_eq!(max_parallelism_for(5760, 12), 5760);
        assert_eq!(max_parallelism_for(5760, 7), 5761);
        assert_eq!(max_parallelism_for(128, 100), 100);
        assert_eq!(max_parallelism_for(128, 1000), 1000);
        assert_eq!(max_parallelism_for(128, 0), 128);
    }

    proptest! {
        #[test]
        fn each_ordinal_has_one_owner_and_it_is_the_one_that_says_so(
            partitions in 1u32..40, factor in 1u32..40, subtasks in 1usize..50, co in any::<bool>()
        ) {
            let max_parallelism = partitions * factor;
            let order = if co { GroupOrder::CoPartitioned { partitions } } else { GroupOrder::Plain };
            let groups = KeyGroups { max_parallelism, order };
            let mut next = 0;
            for subtask in 0..subtasks {
                let owned = groups.owned(subtask, subtasks);
                prop_assert_eq!(owned.start, next);
                next = owned.end;
                for ordinal in owned {
                    prop_assert_eq!(groups.owner(ordinal, subtasks), subtask);
                }
            }
            prop_assert_eq!(next, max_parallelism);
        }

        #[test]
        fn ordinals_are_a_permutation_of_the_groups_in_which_a_partition_is_a_range(
            partitions in 1u32..40, factor in 1u32..40
        ) {
            let max_parallelism = partitions * factor;
            let groups = KeyGroups { max_parallelism, order: GroupOrder::CoPartitioned { partitions } };
            let mut seen = vec![false; max_parallelism as usize];
            for hash in 0..max_parallelism {
                let ordinal = groups.ordinal(hash);
                prop_assert!(!std::mem::replace(&mut seen[ordinal as usize], true));
                prop_assert_eq!(ordinal / factor, hash % partitions);
            }
        }
    }
}
