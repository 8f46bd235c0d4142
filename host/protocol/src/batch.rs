//! The batch: rows as columns of packed bytes, and where each row came from.
//!
//! The columns are laid out as the operator contract (`wit/types.wit`) lays them out, so a column goes into a guest
//! and comes out of it by one copy of bytes. Numbers are little-endian and packed, without promised alignment.

use crate::position::Partition;
use std::ops::Range;
use std::sync::Arc;

/// A sequence of byte strings, each of which may be null.
///
/// Entry `i` is `data[offset(i) .. offset(i + 1)]`. `offsets` empty means that the column is *absent*.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Column {
    /// `u32` x (entries + 1), little-endian.
    pub offsets: Vec<u8>,
    /// The bytes of all entries.
    pub data: Vec<u8>,
    /// Empty: no entry is null. Otherwise a byte per entry, 1 = null.
    pub nulls: Vec<u8>,
}

/// Reads the `u32` with the given index from packed little-endian bytes.
#[inline]
pub fn read_u32(bytes: &[u8], index: usize) -> u32 {
    let at = index * 4;
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// Reads the `s64` with the given index from packed little-endian bytes.
#[inline]
pub fn read_i64(bytes: &[u8], index: usize) -> i64 {
    let at = index * 8;
    let mut eight = [0; 8];
    eight.copy_from_slice(&bytes[at..at + 8]);
    i64::from_le_bytes(eight)
}

impl Column {
    /// True where the column carries nothing at all; what that means is said wherever a column is used.
    #[inline]
    pub fn is_absent(&self) -> bool {
        self.offsets.is_empty()
    }

    /// Number of entries.
    #[inline]
    pub fn len(&self) -> usize {
        (self.offsets.len() / 4).saturating_sub(1)
    }

    /// True where there is no entry.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Makes room for `entries` more of about `bytes` in all.
    pub fn reserve(&mut self, entries: usize, bytes: usize) {
        self.offsets.reserve((entries + 1) * 4);
        self.data.reserve(bytes);
    }

    /// The bytes of entry `index`, empty where it is null.
    #[inline]
    pub fn bytes(&self, index: usize) -> &[u8] {
        let (start, end) = (read_u32(&self.offsets, index), read_u32(&self.offsets, index + 1));
        &self.data[start as usize..end as usize]
    }

    /// True where entry `index` is null.
    #[inline]
    pub fn is_null(&self, index: usize) -> bool {
        self.nulls.get(index).is_some_and(|null| *null != 0)
    }

    /// Entry `index`: its bytes, or `None` where it is null.
    #[inline]
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        if self.is_null(index) { None } else { Some(self.bytes(index)) }
    }

    /// Adds an entry.
    #[inline]
    pub fn push(&mut self, entry: Option<&[u8]>) {
        if self.offsets.is_empty() {
            self.offsets.extend_from_slice(&0u32.to_le_bytes());
        }
        match entry {
            Some(bytes) => {
                self.data.extend_from_slice(bytes);
                if !self.nulls.is_empty() {
                    self.nulls.push(0);
                }
            }
            None => {
                if self.nulls.is_empty() {
                    self.nulls.resize(self.len(), 0);
                }
                self.nulls.push(1);
            }
        }
        // A batch is bounded far below 4 GiB (`batch_bytes_max`, `output`), so the end fits.
        self.offsets.extend_from_slice(&(self.data.len() as u32).to_le_bytes());
    }

    /// The entries of `rows`, in that order.
    #[must_use]
    pub fn gather(&self, rows: impl ExactSizeIterator<Item = usize>) -> Column {
        let mut gathered = Column::default();
        let share = if self.is_empty() { 0 } else { self.data.len() * rows.len() / self.len() };
        gathered.reserve(rows.len(), share);
        for row in rows {
            gathered.push(self.get(row));
        }
        gathered
    }

    /// Adds the entries of another column behind this one's.
    pub fn append(&mut self, other: &Column) {
        for row in 0..other.len() {
            self.push(other.get(row));
        }
    }

    /// Empties the column and keeps its memory.
    pub fn clear(&mut self) {
        self.offsets.clear();
        self.data.clear();
        self.nulls.clear();
    }

    /// Bytes that the column holds.
    pub fn size_bytes(&self) -> usize {
        self.offsets.len() + self.data.len() + self.nulls.len()
    }
}

/// Rows that follow one another in one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginRun {
    /// The topic that the rows were read from.
    pub topic: Arc<str>,
    /// The partition of it.
    pub partition: i32,
    /// The offset of the first row; each further one is at the next offset.
    pub first_offset: i64,
    /// How many rows.
    pub rows: u32,
}

/// Where one row came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The partition that it was read from.
    pub partition: Partition,
    /// Its offset there.
    pub offset: i64,
}

/// The host-only columns of a batch: the source partition and offset of each row, run by run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins {
    runs: Vec<OriginRun>,
}

impl Origins {
    /// Notes the origin of the next row.
    #[inline]
    pub fn push(&mut self, topic: &Arc<str>, partition: i32, offset: i64) {
        if let Some(last) = self.runs.last_mut()
            && last.partition == partition
            && last.first_offset + i64::from(last.rows) == offset
            && Arc::ptr_eq(&last.topic, topic)
        {
            last.rows += 1;
            return;
        }
        self.runs.push(OriginRun { topic: topic.clone(), partition, first_offset: offset, rows: 1 });
    }

    /// The runs, in the order of the rows.
    pub fn runs(&self) -> &[OriginRun] {
        &self.runs
    }

    /// Where row `row` came from, if the batch has so many rows.
    pub fn of(&self, row: usize) -> Option<Origin> {
        let mut left = row as i64;
        for run in &self.runs {
            if left < i64::from(run.rows) {
                let partition = Partition { topic: run.topic.clone(), number: run.partition };
                return Some(Origin { partition, offset: run.first_offset + left });
            }
            left -= i64::from(run.rows);
        }
        None
    }

    /// The origins of `rows`, in that order. One pass where the rows rise, as they nearly always do.
    #[must_use]
    pub fn gather(&self, rows: impl Iterator<Item = usize>) -> Origins {
        let mut gathered = Origins::default();
        let (mut run, mut run_start) = (0, 0usize);
        for row in rows {
            if row < run_start {
                (run, run_start) = (0, 0);
            }
            while let Some(current) = self.runs.get(run)
                && row >= run_start + current.rows as usize
            {
                run_start += current.rows as usize;
                run += 1;
            }
            if let Some(current) = self.runs.get(run) {
                let offset = current.first_offset + (row - run_start) as i64;
                gathered.push(&current.topic, current.partition, offset);
            }
        }
        gathered
    }

    /// Forgets all runs and keeps the memory.
    pub fn clear(&mut self) {
        self.runs.clear();
    }
}

/// Rows on their way through the pipeline.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// Number of rows.
    pub rows: usize,
    /// `s64` per row, little-endian: event time in milliseconds since 1970.
    pub timestamps: Vec<u8>,
    /// The record key per row; null = none. Never absent in a batch with rows.
    pub keys: Column,
    /// The record value per row; null = tombstone. Never absent in a batch with rows.
    pub values: Column,
    /// The record headers per row, encoded as [`crate::batch::push_header`] does; absent = no row has any.
    pub headers: Column,
    /// Where each row came from.
    pub origins: Origins,
}

impl Batch {
    /// The event time of a row.
    #[inline]
    pub fn timestamp(&self, row: usize) -> i64 {
        read_i64(&self.timestamps, row)
    }

    /// Adds a row. `headers` is an encoded entry, `None` for a row without headers.
    #[inline]
    pub fn push(&mut self, timestamp: i64, key: Option<&[u8]>, value: Option<&[u8]>, headers: Option<&[u8]>) {
        self.timestamps.extend_from_slice(&timestamp.to_le_bytes());
        self.keys.push(key);
        self.values.push(value);
        if headers.is_some() || !self.headers.is_absent() {
            // Rows before the first one with headers get an empty entry each.
            while self.headers.len() < self.rows {
                self.headers.push(Some(&[]));
            }
            self.headers.push(Some(headers.unwrap_or(&[])));
        }
        self.rows += 1;
    }

    /// The given rows as a batch of their own, in that order.
    #[must_use]
    pub fn gather(&self, rows: &[usize]) -> Batch {
        let mut timestamps = Vec::with_capacity(rows.len() * 8);
        for row in rows {
            timestamps.extend_from_slice(&self.timestamps[row * 8..row * 8 + 8]);
        }
        let column = |column: &Column| {
            if column.is_absent() { Column::default() } else { column.gather(rows.iter().copied()) }
        };
        Batch {
            rows: rows.len(),
            timestamps,
            keys: column(&self.keys),
            values: column(&self.values),
            headers: column(&self.headers),
            origins: self.origins.gather(rows.iter().copied()),
        }
    }

    /// A stretch of rows as a batch of its own.
    #[must_use]
    pub fn slice(&self, rows: Range<usize>) -> Batch {
        self.gather(&rows.collect::<Vec<_>>())
    }

    /// Adds the rows of another batch behind this one's.
    pub fn append(&mut self, other: &Batch) {
        for row in 0..other.rows {
            let headers = if other.headers.is_absent() { None } else { Some(other.headers.bytes(row)) };
            self.push(other.timestamp(row), other.keys.get(row), other.values.get(row), headers);
        }
        for run in other.origins.runs() {
            for offset in run.first_offset..run.first_offset + i64::from(run.rows) {
                self.origins.push(&run.topic, run.partition, offset);
            }
        }
    }

    /// Bytes of the columns.
    pub fn size_bytes(&self) -> usize {
        self.timestamps.len() + self.keys.size_bytes() + self.values.size_bytes() + self.headers.size_bytes()
    }

    /// Bytes of the row's key, value and headers: what a sink has to store.
    pub fn record_bytes(&self, row: usize) -> usize {
        let headers = if self.headers.is_absent() { 0 } else { self.headers.bytes(row).len() };
        self.keys.bytes(row).len() + self.values.bytes(row).len() + headers
    }

    /// Bytes of all keys and values: what a person counts as the size of the records.
    pub fn payload_bytes(&self) -> usize {
        self.keys.data.len() + self.values.data.len()
    }

    /// Empties the batch and keeps its memory.
    pub fn clear(&mut self) {
        self.rows = 0;
        self.timestamps.clear();
        self.keys.clear();
        self.values.clear();
        self.headers.clear();
        self.origins.clear();
    }
}

/// Marks a header without a value.
const NULL_HEADER: u32 = u32::MAX;

/// Adds one header to an encoded entry: `u32` count, then per header `u32` length, name, `u32` length or
/// 0xffffffff for null, value.
pub fn push_header(entry: &mut Vec<u8>, name: &str, value: Option<&[u8]>) {
    if entry.is_empty() {
        entry.extend_from_slice(&0u32.to_le_bytes());
    }
    let count = read_u32(entry, 0) + 1;
    entry[..4].copy_from_slice(&count.to_le_bytes());
    entry.extend_from_slice(&(name.len() as u32).to_le_bytes());
    entry.extend_from_slice(name.as_bytes());
    entry.extend_from_slice(&value.map_or(NULL_HEADER, |value| value.len() as u32).to_le_bytes());
    entry.extend_from_slice(value.unwrap_or_default());
}

/// Walks over the headers of an encoded entry. An entry that is cut short ends the walk with an error.
pub fn headers(entry: &[u8]) -> Headers<'_> {
    match entry.get(4..) {
        Some(rest) => Headers { rest, left: read_u32(entry, 0) },
        // An empty entry is a row without headers; one to three bytes are a count cut short.
        None => Headers { rest: entry, left: 0 },
    }
}

/// The iterator that [`headers`] returns.
pub struct Headers<'a> {
    rest: &'a [u8],
    left: u32,
}

/// A header entry that does not follow the layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("headers do not follow the layout: count, then length, name, length or 0xffffffff, value")]
pub struct MalformedHeaders;

impl<'a> Headers<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], MalformedHeaders> {
        if self.rest.len() < length {
            return Err(MalformedHeaders);
        }
        let (taken, rest) = self.rest.split_at(length);
        self.rest = rest;
        Ok(taken)
    }

    fn header(&mut self) -> Result<(&'a str, Option<&'a [u8]>), MalformedHeaders> {
        let length = read_u32(self.take(4)?, 0);
        let name = std::str::from_utf8(self.take(length as usize)?).map_err(|_| MalformedHeaders)?;
        let length = read_u32(self.take(4)?, 0);
        let value = if length == NULL_HEADER { None } else { Some(self.take(length as usize)?) };
        Ok((name, value))
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = Result<(&'a str, Option<&'a [u8]>), MalformedHeaders>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            // Bytes behind the last header are as wrong as bytes that are missing.
            let trailing = !std::mem::take(&mut self.rest).is_empty();
            return trailing.then_some(Err(MalformedHeaders));
        }
        self.left -= 1;
        let header = self.header();
        if header.is_err() {
            (self.left, self.rest) = (0, &[]);
        }
        Some(header)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Batch {
        let topic: Arc<str> = "orders".into();
        let mut batch = Batch::default();
        for (row, value) in [Some("a"), None, Some("ccc")].into_iter().enumerate() {
            batch.push(row as i64, Some(b"k"), value.map(str::as_bytes), None);
            batch.origins.push(&topic, 2, 40 + row as i64);
        }
        batch
    }

    #[test]
    fn a_tombstone_is_not_an_empty_value() {
        let batch = sample();
        assert_eq!(batch.values.get(1), None);
        assert_eq!(batch.values.get(2), Some(b"ccc".as_slice()));
        assert_eq!(batch.values.nulls, [0, 1, 0]);
    }

    #[test]
    fn gathering_rows_keeps_their_origin() {
        let gathered = sample().gather(&[2, 0, 0]);
        assert_eq!(gathered.origins.of(0).unwrap().offset, 42);
        assert_eq!(gathered.origins.of(2).unwrap().offset, 40);
        assert_eq!(gathered.values.get(0), Some(b"ccc".as_slice()));
        assert_eq!(gathered.values.len(), 3);
    }

    #[test]
    fn consecutive_offsets_are_one_run() {
        assert_eq!(sample().origins.runs().len(), 1);
        assert_eq!(sample().origins.of(3), None);
    }

    #[test]
    fn a_row_with_headers_behind_rows_without_keeps_the_columns_equal() {
        let mut entry = Vec::new();
        push_header(&mut entry, "trace", Some(b"1"));
        push_header(&mut entry, "empty", None);
        let mut batch = sample();
        batch.push(9, None, Some(b"x"), Some(&entry));
        assert_eq!(batch.headers.len(), 4);
        let read: Vec<_> = headers(batch.headers.bytes(3)).map(Result::unwrap).collect();
        assert_eq!(read, [("trace", Some(b"1".as_slice())), ("empty", None)]);
        assert_eq!(headers(batch.headers.bytes(0)).count(), 0);
    }

    #[test]
    fn headers_cut_short_are_an_error_not_a_panic() {
        let mut entry = Vec::new();
        push_header(&mut entry, "trace", Some(b"12345"));
        for length in 4..entry.len() {
            assert!(headers(&entry[..length]).any(|header| header.is_err()), "cut at {length}");
        }
        entry.push(0);
        assert!(headers(&entry).any(|header| header.is_err()), "a trailing byte");
    }
}
