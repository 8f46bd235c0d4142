//! Which input row each emitted record comes from. Sent only if a row was left out or repeated.

use crate::column::read_u32;

/// The source rows of the records emitted so far.
#[derive(Default)]
pub(crate) struct SourceRows {
    count: usize,
    /// Packed `u32`; empty as long as record `i` comes from row `i`.
    rows: Vec<u8>,
    /// Whether `rows` is in use.
    listed: bool,
}

impl SourceRows {
    /// Number of emitted records.
    #[inline]
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Notes one more emitted record, which comes from `row`.
    #[inline]
    pub(crate) fn push(&mut self, row: usize) {
        if !self.listed && row != self.count {
            self.list();
        }
        if self.listed {
            self.rows.extend_from_slice(&(row as u32).to_le_bytes());
        }
        self.count += 1;
    }

    /// The source row of emitted record `record`.
    pub(crate) fn source_of(&self, record: usize) -> usize {
        if !self.listed {
            return record;
        }
        read_u32(&self.rows, record).map_or(record, |row| row as usize)
    }

    /// Takes back the records from number `count` on.
    pub(crate) fn truncate(&mut self, count: usize) {
        self.count = self.count.min(count);
        if self.listed {
            self.rows.truncate(4 * self.count);
        }
    }

    /// The packed list for a batch of `input_count` rows, empty if it says nothing.
    pub(crate) fn finish(mut self, input_count: usize) -> Vec<u8> {
        if !self.listed && self.count != input_count && self.count != 0 {
            self.list();
        }
        self.rows
    }

    /// Writes down what was implied so far: record `i` comes from row `i`.
    #[cold]
    fn list(&mut self) {
        self.rows = (0..self.count as u32).flat_map(u32::to_le_bytes).collect();
        self.listed = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finished(emitted: &[usize], input_count: usize) -> Vec<u8> {
        let mut rows = SourceRows::default();
        for row in emitted {
            rows.push(*row);
        }
        rows.finish(input_count)
    }

    fn packed(rows: &[u32]) -> Vec<u8> {
        rows.iter().flat_map(|row| row.to_le_bytes()).collect()
    }

    #[test]
    fn one_record_per_row_is_not_listed() {
        assert_eq!(finished(&[0, 1, 2], 3), packed(&[]));
    }

    #[test]
    fn nothing_emitted_is_not_listed() {
        assert_eq!(finished(&[], 3), packed(&[]));
    }

    #[test]
    fn a_row_left_out_or_repeated_lists_all() {
        assert_eq!(finished(&[0, 2], 3), packed(&[0, 2]));
        assert_eq!(finished(&[0, 1], 3), packed(&[0, 1]));
        assert_eq!(finished(&[0, 1, 1, 2], 3), packed(&[0, 1, 1, 2]));
    }

    #[test]
    fn records_taken_back_leave_no_trace() {
        let mut rows = SourceRows::default();
        rows.push(0);
        rows.push(0);
        rows.push(0);
        rows.truncate(1);
        rows.push(1);
        assert_eq!(rows.finish(2), packed(&[0, 1]));
    }
}
