//! What a state of each kind must hold, as maps in memory.

use crate::harness::{Key, begin, column, entries};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use weir_protocol::batch::read_u32;
use weir_protocol::state::{ColumnRef, KeyedState, Page};

/// A value, and when it was written.
pub type Written = (Vec<u8>, i64);

/// Everything of one operator.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Model {
    pub values: BTreeMap<Key, Written>,
    pub maps: BTreeMap<(Key, Vec<u8>), Written>,
    pub lists: BTreeMap<Key, Vec<Written>>,
    pub timers: BTreeSet<(i64, Key)>,
}

impl Model {
    /// Without what has run out.
    pub fn at(&self, now_ms: i64, ttl_ms: i64) -> Model {
        let lives = |written: &Written| ttl_ms == 0 || written.1 + ttl_ms > now_ms;
        let mut model = self.clone();
        model.values.retain(|_, written| lives(written));
        model.maps.retain(|_, written| lives(written));
        model.lists.values_mut().for_each(|list| list.retain(lives));
        model.lists.retain(|_, list| !list.is_empty());
        model
    }

    /// The entries of keys that `owned` accepts.
    pub fn of(&self, owned: impl Fn(&Key) -> bool) -> Model {
        let mut model = self.clone();
        model.values.retain(|key, _| owned(key));
        model.maps.retain(|(key, _), _| owned(key));
        model.lists.retain(|key, _| owned(key));
        model.timers.retain(|(_, key)| owned(key));
        model
    }

    /// Fails where two models differ, and says in what.
    pub fn assert_is(&self, expected: &Model, what: &str) {
        difference(&self.values, &expected.values, what);
        difference(&self.maps, &expected.maps, what);
        difference(&self.lists, &expected.lists, what);
        let both = self.timers.symmetric_difference(&expected.timers).next();
        assert!(
            both.is_none(),
            "{what}: {} timers, expected {}: {both:?}",
            self.timers.len(),
            expected.timers.len()
        );
    }

    /// Without times of writing.
    pub fn plain(mut self) -> Model {
        self.values.values_mut().for_each(|written| written.1 = 0);
        self.maps.values_mut().for_each(|written| written.1 = 0);
        self.lists.values_mut().flatten().for_each(|written| written.1 = 0);
        self
    }
}

fn difference<K: Ord + Debug, V: PartialEq + Debug>(
    found: &BTreeMap<K, V>,
    expected: &BTreeMap<K, V>,
    what: &str,
) {
    for key in found.keys().chain(expected.keys()) {
        let (one, other) = (found.get(key), expected.get(key));
        assert!(
            one == other,
            "{what}: {} entries, expected {}; {key:?}: found {one:?}, expected {other:?}",
            found.len(),
            expected.len()
        );
    }
}

/// What the state says of `keys`, and all of its timers. No call must be running.
pub fn read_all(state: &mut dyn KeyedState, keys: &[Key], now_ms: i64) -> Model {
    let mut model = Model::default();
    // Asked first: the timers count as fired by the next call, and that one is discarded.
    let due = state.due(0, i64::MAX, usize::MAX).unwrap();
    assert_eq!(state.next_due(0).unwrap(), (due.rows > 0).then(|| due.timestamp(0)));
    for row in 0..due.rows {
        model.timers.insert((due.timestamp(row), due.keys.get(row).map(<[u8]>::to_vec)));
    }
    let slots = begin(state, keys, now_ms);
    let values = entries(&state.value_get_many("v", &slots.rows).unwrap());
    for (key, value) in keys.iter().zip(values) {
        value.map(|value| model.values.insert(key.clone(), (value, 0)));
    }
    let absent = ColumnRef::default();
    for (key, subkey, value) in
        pages(keys, &slots.rows, |slots, starts| state.map_scan("m", slots, starts, absent, 0).unwrap())
    {
        // A point read says the same.
        let slot = keys.iter().position(|known| *known == key).unwrap() as u32;
        let subkeys = column([Some(&subkey[..])].into_iter());
        let read = state.map_get_many("m", &slot.to_le_bytes(), (&subkeys).into()).unwrap();
        assert_eq!(read.get(0), Some(&value[..]));
        model.maps.insert((key, subkey), (value, 0));
    }
    for (key, _, value) in
        pages(keys, &slots.rows, |slots, starts| state.list_scan("l", slots, starts, 0).unwrap())
    {
        model.lists.entry(key).or_default().push((value, 0));
    }
    state.discard_call().unwrap();
    model
}

/// Reads all pages of a scan over all slots.
fn pages(
    keys: &[Key],
    slots: &[u8],
    mut scan: impl FnMut(&[u8], ColumnRef<'_>) -> Page,
) -> Vec<(Key, Vec<u8>, Vec<u8>)> {
    let mut found = Vec::new();
    let (mut first, mut start): (usize, Option<Vec<u8>>) = (0, None);
    loop {
        let asked = &slots[first * 4..];
        let starts = column((0..asked.len() / 4).map(|row| if row == 0 { start.as_deref() } else { None }));
        let page = scan(asked, (&starts).into());
        for row in 0..page.subkeys.len() {
            let range = first + read_u32(&page.ranges, row) as usize;
            found.push((
                keys[range].clone(),
                page.subkeys.bytes(row).to_vec(),
                page.values.bytes(row).to_vec(),
            ));
        }
        if page.complete {
            return found;
        }
        let last = page.subkeys.len().checked_sub(1).expect("a page holds an entry if there is any");
        first += read_u32(&page.ranges, last) as usize;
        start = Some([page.subkeys.bytes(last), &[0]].concat());
    }
}
