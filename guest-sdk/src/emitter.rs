//! Collects what `map!`, `router!` and `keyed!` emit, column by column, in place.
//!
//! A column stays absent until the first record sets it; only then are the records before it given their entries,
//! copied from their source rows. So an operator pays for the columns it changes.

use std::fmt::Display;

use crate::bindings::types::{Batch, Output, Rejection};
use crate::column::read_i64;
use crate::column_builder::ColumnBuilder;
use crate::declaration::OutputPort;
use crate::headers;
use crate::source_rows::SourceRows;
use crate::value_writer::ValueWriter;

/// Emits records for the current row. Each statement that begins with the emitter emits one record:
///
/// ```text
/// emit.value("new value");                   // everything else as in the source row
/// emit.key("new key").send();                // the value as well
/// emit.to("large").header("a", "b").value("new value");
/// ```
pub struct Emitter<'a> {
    batch: &'a Batch,
    outputs: &'static [OutputPort],
    row: usize,
    /// Number of records emitted before the current row.
    row_start: usize,
    /// Why the current row is refused.
    refusal: Option<String>,
    /// Why the whole call fails.
    fault: Option<&'static str>,
    rows: SourceRows,
    keys: ColumnBuilder,
    values: ColumnBuilder,
    headers: ColumnBuilder,
    /// Packed `s64`; empty as long as every record has its source row's.
    timestamps: Vec<u8>,
    /// Empty as long as every record goes to port 0.
    ports: Vec<u8>,
    rejections: Vec<Rejection>,
}

impl<'a> Emitter<'a> {
    pub(crate) fn new(batch: &'a Batch, outputs: &'static [OutputPort]) -> Self {
        Emitter {
            batch,
            outputs,
            row: 0,
            row_start: 0,
            refusal: None,
            fault: None,
            rows: SourceRows::default(),
            keys: ColumnBuilder::default(),
            values: ColumnBuilder::default(),
            headers: ColumnBuilder::default(),
            timestamps: Vec::new(),
            ports: Vec::new(),
            rejections: Vec::new(),
        }
    }

    /// Begins a record that is the source row as it is.
    #[inline]
    pub fn record(&mut self) -> Emission<'_, 'a> {
        Emission { emitter: self }
    }

    /// Begins a record for a named output port. Panics if no such port is declared.
    pub fn to(&mut self, port: &str) -> Emission<'_, 'a> {
        self.record().to(port)
    }

    /// Begins a record with this key.
    pub fn key(&mut self, key: impl AsRef<[u8]>) -> Emission<'_, 'a> {
        self.record().key(key)
    }

    /// Begins a record with this timestamp, in milliseconds since 1970-01-01T00:00:00Z.
    pub fn timestamp(&mut self, milliseconds: i64) -> Emission<'_, 'a> {
        self.record().timestamp(milliseconds)
    }

    /// Begins a record with one header more than the source row.
    pub fn header(&mut self, name: &str, value: impl AsRef<[u8]>) -> Emission<'_, 'a> {
        self.record().header(name, value)
    }

    /// Emits a record with this value.
    #[inline]
    pub fn value(&mut self, value: impl AsRef<[u8]>) {
        self.record().value(value);
    }

    /// Emits a record whose value the function writes in place.
    #[inline]
    pub fn write_value(&mut self, write: impl FnOnce(&mut ValueWriter)) {
        self.record().write_value(write);
    }

    /// Refuses the current row, and takes back what was emitted for it. The reason is one line for a person.
    pub fn reject(&mut self, reason: impl Display) {
        self.refusal = Some(reason.to_string());
    }

    #[inline]
    pub(crate) fn begin_row(&mut self, row: usize) {
        self.row = row;
        self.row_start = self.rows.count();
    }

    /// Ends the current row, and tells why it is refused, if it is.
    #[inline]
    pub(crate) fn end_row(&mut self, answer: Result<(), String>) -> Option<&str> {
        let reason = self.refusal.take().or(answer.err())?;
        self.take_back();
        self.rejections.push(Rejection::new(self.row, reason));
        self.rejections.last().map(|rejection| rejection.reason.as_str())
    }

    /// Removes the current row's records.
    fn take_back(&mut self) {
        let kept = self.row_start;
        self.rows.truncate(kept);
        self.keys.truncate(kept);
        self.values.truncate(kept);
        self.headers.truncate(kept);
        self.timestamps.truncate(8 * kept);
        self.ports.truncate(kept);
    }

    /// Gives the current record its entry in every present column that it did not set.
    #[inline]
    fn commit(&mut self) {
        let record = self.rows.count();
        if self.keys.is_present() && self.keys.entries() == record {
            self.keys.inherit(&self.batch.keys, self.row);
        }
        if !self.values.is_present() || self.values.entries() == record {
            self.inherit_value();
        }
        if self.headers.is_present() && self.headers.entries() == record {
            // The author wrote headers to the unfinished entry, which starts as a copy of the source row's.
            match self.headers.writer().data().len() == self.headers.entry_start() {
                true => self.headers.inherit(&self.batch.headers, self.row),
                false => self.headers.finish_entry(),
            }
        }
        if !self.timestamps.is_empty() && self.timestamps.len() == 8 * record {
            self.push_timestamp_of(self.row);
        }
        if !self.ports.is_empty() && self.ports.len() == record {
            self.ports.push(0);
        }
        self.rows.push(self.row);
    }

    #[inline]
    fn inherit_value(&mut self) {
        if self.batch.values.is_absent() {
            self.fault = Some("a record that is emitted for a timer needs a value, for a timer has none");
        } else if self.values.is_present() {
            self.values.inherit(&self.batch.values, self.row);
        }
    }

    fn push_timestamp_of(&mut self, row: usize) {
        let timestamp = read_i64(&self.batch.timestamps, row).unwrap_or_default();
        self.timestamps.extend_from_slice(&timestamp.to_le_bytes());
    }

    /// The output of the call, or why the call fails.
    pub(crate) fn finish(self) -> Result<Output, String> {
        if let Some(fault) = self.fault {
            return Err(fault.to_string());
        }
        Ok(Output {
            count: self.rows.count() as u32,
            rows: self.rows.finish(self.batch.count as usize),
            ports: self.ports,
            timestamps: self.timestamps,
            keys: self.keys.finish(),
            values: self.values.finish(),
            headers: self.headers.finish(),
            rejections: self.rejections,
        })
    }
}

/// One record on its way. What it does not set is taken from the source row. It is emitted when it is complete:
/// by [`value`](Self::value), [`write_value`](Self::write_value), [`tombstone`](Self::tombstone),
/// [`send`](Self::send), or the end of the statement.
pub struct Emission<'e, 'a> {
    emitter: &'e mut Emitter<'a>,
}

impl Emission<'_, '_> {
    /// Sends it to a named output port. Panics if no such port is declared.
    pub fn to(self, port: &str) -> Self {
        let index = self.emitter.outputs.iter().position(|output| output.name == port);
        let Some(index) = index else {
            panic!("no output port \"{port}\" is declared");
        };
        let record = self.emitter.rows.count();
        let ports = &mut self.emitter.ports;
        if index != 0 || !ports.is_empty() {
            ports.resize(record, 0);
            ports.push(index as u8);
        }
        self
    }

    /// Gives it this key.
    pub fn key(mut self, key: impl AsRef<[u8]>) -> Self {
        self.fresh_key().push(key.as_ref());
        self
    }

    /// Takes its key away.
    pub fn no_key(mut self) -> Self {
        self.fresh_key().push_null();
        self
    }

    /// Gives it this timestamp, in milliseconds since 1970-01-01T00:00:00Z.
    pub fn timestamp(self, milliseconds: i64) -> Self {
        let record = self.emitter.rows.count();
        if self.emitter.timestamps.is_empty() {
            for earlier in 0..record {
                self.emitter.push_timestamp_of(self.emitter.rows.source_of(earlier));
            }
        }
        self.emitter.timestamps.truncate(8 * record);
        self.emitter.timestamps.extend_from_slice(&milliseconds.to_le_bytes());
        self
    }

    /// Adds a header behind those it has.
    pub fn header(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let emitter = &mut *self.emitter;
        if !emitter.headers.is_present() {
            emitter.headers.begin(&emitter.batch.headers, &emitter.rows);
        }
        let start = emitter.headers.entry_start();
        let data = emitter.headers.writer().data_mut();
        if data.len() == start {
            data.extend_from_slice(emitter.batch.headers.get(emitter.row).unwrap_or_default());
        }
        headers::append(data, start, name, Some(value.as_ref()));
        self
    }

    /// Drops all headers it has so far.
    pub fn no_headers(self) -> Self {
        let emitter = &mut *self.emitter;
        if !emitter.headers.is_present() {
            emitter.headers.begin(&emitter.batch.headers, &emitter.rows);
        }
        let start = emitter.headers.entry_start();
        emitter.headers.writer().truncate(start);
        // A count of zero headers is not empty, so the entry counts as written.
        emitter.headers.writer().put([0; 4]);
        self
    }

    /// Emits it with this value.
    #[inline]
    pub fn value(mut self, value: impl AsRef<[u8]>) {
        self.fresh_value().push(value.as_ref());
    }

    /// Emits it with the value that the function writes in place.
    #[inline]
    pub fn write_value(mut self, write: impl FnOnce(&mut ValueWriter)) {
        let values = self.fresh_value();
        write(values.writer());
        values.finish_entry();
    }

    /// Emits it without a value.
    pub fn tombstone(mut self) {
        self.fresh_value().push_null();
    }

    /// Emits it with the source row's value.
    pub fn send(self) {}

    /// The key column, without an entry for this record.
    fn fresh_key(&mut self) -> &mut ColumnBuilder {
        let emitter = &mut *self.emitter;
        if !emitter.keys.is_present() {
            emitter.keys.begin(&emitter.batch.keys, &emitter.rows);
        }
        emitter.keys.truncate(emitter.rows.count());
        &mut emitter.keys
    }

    /// The value column; this record has no entry in it yet, for a value ends the record.
    #[inline]
    fn fresh_value(&mut self) -> &mut ColumnBuilder {
        let emitter = &mut *self.emitter;
        if !emitter.values.is_present() {
            emitter.values.begin(&emitter.batch.values, &emitter.rows);
        }
        &mut emitter.values
    }
}

impl Drop for Emission<'_, '_> {
    #[inline]
    fn drop(&mut self) {
        self.emitter.commit();
    }
}
