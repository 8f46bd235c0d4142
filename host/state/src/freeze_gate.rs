//! Between a freeze and its persisting nothing newer may reach the database (invariant S4): who wants to write early
//! waits here.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use weir_protocol::connector::ConnectorError;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gate {
    /// Nothing is frozen, or what was is in the database and in its checkpoint.
    Open,
    /// A frozen set waits to be persisted.
    Frozen,
    /// A frozen set was dropped before it was persisted: its writes are in no checkpoint.
    Lost,
}

/// Shared by a state and its frozen set.
#[derive(Debug)]
pub(crate) struct FreezeGate {
    gate: Mutex<Gate>,
    changed: Condvar,
}

impl FreezeGate {
    pub(crate) fn new() -> FreezeGate {
        FreezeGate { gate: Mutex::new(Gate::Open), changed: Condvar::new() }
    }

    /// A set is frozen.
    pub(crate) fn freeze(&self) -> Result<(), ConnectorError> {
        let mut gate = self.lock();
        match *gate {
            Gate::Open => {
                *gate = Gate::Frozen;
                Ok(())
            }
            Gate::Frozen => Err(ConnectorError::transient(
                "a state was frozen while its last frozen set is not persisted; one epoch at a time can be open",
            )),
            Gate::Lost => Err(lost()),
        }
    }

    /// The frozen set is persisted.
    pub(crate) fn open(&self) {
        *self.lock() = Gate::Open;
        self.changed.notify_all();
    }

    /// The frozen set is gone, persisted or not.
    pub(crate) fn dropped(&self, persisted: bool) {
        if !persisted {
            *self.lock() = Gate::Lost;
            self.changed.notify_all();
        }
    }

    /// Waits until the running epoch may write to the database. Ends, for a checkpoint is persisted, is tried again, or
    /// ends the incarnation, which drops the frozen set.
    pub(crate) fn wait(&self) -> Result<(), ConnectorError> {
        let gate = self.changed.wait_while(self.lock(), |gate| *gate == Gate::Frozen);
        match *gate.unwrap_or_else(PoisonError::into_inner) {
            Gate::Lost => Err(lost()),
            Gate::Open | Gate::Frozen => Ok(()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lost() -> ConnectorError {
    ConnectorError::transient(
        "a frozen state was given up before it was persisted: the incarnation starts again from its last checkpoint",
    )
}
