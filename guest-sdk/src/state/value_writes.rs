//! What a call wrote to a value state: encoded, one entry per written slot, in one buffer, so that nothing is
//! allocated per row and the buffer is the column that goes to the host.

use crate::bindings::types::Column;
use crate::call::NO_ROW;
use crate::packed::{column, pack};

/// Bytes of overwritten values from which on the buffer is tidied, if they are more than half of it.
const STALE_BYTES_MAX: usize = 1 << 20;

/// The written values of a call.
pub(super) struct ValueWrites {
    /// Per slot: 0, or 1 + the number of its write. Empty until the first write.
    written: Vec<u32>,
    /// In order of first write.
    writes: Vec<Write>,
    data: Vec<u8>,
    /// Where the value under construction starts.
    start: usize,
    /// Whether the writes' bytes follow one another without gaps, in order.
    gapless: bool,
    stale_bytes: usize,
    /// The row whose undoing is remembered.
    row: u32,
    /// What it found when it wrote first: `None` if the slot was not written.
    before: Option<Write>,
    before_data: Vec<u8>,
}

/// A written value: `data[start..end]`.
#[derive(Clone, Copy)]
struct Write {
    slot: u32,
    start: usize,
    end: usize,
    removed: bool,
}

impl Default for ValueWrites {
    fn default() -> Self {
        ValueWrites {
            written: Vec::new(),
            writes: Vec::new(),
            data: Vec::new(),
            start: 0,
            gapless: true,
            stale_bytes: 0,
            row: NO_ROW,
            before: None,
            before_data: Vec::new(),
        }
    }
}

impl ValueWrites {
    /// What was written for a slot: `None` if nothing, `Some(None)` if its value was removed.
    #[inline]
    pub(super) fn get(&self, slot: u32) -> Option<Option<&[u8]>> {
        let write = self.write_of(slot)?;
        Some((!write.removed).then(|| &self.data[write.start..write.end]))
    }

    #[inline]
    fn write_of(&self, slot: u32) -> Option<Write> {
        let number = self.written.get(slot as usize)?.checked_sub(1)?;
        Some(self.writes[number as usize])
    }

    /// Begins a value; its bytes go to [`Self::data_mut`].
    #[inline]
    pub(super) fn begin(&mut self, row: u32, slot: u32, slot_count: usize) {
        if self.written.is_empty() {
            self.written.resize(slot_count, 0);
        }
        if self.row != row {
            self.row = row;
            self.before = self.write_of(slot);
            if let Some(before) = self.before {
                self.before_data.clear();
                self.before_data.extend_from_slice(&self.data[before.start..before.end]);
            }
        }
        self.start = self.data.len();
    }

    #[inline]
    pub(super) fn data_mut(&mut self) -> &mut Vec<u8> {
        &mut self.data
    }

    /// Ends the value that was begun. It takes the place of the slot's earlier one where it fits.
    #[inline]
    pub(super) fn finish(&mut self, slot: u32, removed: bool) {
        let (start, end) = (self.start, self.data.len());
        let Some(number) = self.written[slot as usize].checked_sub(1) else {
            self.writes.push(Write { slot, start, end, removed });
            self.written[slot as usize] = self.writes.len() as u32;
            return;
        };
        let is_last = self.gapless && number as usize + 1 == self.writes.len();
        let write = &mut self.writes[number as usize];
        write.removed = removed;
        let length = end - start;
        let at_the_end = is_last && write.end == start;
        if at_the_end || length == write.end - write.start {
            self.data.copy_within(start..end, write.start);
            write.end = write.start + length;
            self.data.truncate(if at_the_end { write.end } else { start });
            return;
        }
        self.stale_bytes += write.end - write.start;
        (write.start, write.end) = (start, end);
        self.gapless = false;
        if self.stale_bytes > STALE_BYTES_MAX && self.stale_bytes > self.data.len() / 2 {
            self.tidy();
        }
    }

    /// Undoes what a row wrote to its slot.
    pub(super) fn take_back(&mut self, row: u32, slot: u32) {
        if self.row != row {
            return;
        }
        self.row = NO_ROW;
        match self.before {
            Some(before) => {
                self.start = self.data.len();
                self.data.extend_from_slice(&self.before_data);
                self.finish(slot, before.removed);
            }
            None => {
                // A row writes to one slot alone, so its first write is the last in order.
                if let Some(write) = self.writes.pop() {
                    self.written[slot as usize] = 0;
                    match self.gapless {
                        true => self.data.truncate(write.start),
                        false => self.stale_bytes += write.end - write.start,
                    }
                }
            }
        }
    }

    /// Copies the living values together.
    #[cold]
    fn tidy(&mut self) {
        let mut tidied = Vec::with_capacity(self.data.len() - self.stale_bytes);
        for write in &mut self.writes {
            let start = tidied.len();
            tidied.extend_from_slice(&self.data[write.start..write.end]);
            (write.start, write.end) = (start, tidied.len());
        }
        self.data = tidied;
        self.stale_bytes = 0;
        self.gapless = true;
    }

    /// The written slots and their values.
    pub(super) fn into_columns(self) -> (Vec<u8>, Column) {
        let slots = pack(self.writes.iter().map(|write| write.slot));
        if !self.gapless || self.writes.iter().any(|write| write.removed) {
            let values = self.writes.iter();
            return (
                slots,
                column(values.map(|write| (!write.removed).then(|| &self.data[write.start..write.end]))),
            );
        }
        let mut offsets = Vec::with_capacity(4 * (self.writes.len() + 1));
        offsets.extend_from_slice(&[0; 4]);
        for write in &self.writes {
            offsets.extend_from_slice(&(write.end as u32).to_le_bytes());
        }
        (slots, Column { offsets, data: self.data, nulls: Vec::new() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::column::read_u32;
    use std::collections::BTreeMap;

    const SLOTS: usize = 5;

    fn set(writes: &mut ValueWrites, row: u32, slot: u32, value: Option<&[u8]>) {
        writes.begin(row, slot, SLOTS);
        writes.data_mut().extend_from_slice(value.unwrap_or_default());
        writes.finish(slot, value.is_none());
    }

    /// Numbers that look random and are the same in every run.
    fn numbers(mut seed: u64) -> impl FnMut(u64) -> u64 {
        move |below| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        }
    }

    #[test]
    fn the_last_write_of_each_slot_holds_and_refused_rows_leave_nothing() {
        for seed in 0..300 {
            let mut next = numbers(seed);
            let (mut writes, mut model) = (ValueWrites::default(), BTreeMap::new());
            for row in 0..40 {
                let slot = next(SLOTS as u64) as u32;
                let before = model.clone();
                for _ in 0..next(3) {
                    let value = (next(5) > 0).then(|| vec![row as u8; next(4) as usize]);
                    set(&mut writes, row, slot, value.as_deref());
                    model.insert(slot, value);
                }
                if next(4) == 0 {
                    writes.take_back(row, slot);
                    model = before;
                }
                for slot in 0..SLOTS as u32 {
                    let expected = model.get(&slot).map(|value| value.as_deref());
                    assert_eq!(writes.get(slot), expected, "seed {seed}, row {row}");
                }
            }
            let (slots, values) = writes.into_columns();
            let written: BTreeMap<_, _> = (0..slots.len() / 4)
                .map(|entry| (read_u32(&slots, entry).unwrap(), values.get(entry).map(<[u8]>::to_vec)))
                .collect();
            assert_eq!(written, model, "seed {seed}");
        }
    }

    #[test]
    fn overwritten_values_do_not_pile_up() {
        let mut writes = ValueWrites::default();
        for row in 0..1000 {
            let value = vec![7; 20_000 + row as usize];
            set(&mut writes, row, row % 2, Some(&value));
        }
        assert!(writes.data.len() < 4 * STALE_BYTES_MAX, "{} bytes", writes.data.len());
        let (_, values) = writes.into_columns();
        assert_eq!(values.data.len(), 20_998 + 20_999);
    }
}
