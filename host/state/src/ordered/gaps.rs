//! Ranges in which there is known to be nothing, so that scans need not walk over what was removed.
//!
//! A queue is written at its end and removed from its beginning. Its removed entries stay: as deletions in memory until the
//! barrier, as deletions in the database until a compaction. A scan from the beginning walks over all of them, and one scan
//! for each removal is quadratic in the length of an epoch. So a scan that has walked over something before its first entry
//! leaves that range behind, and the next one begins at its end.
//!
//! - **G1** Within a gap no layer shows an entry. Setting an entry takes its key out of the gap that it lies in.
//! - **G2** What a running call has removed makes gaps of that call only: they are forgotten with it if it is discarded.
//! - **G3** Gaps are bounded; one that is forgotten costs a walk, nothing else.

use std::collections::BTreeMap;
use std::ops::Bound;

/// Gaps of one state, at most. Few in tests, so that gaps are forgotten.
const GAPS_MAX: usize = if cfg!(test) { 4 } else { 4096 };

/// Bytes of the keys of one state's gaps, at most: keys can be long, and what gaps hold is taken from the memory for state.
const KEY_BYTES_MAX: usize = 1 << 20;

/// Disjoint ranges, none touching another.
#[derive(Debug, Default)]
pub(super) struct Gaps {
    /// From the first key (inclusive) to the end (exclusive).
    ends: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Bytes of all their keys.
    key_bytes: usize,
    /// Behind the gap that was forgotten last.
    next_forgotten: Vec<u8>,
}

impl Gaps {
    /// The end of the gap that the key lies in.
    pub(super) fn end_of(&self, key: &[u8]) -> Option<&[u8]> {
        let (_, end) = self.ends.range::<[u8], _>((Bound::Unbounded, Bound::Included(key))).next_back()?;
        (key < end.as_slice()).then_some(end.as_slice())
    }

    /// There is nothing from `from` (inclusive) to `until` (exclusive).
    pub(super) fn add(&mut self, from: &[u8], until: &[u8]) {
        if from >= until {
            return;
        }
        let (mut from, mut until) = (from.to_vec(), until.to_vec());
        // What begins in the new range or touches it becomes part of it.
        while let Some((first, end)) =
            self.ends.range::<[u8], _>((Bound::Unbounded, Bound::Included(until.as_slice()))).next_back()
            && *end >= from
        {
            let first = first.clone();
            let end = self.remove(&first).expect("it was just found");
            from = from.min(first);
            until = until.max(end);
        }
        self.insert(from, until);
        self.forget_some();
    }

    fn insert(&mut self, from: Vec<u8>, until: Vec<u8>) {
        self.key_bytes += from.len() + until.len();
        if let Some(replaced) = self.ends.insert(from, until) {
            unreachable!("two gaps began at one key, the other ended at {replaced:?}");
        }
    }

    fn remove(&mut self, from: &[u8]) -> Option<Vec<u8>> {
        let end = self.ends.remove(from)?;
        self.key_bytes -= from.len() + end.len();
        Some(end)
    }

    /// Until as many are left as may be.
    fn forget_some(&mut self) {
        while self.ends.len() > GAPS_MAX || self.key_bytes > KEY_BYTES_MAX {
            self.forget_one();
        }
    }

    /// One after the other in order of key, so that no range of keys is favoured.
    fn forget_one(&mut self) {
        let bounds = (Bound::Excluded(self.next_forgotten.as_slice()), Bound::Unbounded);
        let behind = self.ends.range::<[u8], _>(bounds).next();
        let Some(key) = behind.or_else(|| self.ends.first_key_value()).map(|(key, _)| key.clone()) else {
            return;
        };
        self.remove(&key);
        self.next_forgotten = key;
    }

    /// An entry is set.
    pub(super) fn set(&mut self, key: &[u8]) {
        let at_or_before = (Bound::Unbounded, Bound::Included(key));
        let Some((first, end)) = self.ends.range::<[u8], _>(at_or_before).next_back() else { return };
        if key >= end.as_slice() {
            return;
        }
        let first = first.clone();
        let end = self.remove(&first).expect("it was just found");
        let behind = [key, &[0]].concat();
        if first.as_slice() < key {
            self.insert(first, key.to_vec());
        }
        if behind < end {
            self.insert(behind, end);
        }
        self.forget_some();
    }

    /// Takes over the gaps of the call that has happened.
    pub(super) fn take(&mut self, call: &mut Gaps) {
        for (from, until) in std::mem::take(call).ends {
            self.add(&from, &until);
        }
    }

    /// The call has not happened.
    pub(super) fn clear(&mut self) {
        self.ends.clear();
        self.key_bytes = 0;
    }

    /// Bytes of memory, about.
    pub(super) fn memory_bytes(&self) -> usize {
        self.ends.len() * GAP_BYTES + self.key_bytes
    }
}

/// Beside its two keys: their vectors and heap headers, their share of a tree node.
const GAP_BYTES: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[derive(Debug, Clone)]
    enum Step {
        Add(Vec<u8>, Vec<u8>),
        Set(Vec<u8>),
    }

    fn key() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(0u8..3, 1..4)
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (key(), key()).prop_map(|(from, until)| Step::Add(from, until)),
            key().prop_map(Step::Set)
        ]
    }

    fn all_keys() -> BTreeSet<Vec<u8>> {
        let digits = || (0u8..3).map(|digit| vec![digit]);
        let longer = |keys: Vec<Vec<u8>>| -> Vec<Vec<u8>> {
            keys.iter().flat_map(|key| digits().map(|digit| [key.clone(), digit].concat())).collect()
        };
        let (one, two) = (digits().collect::<Vec<_>>(), longer(digits().collect()));
        [one, two.clone(), longer(two)].concat().into_iter().collect()
    }

    proptest! {
        #[test]
        fn a_key_that_was_set_lies_in_no_gap_and_gaps_never_touch(steps in prop::collection::vec(step(), 0..40)) {
            let (mut gaps, mut empty) = (Gaps::default(), BTreeSet::new());
            for step in steps {
                match step {
                    Step::Add(from, until) => {
                        gaps.add(&from, &until);
                        empty.extend(all_keys().into_iter().filter(|key| *key >= from && *key < until));
                    }
                    Step::Set(key) => {
                        gaps.set(&key);
                        empty.remove(&key);
                    }
                }
                for key in all_keys() {
                    prop_assert!(gaps.end_of(&key).is_none() || empty.contains(&key), "{key:?} in {gaps:?}");
                }
                let ends: Vec<_> = gaps.ends.iter().collect();
                prop_assert!(ends.iter().all(|(from, until)| from < until));
                prop_assert!(ends.windows(2).all(|two| two[0].1 < two[1].0), "{gaps:?}");
                prop_assert!(gaps.ends.len() <= GAPS_MAX);
                let held: usize = ends.iter().map(|(from, until)| from.len() + until.len()).sum();
                prop_assert_eq!(gaps.key_bytes, held);
            }
        }
    }

    #[test]
    fn long_keys_count_and_are_bounded_too() {
        let long = |first: u8| [&[first][..], &[7; KEY_BYTES_MAX / 5]].concat();
        let mut gaps = Gaps::default();
        gaps.add(&long(1), &long(2));
        assert!(gaps.memory_bytes() > 2 * (KEY_BYTES_MAX / 5), "{}", gaps.memory_bytes());
        gaps.add(&long(3), &long(4));
        gaps.add(&long(5), &long(6));
        assert_eq!(gaps.ends.len(), 2, "one was forgotten");
        assert!(gaps.memory_bytes() < KEY_BYTES_MAX + 1000, "{}", gaps.memory_bytes());
        gaps.clear();
        assert_eq!(gaps.memory_bytes(), 0);
    }

    #[test]
    fn ranges_that_touch_become_one() {
        let mut gaps = Gaps::default();
        gaps.add(b"b", b"d");
        gaps.add(b"f", b"g");
        gaps.add(b"d", b"f");
        assert_eq!((gaps.end_of(b"b"), gaps.end_of(b"g")), (Some(&b"g"[..]), None));
        gaps.set(b"d");
        assert_eq!(
            (gaps.end_of(b"b"), gaps.end_of(b"d"), gaps.end_of(b"e")),
            (Some(&b"d"[..]), None, Some(&b"g"[..]))
        );
    }
}
