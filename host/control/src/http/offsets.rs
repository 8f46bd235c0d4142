//! `…/offsets`: where a pipeline goes on.

use super::blocking;
use super::body::Json;
use super::extract::{PathOf, Who};
use crate::control::Control;
use crate::host::{OffsetsReset, PipelineOffsets};
use crate::pipelines::offsets;
use crate::problem::Problem;
use crate::wire::offsets::ResetRequest;
use crate::wire::paths::Named;
use axum::extract::State;
use std::sync::Arc;

/// Where a pipeline goes on, partition by partition; it may run meanwhile.
#[utoipa::path(get, path = "/v1/pipelines/{name}/offsets", tag = "offsets", params(Named),
    responses((status = 200, description = "what is committed, and how far it is from the end", body = PipelineOffsets)))]
pub async fn show_offsets(
    State(control): State<Arc<Control>>,
    PathOf(path): PathOf<Named>,
) -> Result<axum::Json<PipelineOffsets>, Problem> {
    Ok(axum::Json(blocking(move || offsets::show(&control, &path.name)).await?))
}

/// Lets a stopped pipeline go on elsewhere, or writes what is decided to another consumer group. A dry run unless it says
/// otherwise; that may be asked for while the pipeline runs, too.
#[utoipa::path(post, path = "/v1/pipelines/{name}/offsets", tag = "offsets", params(Named),
    request_body = ResetRequest,
    responses((status = 200, description = "what it means, or what was done", body = OffsetsReset)))]
pub async fn reset_offsets(
    State(control): State<Arc<Control>>,
    Who(who): Who,
    PathOf(path): PathOf<Named>,
    Json(asked): Json<ResetRequest>,
) -> Result<axum::Json<OffsetsReset>, Problem> {
    let asked = asked.asked()?;
    let done = blocking(move || match asked.dry_run {
        true => offsets::try_reset(&control, &path.name, &asked),
        false => offsets::reset(&control, &who, &path.name, &asked),
    });
    Ok(axum::Json(done.await?))
}
