//! The feature level of a served data directory: shown, and raised while everything runs.
//!
//! The host makes the level durable first, then the store follows. A host that dies between the two opens the store at
//! its next start, which brings it to the level's schema; so does asking again.

use crate::control::{Change, Control};
use crate::problem::Problem;
use crate::store::weirs;
use crate::wire::upgrade::{ServedBy, UpgradeView};

/// What is in force.
pub fn show(control: &Control) -> Result<UpgradeView, Problem> {
    let has_weirs = control.store.schema()? >= weirs::SINCE_SCHEMA;
    let served_by = if has_weirs { control.store.read(weirs::all)? } else { Vec::new() };
    let served_by = served_by.into_iter().map(ServedBy::from).collect();
    Ok(UpgradeView { status: control.host.upgrade(), served_by })
}

/// Puts the newest level in force.
pub fn finalize(control: &Control, who: String) -> Result<UpgradeView, Problem> {
    let before = control.host.upgrade();
    let target = format!("level/{}", before.newest_level);
    let change = Change { who, action: "upgrade.finalize", target, digest: None, plan_hash: None };
    control.change(change, |change| {
        control.host.finalize_upgrade()?;
        control.store.raise(control.host.upgrade().schemas())?;
        if !before.finalized {
            control.store.write(|transaction| control.note(transaction, change))?;
            tracing::info!("feature level {} is in force", before.newest_level);
        }
        Ok(())
    })?;
    note_start(control)?;
    show(control)
}

/// Notes that this weir serves, where the store has a place for it.
pub fn note_start(control: &Control) -> Result<(), Problem> {
    if control.store.schema()? < weirs::SINCE_SCHEMA {
        return Ok(());
    }
    let weir = control.host.upgrade().weir;
    control.store.write(|transaction| weirs::note(transaction, &weir, control.now()))
}
