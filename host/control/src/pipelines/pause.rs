//! The pause that a migration makes at the barrier: foretold by a dry run before a swap begins, and refused where it is
//! longer than `pause_max`.

use super::swap::Begin;
use crate::control::Control;
use crate::problem::{Code, Problem};
use std::time::Duration;

/// The longest pause unless `pause_max` says otherwise.
pub const PAUSE_MAX_DEFAULT: Duration = Duration::from_secs(30);
/// What becomes of a state whose version is raised.
const MIGRATED: &str = "migrated";

/// Refuses a swap whose migration would take too long. A swap that migrates nothing makes no such pause.
pub fn check(control: &Control, begin: &Begin<'_>) -> Result<(), Problem> {
    let comparison = control.host.compare(Some(&begin.old.document), &begin.new.document)?;
    if !comparison.states.iter().any(|state| state.fate == MIGRATED) {
        return Ok(());
    }
    let longest = begin.rules.pause_max.unwrap_or(PAUSE_MAX_DEFAULT);
    let foretold = Duration::from_millis(control.host.dry_run(&begin.asked())?.pause_ms);
    if foretold <= longest {
        return Ok(());
    }
    let message = format!(
        "the migration of operator {} would stop it for about {foretold:?}, and pause_max is {longest:?}",
        begin.operator
    );
    Err(Problem::new(Code::PauseTooLong, message)
        .hint("raise rules.pause_max, or apply the document with the pipeline stopped"))
}
