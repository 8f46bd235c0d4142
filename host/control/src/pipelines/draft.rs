//! The draft: the document as somebody wants it, before it is applied. And the end of a pipeline.

use super::{check_match, find};
use crate::control::{Change, Control};
use crate::document;
use crate::name::Name;
use crate::problem::{Code, Problem};
use crate::reconcile::end_swap;
use crate::store::pipelines::{self, Pipeline};
use crate::store::swaps::{self, SwapState};
use std::sync::Arc;

/// Makes the draft this text. True where the pipeline is new.
pub fn put(
    control: &Control,
    who: &str,
    name: &Name,
    text: &str,
    if_match: Option<&str>,
) -> Result<(Pipeline, bool), Problem> {
    control.change(Change::of_pipeline(who, "pipeline.put", name), |change| {
        document::read(text, name)?;
        control.store.write(|transaction| {
            let before = pipelines::find(transaction, name.as_str())?;
            check_match(before.as_ref(), if_match)?;
            match &before {
                Some(pipeline) if pipeline.draft == text => return Ok((pipeline.clone(), false)),
                Some(pipeline) => pipelines::set_draft(transaction, pipeline.id, text, control.now())?,
                None => pipelines::insert(transaction, name.as_str(), text, control.now())?,
            }
            control.note(transaction, change)?;
            Ok((find(transaction, name)?, before.is_none()))
        })
    })
}

/// Deletes a stopped pipeline. Its state goes to the trash first: a death in between leaves a pipeline without state,
/// which can be deleted again, and never state that a later pipeline of the name would find.
pub fn delete(control: &Arc<Control>, who: &str, name: &Name, if_match: Option<&str>) -> Result<(), Problem> {
    control.change(Change::of_pipeline(who, "pipeline.delete", name), |change| {
        control.store.read(|connection| find(connection, name))?;
        let slot = control.slots.slot(control, name)?;
        let _held = slot.hold();
        let pipeline = control.store.read(|connection| find(connection, name))?;
        check_match(Some(&pipeline), if_match)?;
        if pipeline.desired_running || slot.show().actual.is_alive() {
            return Err(Problem::new(Code::PipelineNotStopped, format!("{name} is not stopped"))
                .hint(format!("POST /v1/pipelines/{name}/stop, and wait until its status says stopped")));
        }
        control.host.discard(name.as_str())?;
        control.store.write(|transaction| {
            if let Some(swap) = swaps::find_open(transaction, pipeline.id)? {
                end_swap(control, transaction, swap, SwapState::Interrupted, "the pipeline was deleted")?;
            }
            pipelines::set_deleted(transaction, pipeline.id, control.now())?;
            control.note(transaction, change)
        })?;
        control.slots.remove(name);
        Ok(())
    })
}
