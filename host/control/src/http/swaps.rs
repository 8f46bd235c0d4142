//! Swaps over HTTP: ask, watch, cancel, go back.

use super::blocking;
use super::body::{Json, OptionalJson};
use super::extract::{PathOf, QueryOf, Who};
use crate::control::Control;
use crate::host::DryRun;
use crate::name::Name;
use crate::pipelines;
use crate::pipelines::swap::{self, Asked, Outcome, Wanted};
use crate::problem::Problem;
use crate::store::swaps;
use crate::wire::page::{List, PageQuery};
use crate::wire::paths::{Named, NamedId};
use crate::wire::swaps::{RollbackRequest, SwapRequest, SwapView};
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// Replaces an operator's version between two checkpoints of the running pipeline.
#[utoipa::path(post, path = "/v1/pipelines/{name}/operators/{id}/swap", tag = "swaps", params(NamedId),
    request_body = SwapRequest,
    responses(
        (status = 202, description = "it has begun", body = SwapView,
            headers(("Location" = String, description = "the swap"))),
        (status = 200, description = "what a dry run has found", body = DryRun),
    ))]
pub async fn swap_operator(
    State(control): State<Arc<Control>>,
    Who(who): Who,
    PathOf(path): PathOf<NamedId>,
    Json(asked): Json<SwapRequest>,
) -> Result<Response, Problem> {
    let name = path.name.clone();
    let asked = Asked {
        component: asked.version.wanted()?,
        rules: asked.rules.rules(&asked.probation)?,
        dry_run: asked.dry_run,
        force: asked.force,
    };
    let outcome =
        blocking(move || swap::swap(&control, &who, &path.name, Some(path.id.as_str()), asked)).await?;
    Ok(answer(&name, outcome))
}

/// Goes back to the version before, with the state as it is: a swap like any other.
#[utoipa::path(post, path = "/v1/pipelines/{name}/rollback", tag = "swaps", params(Named),
    request_body = Option<RollbackRequest>,
    responses((status = 202, description = "it has begun", body = SwapView,
            headers(("Location" = String, description = "the swap")))))]
pub async fn rollback_pipeline(
    State(control): State<Arc<Control>>,
    Who(who): Who,
    PathOf(path): PathOf<Named>,
    OptionalJson(asked): OptionalJson<RollbackRequest>,
) -> Result<Response, Problem> {
    let name = path.name.clone();
    let asked = Asked {
        component: Wanted::Previous,
        rules: asked.rules.rules(&asked.probation)?,
        dry_run: false,
        force: asked.force,
    };
    let outcome = blocking(move || swap::swap(&control, &who, &path.name, None, asked)).await?;
    Ok(answer(&name, outcome))
}

/// The swaps of a pipeline.
#[utoipa::path(get, path = "/v1/pipelines/{name}/swaps", tag = "swaps", params(Named, PageQuery),
    responses((status = 200, description = "newest first", body = List<SwapView>)))]
pub async fn list_swaps(
    State(control): State<Arc<Control>>,
    PathOf(path): PathOf<Named>,
    QueryOf(query): QueryOf<PageQuery>,
) -> Result<axum::Json<List<SwapView>>, Problem> {
    let page = query.page()?;
    let found = blocking(move || {
        control
            .store
            .read(|connection| swaps::page(connection, pipelines::find(connection, &path.name)?.id, &page))
    });
    Ok(axum::Json(List::of(found.await?, SwapView::from)))
}

/// A swap.
#[utoipa::path(get, path = "/v1/pipelines/{name}/swaps/{id}", tag = "swaps", params(NamedId),
    responses((status = 200, description = "how far it is, or how it ended", body = SwapView)))]
pub async fn show_swap(
    State(control): State<Arc<Control>>,
    PathOf(path): PathOf<NamedId>,
) -> Result<axum::Json<SwapView>, Problem> {
    let found = blocking(move || {
        control.store.read(|connection| {
            let pipeline = pipelines::find(connection, &path.name)?;
            swap::find_swap(connection, pipeline.id, path.id.as_str())
        })
    });
    Ok(axum::Json(SwapView::from(found.await?)))
}

/// Cancels a swap that has not come to probation.
#[utoipa::path(delete, path = "/v1/pipelines/{name}/swaps/{id}", tag = "swaps", params(NamedId),
    responses((status = 202, description = "it will end as cancelled", body = SwapView)))]
pub async fn cancel_swap(
    State(control): State<Arc<Control>>,
    Who(who): Who,
    PathOf(path): PathOf<NamedId>,
) -> Result<(StatusCode, axum::Json<SwapView>), Problem> {
    let swap = blocking(move || swap::cancel(&control, &who, &path.name, path.id.as_str())).await?;
    Ok((StatusCode::ACCEPTED, axum::Json(SwapView::from(swap))))
}

fn answer(name: &Name, outcome: Outcome) -> Response {
    match outcome {
        Outcome::Dry(found) => axum::Json(found).into_response(),
        Outcome::Begun(swap) => {
            let location = format!("/v1/pipelines/{name}/swaps/{}", swap.id);
            (StatusCode::ACCEPTED, [(LOCATION, location)], axum::Json(SwapView::from(*swap))).into_response()
        }
    }
}
