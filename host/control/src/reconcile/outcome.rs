//! What the store says after the end of a swap, in the transaction of that end: history, revision, draft, rejected
//! digest, event, audit.

use crate::control::Control;
use crate::document::{self, ComponentName};
use crate::name::Name;
use crate::problem::Problem;
use crate::store::revisions::NewRevision;
use crate::store::swaps::{Swap, SwapState};
use crate::store::{audit, events, pipelines, rejected, revisions, swaps};
use rusqlite::{Connection, params};
use serde_json::json;

/// A swap has ended otherwise than by completion.
pub fn end_swap(
    control: &Control,
    connection: &Connection,
    mut swap: Swap,
    state: SwapState,
    reason: &str,
) -> Result<(), Problem> {
    let at = control.now();
    swap.state = state;
    swap.reason = Some(reason.to_owned());
    swap.ended_at = Some(at);
    if state == SwapState::RolledBack {
        rejected::put(connection, swap.pipeline, &swap.operator, &swap.to_sha256, reason, at)?;
    }
    tell(control, connection, &swap)
}

/// A swap is completed: its document is a new revision, and the draft names the new version too.
pub fn complete_swap(
    control: &Control,
    connection: &Connection,
    mut swap: Swap,
    epoch: u64,
) -> Result<(), Problem> {
    let at = control.now();
    swap.state = SwapState::Completed;
    swap.epoch_completed = Some(i64::try_from(epoch).unwrap_or(i64::MAX));
    swap.ended_at = Some(at);
    rejected::forget(connection, swap.pipeline, &swap.operator, &swap.to_sha256)?;
    let new = NewRevision {
        pipeline: swap.pipeline,
        toml: &swap.to_toml,
        plan_hash: swap.plan_hash.as_deref(),
        at,
        by: &swap.created_by,
    };
    revisions::apply(connection, &new)?;
    if swap.into_draft {
        write_into_draft(connection, &swap, at)?;
    }
    tell(control, connection, &swap)
}

/// Puts the version into the draft, so that the next apply does not take it back. A draft that has no such operator any
/// more stays as it is.
fn write_into_draft(connection: &Connection, swap: &Swap, at: i64) -> Result<(), Problem> {
    let statement = "SELECT name, draft FROM pipelines WHERE id = ?1";
    let (name, draft): (String, String) =
        connection.query_row(statement, params![swap.pipeline], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let read = Name::parse(&name).ok().and_then(|name| document::read(&draft, &name).ok());
    if let (Some(outline), Ok(version)) = (read, ComponentName::parse(&swap.to_version)) {
        let names = [(swap.operator.clone(), version)].into();
        pipelines::set_draft(
            connection,
            swap.pipeline,
            &document::with_components(&draft, &outline, &names),
            at,
        )?;
    }
    Ok(())
}

/// How far it has come, as an event and, where it is over, a line of the audit log.
pub fn tell(control: &Control, connection: &Connection, swap: &Swap) -> Result<(), Problem> {
    swaps::put(connection, swap)?;
    let state = serde_json::to_value(swap.state).map_err(Problem::internal)?;
    let word = state.as_str().unwrap_or_default();
    let body = json!({
        "swap": swap.id,
        "operator": swap.operator,
        "from": swap.from_version,
        "to": swap.to_version,
        "reason": swap.reason,
        "samples": swap.samples,
    });
    events::insert(connection, swap.pipeline, control.now(), &format!("swap_{word}"), &body)?;
    if !swap.state.is_open() {
        let statement = "SELECT name FROM pipelines WHERE id = ?1";
        let name: String = connection.query_row(statement, params![swap.pipeline], |row| row.get(0))?;
        let line = audit::Line {
            digest: Some(swap.to_sha256.clone()),
            plan_hash: swap.plan_hash.clone(),
            outcome: word.to_owned(),
            ..control.line(&swap.created_by, "swap.end", &format!("pipeline/{name}/swap/{}", swap.id))
        };
        audit::insert(connection, &line)?;
    }
    Ok(())
}
