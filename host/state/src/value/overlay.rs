//! What the running call has written to one value state.

use weir_protocol::batch::read_u32;
use weir_protocol::state::ColumnRef;

/// Where a written value lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    start: u32,
    length: u32,
}

const UNWRITTEN: Span = Span { start: 0, length: u32::MAX };
const REMOVED: Span = Span { start: 1, length: u32::MAX };

/// The writes of one call, by slot. Kept from call to call for its memory.
#[derive(Debug, Default)]
pub(crate) struct Overlay {
    of_slot: Vec<Span>,
    written: Vec<u32>,
    bytes: Vec<u8>,
}

impl Overlay {
    /// A call with so many slots begins.
    pub(crate) fn begin(&mut self, slots: usize) {
        self.clear();
        if self.of_slot.len() < slots {
            self.of_slot.resize(slots, UNWRITTEN);
        }
    }

    /// Takes over a column of values for packed slots; the later of two writes holds. Both were checked.
    pub(crate) fn put_many(&mut self, slots: &[u8], values: ColumnRef<'_>) {
        // `state_writes` is at most 2 GiB, so places fit into 32 bits.
        let base = self.bytes.len() as u32;
        self.bytes.extend_from_slice(values.data);
        let mut start = 0;
        for row in 0..slots.len() / 4 {
            let slot = read_u32(slots, row);
            let end = read_u32(values.offsets, row + 1);
            let place = &mut self.of_slot[slot as usize];
            if *place == UNWRITTEN {
                self.written.push(slot);
            }
            *place = if values.nulls.get(row).is_some_and(|null| *null != 0) {
                REMOVED
            } else {
                Span { start: base + start, length: end - start }
            };
            start = end;
        }
    }

    /// What was written to a slot: `None` = nothing, `Some(None)` = its value was removed.
    #[inline]
    pub(crate) fn get(&self, slot: u32) -> Option<Option<&[u8]>> {
        match self.of_slot[slot as usize] {
            UNWRITTEN => None,
            REMOVED => Some(None),
            Span { start, length } => Some(Some(&self.bytes[start as usize..(start + length) as usize])),
        }
    }

    /// The slots that were written to, each once.
    #[inline]
    pub(crate) fn written(&self) -> &[u32] {
        &self.written
    }

    /// Bytes of values that the call wrote.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Forgets the call.
    pub(crate) fn clear(&mut self) {
        for slot in self.written.drain(..) {
            self.of_slot[slot as usize] = UNWRITTEN;
        }
        self.bytes.clear();
    }
}
