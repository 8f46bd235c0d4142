//! Timers: setting them, and what a fired one looks like.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::bindings::types::Batch;
use crate::call::{Call, NO_ROW, Part};
use crate::column::read_i64;
use crate::imports;

/// Timers of one declaration: `timer flush: EventTime;`. They are a set per key: setting one twice is setting it once.
pub struct Timer {
    name: &'static str,
    call: Rc<Call>,
    writes: RefCell<TimerWrites>,
}

/// What the call did to timers, in order.
struct TimerWrites {
    changes: Vec<Change>,
    /// Per slot: the time set last, if nothing was deleted since; setting it again changes nothing.
    last_set: Vec<Option<i64>>,
    /// The row whose undoing is remembered.
    row: u32,
    /// How many changes there were before it, and what its slot's `last_set` was.
    before: (usize, Option<i64>),
}

#[derive(Clone, Copy)]
struct Change {
    slot: u32,
    time: i64,
    is_set: bool,
}

impl Timer {
    #[doc(hidden)]
    pub fn declared(name: &'static str, call: &Rc<Call>) -> Self {
        let writes =
            TimerWrites { changes: Vec::new(), last_set: Vec::new(), row: NO_ROW, before: (0, None) };
        Timer { name, call: call.clone(), writes: RefCell::new(writes) }
    }

    /// Sets a timer for the current key, in milliseconds since 1970-01-01T00:00:00Z. A time already reached fires next.
    #[inline]
    pub fn set(&self, milliseconds: i64) {
        self.change(milliseconds, true);
    }

    /// Removes a timer of the current key. One that is not set is passed over.
    pub fn delete(&self, milliseconds: i64) {
        self.change(milliseconds, false);
    }

    #[inline]
    fn change(&self, time: i64, is_set: bool) {
        let mut writes = self.writes.borrow_mut();
        let slot = self.call.slot();
        if writes.last_set.is_empty() {
            writes.last_set.resize(self.call.slot_count(), None);
        }
        if is_set && writes.last_set[slot as usize] == Some(time) {
            return;
        }
        if writes.row != self.call.row() {
            writes.row = self.call.row();
            writes.before = (writes.changes.len(), writes.last_set[slot as usize]);
        }
        writes.changes.push(Change { slot, time, is_set });
        writes.last_set[slot as usize] = is_set.then_some(time);
    }
}

impl Part for Timer {
    fn take_back(&self) -> bool {
        let mut writes = self.writes.borrow_mut();
        if writes.row == self.call.row() {
            let (changes, last_set) = writes.before;
            writes.changes.truncate(changes);
            writes.last_set[self.call.slot() as usize] = last_set;
            writes.row = NO_ROW;
        }
        true
    }

    fn flush(&self) {
        let changes = std::mem::take(&mut self.writes.borrow_mut().changes);
        if changes.is_empty() {
            return;
        }
        // The last change of a timer holds, so sets and deletes can go separately.
        let last: BTreeMap<_, _> =
            changes.iter().map(|change| ((change.slot, change.time), change.is_set)).collect();
        let packed = |wanted: bool| {
            let (mut slots, mut times) = (Vec::new(), Vec::new());
            for ((slot, time), _) in last.iter().filter(|(_, is_set)| **is_set == wanted) {
                slots.extend_from_slice(&slot.to_le_bytes());
                times.extend_from_slice(&time.to_le_bytes());
            }
            (slots, times)
        };
        let (slots, times) = packed(false);
        if !slots.is_empty() {
            imports::timers_delete_many(self.name, &slots, &times);
        }
        let (slots, times) = packed(true);
        if !slots.is_empty() {
            imports::timers_register_many(self.name, &slots, &times);
        }
    }
}

/// A timer that has fired, and is gone.
#[derive(Clone, Copy)]
pub struct FiredTimer<'a> {
    batch: &'a Batch,
    row: usize,
}

impl<'a> FiredTimer<'a> {
    #[inline]
    pub(crate) fn of(batch: &'a Batch, row: usize) -> Self {
        FiredTimer { batch, row }
    }

    /// The time it was set for, in milliseconds since 1970-01-01T00:00:00Z.
    #[inline]
    pub fn time(&self) -> i64 {
        read_i64(&self.batch.timestamps, self.row).unwrap_or_default()
    }

    /// The key it was set under, or `None` if those records have no key.
    #[inline]
    pub fn key(&self) -> Option<&'a [u8]> {
        self.batch.keys.get(self.row)
    }

    /// The watermark of the call, as [`Record::watermark`](crate::Record::watermark).
    pub fn watermark(&self) -> i64 {
        self.batch.watermark
    }

    /// Processing time of the call, as [`Record::now`](crate::Record::now).
    pub fn now(&self) -> i64 {
        self.batch.now
    }
}
