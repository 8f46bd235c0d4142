//! Where a pipeline goes on, and a stopped one's going on elsewhere.

use super::find;
use super::plan::applied;
use super::swap::must_have_no_open_swap;
use crate::control::{Change, Control};
use crate::host::{OffsetsReset, PipelineDocument, PipelineOffsets, ResetOffsets};
use crate::name::Name;
use crate::problem::{Code, Problem};
use std::sync::Arc;

/// Where it goes on, also while it runs.
pub fn show(control: &Control, name: &Name) -> Result<PipelineOffsets, Problem> {
    Ok(control.host.offsets(&document(control, name)?)?)
}

/// What it would mean that it goes on elsewhere.
pub fn try_reset(control: &Control, name: &Name, asked: &ResetOffsets) -> Result<OffsetsReset, Problem> {
    Ok(control.host.reset_offsets(&document(control, name)?, asked)?)
}

/// It goes on elsewhere. Nobody can start it meanwhile.
pub fn reset(
    control: &Arc<Control>,
    who: &str,
    name: &Name,
    asked: &ResetOffsets,
) -> Result<OffsetsReset, Problem> {
    let change = Change::of_pipeline(who, "pipeline.reset_offsets", name);
    control.change(change, |change| {
        let id = control.store.read(|connection| find(connection, name))?.id;
        let slot = control.slots.slot(control, name)?;
        let _held = slot.hold();
        if slot.show().actual.is_alive() {
            return Err(Problem::new(Code::PipelineNotStopped, format!("{name} is not stopped"))
                .hint(format!("POST /v1/pipelines/{name}/stop, and wait until its status says stopped")));
        }
        // What is decided may be of the new version already, and would be noted as of the old.
        control.store.read(|connection| must_have_no_open_swap(connection, id))?;
        let done = control.host.reset_offsets(&document(control, name)?, asked)?;
        control.store.write(|transaction| control.note(transaction, change))?;
        Ok(done)
    })
}

fn document(control: &Control, name: &Name) -> Result<PipelineDocument, Problem> {
    let pipeline = control.store.read(|connection| find(connection, name))?;
    let resolved = applied(control, name, &pipeline)?;
    resolved.map(|resolved| resolved.document).ok_or_else(|| {
        Problem::new(Code::NotApplied, format!("{name} was never applied"))
            .hint(format!("POST /v1/pipelines/{name}/plan, then /apply with its hash"))
    })
}
