//! A record as a view into the batch's columns: a field is decoded when it is asked for.

use crate::bindings::types::{Batch, Column};
use crate::column::read_i64;
use crate::headers::Headers;

/// One row of a batch. Copying it copies two words.
#[derive(Clone, Copy)]
pub struct Record<'a> {
    batch: &'a Batch,
    row: usize,
}

impl<'a> Record<'a> {
    /// The key, or `None` if the record has none.
    #[inline]
    pub fn key(&self) -> Option<&'a [u8]> {
        entry(&self.batch.keys, self.row)
    }

    /// The value, or `None` if the record is a tombstone.
    #[inline]
    pub fn value(&self) -> Option<&'a [u8]> {
        entry(&self.batch.values, self.row)
    }

    /// Event time in milliseconds since 1970-01-01T00:00:00Z.
    #[inline]
    pub fn timestamp(&self) -> i64 {
        read_i64(&self.batch.timestamps, self.row).unwrap_or_default()
    }

    /// The watermark of the call, in milliseconds since 1970-01-01T00:00:00Z: no record older than this is expected.
    /// `i64::MIN` before the first one.
    #[inline]
    pub fn watermark(&self) -> i64 {
        self.batch.watermark
    }

    /// Processing time of the call, in milliseconds since 1970-01-01T00:00:00Z. It never goes down.
    #[inline]
    pub fn now(&self) -> i64 {
        self.batch.now
    }

    /// The headers, in order.
    pub fn headers(&self) -> Headers<'a> {
        Headers::of(entry(&self.batch.headers, self.row).unwrap_or_default())
    }

    /// The value of the last header of this name. The outer `None` says that there is no such header.
    pub fn header(&self, name: &str) -> Option<Option<&'a [u8]>> {
        self.headers().filter(|(each, _)| *each == name).last().map(|(_, value)| value)
    }

    /// Number of the row in its batch.
    #[inline]
    pub fn row(&self) -> usize {
        self.row
    }
}

/// Spells out that the entry lives as long as the batch, not as long as the view.
#[inline]
fn entry(column: &Column, row: usize) -> Option<&[u8]> {
    column.get(row)
}

impl Batch {
    /// Row `row` as a record.
    #[inline]
    pub fn record(&self, row: usize) -> Record<'_> {
        Record { batch: self, row }
    }

    /// All rows, in arrival order.
    #[inline]
    pub fn records(&self) -> impl Iterator<Item = Record<'_>> {
        (0..self.count as usize).map(|row| self.record(row))
    }
}
