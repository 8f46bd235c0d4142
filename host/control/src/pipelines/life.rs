//! Start, stop, restart: desired state is written, then the pipeline's thread sees to it.

use super::swap::must_have_no_open_swap;
use super::{check_match, find};
use crate::control::{Change, Control};
use crate::deployment::Event;
use crate::host::LettersSelected;
use crate::name::Name;
use crate::problem::{Code, Problem};
use crate::reconcile::start::end_left_swap;
use crate::store::pipelines::{self, Pipeline, StartFrom};
use std::sync::Arc;

/// It is to run. `from` counts for the start that follows, and takes the place of what an earlier one asked for.
pub fn start(control: &Arc<Control>, who: &str, name: &Name, from: &StartFrom) -> Result<Pipeline, Problem> {
    let change = Change::of_pipeline(who, "pipeline.start", name);
    // Looked for on the disk, so before the store is held.
    let found = || from.savepoint.as_ref().map_or(Ok(()), |wanted| must_have(control, name, wanted));
    change_life(control, change, name, &Event::StartAsked, found, |pipeline, alive| {
        must_be_applied(pipeline)?;
        if alive && *from != StartFrom::default() {
            return Err(Problem::new(
                Code::PipelineNotStopped,
                "a pipeline that runs cannot start from elsewhere",
            )
            .hint(format!("POST /v1/pipelines/{}/stop first", pipeline.name)));
        }
        if alive {
            // Nothing is started: what a start that is still to come was asked for holds.
            return Ok(pipeline.start.clone());
        }
        Ok(StartFrom { asked_at: control.now(), ..from.clone() })
    })
}

/// It is not to run.
pub fn stop(control: &Arc<Control>, who: &str, name: &Name) -> Result<Pipeline, Problem> {
    let change = Change::of_pipeline(who, "pipeline.stop", name);
    change_life(control, change, name, &Event::StopAsked, || Ok(()), |_, _| Ok(StartFrom::default()))
}

/// It is to stop, and to run again. How its start was asked to begin holds until a start has begun so.
pub fn restart(
    control: &Arc<Control>,
    who: &str,
    name: &Name,
    if_match: Option<&str>,
) -> Result<Pipeline, Problem> {
    let change = Change::of_pipeline(who, "pipeline.restart", name);
    change_life(
        control,
        change,
        name,
        &Event::RestartAsked,
        || Ok(()),
        |pipeline, _| {
            check_match(Some(pipeline), if_match)?;
            must_be_applied(pipeline)?;
            Ok(pipeline.start.clone())
        },
    )
}

/// Its dead letters are to come back: it stops, starts, and handles them before it reads anything else.
pub fn replay(
    control: &Arc<Control>,
    who: &str,
    name: &Name,
    (letters, restart_finished): (&LettersSelected, bool),
    if_match: Option<&str>,
) -> Result<Pipeline, Problem> {
    let change = Change::of_pipeline(who, "pipeline.replay", name);
    change_life(
        control,
        change,
        name,
        &Event::RestartAsked,
        || Ok(()),
        |pipeline, _| {
            check_match(Some(pipeline), if_match)?;
            must_be_applied(pipeline)?;
            if pipeline.start.savepoint.is_some() {
                let message = "a start from a savepoint is still to be made: letters come back behind it";
                return Err(Problem::new(Code::Conflict, message)
                    .hint(format!("POST /v1/pipelines/{}/restart, and replay when it runs", pipeline.name)));
            }
            let restart_finished = restart_finished || pipeline.start.restart_finished;
            let (replay, asked_at) = (Some(letters.clone()), control.now());
            Ok(StartFrom { replay, asked_at, restart_finished, ..pipeline.start.clone() })
        },
    )
}

fn change_life(
    control: &Arc<Control>,
    change: Change,
    name: &Name,
    event: &Event,
    before: impl FnOnce() -> Result<(), Problem>,
    check: impl FnOnce(&Pipeline, bool) -> Result<StartFrom, Problem>,
) -> Result<Pipeline, Problem> {
    control.change(change, |change| {
        control.store.read(|connection| find(connection, name))?;
        before()?;
        let slot = control.slots.slot(control, name)?;
        let _held = slot.hold();
        let pipeline = control.store.write(|transaction| {
            let pipeline = find(transaction, name)?;
            let alive = slot.show().actual.is_alive();
            let from = check(&pipeline, alive)?;
            if !alive {
                end_left_swap(control, transaction, pipeline.id)?;
                if from.replay.is_some() {
                    // Its next start finds out how the swap has ended, and would let the letters lie.
                    must_have_no_open_swap(transaction, pipeline.id)?;
                }
            }
            pipelines::set_desired(transaction, pipeline.id, *event != Event::StopAsked)?;
            pipelines::set_start(transaction, pipeline.id, &from)?;
            control.note(transaction, change)?;
            find(transaction, name)
        })?;
        slot.step(event);
        Ok(pipeline)
    })
}

fn must_have(control: &Control, name: &Name, savepoint: &str) -> Result<(), Problem> {
    match control.host.savepoints(name.as_str())?.iter().any(|found| found.name == savepoint) {
        true => Ok(()),
        false => Err(Problem::new(Code::NotFound, format!("pipeline {name} has no savepoint {savepoint}"))
            .hint(format!("GET /v1/pipelines/{name}/savepoints lists those that there are"))),
    }
}

fn must_be_applied(pipeline: &Pipeline) -> Result<(), Problem> {
    match pipeline.applied {
        Some(_) => Ok(()),
        None => {
            let name = &pipeline.name;
            Err(Problem::new(Code::NotApplied, format!("{name} was never applied"))
                .hint(format!("POST /v1/pipelines/{name}/plan, then /apply with its hash, which starts it")))
        }
    }
}
