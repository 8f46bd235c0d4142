//! The order of a log's keys on disk: ordinal, null key first, then bytes.
//!
//! Keys are dealt to their ordinals first, which needs only the hashes; what then is sorted is a handful of keys that
//! fit into the processor's cache, by eight bytes behind what all of them begin with.

use super::epoch_log::{EpochLog, Position};
use weir_protocol::key_group::KeyGroups;

/// The positions of a log's records by ordinal.
#[derive(Debug)]
pub(crate) struct SortedLog<'a> {
    log: &'a EpochLog,
    /// All positions, those of one ordinal side by side.
    positions: Vec<Position>,
    /// Per ordinal: where its positions end.
    ends: Vec<u32>,
}

impl<'a> SortedLog<'a> {
    pub(crate) fn new(log: &'a EpochLog, groups: &KeyGroups) -> SortedLog<'a> {
        let mut ends = vec![0u32; groups.max_parallelism as usize + 1];
        let mut dealt: Vec<(u32, Position)> = Vec::with_capacity(log.len());
        log.for_each(|hash, position| {
            let ordinal = groups.ordinal(hash);
            ends[ordinal as usize + 1] += 1;
            dealt.push((ordinal, position));
        });
        for ordinal in 1..ends.len() {
            ends[ordinal] += ends[ordinal - 1];
        }
        // `ends[ordinal]` is where the ordinal's positions begin now, and where they end when all are placed.
        let mut positions = vec![0; dealt.len()];
        for (ordinal, position) in dealt {
            let place = &mut ends[ordinal as usize];
            positions[*place as usize] = position;
            *place += 1;
        }
        SortedLog { log, positions, ends }
    }

    /// Shows ordinal and record of each key in the order of the disk, until `visit` fails.
    pub(crate) fn for_each<E>(
        &self,
        mut visit: impl FnMut(u32, super::epoch_log::Written<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut order: Vec<(u64, Position)> = Vec::new();
        let mut start = 0;
        for (ordinal, end) in self.ends.iter().map(|end| *end as usize).enumerate() {
            let following = self.ends.get(ordinal + 1).map_or(end, |following| *following as usize);
            self.positions[end..following].iter().for_each(|position| self.log.prefetch(*position));
            self.sort(&self.positions[start..end], &mut order);
            for (_, position) in &order {
                visit(ordinal as u32, self.log.get(*position))?;
            }
            start = end;
        }
        Ok(())
    }

    /// Puts the positions of one ordinal in order.
    fn sort(&self, positions: &[Position], order: &mut Vec<(u64, Position)>) {
        order.clear();
        let Some(first) = positions.first() else { return };
        let first = self.key(*first);
        let common = positions.iter().fold(first.len(), |common, position| {
            let key = self.key(*position);
            first[..common].iter().zip(key).take_while(|(one, other)| one == other).count()
        });
        order.extend(positions.iter().map(|position| {
            let rest = &self.key(*position)[common..];
            let mut eight = [0; 8];
            let length = rest.len().min(8);
            eight[..length].copy_from_slice(&rest[..length]);
            (u64::from_be_bytes(eight), *position)
        }));
        order.sort_unstable_by(|one, other| {
            one.0.cmp(&other.0).then_with(|| self.log.get(one.1).key.cmp(&self.log.get(other.1).key))
        });
    }

    fn key(&self, position: Position) -> &'a [u8] {
        self.log.get(position).key.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use std::sync::Arc;
    use weir_protocol::key_group::murmur2;

    proptest! {
        #[test]
        fn a_log_is_read_in_the_order_of_the_disk(
            keys in prop::collection::btree_set(prop::option::of("(common-prefix-)?[\u{0}-\u{2}a-c]{0,12}"), 0..200),
            max_parallelism in 1u32..8
        ) {
            let groups = KeyGroups::plain(max_parallelism);
            let mut log = EpochLog::new(Arc::default());
            let mut model = BTreeMap::new();
            for key in keys.iter().rev() {
                let bytes = key.as_deref().map(str::as_bytes);
                let hash = murmur2(bytes.unwrap_or_default());
                log.append(hash, bytes, Some((b"", bytes.unwrap_or_default())));
                model.insert((groups.ordinal(hash), bytes.map(<[u8]>::to_vec)), ());
            }
            let mut read = Vec::new();
            let shown: Result<(), ()> = SortedLog::new(&log, &groups).for_each(|ordinal, written| {
                read.push((ordinal, written.key.map(<[u8]>::to_vec)));
                Ok(())
            });
            prop_assert!(shown.is_ok());
            prop_assert_eq!(read, model.into_keys().collect::<Vec<_>>());
        }
    }
}
