//! Apply: carries out a plan in the way that it names. A start, a restart, a swap, other limits, or nothing.

use super::check_match;
use super::pause;
use super::plan::{Plan, plan};
use super::swap::{Begin, begin};
use crate::control::{Change, Control};
use crate::deployment::Event;
use crate::host::Way;
use crate::name::Name;
use crate::problem::{Code, Problem};
use crate::reconcile::Slot;
use crate::store::revisions::{self, NewRevision};
use crate::store::swaps::Swap;
use crate::store::{events, pipelines};
use rusqlite::Transaction;
use serde_json::json;
use std::sync::Arc;

/// What a client asks for.
pub struct Asked<'a> {
    /// The plan's hash.
    pub hash: &'a str,
    /// Components that have failed probation are tried again.
    pub force: bool,
    /// The header.
    pub if_match: Option<&'a str>,
}

/// What was done, or has begun.
pub struct Applied {
    /// How.
    pub way: Way,
    /// The revision that is applied now.
    pub revision: Option<i64>,
    /// The swap that has begun; it writes its revision when it is completed.
    pub swap: Option<Swap>,
    /// The pipeline is started or restarted.
    pub starts: bool,
}

/// Applies the draft.
pub fn apply(control: &Arc<Control>, who: &str, name: &Name, asked: &Asked<'_>) -> Result<Applied, Problem> {
    let mut change = Change::of_pipeline(who, "pipeline.apply", name);
    change.plan_hash = Some(asked.hash.to_owned());
    control.change(change, |change| {
        control.store.read(|connection| super::find(connection, name))?;
        let slot = control.slots.slot(control, name)?;
        let checked = || {
            let plan = plan(control, name)?;
            check_match(Some(&plan.pipeline), asked.if_match)?;
            check(control, &plan, asked).map(|()| plan)
        };
        // A migration is tried before anybody has to wait for this one. Of what is checked here all is checked again:
        // the hash says that it is the same change then.
        let foretold = checked()?;
        let begins_swap = |plan: &Plan| plan.comparison.way == Way::Swap && slot.show().running.is_some();
        let tried = begins_swap(&foretold);
        if tried {
            pause::check(control, &swap_of(&foretold, asked.force)?)?;
        }
        let _held = slot.hold();
        let plan = checked()?;
        if begins_swap(&plan) && !tried {
            return Err(Problem::new(Code::Conflict, "the pipeline has come to run meanwhile")
                .hint("apply again, which swaps"));
        }
        carry_out(control, change, &slot, &plan, asked.force)
    })
}

/// The swap that carries out a plan.
fn swap_of(plan: &Plan, force: bool) -> Result<Begin<'_>, Problem> {
    let old = plan.old.as_ref().ok_or_else(|| Problem::internal("a swap without an old version"))?;
    let differs =
        |id: &&String| old.names.get(*id) != plan.new.names.get(*id) || old.digest(id) != plan.new.digest(id);
    let operator = plan.new.names.keys().find(differs);
    let operator = operator.ok_or_else(|| Problem::internal("a swap in which no version differs"))?;
    Ok(Begin {
        pipeline: &plan.pipeline,
        operator,
        old,
        new: &plan.new,
        into_draft: false,
        rules: Default::default(),
        force,
    })
}

fn check(control: &Control, plan: &Plan, asked: &Asked<'_>) -> Result<(), Problem> {
    if plan.hash != asked.hash {
        return Err(Problem::new(Code::StalePlan, "what would be done now is not that plan")
            .hint("plan again, look at it, and apply its hash"));
    }
    if !plan.comparison.refusals.is_empty() {
        return Err(Problem::new(Code::PlanRefused, "the plan cannot be carried out")
            .details(plan.comparison.refusals.clone()));
    }
    control.store.read(|connection| super::swap::must_have_no_open_swap(connection, plan.pipeline.id))?;
    if !plan.rejected.is_empty() && !asked.force {
        let details = plan.rejected.iter();
        let details = details.map(|one| format!("{} in {}: {}", one.component, one.operator, one.reason));
        return Err(super::swap::rolled_back_before(details.collect()));
    }
    Ok(())
}

fn carry_out(
    control: &Arc<Control>,
    change: &Change,
    slot: &Slot,
    plan: &Plan,
    force: bool,
) -> Result<Applied, Problem> {
    let way = plan.comparison.way;
    let shown = slot.show();
    let applied = |revision, swap, starts| Applied { way, revision, swap, starts };
    match (way, &shown.running) {
        (Way::Nothing, _) if plan.old.as_ref().map(|old| &old.document) == Some(&plan.new.document) => {
            // Asked for again, a pipeline that has failed is tried again.
            control.store.write(|transaction| control.note(transaction, change))?;
            let starts = plan.pipeline.desired_running && !shown.actual.is_alive();
            if starts {
                slot.step(&Event::StartAsked);
            }
            Ok(applied(plan.pipeline.applied, None, starts))
        }
        (Way::Swap, Some(running)) => {
            let swap = swap_of(plan, force)?;
            let swap = begin(control, change, slot, running.as_ref(), &swap)?;
            Ok(applied(plan.pipeline.applied, Some(swap), false))
        }
        (Way::Limits, Some(running)) => {
            running.set_limits(&plan.new.document)?;
            Ok(applied(Some(write(control, change, plan, plan.pipeline.desired_running)?), None, false))
        }
        // Only what no line of the engine depends on differs: a comment.
        (Way::Nothing, _) => {
            Ok(applied(Some(write(control, change, plan, plan.pipeline.desired_running)?), None, false))
        }
        (Way::Start | Way::Restart | Way::Swap | Way::Limits, _) => {
            // The first apply starts; a pipeline that somebody has stopped stays so.
            let starts = way == Way::Start || plan.pipeline.desired_running;
            let revision = write(control, change, plan, starts)?;
            if starts {
                slot.step(&Event::RestartAsked);
            }
            Ok(applied(Some(revision), None, starts))
        }
    }
}

fn write(control: &Control, change: &Change, plan: &Plan, running: bool) -> Result<i64, Problem> {
    let revision =
        control.store.write(|transaction| write_revision(control, transaction, change, plan, running))?;
    control.wake();
    Ok(revision)
}

fn write_revision(
    control: &Control,
    transaction: &Transaction<'_>,
    change: &Change,
    plan: &Plan,
    running: bool,
) -> Result<i64, Problem> {
    let at = control.now();
    let new = NewRevision {
        pipeline: plan.pipeline.id,
        toml: &plan.new.document.toml,
        plan_hash: Some(&plan.hash),
        at,
        by: &change.who,
    };
    let revision = revisions::apply(transaction, &new)?;
    pipelines::set_desired(transaction, plan.pipeline.id, running)?;
    let body =
        json!({ "revision": revision, "way": plan.comparison.way, "changes": plan.comparison.changes });
    events::insert(transaction, plan.pipeline.id, at, "applied", &body)?;
    control.note(transaction, change)?;
    Ok(revision)
}
