//! One value per key. The first `get` of a call fetches all keys' values, the end of the call writes the changed ones.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::rc::Rc;

use super::undecodable;
use super::value_writes::ValueWrites;
use crate::bindings::types::Column;
use crate::call::{Call, Part};
use crate::codec::Codec;
use crate::imports;
use crate::packed::pack;

/// A value per key: `state count: Value<u64>;`.
pub struct Value<T> {
    name: &'static str,
    call: Rc<Call>,
    /// The values of all slots, once they were asked for.
    stored: RefCell<Option<Column>>,
    writes: RefCell<ValueWrites>,
    value: PhantomData<T>,
}

impl<T: Codec> Value<T> {
    #[doc(hidden)]
    pub fn declared(name: &'static str, call: &Rc<Call>) -> Self {
        Value {
            name,
            call: call.clone(),
            stored: RefCell::new(None),
            writes: RefCell::new(ValueWrites::default()),
            value: PhantomData,
        }
    }

    /// The value of the current key.
    #[inline]
    pub fn get(&self) -> Option<T> {
        let slot = self.call.slot();
        if let Some(written) = self.writes.borrow().get(slot) {
            return written.map(|bytes| self.decode(bytes));
        }
        let mut stored = self.stored.borrow_mut();
        let stored = stored.get_or_insert_with(|| self.fetch());
        stored.get(slot as usize).map(|bytes| self.decode(bytes))
    }

    /// Sets the value of the current key.
    #[inline]
    pub fn set(&self, value: T) {
        let mut writes = self.writes.borrow_mut();
        writes.begin(self.call.row(), self.call.slot(), self.call.slot_count());
        value.encode(writes.data_mut());
        writes.finish(self.call.slot(), false);
    }

    /// Removes the value of the current key.
    pub fn remove(&self) {
        let mut writes = self.writes.borrow_mut();
        writes.begin(self.call.row(), self.call.slot(), self.call.slot_count());
        writes.finish(self.call.slot(), true);
    }

    #[inline]
    fn decode(&self, bytes: &[u8]) -> T {
        T::decode(bytes).unwrap_or_else(|error| undecodable(self.name, "value", &error))
    }

    #[cold]
    fn fetch(&self) -> Column {
        imports::value_get_many(self.name, &pack(0..self.call.slot_count() as u32))
    }
}

impl<T> Part for Value<T> {
    fn take_back(&self) -> bool {
        self.writes.borrow_mut().take_back(self.call.row(), self.call.slot());
        true
    }

    fn flush(&self) {
        let (slots, values) = self.writes.take().into_columns();
        if !slots.is_empty() {
            imports::value_put_many(self.name, &slots, &values);
        }
    }
}
