//! What every operator is underneath the macros, and how it answers the host's calls.

use crate::bindings::mapper::exports::weir::operator::mapping;
use crate::bindings::migration::{self, Entries, Migrated};
use crate::bindings::processing;
use crate::bindings::types::{Batch, Output};
use crate::declaration::Description;
use crate::panic;

/// An operator. The macros write this; `testing` runs it.
pub trait Operator {
    /// What it declares about itself.
    const DESCRIPTION: Description;

    /// Prepares a fresh instance.
    fn open() -> Result<(), String>;

    /// Handles one batch.
    fn process(batch: &Batch) -> Result<Output, String>;

    /// Handles timers of one declaration that have fired.
    fn on_timers(timer: &str, _fired: &Batch) -> Result<Output, String> {
        Err(format!("this operator declares no timers, and was called for \"{timer}\""))
    }

    /// Rewrites a page of a state's older version.
    fn migrate(state: &str, from_version: u32, _page: &Entries) -> Result<Migrated, String> {
        Err(format!("this operator cannot read version {from_version} of the state \"{state}\""))
    }
}

impl<T: Operator> mapping::Guest for T {
    fn process(input: Batch) -> Result<Output, String> {
        T::process(&input)
    }
}

impl<T: Operator> processing::Guest for T {
    fn describe() -> processing::Description {
        panic::report_to_log();
        T::DESCRIPTION.to_contract()
    }

    fn open() -> Result<(), String> {
        T::open()
    }

    fn process(input: Batch) -> Result<Output, String> {
        T::process(&input)
    }

    fn on_timers(timer: String, fired: Batch) -> Result<Output, String> {
        T::on_timers(&timer, &fired)
    }
}

impl<T: Operator> migration::Guest for T {
    fn migrate(state: String, from_version: u32, page: Entries) -> Result<Migrated, String> {
        panic::report_to_log();
        T::migrate(&state, from_version, &page)
    }
}
