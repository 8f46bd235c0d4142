//! What an epoch wrote to one value state: each key once, with its last value.
//!
//! Records lie one behind the other in chunks, so a barrier hands the log over as it is and the thread that persists it
//! reads it from front to back. A key that is written again in the same epoch is written in place where the value fits,
//! else at the end, and the first record is struck out.

use crate::large_slice::{HUGE_PAGE_BYTES, LargeSlice};
use crate::prefetch::prefetch;
use std::sync::{Arc, Mutex};

/// Bytes of the first chunk: most epochs of most states are small.
const FIRST_CHUNK_BYTES: usize = 32 << 10;
/// Bytes of the others: a huge page. A larger record has a chunk of its own.
const CHUNK_BYTES: usize = HUGE_PAGE_BYTES;
/// Records begin at multiples of this.
const UNIT_BYTES: usize = 16;
/// Bits of a position that name the place in its chunk, in units.
const UNIT_BITS: u32 = (CHUNK_BYTES / UNIT_BYTES).trailing_zeros();
/// Chunks that a position can name; far above any memory bound.
const CHUNKS_MAX: usize = 1 << (32 - UNIT_BITS);
/// Chunks that are kept for the next epoch.
const POOLED_MAX: usize = 32;

/// hash, length of key, length of value, room for the value, flags: `u32` each.
const HEAD_BYTES: usize = 20;
const NULL_KEY: u32 = 1;
const REMOVED: u32 = 2;
const STRUCK_OUT: u32 = 4;

/// Chunks for use again: memory that the system need not clear anew for each epoch.
#[derive(Debug, Default)]
pub(crate) struct ChunkPool {
    free: Mutex<Vec<LargeSlice<u8>>>,
}

impl ChunkPool {
    fn take(&self) -> LargeSlice<u8> {
        let free = self.free.lock().unwrap_or_else(std::sync::PoisonError::into_inner).pop();
        free.unwrap_or_else(|| LargeSlice::new(CHUNK_BYTES))
    }

    fn give(&self, chunk: LargeSlice<u8>) {
        let mut free = self.free.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if chunk.len() == CHUNK_BYTES && free.len() < POOLED_MAX {
            free.push(chunk);
        }
    }
}

#[derive(Debug)]
struct Chunk {
    bytes: LargeSlice<u8>,
    used: usize,
}

/// Where a record is: its chunk in the upper bits, its place there in the lower.
pub(crate) type Position = u32;

#[inline]
fn position_of(chunk: usize, byte: usize) -> Position {
    (chunk as u32) << UNIT_BITS | (byte / UNIT_BYTES) as u32
}

#[inline]
fn chunk_of(position: Position) -> usize {
    (position >> UNIT_BITS) as usize
}

#[inline]
fn byte_of(position: Position) -> usize {
    (position & ((1 << UNIT_BITS) - 1)) as usize * UNIT_BYTES
}

/// A record of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Written<'a> {
    /// The hash of the key.
    pub(crate) hash: u32,
    /// The record key, `None` = the null key.
    pub(crate) key: Option<&'a [u8]>,
    /// The stored form of the value, `None` = removed.
    pub(crate) value: Option<&'a [u8]>,
}

/// The log of one epoch.
#[derive(Debug)]
pub(crate) struct EpochLog {
    chunks: Vec<Chunk>,
    records: usize,
    bytes: usize,
    pool: Arc<ChunkPool>,
}

impl EpochLog {
    pub(crate) fn new(pool: Arc<ChunkPool>) -> EpochLog {
        EpochLog { chunks: Vec::new(), records: 0, bytes: 0, pool }
    }

    /// Number of keys.
    pub(crate) fn len(&self) -> usize {
        self.records
    }

    /// Bytes of records, struck out ones included.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.bytes
    }

    /// Adds a record; its key is not in the log. The value is `head` and then `tail`, `None` = removed.
    pub(crate) fn append(
        &mut self,
        hash: u32,
        key: Option<&[u8]>,
        value: Option<(&[u8], &[u8])>,
    ) -> Position {
        let key_bytes = key.unwrap_or_default();
        let value_length = value.map_or(0, |(head, tail)| head.len() + tail.len());
        let size = (HEAD_BYTES + key_bytes.len() + value_length).next_multiple_of(UNIT_BYTES);
        if self.chunks.last().is_none_or(|chunk| chunk.used + size > chunk.bytes.len()) {
            assert!(self.chunks.len() < CHUNKS_MAX, "a log is written to the database long before 64 GiB");
            let bytes = match self.chunks.is_empty() {
                _ if size > CHUNK_BYTES => LargeSlice::new(size),
                true if size <= FIRST_CHUNK_BYTES => LargeSlice::new(FIRST_CHUNK_BYTES),
                _ => self.pool.take(),
            };
            self.chunks.push(Chunk { bytes, used: 0 });
        }
        let chunk_index = self.chunks.len() - 1;
        let chunk = &mut self.chunks[chunk_index];
        let record = &mut chunk.bytes[chunk.used..chunk.used + size];
        let room = size - HEAD_BYTES - key_bytes.len();
        let flags = if key.is_none() { NULL_KEY } else { 0 } | if value.is_none() { REMOVED } else { 0 };
        for (word, number) in
            [hash, key_bytes.len() as u32, value_length as u32, room as u32, flags].into_iter().enumerate()
        {
            record[word * 4..word * 4 + 4].copy_from_slice(&number.to_le_bytes());
        }
        let body = &mut record[HEAD_BYTES..];
        body[..key_bytes.len()].copy_from_slice(key_bytes);
        if let Some((head, tail)) = value {
            fill(&mut body[key_bytes.len()..], head, tail);
        }
        let position = position_of(chunk_index, chunk.used);
        chunk.used += size;
        self.bytes += size;
        self.records += 1;
        position
    }

    /// Gives the record at `position` another value. Returns where it is then.
    #[inline]
    pub(crate) fn update(&mut self, position: Position, value: Option<(&[u8], &[u8])>) -> Position {
        let record = self.record_mut(position);
        let (key_length, room) = (word(record, 1) as usize, word(record, 3) as usize);
        let flags = word(record, 4);
        let Some((head, tail)) = value else {
            set_word(record, 4, flags | REMOVED);
            return position;
        };
        let length = head.len() + tail.len();
        if length <= room {
            set_word(record, 2, length as u32);
            set_word(record, 4, flags & !REMOVED);
            fill(&mut record[HEAD_BYTES + key_length..], head, tail);
            return position;
        }
        set_word(record, 4, flags | STRUCK_OUT);
        let hash = word(record, 0);
        let key = record[HEAD_BYTES..HEAD_BYTES + key_length].to_vec();
        self.records -= 1;
        self.append(hash, (flags & NULL_KEY == 0).then_some(&key), value)
    }

    /// Asks for the memory of a record.
    #[inline]
    pub(crate) fn prefetch(&self, position: Position) {
        let chunk = &self.chunks[chunk_of(position)];
        prefetch(&raw const chunk.bytes[byte_of(position)]);
    }

    /// The record at a position.
    #[inline]
    pub(crate) fn get(&self, position: Position) -> Written<'_> {
        let chunk = &self.chunks[chunk_of(position)];
        let record = &chunk.bytes[byte_of(position)..];
        let (key_length, value_length) = (word(record, 1) as usize, word(record, 2) as usize);
        let flags = word(record, 4);
        let (key, rest) = record[HEAD_BYTES..].split_at(key_length);
        Written {
            hash: word(record, 0),
            key: (flags & NULL_KEY == 0).then_some(key),
            value: (flags & REMOVED == 0).then(|| &rest[..value_length]),
        }
    }

    /// Shows the hash and the position of each key, in no useful order.
    pub(crate) fn for_each(&self, mut visit: impl FnMut(u32, Position)) {
        for (index, chunk) in self.chunks.iter().enumerate() {
            let mut at = 0;
            while at < chunk.used {
                let record = &chunk.bytes[at..];
                if word(record, 4) & STRUCK_OUT == 0 {
                    visit(word(record, 0), position_of(index, at));
                }
                at += HEAD_BYTES + word(record, 1) as usize + word(record, 3) as usize;
            }
        }
    }

    #[inline]
    fn record_mut(&mut self, position: Position) -> &mut [u8] {
        let chunk = &mut self.chunks[chunk_of(position)];
        &mut chunk.bytes[byte_of(position)..]
    }
}

impl Drop for EpochLog {
    fn drop(&mut self) {
        for chunk in self.chunks.drain(..) {
            self.pool.give(chunk.bytes);
        }
    }
}

#[inline]
fn fill(into: &mut [u8], head: &[u8], tail: &[u8]) {
    into[..head.len()].copy_from_slice(head);
    into[head.len()..head.len() + tail.len()].copy_from_slice(tail);
}

#[inline]
fn word(record: &[u8], index: usize) -> u32 {
    weir_protocol::batch::read_u32(record, index)
}

#[inline]
fn set_word(record: &mut [u8], index: usize, number: u32) {
    record[index * 4..index * 4 + 4].copy_from_slice(&number.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn the_log_holds_each_key_once_with_its_last_value(
            writes in prop::collection::vec((0u8..20, prop::option::of(0usize..60)), 0..200)
        ) {
            let mut log = EpochLog::new(Arc::default());
            let mut positions: BTreeMap<u8, Position> = BTreeMap::new();
            let mut model: BTreeMap<u8, Option<Vec<u8>>> = BTreeMap::new();
            for (index, (number, length)) in writes.into_iter().enumerate() {
                let value = length.map(|length| vec![index as u8; length]);
                let bytes = [number];
                let key = if number == 0 { None } else { Some(&bytes[..]) };
                let parts = value.as_deref().map(|value| value.split_at(value.len() / 3));
                let position = match positions.get(&number) {
                    Some(position) => log.update(*position, parts),
                    None => log.append(u32::from(number), key, parts),
                };
                positions.insert(number, position);
                model.insert(number, value);
            }
            prop_assert_eq!(log.len(), model.len());
            let mut seen = BTreeMap::new();
            log.for_each(|hash, position| {
                let written = log.get(position);
                assert_eq!(written.hash, hash);
                let number = written.key.map_or(0, |key| key[0]);
                assert_eq!(positions[&number], position);
                assert!(seen.insert(number, written.value.map(<[u8]>::to_vec)).is_none());
            });
            prop_assert_eq!(seen, model);
        }
    }

    #[test]
    fn a_record_larger_than_a_chunk_has_its_own() {
        let mut log = EpochLog::new(Arc::default());
        let large = vec![7; CHUNK_BYTES + 5];
        let first = log.append(1, Some(b"a"), Some((b"", b"small")));
        let second = log.append(2, Some(b"b"), Some((b"", &large)));
        let third = log.append(3, Some(b"c"), Some((b"", b"small again")));
        assert_eq!(log.get(second).value, Some(&large[..]));
        assert_eq!(log.get(first).value, Some(&b"small"[..]));
        assert_eq!(log.get(third).value, Some(&b"small again"[..]));
        assert_eq!(log.len(), 3);
    }
}
