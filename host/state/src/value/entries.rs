//! The entries of a value cache: found by key, held in chunks, given up in the order of the clock.

use super::epoch_log::Position;
use super::index::ValueIndex;
use super::short_bytes::ShortBytes;
use crate::large_slice::{HUGE_PAGE_BYTES, LargeSlice};
use crate::prefetch::prefetch;

/// Entries of a chunk: a huge page.
const CHUNK_ENTRIES: usize = HUGE_PAGE_BYTES / size_of::<Entry>();
/// Entries of the first chunk at first: most states are small.
const ENTRIES_AT_FIRST: usize = 64;

/// Memory of an entry beside its heap: its cache line, and its share of an index that is half to three quarters full.
pub(crate) const ENTRY_BYTES: usize = 64 + 13;

const LIVE: u8 = 1;
const REFERENCED: u8 = 2;
const NULL_KEY: u8 = 4;

/// A key and what is known of its value. One cache line.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(crate) struct Entry {
    key: ShortBytes,
    /// The stored form, absent where the key has no value.
    value: ShortBytes,
    hash: u32,
    /// The epoch log that has the value: numbers of logs rise, 0 = it was read from the database.
    pub(crate) generation: u32,
    /// Where in that log.
    pub(crate) position: Position,
    flags: u8,
}

const _: () = assert!(size_of::<Entry>() == 64);

impl Entry {
    /// The stored form of the value, `None` where the key has none.
    #[inline]
    pub(crate) fn value(&self) -> Option<&[u8]> {
        self.value.get()
    }

    #[inline]
    fn is(&self, key: Option<&[u8]>) -> bool {
        match key {
            Some(key) => self.flags & NULL_KEY == 0 && self.key.get() == Some(key),
            None => self.flags & NULL_KEY != 0,
        }
    }

    fn heap_bytes(&self) -> usize {
        self.key.heap_bytes() + self.value.heap_bytes()
    }
}

/// All entries of one cache.
#[derive(Debug)]
pub(crate) struct Entries {
    index: ValueIndex,
    chunks: Vec<LargeSlice<Entry>>,
    /// Entries behind this one were never used.
    end: u32,
    free: Vec<u32>,
    live: usize,
    heap_bytes: usize,
    hand: u32,
}

impl Entries {
    pub(crate) fn new() -> Entries {
        Entries {
            index: ValueIndex::new(),
            chunks: Vec::new(),
            end: 0,
            free: Vec::new(),
            live: 0,
            heap_bytes: 0,
            hand: 0,
        }
    }

    /// Asks for the memory in which a search for this hash begins.
    #[inline]
    pub(crate) fn prefetch_search(&self, hash: u32) {
        self.index.prefetch(hash);
    }

    /// Asks for the entry that a search for this hash will most likely find.
    #[inline]
    pub(crate) fn prefetch_candidate(&self, hash: u32) {
        if let Some(entry) = self.index.find(hash, |_| true) {
            prefetch(self.get(entry));
        }
    }

    /// The entry of a key. It counts as used.
    #[inline]
    pub(crate) fn find(&mut self, hash: u32, key: Option<&[u8]>) -> Option<u32> {
        let found = self.index.find(hash, |entry| self.get(entry).is(key))?;
        self.get_mut(found).flags |= REFERENCED;
        Some(found)
    }

    #[inline]
    pub(crate) fn get(&self, entry: u32) -> &Entry {
        &self.chunks[entry as usize / CHUNK_ENTRIES][entry as usize % CHUNK_ENTRIES]
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, entry: u32) -> &mut Entry {
        &mut self.chunks[entry as usize / CHUNK_ENTRIES][entry as usize % CHUNK_ENTRIES]
    }

    /// Adds an entry without a value for a key that has none yet.
    pub(crate) fn insert(&mut self, hash: u32, key: Option<&[u8]>) -> u32 {
        let number = self.free.pop().unwrap_or_else(|| {
            let number = self.end;
            self.make_room(number as usize);
            self.end += 1;
            number
        });
        let entry = self.get_mut(number);
        entry.key.set(key.unwrap_or_default(), &[]);
        entry.hash = hash;
        entry.flags = LIVE | REFERENCED | if key.is_none() { NULL_KEY } else { 0 };
        let heap_bytes = entry.heap_bytes();
        self.heap_bytes += heap_bytes;
        self.live += 1;
        self.index.insert(hash, number);
        number
    }

    /// Makes room for the entry that is next at the end. Only a chunk that is not yet full size is ever copied.
    fn make_room(&mut self, number: usize) {
        match self.chunks.last_mut() {
            Some(chunk) if !number.is_multiple_of(CHUNK_ENTRIES) => {
                if number % CHUNK_ENTRIES == chunk.len() {
                    let mut larger = LargeSlice::<Entry>::new(chunk.len() * 2);
                    chunk
                        .iter_mut()
                        .zip(larger.iter_mut())
                        .for_each(|(entry, place)| std::mem::swap(entry, place));
                    *chunk = larger;
                }
            }
            Some(_) => self.chunks.push(LargeSlice::new(CHUNK_ENTRIES)),
            None => self.chunks.push(LargeSlice::new(ENTRIES_AT_FIRST)),
        }
    }

    /// Asks for an entry.
    #[inline]
    pub(crate) fn prefetch(&self, entry: u32) {
        prefetch(self.get(entry));
    }

    /// Sets the stored form of an entry's value to `head` and then `tail`; `None` = it has none.
    #[inline]
    pub(crate) fn set_value(&mut self, entry: u32, value: Option<(&[u8], &[u8])>) {
        let entry = self.get_mut(entry);
        let before = entry.value.heap_bytes();
        match value {
            Some((head, tail)) => entry.value.set(head, tail),
            None => entry.value = ShortBytes::Absent,
        }
        let after = entry.value.heap_bytes();
        self.heap_bytes = self.heap_bytes - before + after;
    }

    /// Memory of the entries in use.
    #[inline]
    pub(crate) fn memory_bytes(&self) -> usize {
        self.live * ENTRY_BYTES + self.heap_bytes
    }

    /// Gives up entries whose log is settled, those that were not used since the clock passed them last, until
    /// `is_enough` or `looks_max` entries were looked at.
    pub(crate) fn evict(&mut self, settled: u32, looks_max: usize, is_enough: impl Fn(usize) -> bool) {
        for _ in 0..looks_max {
            if self.end == 0 || is_enough(self.memory_bytes()) {
                return;
            }
            let number = self.hand;
            self.hand = if number + 1 == self.end { 0 } else { number + 1 };
            let entry = self.get_mut(number);
            if entry.flags & LIVE == 0 || entry.generation > settled {
                continue;
            }
            if entry.flags & REFERENCED != 0 {
                entry.flags &= !REFERENCED;
                continue;
            }
            let gone = std::mem::take(entry);
            self.heap_bytes -= gone.heap_bytes();
            self.live -= 1;
            self.index.remove(gone.hash, number);
            self.free.push(number);
        }
    }

    /// Entries in use.
    #[cfg(test)]
    pub(crate) fn live(&self) -> usize {
        self.live
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_null_key_is_no_empty_key() {
        let mut entries = Entries::new();
        let null = entries.insert(5, None);
        let empty = entries.insert(5, Some(b""));
        assert_eq!(entries.find(5, None), Some(null));
        assert_eq!(entries.find(5, Some(b"")), Some(empty));
    }

    #[test]
    fn entries_stay_what_they_are_while_the_chunks_grow() {
        let mut entries = Entries::new();
        let count = CHUNK_ENTRIES as u32 + 100;
        for number in 0..count {
            let entry = entries.insert(number, Some(&number.to_be_bytes()));
            entries.set_value(entry, Some((&number.to_le_bytes(), b"x")));
        }
        for number in 0..count {
            let entry = entries.find(number, Some(&number.to_be_bytes())).unwrap();
            assert_eq!(entries.get(entry).value().unwrap()[..4], number.to_le_bytes());
        }
    }

    #[test]
    fn entries_of_unsettled_logs_stay_and_used_ones_go_last() {
        let mut entries = Entries::new();
        for number in 0..10u32 {
            let entry = entries.insert(number, Some(&number.to_be_bytes()));
            entries.get_mut(entry).generation = if number < 5 { 7 } else { 3 };
        }
        // The first round takes the marks, then one key is used again.
        entries.evict(6, 10, |_| false);
        assert_eq!(entries.live(), 10);
        assert!(entries.find(8, Some(&8u32.to_be_bytes())).is_some());
        entries.evict(6, 10, |_| false);
        let kept = (0..10u32).filter(|number| entries.find(*number, Some(&number.to_be_bytes())).is_some());
        assert_eq!(kept.collect::<Vec<_>>(), [0, 1, 2, 3, 4, 8]);
    }
}
