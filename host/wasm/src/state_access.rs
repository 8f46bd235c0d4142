//! When a guest may touch its state and timers: while it handles rows or timers, if it declared any.

use crate::store_data::StoreData;
use std::fmt;
use wasmtime::{Error, StoreContextMut};
use weir_protocol::state::{KeyedState, SharedState, StateError};

/// What an instance is doing, by the function of the contract that it is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activity {
    /// Its start functions run.
    Starting,
    /// `describe`.
    Describing,
    /// `open`.
    Opening,
    /// `process`.
    Processing,
    /// `on-timers`.
    Firing,
    /// `migrate`.
    Migrating,
}

impl fmt::Display for Activity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Activity::Starting => "its start function",
            Activity::Describing => "describe",
            Activity::Opening => "open",
            Activity::Processing => "process",
            Activity::Firing => "on-timers",
            Activity::Migrating => "migrate",
        })
    }
}

/// The state of an operator as one of its instances sees it.
pub struct StateAccess {
    state: Option<SharedState>,
    activity: Activity,
}

impl StateAccess {
    /// For an instance that does not run yet. `None`: the operator has neither state nor timers.
    pub fn new(state: Option<SharedState>) -> StateAccess {
        StateAccess { state, activity: Activity::Starting }
    }

    /// The instance begins to do something else.
    pub fn begin(&mut self, activity: Activity) {
        self.activity = activity;
    }

    fn open(&self, function: &str) -> Result<&SharedState, Error> {
        if !matches!(self.activity, Activity::Processing | Activity::Firing) {
            return Err(Error::msg(format!(
                "{function} was called in {}; state and timers can be used only in process and on-timers",
                self.activity
            )));
        }
        self.state.as_ref().ok_or_else(|| {
            Error::msg(format!("{function} was called, but the operator declares no state and no timer"))
        })
    }
}

/// Does what the imported `function` asks of the state. An error traps the guest; its message names the function.
pub fn ask_state<R>(
    store: &StoreContextMut<'_, StoreData>,
    function: &str,
    ask: impl FnOnce(&mut dyn KeyedState) -> Result<R, StateError>,
) -> wasmtime::Result<R> {
    let shared = store.data().state.open(function)?;
    // Only a panic inside the backend poisons the lock, and may have left its overlay half changed.
    let mut state = shared.lock().map_err(|_| Error::msg(format!("{function}: the state has panicked")))?;
    ask(&mut **state).map_err(|error| {
        let message = error.to_string();
        // A backend may name the function itself.
        Error::msg(if message.starts_with(function) { message } else { format!("{function}: {message}") })
    })
}
