//! The write-back cache of one value state: what a call reads and writes, and what a barrier takes.
//!
//! Entries are found by the hash that the slot came with. What the running epoch writes stands in the entry and in the
//! epoch's log; a barrier takes the log and leaves the entries. An entry whose value is in the running or the frozen log
//! is never given up, so a miss means: the database knows it.

use super::entries::{ENTRY_BYTES, Entries};
use super::epoch_log::{ChunkPool, EpochLog};
use super::overlay::Overlay;
use crate::arguments::check_answer;
use crate::call::Call;
use crate::database::Family;
use crate::key_layout::push_value_key;
use crate::ordered::ValueCodec;
use crate::store::StoreError;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use weir_protocol::batch::{Column, read_u32};
use weir_protocol::connector::ConnectorError;
use weir_protocol::key_group::KeyGroups;
use weir_protocol::state::ColumnRef;

/// Slots whose memory is asked for at once: enough to hide the wait for it, few enough to stay in the first cache.
const PREFETCHED: usize = 32;
/// Entries that the clock looks at per call, beside four per entry that the call added.
const LOOKS_PER_CALL: usize = 256;

/// The slot was not looked up yet.
const UNKNOWN: u32 = u32::MAX;
/// The slot is among the misses that are being read.
const MISSING: u32 = u32::MAX - 1;

/// Reads that the cache answered, and those it did not.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Reads {
    pub(crate) hits: u64,
    pub(crate) misses: u64,
}

/// What a barrier takes from one value state.
#[derive(Debug, Clone)]
pub(crate) struct FrozenValues {
    pub(crate) log: Arc<EpochLog>,
    generation: u32,
    settled: Arc<AtomicU32>,
}

impl FrozenValues {
    /// The database has the log: its entries may be given up.
    pub(crate) fn settle(&self) {
        self.settled.fetch_max(self.generation, Ordering::Release);
    }
}

/// The cache of one value state.
#[derive(Debug)]
pub(crate) struct ValueCache {
    codec: ValueCodec,
    groups: KeyGroups,
    entries: Entries,
    /// Per slot of the running call: its entry.
    entry_of_slot: Vec<u32>,
    overlay: Overlay,
    /// Slots of the running call that must be read, and room for their keys.
    missing: Vec<(u32, u32, u32)>,
    missing_keys: Vec<u8>,
    log: EpochLog,
    pool: Arc<ChunkPool>,
    /// The number of the running log.
    generation: u32,
    /// The highest number of a log that the database has.
    settled: Arc<AtomicU32>,
    /// The log that was frozen last: its number, and its bytes.
    frozen: (u32, usize),
    /// Entries that the running call added.
    added: usize,
    pub(crate) reads: Reads,
}

impl ValueCache {
    /// An empty cache. `ttl_ms` 0 = values are kept for ever.
    pub(crate) fn new(ttl_ms: i64, groups: KeyGroups) -> ValueCache {
        let pool = Arc::new(ChunkPool::default());
        ValueCache {
            codec: ValueCodec { ttl_ms, now_ms: 0 },
            groups,
            entries: Entries::new(),
            entry_of_slot: Vec::new(),
            overlay: Overlay::default(),
            missing: Vec::new(),
            missing_keys: Vec::new(),
            log: EpochLog::new(pool.clone()),
            pool,
            generation: 1,
            settled: Arc::default(),
            frozen: (0, 0),
            added: 0,
            reads: Reads::default(),
        }
    }

    /// A call begins.
    pub(crate) fn begin(&mut self, call: &Call) {
        self.codec.now_ms = call.now_ms;
        self.entry_of_slot.clear();
        self.entry_of_slot.resize(call.slots(), UNKNOWN);
        self.overlay.begin(call.slots());
        self.added = 0;
    }

    /// The values of packed slots, which were checked.
    pub(crate) fn get_many(
        &mut self,
        call: &Call,
        slots: &[u8],
        family: &Family,
        bytes_max: usize,
    ) -> Result<Column, StoreError> {
        let function = "value-state.get-many";
        let mut values = Column::default();
        values.reserve(slots.len() / 4, slots.len() * 2);
        let mut told = 0;
        for some in slots.chunks(PREFETCHED * 4) {
            self.find(call, some);
            // While an entry is at hand its value is copied; behind the first that is missing that has to wait.
            if self.missing.is_empty() {
                self.tell(some, &mut values, family)?;
                check_answer(function, values.data.len(), bytes_max)?;
                told += some.len();
            }
        }
        if !self.missing.is_empty() {
            self.read_missing(call, family)?;
        }
        for some in slots[told..].chunks(PREFETCHED * 4) {
            self.prefetch_entries(some);
            self.tell(some, &mut values, family)?;
            check_answer(function, values.data.len(), bytes_max)?;
        }
        Ok(values)
    }

    /// Adds the values of slots whose entries are known.
    fn tell(&self, slots: &[u8], values: &mut Column, family: &Family) -> Result<(), ConnectorError> {
        for row in 0..slots.len() / 4 {
            let slot = read_u32(slots, row);
            if let Some(written) = self.overlay.get(slot) {
                values.push(written);
                continue;
            }
            let entry = self.entries.get(self.entry_of_slot[slot as usize]);
            let value = match entry.value() {
                Some(stored) => self.codec.decode(stored).map_err(|error| family.damaged(error))?,
                None => None,
            };
            values.push(value);
        }
        Ok(())
    }

    fn prefetch_entries(&self, slots: &[u8]) {
        for row in 0..slots.len() / 4 {
            let entry = self.entry_of_slot[read_u32(slots, row) as usize];
            if entry < MISSING {
                self.entries.prefetch(entry);
            }
        }
    }

    /// Writes to packed slots in the running call. Both arguments were checked.
    pub(crate) fn put_many(&mut self, slots: &[u8], values: ColumnRef<'_>) {
        self.overlay.put_many(slots, values);
    }

    /// Bytes that the running call wrote.
    pub(crate) fn overlay_bytes(&self) -> usize {
        self.overlay.bytes()
    }

    /// Finds the entries of a few slots; those without one become `missing`. Slots that the call wrote need none.
    fn find(&mut self, call: &Call, slots: &[u8]) {
        let rows = 0..slots.len() / 4;
        for row in rows.clone() {
            self.entries.prefetch_search(call.hash(read_u32(slots, row)));
        }
        for row in rows.clone() {
            self.entries.prefetch_candidate(call.hash(read_u32(slots, row)));
        }
        for row in rows {
            let slot = read_u32(slots, row);
            if self.entry_of_slot[slot as usize] != UNKNOWN || self.overlay.get(slot).is_some() {
                continue;
            }
            let found = self.entries.find(call.hash(slot), call.key(slot));
            match found {
                Some(_) => self.reads.hits += 1,
                None => {
                    self.reads.misses += 1;
                    self.missing.push((slot, 0, 0));
                }
            }
            self.entry_of_slot[slot as usize] = found.unwrap_or(MISSING);
        }
    }

    /// Reads the missing slots in order of key, all at once; what has no value becomes an entry too.
    fn read_missing(&mut self, call: &Call, family: &Family) -> Result<(), ConnectorError> {
        let mut missing = std::mem::take(&mut self.missing);
        let mut keys = std::mem::take(&mut self.missing_keys);
        keys.clear();
        for (slot, start, end) in &mut missing {
            *start = keys.len() as u32;
            push_value_key(self.groups.ordinal(call.hash(*slot)), call.key(*slot), &mut keys);
            *end = keys.len() as u32;
        }
        let key_of = |(_, start, end): &(u32, u32, u32)| &keys[*start as usize..*end as usize];
        missing.sort_unstable_by(|one, other| key_of(one).cmp(key_of(other)));
        let read = family.get_sorted(missing.iter().map(key_of), |index, stored| {
            let slot = missing[index].0;
            let entry = self.entries.insert(call.hash(slot), call.key(slot));
            self.entries.get_mut(entry).generation = 0;
            self.entries.set_value(entry, stored.map(|stored| (stored, &[][..])));
            self.entry_of_slot[slot as usize] = entry;
            self.added += 1;
        });
        missing.clear();
        self.missing = missing;
        self.missing_keys = keys;
        read
    }

    /// The call has happened: its writes go into entries and log.
    pub(crate) fn commit(&mut self, call: &Call) {
        let overlay = std::mem::take(&mut self.overlay);
        let mut head = [0; 9];
        let head = self.header(&mut head);
        for some in overlay.written().chunks(PREFETCHED) {
            for slot in some {
                match self.entry_of_slot[*slot as usize] {
                    UNKNOWN => self.entries.prefetch_search(call.hash(*slot)),
                    entry => self.entries.prefetch(entry),
                }
            }
            for slot in some {
                match self.entry_of_slot[*slot as usize] {
                    UNKNOWN => self.entries.prefetch_candidate(call.hash(*slot)),
                    entry => self.prefetch_record(entry),
                }
            }
            for slot in some {
                if let Some(value) = overlay.get(*slot) {
                    self.write(call, *slot, value.map(|value| (head, value)));
                }
            }
        }
        self.overlay = overlay;
        self.overlay.clear();
    }

    #[inline]
    fn prefetch_record(&self, entry: u32) {
        let entry = self.entries.get(entry);
        if entry.generation == self.generation {
            self.log.prefetch(entry.position);
        }
    }

    /// Writes one slot's value, in its stored form.
    #[inline]
    fn write(&mut self, call: &Call, slot: u32, value: Option<(&[u8], &[u8])>) {
        let (hash, key) = (call.hash(slot), call.key(slot));
        let known = match self.entry_of_slot[slot as usize] {
            UNKNOWN => self.entries.find(hash, key),
            entry => Some(entry),
        };
        let number = known.unwrap_or_else(|| {
            self.added += 1;
            self.entries.insert(hash, key)
        });
        self.entries.set_value(number, value);
        let entry = self.entries.get_mut(number);
        if known.is_some() && entry.generation == self.generation {
            entry.position = self.log.update(entry.position, value);
        } else {
            entry.position = self.log.append(hash, key, value);
            entry.generation = self.generation;
        }
    }

    /// The header of values written by this call.
    fn header<'a>(&self, room: &'a mut [u8; 9]) -> &'a [u8] {
        let header = self.codec.encode(&[]);
        room[..header.len()].copy_from_slice(&header);
        &room[..header.len()]
    }

    /// The call has not happened.
    pub(crate) fn discard(&mut self) {
        self.overlay.clear();
        // A read that failed left slots marked.
        self.missing.clear();
    }

    /// Takes what was written since the last time; `None` = nothing.
    pub(crate) fn freeze(&mut self) -> Option<FrozenValues> {
        if self.log.len() == 0 {
            return None;
        }
        let log = Arc::new(std::mem::replace(&mut self.log, EpochLog::new(self.pool.clone())));
        let generation = self.generation;
        self.frozen = (generation, log.memory_bytes());
        self.generation += 1;
        Some(FrozenValues { log, generation, settled: self.settled.clone() })
    }

    /// Between calls: gives up what the database knows as well until the cache fits into `bytes_max`.
    pub(crate) fn shrink(&mut self, bytes_max: usize) {
        let logs = self.logs_bytes();
        if self.entries.memory_bytes() + logs <= bytes_max {
            return;
        }
        let settled = self.settled.load(Ordering::Acquire);
        let looks = LOOKS_PER_CALL + self.added * 4;
        self.entries.evict(settled, looks, |bytes| bytes + logs <= bytes_max);
    }

    fn logs_bytes(&self) -> usize {
        let (generation, bytes) = self.frozen;
        let frozen = if generation > self.settled.load(Ordering::Acquire) { bytes } else { 0 };
        self.log.memory_bytes() + frozen
    }

    /// Memory in all.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.entries.memory_bytes() + self.logs_bytes()
    }

    /// Memory that cannot be given up before the running log is in the database.
    pub(crate) fn dirty_bytes(&self) -> usize {
        self.log.memory_bytes() + self.log.len() * ENTRY_BYTES
    }

    /// Keys that the running epoch wrote.
    pub(crate) fn dirty_entries(&self) -> usize {
        self.log.len()
    }
}
