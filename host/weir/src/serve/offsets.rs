//! Where a pipeline of the server goes on, and its going on elsewhere.

use super::document;
use super::host::WeirHost;
use super::on_disk::{of_failure, refused};
use crate::called;
use crate::failure::{Exit, Failure};
use crate::offsets::{self, Situation};
use weir_control::host::{OffsetsReset, PipelineDocument, PipelineOffsets, Reason, Refused, ResetOffsets};
use weir_protocol::decision::Owner;
use weir_runtime::checkpoint_store::CheckpointStore;

/// Where it goes on.
pub fn show(host: &WeirHost, document: &PipelineDocument) -> Result<PipelineOffsets, Refused> {
    let prepared = document::prepare(document, host.allowed(), host.engine())?;
    let called = called::on_a_server(&prepared.plan, host.url());
    let situation = Situation::look_beside(prepared, host.data_dir().path(), called);
    situation.and_then(|mut situation| offsets::show(&mut situation)).map_err(told)
}

/// What a reset means, or its doing.
pub fn reset(
    host: &WeirHost,
    document: &PipelineDocument,
    asked: &ResetOffsets,
) -> Result<OffsetsReset, Refused> {
    let prepared = document::prepare(document, host.allowed(), host.engine())?;
    let spec = &prepared.plan.spec;
    let owner = Owner::of(&spec.id_prefix, &spec.name);
    let directory = host.data_dir().pipeline(&document.name, &owner).map_err(refused)?;
    let called = called::on_a_server(&prepared.plan, host.url());
    let store = CheckpointStore::open_at(&directory, spec.checkpoint.retain, host.data_dir().level().clone());
    let situation = Situation::look(prepared, directory, store.map_err(refused)?, called);
    situation.and_then(|situation| offsets::reset(situation, asked)).map_err(told)
}

/// The document is what runs: where a wish does not fit it, the wish is at fault.
fn told(failure: Failure) -> Refused {
    let unfit = failure.exit == Exit::Configuration;
    let told = of_failure(failure);
    Refused { reason: if unfit { Reason::Conflict } else { told.reason }, ..told }
}
