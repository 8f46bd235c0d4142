//! Building one output column in place. A column that nothing was written to stays absent, and is inherited.

use crate::bindings::types::Column;
use crate::source_rows::SourceRows;
use crate::value_writer::ValueWriter;

/// An output column under construction.
#[derive(Default)]
pub(crate) struct ColumnBuilder {
    entries: usize,
    offsets: Vec<u8>,
    writer: ValueWriter,
    nulls: Vec<u8>,
}

impl ColumnBuilder {
    /// A present column without entries, with room for as many entries and bytes as named.
    pub(crate) fn with_capacity(entries: usize, bytes: usize) -> Self {
        let mut offsets = Vec::with_capacity(4 * (entries + 1));
        offsets.extend_from_slice(&[0; 4]);
        ColumnBuilder { entries: 0, offsets, writer: ValueWriter::with_capacity(bytes), nulls: Vec::new() }
    }

    /// Whether anything was ever written to the column.
    pub(crate) fn is_present(&self) -> bool {
        !self.offsets.is_empty()
    }

    /// Number of finished entries.
    pub(crate) fn entries(&self) -> usize {
        self.entries
    }

    /// Makes the column present: the records emitted so far take their entries from their source rows.
    pub(crate) fn begin(&mut self, source: &Column, rows: &SourceRows) {
        *self = ColumnBuilder::with_capacity(rows.count() + 1, source.data.len());
        for record in 0..rows.count() {
            self.inherit(source, rows.source_of(record));
        }
    }

    /// Adds a copy of the source row's entry.
    pub(crate) fn inherit(&mut self, source: &Column, row: usize) {
        match source.get(row) {
            Some(entry) => self.push(entry),
            // An absent header column has no headers to inherit: an empty entry says the same.
            None if source.is_absent() => self.push(&[]),
            None => self.push_null(),
        }
    }

    /// Adds an entry.
    #[inline]
    pub(crate) fn push(&mut self, entry: &[u8]) {
        self.writer.put(entry);
        self.finish_entry();
    }

    /// Adds a null.
    pub(crate) fn push_null(&mut self) {
        self.nulls.resize(self.entries, 0);
        self.nulls.push(1);
        self.finish_entry();
    }

    /// Where the bytes of the unfinished entry go.
    #[inline(always)]
    pub(crate) fn writer(&mut self) -> &mut ValueWriter {
        &mut self.writer
    }

    /// Ends the entry that was written to [`Self::writer`].
    #[inline(always)]
    pub(crate) fn finish_entry(&mut self) {
        self.entries += 1;
        self.offsets.extend_from_slice(&(self.writer.data().len() as u32).to_le_bytes());
    }

    /// Takes back unfinished bytes, and all entries from number `entries` on.
    pub(crate) fn truncate(&mut self, entries: usize) {
        if !self.is_present() {
            return;
        }
        self.entries = self.entries.min(entries);
        self.offsets.truncate(4 * (self.entries + 1));
        self.nulls.truncate(self.entries);
        let end = self.offsets.last_chunk().map_or(0, |end| u32::from_le_bytes(*end));
        self.writer.truncate(end as usize);
    }

    /// The start of the entry under construction.
    pub(crate) fn entry_start(&self) -> usize {
        self.offsets.last_chunk().map_or(0, |end| u32::from_le_bytes(*end)) as usize
    }

    /// The finished column. One of no entries is absent.
    pub(crate) fn finish(mut self) -> Column {
        if self.entries == 0 {
            return Column::default();
        }
        if !self.nulls.is_empty() {
            self.nulls.resize(self.entries, 0);
        }
        Column { offsets: self.offsets, data: self.writer.into_data(), nulls: self.nulls }
    }
}
