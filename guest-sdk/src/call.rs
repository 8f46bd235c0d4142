//! What the handles of states and timers know of the call: its slots, and the row that is being handled.

use std::cell::Cell;
use std::rc::Rc;

use crate::bindings::types::Batch;
use crate::column::read_u32;

/// A row number that no row has.
pub(crate) const NO_ROW: u32 = u32::MAX;

/// The running call.
pub struct Call {
    slot_count: usize,
    row: Cell<u32>,
    slot: Cell<u32>,
}

impl Call {
    /// A call before its first row.
    pub fn of(batch: &Batch) -> Rc<Self> {
        Rc::new(Call { slot_count: batch.slot_count as usize, row: Cell::new(NO_ROW), slot: Cell::new(0) })
    }

    /// Goes on to a row.
    #[inline]
    pub(crate) fn enter(&self, batch: &Batch, row: usize) {
        self.row.set(row as u32);
        self.slot.set(read_u32(&batch.slots, row).unwrap_or_default());
    }

    /// The row that is being handled.
    #[inline]
    pub(crate) fn row(&self) -> u32 {
        self.row.get()
    }

    /// The slot of its key.
    #[inline]
    pub(crate) fn slot(&self) -> u32 {
        self.slot.get()
    }

    /// Number of distinct keys.
    #[inline]
    pub(crate) fn slot_count(&self) -> usize {
        self.slot_count
    }
}

/// A state or a timer within a call. Its writes wait in the guest until the call ends, or until the host must see them.
pub trait Part {
    /// Takes back what the current row wrote. `false`: the host has seen it already, so only failing the call does.
    fn take_back(&self) -> bool;

    /// Hands all writes to the host.
    fn flush(&self);
}
