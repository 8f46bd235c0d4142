//! A sequence per key. Appending reads nothing and waits until the end of the call, or until a scan must see it.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::rc::Rc;

use super::page::{bound, visit_pages};
use super::undecodable;
use crate::call::{Call, NO_ROW, Part};
use crate::codec::Codec;
use crate::column_builder::ColumnBuilder;
use crate::imports;
use crate::packed::pack;

/// A sequence per key that grows at the end: `state events: List<String>;`.
pub struct List<T> {
    name: &'static str,
    call: Rc<Call>,
    writes: RefCell<ListWrites>,
    value: PhantomData<T>,
}

/// What the host has not seen yet: first the clears, then the appends.
struct ListWrites {
    cleared: Vec<u32>,
    slots: Vec<u32>,
    /// Per slot: whether it may be among the appends, among the clears. Empty until the first write.
    touched: Vec<(bool, bool)>,
    values: ColumnBuilder,
    encoded: Vec<u8>,
    /// The row whose undoing is remembered.
    row: u32,
    /// How many clears and appends there were before it.
    before: (usize, usize),
    /// What the current row wrote has gone to the host.
    row_is_flushed: bool,
}

impl<T: Codec> List<T> {
    #[doc(hidden)]
    pub fn declared(name: &'static str, call: &Rc<Call>) -> Self {
        let writes = ListWrites {
            cleared: Vec::new(),
            slots: Vec::new(),
            touched: Vec::new(),
            values: ColumnBuilder::with_capacity(0, 0),
            encoded: Vec::new(),
            row: NO_ROW,
            before: (0, 0),
            row_is_flushed: false,
        };
        List { name, call: call.clone(), writes: RefCell::new(writes), value: PhantomData }
    }

    /// Adds a value at the end of the current key's sequence.
    pub fn append(&self, value: T) {
        let mut writes = self.writes.borrow_mut();
        let writes = &mut *writes;
        writes.begin(&self.call);
        writes.touched[self.call.slot() as usize].0 = true;
        writes.encoded.clear();
        value.encode(&mut writes.encoded);
        writes.slots.push(self.call.slot());
        writes.values.push(&writes.encoded);
    }

    /// Empties the current key's sequence.
    pub fn clear(&self) {
        let slot = self.call.slot();
        let (has_appends, _) = self.touched(slot);
        if has_appends {
            self.flush();
        }
        let mut writes = self.writes.borrow_mut();
        writes.begin(&self.call);
        writes.touched[slot as usize].1 = true;
        writes.cleared.push(slot);
    }

    /// The current key's values, in order of appending. Use [`visit`](Self::visit) for those that may be many.
    pub fn scan(&self) -> Vec<T> {
        let mut values = Vec::new();
        self.visit(|value| {
            values.push(value);
            true
        });
        values
    }

    /// Visits the current key's values, in order of appending, until `visit` says `false`. One page of the host's at a
    /// time is in memory.
    pub fn visit(&self, mut visit: impl FnMut(T) -> bool) {
        let slot = self.call.slot();
        let (has_appends, is_cleared) = self.touched(slot);
        if has_appends || is_cleared {
            self.flush();
        }
        let ask = |start: Option<&[u8]>| imports::list_scan(self.name, &slot.to_le_bytes(), &bound(start), 0);
        visit_pages(None, ask, |_, value| {
            visit(T::decode(value).unwrap_or_else(|error| undecodable(self.name, "value", &error)))
        });
    }

    fn touched(&self, slot: u32) -> (bool, bool) {
        self.writes.borrow().touched.get(slot as usize).copied().unwrap_or_default()
    }
}

impl ListWrites {
    fn begin(&mut self, call: &Call) {
        if self.touched.is_empty() {
            self.touched.resize(call.slot_count(), (false, false));
        }
        if self.row != call.row() {
            self.row = call.row();
            self.before = (self.cleared.len(), self.slots.len());
            self.row_is_flushed = false;
        }
    }
}

impl<T> Part for List<T> {
    fn take_back(&self) -> bool {
        let mut writes = self.writes.borrow_mut();
        if writes.row != self.call.row() {
            return true;
        }
        let (cleared, appended) = writes.before;
        writes.cleared.truncate(cleared);
        writes.slots.truncate(appended);
        writes.values.truncate(appended);
        writes.row = NO_ROW;
        !writes.row_is_flushed
    }

    fn flush(&self) {
        let mut writes = self.writes.borrow_mut();
        // What is undone later starts from nothing; what the current row wrote so far cannot be undone any more.
        let (cleared, appended) = (writes.cleared.len(), writes.slots.len());
        writes.row_is_flushed |= writes.row == self.call.row() && writes.before != (cleared, appended);
        writes.before = (0, 0);
        writes.touched.fill((false, false));
        if cleared > 0 {
            imports::list_clear_many(self.name, &pack(writes.cleared.drain(..)));
        }
        if appended > 0 {
            let values = std::mem::replace(&mut writes.values, ColumnBuilder::with_capacity(0, 0)).finish();
            imports::list_append_many(self.name, &pack(writes.slots.drain(..)), &values);
        }
    }
}
