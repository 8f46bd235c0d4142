//! The same batch again and again, with nothing around the call: for measurements.

use std::marker::PhantomData;

use super::columns;
use super::sample::SampleRecord;
use super::store::Store;
use crate::bindings::types::Batch;
use crate::imports;
use crate::operator::Operator;

/// Calls a keyed operator with one batch, over and over, in one instance. The thread is its host until another is set.
pub struct KeyedCalls<T> {
    batch: Batch,
    operator: PhantomData<T>,
}

impl<T: Operator> KeyedCalls<T> {
    /// Opens an instance without configuration. Panics if it does not open.
    pub fn new(records: impl IntoIterator<Item = SampleRecord>) -> Self {
        let mut batch = columns::batch(0, &records.into_iter().collect::<Vec<_>>(), 0, i64::MIN);
        let keys = columns::number_keys(&mut batch);
        let mut store = Store::default();
        store.declare(&T::DESCRIPTION);
        store.begin_call(keys, 0);
        imports::replace_host(imports::Host { store, ..imports::Host::default() });
        T::open().expect("an operator that is measured opens");
        KeyedCalls { batch, operator: PhantomData }
    }

    /// One call. Returns the number of emitted records. Panics if it fails.
    pub fn process(&mut self) -> u32 {
        T::process(&self.batch).expect("an operator that is measured does not fail").count
    }
}
