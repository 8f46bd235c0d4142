//! Swaps: another version of one operator, between two checkpoints of a running pipeline. And the way back.

use super::plan::{Resolved, applied, resolve};
use super::{find, pause, way_back};
use crate::control::{Change, Control};
use crate::deployment::{Actual, Event};
use crate::document::{self, ComponentName};
use crate::host::{DryRun, Reason, Refused, RunningPipeline, SwapAsked};
use crate::name::Name;
use crate::problem::{Code, Problem};
use crate::reconcile::{Slot, end_swap};
use crate::store::pipelines::Pipeline;
use crate::store::rejected;
use crate::store::swaps::{self, Swap, SwapState};
use std::sync::Arc;
use std::time::Duration;

/// The keys of the health rule; what is none has the host's default.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rules {
    /// How long probation lasts at least.
    pub probation_time: Option<Duration>,
    /// How many records it sees at least.
    pub probation_records: Option<u64>,
    /// Rejected share in percentage points above the old version's.
    pub rejection_points_max: Option<f64>,
    /// Time per record as a multiple of the old version's.
    pub slowdown_max: Option<f64>,
    /// Change of the output share.
    pub output_share_change_max: Option<f64>,
    /// The longest pause for a migration; [`pause::PAUSE_MAX_DEFAULT`] unless given.
    pub pause_max: Option<Duration>,
}

/// A swap that is to begin.
pub struct Begin<'a> {
    /// Of which pipeline.
    pub pipeline: &'a Pipeline,
    /// The operator's id.
    pub operator: &'a str,
    /// What runs.
    pub old: &'a Resolved,
    /// What is to run.
    pub new: &'a Resolved,
    /// The draft does not say it yet.
    pub into_draft: bool,
    /// The health rule.
    pub rules: Rules,
    /// Also where these bytes were rolled back before.
    pub force: bool,
}

/// What came of a request.
pub enum Outcome {
    /// It has begun.
    Begun(Box<Swap>),
    /// What it would do.
    Dry(DryRun),
}

/// What a client asks for.
pub struct Asked {
    /// The version.
    pub component: Wanted,
    /// The health rule.
    pub rules: Rules,
    /// Try the migration on a copy only.
    pub dry_run: bool,
    /// Also where these bytes were rolled back before.
    pub force: bool,
}

/// Which version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// Of the operator that runs; none is the highest.
    Version(Option<i64>),
    /// Of any operator.
    Component(ComponentName),
    /// The one of the newest revision that differs from what runs, wherever that is.
    Previous,
}

/// Begins a swap, or tries it.
pub fn swap(
    control: &Arc<Control>,
    who: &str,
    name: &Name,
    operator: Option<&str>,
    asked: Asked,
) -> Result<Outcome, Problem> {
    let action = match asked.component {
        Wanted::Previous => "pipeline.rollback",
        _ if asked.dry_run => "pipeline.swap.dry_run",
        _ => "pipeline.swap",
    };
    let mut change = Change::of_pipeline(who, action, name);
    // A rollback finds its operator.
    if let Some(operator) = operator {
        change.target = target(name, operator);
    }
    control.change(change, |change| {
        let read = || Intent::read(control, name, operator, &asked.component);
        let intent = read()?;
        change.target = target(name, &intent.operator);
        let begun = intent.begin(&asked);
        change.digest = intent.new.digest(&intent.operator).map(str::to_owned);
        if asked.dry_run {
            let found = control.host.dry_run(&begun.asked())?;
            control.store.write(|transaction| control.note(transaction, change))?;
            return Ok(Outcome::Dry(found));
        }
        let slot = control.slots.slot(control, name)?;
        let explained = |problem| match asked.component {
            Wanted::Previous => way_back::explain(control, name, problem),
            _ => problem,
        };
        let running = || {
            let shown = slot.show();
            shown.running.ok_or_else(|| not_running(name, &shown.actual))
        };
        // A migration is tried before anybody has to wait for this one.
        running()?;
        let row = begun.row(control, change);
        control.store.read(|connection| begun.may_begin(connection, &row)).map_err(explained)?;
        pause::check(control, &begun).map_err(explained)?;
        let _held = slot.hold();
        if !read()?.is(&intent) {
            return Err(Problem::new(
                Code::Conflict,
                "the pipeline was changed while the swap was looked at",
            )
            .hint("look at what is applied now, and ask again"));
        }
        let swap = begin(control, change, &slot, running()?.as_ref(), &begun).map_err(explained)?;
        Ok(Outcome::Begun(Box::new(swap)))
    })
}

fn target(name: &Name, operator: &str) -> String {
    format!("pipeline/{name}/operator/{operator}")
}

/// What a request comes to with what is applied.
struct Intent {
    pipeline: Pipeline,
    operator: String,
    old: Resolved,
    new: Resolved,
}

impl Intent {
    fn read(
        control: &Control,
        name: &Name,
        operator: Option<&str>,
        component: &Wanted,
    ) -> Result<Intent, Problem> {
        let pipeline = control.store.read(|connection| find(connection, name))?;
        let old = applied(control, name, &pipeline)?.ok_or_else(not_applied)?;
        let (operator, component) = wanted(control, name, &pipeline, &old, operator, component)?;
        let outline = document::read(&old.document.toml, name)?;
        let text =
            document::with_components(&old.document.toml, &outline, &[(operator.clone(), component)].into());
        let new = resolve(control, name, &text)?;
        Ok(Intent { pipeline, operator, old, new })
    }

    fn begin(&self, asked: &Asked) -> Begin<'_> {
        Begin {
            pipeline: &self.pipeline,
            operator: &self.operator,
            old: &self.old,
            new: &self.new,
            into_draft: true,
            rules: asked.rules.clone(),
            force: asked.force,
        }
    }

    /// True where it is still the same change; the draft may be another.
    fn is(&self, other: &Intent) -> bool {
        self.pipeline.id == other.pipeline.id
            && self.pipeline.applied == other.pipeline.applied
            && self.operator == other.operator
            && self.old == other.old
            && self.new == other.new
    }
}

/// Begins, where [`pause::check`] has found nothing: the row first, so that no event of the swap comes before it. The
/// slot is held.
pub fn begin(
    control: &Control,
    change: &Change,
    slot: &Slot,
    running: &dyn RunningPipeline,
    begin: &Begin<'_>,
) -> Result<Swap, Problem> {
    let row = begin.row(control, change);
    control.store.write(|transaction| {
        begin.may_begin(transaction, &row)?;
        swaps::put(transaction, &row)?;
        control.note(transaction, change)
    })?;
    slot.step(&Event::SwapBegun);
    if let Err(refused) = running.swap(&begin.asked()) {
        slot.step(&Event::SwapEnded);
        control.store.write(|transaction| {
            // The pipeline may have ended meanwhile: the first end counts.
            match still_open(transaction, &row)? {
                Some(row) => end_swap(control, transaction, row, SwapState::Failed, &refused.message),
                None => Ok(()),
            }
        })?;
        control.wake();
        return Err(refused.into());
    }
    control.wake();
    // It may have come further meanwhile.
    let now = control.store.read(|connection| swaps::find(connection, row.pipeline, &row.id))?;
    Ok(now.unwrap_or(row))
}

impl Begin<'_> {
    /// Nothing that is remembered speaks against it.
    fn may_begin(&self, connection: &rusqlite::Connection, row: &Swap) -> Result<(), Problem> {
        if let Some(open) = swaps::find_open(connection, row.pipeline)? {
            return Err(in_progress(&open));
        }
        let before = rejected::find(connection, row.pipeline, &row.operator, &row.to_sha256)?;
        match before {
            Some(reason) if !self.force => {
                Err(rolled_back_before(vec![format!("{} in {}: {reason}", row.to_version, row.operator)]))
            }
            _ => Ok(()),
        }
    }

    /// As the host is asked.
    pub fn asked(&self) -> SwapAsked {
        let rules = self.rules.clone();
        SwapAsked {
            operator: self.operator.to_owned(),
            document: self.new.document.clone(),
            probation_time: rules.probation_time,
            probation_records: rules.probation_records,
            rejection_points_max: rules.rejection_points_max,
            slowdown_max: rules.slowdown_max,
            output_share_change_max: rules.output_share_change_max,
        }
    }

    fn row(&self, control: &Control, change: &Change) -> Swap {
        let version =
            |of: &Resolved| of.names.get(self.operator).map(ToString::to_string).unwrap_or_default();
        let digest = |of: &Resolved| of.digest(self.operator).unwrap_or_default().to_owned();
        Swap {
            id: control.new_id(),
            pipeline: self.pipeline.id,
            operator: self.operator.to_owned(),
            from_version: version(self.old),
            to_version: version(self.new),
            from_sha256: digest(self.old),
            to_sha256: digest(self.new),
            from_toml: self.old.document.toml.clone(),
            to_toml: self.new.document.toml.clone(),
            into_draft: self.into_draft,
            plan_hash: change.plan_hash.clone(),
            state: SwapState::Preparing,
            cancel_asked: false,
            reason: None,
            samples: Vec::new(),
            epoch_before: None,
            epoch_completed: None,
            created_at: control.now(),
            created_by: change.who.clone(),
            ended_at: None,
        }
    }
}

/// Which operator gets which version.
fn wanted(
    control: &Control,
    name: &Name,
    pipeline: &Pipeline,
    old: &Resolved,
    operator: Option<&str>,
    wanted: &Wanted,
) -> Result<(String, ComponentName), Problem> {
    let Wanted::Previous = wanted else {
        let operator = operator.unwrap_or_default();
        let runs = old.names.get(operator).ok_or_else(|| {
            Problem::new(Code::NotFound, format!("pipeline {name} has no operator {operator}"))
        })?;
        let component = match wanted {
            Wanted::Version(version) => ComponentName { operator: runs.operator.clone(), version: *version },
            Wanted::Component(component) => component.clone(),
            Wanted::Previous => unreachable!("left above"),
        };
        // A version that is not there is told as such, not as a fault of the file.
        control
            .store
            .read(|connection| crate::registry::find(connection, &component.operator, component.version))?;
        return Ok((operator.to_owned(), component));
    };
    way_back::previous(control, name, pipeline, old)
}

/// Cancels a swap that has not come to probation; one in probation can be given up only where the pipeline does not run.
pub fn cancel(control: &Arc<Control>, who: &str, name: &Name, id: &str) -> Result<Swap, Problem> {
    let mut change = Change::of_pipeline(who, "swap.cancel", name);
    change.target = format!("{}/swap/{id}", change.target);
    control.change(change, |change| {
        control.store.read(|connection| find(connection, name))?;
        let slot = control.slots.slot(control, name)?;
        let _held = slot.hold();
        let pipeline = control.store.read(|connection| find(connection, name))?;
        let read = || control.store.read(|connection| find_swap(connection, pipeline.id, id));
        let mut swap = read()?;
        if !swap.state.is_open() {
            return Err(is_over());
        }
        let shown = slot.show();
        if !shown.actual.is_alive() {
            control.store.write(|transaction| {
                end_swap(control, transaction, swap, SwapState::Interrupted, "given up by request")?;
                control.note(transaction, change)
            })?;
            return read();
        }
        let running = shown.running.ok_or_else(|| not_running(name, &shown.actual))?;
        control.store.write(|transaction| {
            // Read again in the transaction: an event may have come in between.
            swap = find_swap(transaction, pipeline.id, id)?;
            swap.cancel_asked = true;
            swaps::put(transaction, &swap)?;
            control.note(transaction, change)
        })?;
        if let Err(refused) = running.cancel_swap() {
            give_up_unknown(control, &slot, &swap, refused)?;
        }
        read()
    })
}

/// Ends a swap that the host does not know: its end could not be written when it came. One in probation stays, since
/// the new version may be what runs: the next life tells.
fn give_up_unknown(control: &Control, slot: &Slot, swap: &Swap, refused: Refused) -> Result<(), Problem> {
    if refused.reason != Reason::NotFound {
        return Err(refused.into());
    }
    control.store.write(|transaction| match still_open(transaction, swap)? {
        // It has ended meanwhile.
        None => Err(is_over()),
        Some(swap) if swap.state == SwapState::Probation => {
            Err(Problem::new(Code::Conflict, refused.message)
                .hint("restart the pipeline: what runs then says how it ended"))
        }
        Some(swap) => {
            let reason = "the pipeline knew nothing of it, and it was given up by request";
            end_swap(control, transaction, swap, SwapState::Interrupted, reason)
        }
    })?;
    slot.step(&Event::SwapEnded);
    control.wake();
    Ok(())
}

/// The swap as it is now, where it has not ended.
fn still_open(connection: &rusqlite::Connection, swap: &Swap) -> Result<Option<Swap>, Problem> {
    Ok(swaps::find(connection, swap.pipeline, &swap.id)?.filter(|swap| swap.state.is_open()))
}

/// A swap that is there.
pub fn find_swap(connection: &rusqlite::Connection, pipeline: i64, id: &str) -> Result<Swap, Problem> {
    swaps::find(connection, pipeline, id)?
        .ok_or_else(|| Problem::new(Code::SwapNotFound, format!("there is no swap {id}")))
}

/// Refused while one is under way.
pub fn must_have_no_open_swap(connection: &rusqlite::Connection, pipeline: i64) -> Result<(), Problem> {
    swaps::find_open(connection, pipeline)?.map_or(Ok(()), |swap| Err(in_progress(&swap)))
}

/// Another one is under way.
pub fn in_progress(swap: &Swap) -> Problem {
    let problem =
        Problem::new(Code::SwapInProgress, format!("swap {} of {} is under way", swap.id, swap.operator));
    match swap.state {
        SwapState::Probation => problem.hint(
            "wait for its end; where the pipeline does not run, start it, which decides, or DELETE the swap",
        ),
        _ => problem.hint("wait for its end, or DELETE it"),
    }
}

/// These bytes have failed here.
pub fn rolled_back_before(details: Vec<String>) -> Problem {
    Problem::new(Code::PreviouslyRolledBack, "this component has failed probation in this pipeline")
        .hint("upload one that is mended, or send force = true to try it again")
        .details(details)
}

fn is_over() -> Problem {
    Problem::new(Code::Conflict, "the swap is over")
}

fn not_applied() -> Problem {
    Problem::new(Code::NotApplied, "the pipeline was never applied")
}

fn not_running(name: &Name, actual: &Actual) -> Problem {
    let problem = Problem::new(Code::PipelineNotRunning, format!("{name} does not run"));
    match actual {
        Actual::Starting | Actual::Stopping => problem.hint("wait for its status"),
        _ => problem.hint("change the draft and apply it: the next start takes the new version"),
    }
}
