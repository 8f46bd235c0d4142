//! The stores of an operator's subtask: one per declared state or timer, all with one life.
//!
//! A call begins, reads and writes, and is committed or discarded; a barrier takes what was written since the last one;
//! when the database has that, the store is told.

pub(crate) mod list;
pub(crate) mod map;
pub(crate) mod timer;
pub(crate) mod value;

use crate::call::Call;
use crate::database::Family;
use crate::snapshot::Frozen;
use weir_protocol::connector::ConnectorError;
use weir_protocol::state::StateError;

/// What every store does, whatever it keeps.
pub(crate) trait Store {
    /// A call begins.
    fn begin(&mut self, call: &Call);
    /// The call has happened.
    fn commit(&mut self, call: &Call);
    /// The call has not happened.
    fn discard(&mut self);
    /// Bytes that the running call wrote.
    fn overlay_bytes(&self) -> usize;
    /// Adds what was written since the last time. Between calls.
    fn freeze(&mut self, into: &mut Frozen);
    /// The database has what was frozen last.
    fn written(&mut self);
    /// Gives up memory that need not be held until `bytes_max` are left, as far as a call's pause allows.
    fn shrink(&mut self, bytes_max: usize);
    /// Memory that is held until the running epoch's writes are in the database.
    fn dirty_bytes(&self) -> usize;
    /// Entries written and not frozen.
    fn dirty_entries(&self) -> usize;
    /// Memory in all.
    fn memory_bytes(&self) -> usize;
}

/// Why a store did not answer.
#[derive(Debug)]
pub(crate) enum StoreError {
    /// The guest asked for something malformed.
    Misuse(StateError),
    /// The database failed.
    Failed(ConnectorError),
}

impl From<StateError> for StoreError {
    fn from(error: StateError) -> StoreError {
        StoreError::Misuse(error)
    }
}

impl From<ConnectorError> for StoreError {
    fn from(error: ConnectorError) -> StoreError {
        StoreError::Failed(error)
    }
}

/// What a line of the layers above a family means: the family failed, or its bytes make no sense.
pub(crate) fn failed(family: &Family, line: String) -> ConnectorError {
    family.database.take_failure().unwrap_or_else(|| family.damaged(line))
}
