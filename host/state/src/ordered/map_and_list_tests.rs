//! Map and list state against a model: random calls of which some fail, freezes that are persisted late, in part or
//! never, restarts from the last checkpoint, pages, TTL.

use super::database_double::DatabaseDouble;
use super::{FrozenLayer, ListState, MapState, ScanRange, ValueCodec};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;
use weir_protocol::batch::read_u32;
use weir_protocol::state::Page;

const SLOTS: usize = 5;

/// Keys that are easily taken for one another, as the key layout writes them.
fn prefix(slot: usize) -> Vec<u8> {
    let (tag, key): (u8, &[u8]) =
        [(0, b"" as &[u8]), (1, b""), (1, b"\xff"), (1, b"\xff\xff"), (1, b"\xff\0")][slot];
    [&[0, 0xff, tag][..], &(key.len() as u32).to_be_bytes(), key].concat()
}

/// (Slot, start, end) of a range.
type Asked = (usize, Option<Vec<u8>>, Option<Vec<u8>>);

#[derive(Debug, Clone)]
enum Step {
    /// A list takes a value as an appended one, and passes over the removal.
    Put {
        slot: usize,
        subkey: Vec<u8>,
        value: Option<Vec<u8>>,
    },
    Clear {
        slot: usize,
    },
    Get {
        asked: Vec<(usize, Vec<u8>)>,
    },
    Scan {
        ranges: Vec<Asked>,
        limit: u32,
    },
}

#[derive(Debug, Clone)]
enum Event {
    Call {
        steps: Vec<Step>,
        fails: bool,
    },
    Time {
        ms: i64,
    },
    Freeze,
    /// So many writes of the frozen layer reach the database.
    Apply {
        steps: usize,
    },
    /// All of them, and the owner learns of it.
    Persist,
    Restart {
        ttl_ms: i64,
    },
}

fn subkey() -> impl Strategy<Value = Vec<u8>> {
    vec(prop::sample::select(vec![0u8, b'a', 0xff]), 0..3)
}

fn step() -> impl Strategy<Value = Step> {
    let value = prop::option::weighted(0.8, vec(any::<u8>(), 0..4));
    let range = (0..SLOTS, prop::option::of(subkey()), prop::option::of(subkey()));
    prop_oneof![
        6 => (0..SLOTS, subkey(), value).prop_map(|(slot, subkey, value)| Step::Put { slot, subkey, value }),
        1 => (0..SLOTS).prop_map(|slot| Step::Clear { slot }),
        1 => vec((0..SLOTS, subkey()), 0..6).prop_map(|asked| Step::Get { asked }),
        2 => (vec(range, 0..4), 0u32..4).prop_map(|(ranges, limit)| Step::Scan { ranges, limit }),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => (vec(step(), 0..12), prop::bool::weighted(0.25)).prop_map(|(steps, fails)| Event::Call { steps, fails }),
        1 => (0i64..8).prop_map(|ms| Event::Time { ms }),
        2 => Just(Event::Freeze),
        1 => (0usize..12).prop_map(|steps| Event::Apply { steps }),
        2 => Just(Event::Persist),
        1 => prop::sample::select(vec![0i64, 5, 20]).prop_map(|ttl_ms| Event::Restart { ttl_ms }),
    ]
}

/// What map and list state have in common.
trait Subject {
    fn open(database: &DatabaseDouble, ttl_ms: i64, page_bytes_max: usize) -> Self;
    fn begin(&mut self, now_ms: i64);
    /// Writes, and tells the subkey that was written.
    fn put(&mut self, slot: usize, subkey: &[u8], value: Option<&[u8]>, position: u64) -> Option<Vec<u8>>;
    fn get(&self, keys: &[Vec<u8>]) -> Option<Vec<Option<Vec<u8>>>>;
    fn scan(&self, ranges: &[ScanRange<'_>], limit: u32) -> Page;
    fn clear(&mut self, slot: usize);
    fn end(&mut self, fails: bool);
    fn freeze(&mut self) -> Arc<FrozenLayer>;
    fn persisted(&mut self, layer: &Arc<FrozenLayer>);
    fn overlay_bytes(&self) -> usize;
}

impl Subject for MapState {
    fn open(database: &DatabaseDouble, ttl_ms: i64, page_bytes_max: usize) -> Self {
        MapState::new(Box::new(database.clone()), ttl_ms, page_bytes_max)
    }
    fn begin(&mut self, now_ms: i64) {
        MapState::begin(self, now_ms);
    }
    fn put(&mut self, slot: usize, subkey: &[u8], value: Option<&[u8]>, _: u64) -> Option<Vec<u8>> {
        MapState::put(self, [&prefix(slot), subkey].concat(), value);
        Some(subkey.to_vec())
    }
    fn get(&self, keys: &[Vec<u8>]) -> Option<Vec<Option<Vec<u8>>>> {
        let values = self.get_many(keys).unwrap();
        Some((0..values.len()).map(|index| values.get(index).map(<[u8]>::to_vec)).collect())
    }
    fn scan(&self, ranges: &[ScanRange<'_>], limit: u32) -> Page {
        MapState::scan(self, ranges, limit).unwrap()
    }
    fn clear(&mut self, slot: usize) {
        MapState::clear(self, &prefix(slot));
    }
    fn end(&mut self, fails: bool) {
        if fails { self.discard() } else { self.commit() }
    }
    fn freeze(&mut self) -> Arc<FrozenLayer> {
        MapState::freeze(self)
    }
    fn persisted(&mut self, layer: &Arc<FrozenLayer>) {
        MapState::persisted(self, layer);
    }
    fn overlay_bytes(&self) -> usize {
        MapState::overlay_bytes(self)
    }
}

impl Subject for ListState {
    fn open(database: &DatabaseDouble, ttl_ms: i64, page_bytes_max: usize) -> Self {
        ListState::new(Box::new(database.clone()), ttl_ms, page_bytes_max)
    }
    fn begin(&mut self, now_ms: i64) {
        ListState::begin(self, now_ms);
    }
    fn put(&mut self, slot: usize, _: &[u8], value: Option<&[u8]>, position: u64) -> Option<Vec<u8>> {
        self.append(&prefix(slot), position, value?);
        Some(position.to_be_bytes().to_vec())
    }
    fn get(&self, _: &[Vec<u8>]) -> Option<Vec<Option<Vec<u8>>>> {
        None
    }
    fn scan(&self, ranges: &[ScanRange<'_>], limit: u32) -> Page {
        ListState::scan(self, ranges, limit).unwrap()
    }
    fn clear(&mut self, slot: usize) {
        ListState::clear(self, &prefix(slot));
    }
    fn end(&mut self, fails: bool) {
        if fails { self.discard() } else { self.commit() }
    }
    fn freeze(&mut self) -> Arc<FrozenLayer> {
        ListState::freeze(self)
    }
    fn persisted(&mut self, layer: &Arc<FrozenLayer>) {
        ListState::persisted(self, layer);
    }
    fn overlay_bytes(&self) -> usize {
        ListState::overlay_bytes(self)
    }
}

/// By slot and subkey: the value, and when it was written if there was a TTL then.
type Model = BTreeMap<(usize, Vec<u8>), (Vec<u8>, Option<i64>)>;

/// (Index of the range, subkey, value).
type Entry = (usize, Vec<u8>, Vec<u8>);

struct Run<S> {
    subject: S,
    database: DatabaseDouble,
    model: Model,
    codec: ValueCodec,
    page_bytes_max: usize,
    frozen: Option<(Arc<FrozenLayer>, Model)>,
    checkpoint: (DatabaseDouble, Model),
    next_position: u64,
}

impl<S: Subject> Run<S> {
    fn new(ttl_ms: i64, page_bytes_max: usize) -> Run<S> {
        let database = DatabaseDouble::default();
        Run {
            subject: S::open(&database, ttl_ms, page_bytes_max),
            checkpoint: (database.copy(), Model::new()),
            database,
            model: Model::new(),
            codec: ValueCodec { ttl_ms, now_ms: 100 },
            page_bytes_max,
            frozen: None,
            next_position: 0,
        }
    }

    fn happens(&mut self, event: Event) {
        match event {
            Event::Call { steps, fails } => {
                let before = self.model.clone();
                self.subject.begin(self.codec.now_ms);
                steps.into_iter().for_each(|step| self.does(step));
                self.subject.end(fails);
                assert_eq!(self.subject.overlay_bytes(), 0);
                if fails {
                    self.model = before;
                }
            }
            Event::Time { ms } => self.codec.now_ms += ms,
            Event::Freeze => self.frozen = Some((self.subject.freeze(), self.model.clone())),
            Event::Apply { steps } => {
                if let Some((layer, _)) = &self.frozen {
                    self.database.apply(layer, steps);
                }
            }
            Event::Persist => {
                if let Some((layer, model)) = self.frozen.take() {
                    self.database.apply(&layer, usize::MAX);
                    self.checkpoint = (self.database.copy(), model);
                    self.subject.persisted(&layer);
                }
            }
            Event::Restart { ttl_ms } => {
                self.database = self.checkpoint.0.copy();
                self.model = self.checkpoint.1.clone();
                self.frozen = None;
                self.codec.ttl_ms = ttl_ms;
                self.subject = S::open(&self.database, ttl_ms, self.page_bytes_max);
            }
        }
        // Everything is looked at after every event, between calls.
        self.subject.begin(self.codec.now_ms);
        let all: Vec<_> = (0..SLOTS).map(|slot| (slot, None, None)).collect();
        self.does(Step::Scan { ranges: all, limit: 0 });
        self.subject.end(true);
    }

    fn does(&mut self, step: Step) {
        match step {
            Step::Put { slot, subkey, value } => {
                self.next_position += 1;
                let position = self.next_position;
                let Some(subkey) = self.subject.put(slot, &subkey, value.as_deref(), position) else {
                    return;
                };
                let written_ms = (self.codec.ttl_ms > 0).then_some(self.codec.now_ms);
                match value {
                    Some(value) => self.model.insert((slot, subkey), (value, written_ms)),
                    None => self.model.remove(&(slot, subkey)),
                };
            }
            Step::Clear { slot } => {
                self.subject.clear(slot);
                self.model.retain(|(owner, _), _| *owner != slot);
            }
            Step::Get { asked } => {
                let keys: Vec<_> =
                    asked.iter().map(|(slot, subkey)| [&prefix(*slot)[..], subkey].concat()).collect();
                if let Some(values) = self.subject.get(&keys) {
                    let expected: Vec<_> = asked.iter().map(|key| self.modelled(key)).collect();
                    assert_eq!(values, expected);
                }
            }
            Step::Scan { ranges, limit } => {
                assert_eq!(self.read(&ranges, limit), self.expected(&ranges, limit));
            }
        }
    }

    fn modelled(&self, key: &(usize, Vec<u8>)) -> Option<Vec<u8>> {
        let (value, written_ms) = self.model.get(key)?;
        (!self.codec.has_run_out(*written_ms)).then(|| value.clone())
    }

    fn expected(&self, ranges: &[Asked], limit: u32) -> Vec<Entry> {
        let mut expected = Vec::new();
        for (index, (slot, start, end)) in ranges.iter().enumerate() {
            let in_range = self.model.iter().filter(|((owner, subkey), (_, written_ms))| {
                owner == slot
                    && start.as_ref().is_none_or(|start| subkey >= start)
                    && end.as_ref().is_none_or(|end| subkey < end)
                    && !self.codec.has_run_out(*written_ms)
            });
            let most = if limit == 0 { usize::MAX } else { limit as usize };
            expected.extend(
                in_range.take(most).map(|((_, subkey), (value, _))| (index, subkey.clone(), value.clone())),
            );
        }
        expected
    }

    /// Reads page after page as the contract tells a guest to go on.
    fn read(&self, ranges: &[Asked], limit: u32) -> Vec<Entry> {
        let prefixes: Vec<_> = ranges.iter().map(|(slot, ..)| prefix(*slot)).collect();
        let asked: Vec<_> = ranges
            .iter()
            .zip(&prefixes)
            .map(|((_, start, end), prefix)| ScanRange {
                prefix,
                start: start.as_deref(),
                end: end.as_deref(),
            })
            .collect();
        let mut read: Vec<Entry> = Vec::new();
        let (mut first, mut start) = (0, None::<Vec<u8>>);
        loop {
            let mut left = asked[first..].to_vec();
            if let Some(start) = &start {
                left[0].start = Some(start);
            }
            let page = self.subject.scan(&left, limit);
            let count = page.ranges.len() / 4;
            assert_eq!((page.subkeys.len(), page.values.len()), (count, count));
            let bytes = page.ranges.len() + page.subkeys.size_bytes() + page.values.size_bytes();
            assert!(count <= 1 || bytes <= self.page_bytes_max, "{bytes} bytes in {count} entries");
            for entry in 0..count {
                let range = first + read_u32(&page.ranges, entry) as usize;
                assert!(read.last().is_none_or(|(last, ..)| *last <= range));
                // The limit is per question: who goes on after a full page counts on.
                if limit == 0 || read.iter().filter(|(of, ..)| *of == range).count() < limit as usize {
                    read.push((range, page.subkeys.bytes(entry).to_vec(), page.values.bytes(entry).to_vec()));
                }
            }
            if page.complete {
                return read;
            }
            assert!(count > 0, "a page that is full has an entry");
            first += read_u32(&page.ranges, count - 1) as usize;
            start = Some([page.subkeys.bytes(count - 1), b"\0"].concat());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn map_state_is_the_map_that_its_committed_calls_wrote(
        ttl_ms in prop::sample::select(vec![0i64, 5]), page in 0usize..120, events in vec(event(), 0..40)
    ) {
        let mut run = Run::<MapState>::new(ttl_ms, page);
        events.into_iter().for_each(|event| run.happens(event));
    }

    #[test]
    fn list_state_is_the_sequence_that_its_committed_calls_appended(
        ttl_ms in prop::sample::select(vec![0i64, 5]), page in 0usize..120, events in vec(event(), 0..40)
    ) {
        let mut run = Run::<ListState>::new(ttl_ms, page);
        events.into_iter().for_each(|event| run.happens(event));
    }
}

#[test]
fn a_freeze_holds_what_was_committed_then_whatever_is_written_later() {
    let mut map = MapState::new(Box::new(DatabaseDouble::default()), 0, 100);
    map.begin(0);
    map.put(b"\0k".to_vec(), Some(b"one"));
    map.commit();
    let frozen = map.freeze();
    let held = FrozenLayer::clone(&frozen);
    map.begin(0);
    map.clear(b"\0");
    map.put(b"\0k".to_vec(), Some(b"two"));
    map.commit();
    assert_eq!(*frozen, held);
    assert_eq!(map.get_many(&[b"\0k".to_vec()]).unwrap().get(0), Some(&b"two"[..]));
}

#[test]
fn a_layer_that_a_later_freeze_replaced_is_not_dropped_as_persisted() {
    let mut map = MapState::new(Box::new(DatabaseDouble::default()), 0, 100);
    let first = map.freeze();
    map.begin(0);
    map.put(b"\0k".to_vec(), Some(b"v"));
    map.commit();
    let second = map.freeze();
    map.persisted(&first);
    assert_eq!(map.get_many(&[b"\0k".to_vec()]).unwrap().get(0), Some(&b"v"[..]));
    map.persisted(&second);
    assert_eq!(map.memory_bytes(), 0);
}

#[test]
fn a_cleared_key_is_scanned_without_a_look_at_the_database() {
    let database = DatabaseDouble::default();
    let mut list = ListState::new(Box::new(database.clone()), 0, 1000);
    list.begin(0);
    (0..100).for_each(|position| list.append(b"\0k", position, b"v"));
    list.commit();
    let frozen = list.freeze();
    database.apply(&frozen, usize::MAX);
    list.persisted(&frozen);
    list.begin(0);
    list.clear(b"\0k");
    list.append(b"\0k", 100, b"new");
    let page = list.scan(&[ScanRange { prefix: b"\0k", start: None, end: None }], 0).unwrap();
    assert_eq!((page.values.len(), page.values.get(0), database.shown()), (1, Some(&b"new"[..]), 0));
}

#[test]
fn a_database_that_fails_and_an_entry_that_is_damaged_are_errors() {
    let database = DatabaseDouble::default();
    let damaged = BTreeMap::from([(b"\0k".to_vec(), Some(b"\x07".to_vec()))]);
    database.apply(&FrozenLayer { entries: damaged, ..FrozenLayer::default() }, usize::MAX);
    let map = MapState::new(Box::new(database.clone()), 0, 100);
    let range = ScanRange { prefix: b"\0", start: None, end: None };
    assert!(map.get_many(&[b"\0k".to_vec()]).is_err_and(|error| error.contains("byte 7")));
    assert!(map.scan(&[range], 0).is_err_and(|error| error.contains("byte 7")));
    database.break_it();
    assert!(map.get_many(&[b"\0k".to_vec()]).is_err_and(|error| error.contains("000042.sst")));
    assert!(map.scan(&[range], 0).is_err_and(|error| error.contains("000042.sst")));
}
