//! `/v1/pipelines`: documents, plans, life.

use super::blocking;
use super::body::{Json, OptionalJson, media_type, read};
use super::extract::{IfMatch, PathOf, QueryOf, Who};
use crate::control::Control;
use crate::document::from_json;
use crate::name::Name;
use crate::pipelines::{self, apply, draft, life, plan};
use crate::problem::{Code, Problem};
use crate::store::pipelines::{self as rows, Pipeline};
use crate::store::{revisions, swaps};
use crate::wire::page::{List, PageQuery};
use crate::wire::paths::Named;
use crate::wire::pipelines::{
    AppliedView, ApplyRequest, PipelineView, PlanQuery, PlanView, RevisionView, StartRequest, StatusView,
};
use crate::wire::swaps::SwapView;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::{ETAG, LOCATION};
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// All pipelines.
#[utoipa::path(get, path = "/v1/pipelines", tag = "pipelines", params(PageQuery),
    responses((status = 200, description = "by name", body = List<PipelineView>)))]
pub async fn list_pipelines(
    State(control): State<Arc<Control>>,
    QueryOf(query): QueryOf<PageQuery>,
) -> Result<axum::Json<List<PipelineView>>, Problem> {
    let page = query.page()?;
    let found = blocking(move || control.store.read(|connection| rows::page(connection, &page))).await?;
    Ok(axum::Json(List::of(found, PipelineView::from)))
}

/// A pipeline.
#[utoipa::path(get, path = "/v1/pipelines/{name}", tag = "pipelines", params(Named),
    responses((status = 200, description = "its draft, and what is applied", body = PipelineView,
        headers(("ETag" = String, description = "what `If-Match` takes")))))]
pub async fn show_pipeline(
    State(control): State<Arc<Control>>,
    PathOf(path): PathOf<Named>,
) -> Result<Response, Problem> {
    let row =
        blocking(move || control.store.read(|connection| pipelines::find(connection, &path.name))).await?;
    Ok(shown(StatusCode::OK, row))
}

/// Makes the draft what the body says: TOML, or JSON of the same shape. Nothing of it runs before it is applied.
#[utoipa::path(put, path = "/v1/pipelines/{name}", tag = "pipelines",
    params(Named, ("If-Match" = Option<String>, Header, description = "only where the pipeline is still this")),
    request_body(content((String = "application/toml"), (Object = "application/json")), description = "the pipeline file"),
    responses(
        (status = 201, description = "a new pipeline", body = PipelineView,
            headers(("ETag" = String, description = "what `If-Match` takes"))),
        (status = 200, description = "the draft is this now", body = PipelineView,
            headers(("ETag" = String, description = "what `If-Match` takes"))),
    ))]
pub async fn put_pipeline(
    State(control): State<Arc<Control>>,
    Who(who): Who,
    PathOf(path): PathOf<Named>,
    IfMatch(if_match): IfMatch,
    request: Request,
) -> Result<Response, Problem> {
    let media_type = media_type(request.headers());
    let is_json = match media_type.as_deref() {
        Some("application/json") => true,
        Some("application/toml" | "text/toml" | "text/plain") => false,
        _ => {
            return Err(Problem::new(
                Code::UnsupportedMediaType,
                "expected Content-Type: application/toml or application/json",
            ));
        }
    };
    let body = read(&control, request).await?;
    let (row, new) = blocking(move || {
        let text = match is_json {
            true => from_json(&body)?,
            false => String::from_utf8(body.to_vec())
                .map_err(|_| Problem::new(Code::InvalidPipeline, "the pipeline file is not UTF-8"))?,
        };
        draft::put(&control, &who, &path.name, &text, if_match.as_deref())
    })
    .await?;
    Ok(shown(if new { StatusCode::CREATED } else { StatusCode::OK }, row))
}

/// Deletes a stopped pipeline. Its state stays in the trash for a while.
#[utoipa::path(delete, path = "/v1/pipelines/{name}", tag = "pipelines",
    params(Named, ("If-Match" = Option<String>, Header, description = "only where the pipeline is still this")),
    responses((status = 204, description = "it is gone")))]
pub async fn delete_pipeline(
    State(control): State<Arc<Control>>,
    Who(who): Who,
    PathOf(path): PathOf<Named>,
    IfMatch(if_match): IfMatch,
) -> Result<StatusCode, Problem> {
    blocking(move || draft::delete(&control, &who, &path.name, if_match.as_deref())).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What the draft becomes: threads, where records cross them and why, what readers of each sink are promised, group,
/// transactional ids, and the lines of `kafka-acls.sh` that its principal needs.
#[utoipa::path(get, path = "/v1/pipelines/{name}/explain", tag = "pipelines", params(Named),
    responses((status = 200, description = "as `weir explain --format json` prints it", body = Object)))]
pub async fn explain_pipeline(
    State(control): State<Arc<Control>>,
    PathOf(path): PathOf<Named>,
) -> Result<axum::Json<serde_json::Value>, Problem> {
    Ok(axum::Json(blocking(move || plan::explain(&control, &path.name)).await?))
}

/// The JSON Schema of a pipeline file, for editors.
#[utoipa::path(get, path = "/v1/schema/pipeline", tag = "pipelines",
    responses((status = 200, description = "draft 2020-12", body = Object)))]
pub async fn pipeline_schema(
    State(control): State<Arc<Control>>,
) -> Result<axum::Json<serde_json::Value>, Problem> {
    Ok(axum::Json(blocking(move || Ok(control.host.schema())).await?))
}

/// What apply would do, and its hash.
#[utoipa::path(post, path = "/v1/pipelines/{name}/plan", tag = "pipelines", params(Named, PlanQuery),
    responses((status = 200, description = "the plan", body = PlanView)))]
pub async fn plan_pipeline(
    State(control): State<Arc<Control>>,
    PathOf(path): PathOf<Named>,
    QueryOf(query): QueryOf<PlanQuery>,
) -> Result<axum::Json<PlanView>, Problem> {
    let plan = blocking(move || match query.online {
        true => plan::plan_online(&control, &path.name),
        false => plan::plan(&control, &path.name),
    });
    let plan = plan.await?;
    Ok(axum::Json(PlanView::from(plan)))
}

/// Does what a plan says, where it still says it.
#[utoipa::path(post, path = "/v1/pipelines/{name}/apply", tag = "pipelines",
    params(Named, ("If-Match" = Option<String>, Header, description = "only where the pipeline is still this")),
    request_body = ApplyRequest,
    responses(
        (status = 200, description = "it is done", body = AppliedView,
            headers(("Location" = String, description = "what to watch"))),
        (status = 202, description = "it has begun: a start, a restart or a swap", body = AppliedView,
            headers(("Location" = String, description = "what to watch"))),
    ))]
pub async fn apply_pipeline(
    State(control): State<Arc<Control>>,
    Who(who): Who,
    PathOf(path): PathOf<Named>,
    IfMatch(if_match): IfMatch,
    Json(asked): Json<ApplyRequest>,
) -> Result<Response, Problem> {
    let name = path.name.clone();
    let applied = blocking(move || {
        let asked = apply::Asked { hash: &asked.hash, force: asked.force, if_match: if_match.as_deref() };
        apply::apply(&control, &who, &path.name, &asked)
    })
    .await?;
    let slow = applied.swap.is_some() || applied.starts;
    let watch = match &applied.swap {
        Some(swap) => format!("/v1/pipelines/{name}/swaps/{}", swap.id),
        None => status_url(&name),
    };
    let view = AppliedView {
        way: applied.way,
        revision: applied.revision,
        swap: applied.swap.map(SwapView::from),
        watch: watch.clone(),
    };
    let status = if slow { StatusCode::ACCEPTED } else { StatusCode::OK };
    Ok((status, [(LOCATION, watch)], axum::Json(view)).into_response())
}

/// Is to run.
#[utoipa::path(post, path = "/v1/pipelines/{name}/start", tag = "pipelines", params(Named),
    request_body = Option<StartRequest>,
    responses((status = 202, description = "its status shows how it goes", body = PipelineView,
        headers(("Location" = String, description = "what to watch")))))]
pub async fn start_pipeline(
    State(control): State<Arc<Control>>,
    Who(who): Who,
    PathOf(path): PathOf<Named>,
    OptionalJson(asked): OptionalJson<StartRequest>,
) -> Result<Response, Problem> {
    let row = blocking(move || life::start(&control, &who, &path.name, &asked.into())).await?;
    Ok(begun(row))
}

/// Is to stop: what was read is decided first.
#[utoipa::path(post, path = "/v1/pipelines/{name}/stop", tag = "pipelines", params(Named),
    responses((status = 202, description = "its status shows how it goes", body = PipelineView,
        headers(("Location" = String, description = "what to watch")))))]
pub async fn stop_pipeline(
    State(control): State<Arc<Control>>,
    Who(who): Who,
    PathOf(path): PathOf<Named>,
) -> Result<Response, Problem> {
    let row = blocking(move || life::stop(&control, &who, &path.name)).await?;
    Ok(begun(row))
}

/// Is to stop, and to run again.
#[utoipa::path(post, path = "/v1/pipelines/{name}/restart", tag = "pipelines",
    params(Named, ("If-Match" = Option<String>, Header, description = "only where the pipeline is still this")),
    responses((status = 202, description = "its status shows how it goes", body = PipelineView,
        headers(("Location" = String, description = "what to watch")))))]
pub async fn restart_pipeline(
    State(control): State<Arc<Control>>,
    Who(who): Who,
    PathOf(path): PathOf<Named>,
    IfMatch(if_match): IfMatch,
) -> Result<Response, Problem> {
    let row = blocking(move || life::restart(&control, &who, &path.name, if_match.as_deref())).await?;
    Ok(begun(row))
}

/// How it goes.
#[utoipa::path(get, path = "/v1/pipelines/{name}/status", tag = "pipelines", params(Named),
    responses((status = 200, description = "desired, actual, counters", body = StatusView)))]
pub async fn pipeline_status(
    State(control): State<Arc<Control>>,
    PathOf(path): PathOf<Named>,
) -> Result<axum::Json<StatusView>, Problem> {
    let status = blocking(move || {
        let (row, swap) = control.store.read(|connection| {
            let row = pipelines::find(connection, &path.name)?;
            let swap = swaps::find_open(connection, row.id)?;
            Ok((row, swap))
        })?;
        let shown = control.slots.slot(&control, &path.name)?.show();
        let running = shown.running.as_ref().map(|running| running.status());
        Ok(StatusView::new(&row, shown, swap, running))
    });
    Ok(axum::Json(status.await?))
}

/// What was applied before.
#[utoipa::path(get, path = "/v1/pipelines/{name}/revisions", tag = "pipelines", params(Named, PageQuery),
    responses((status = 200, description = "newest first", body = List<RevisionView>)))]
pub async fn list_revisions(
    State(control): State<Arc<Control>>,
    PathOf(path): PathOf<Named>,
    QueryOf(query): QueryOf<PageQuery>,
) -> Result<axum::Json<List<RevisionView>>, Problem> {
    let page = query.page()?;
    let found = blocking(move || {
        control.store.read(|connection| {
            revisions::page(connection, pipelines::find(connection, &path.name)?.id, &page)
        })
    });
    Ok(axum::Json(List::of(found.await?, RevisionView::from)))
}

fn shown(status: StatusCode, row: Pipeline) -> Response {
    (status, [(ETAG, row.etag())], axum::Json(PipelineView::from(row))).into_response()
}

pub(super) fn begun(row: Pipeline) -> Response {
    let location = format!("/v1/pipelines/{}/status", row.name);
    (StatusCode::ACCEPTED, [(LOCATION, location)], axum::Json(PipelineView::from(row))).into_response()
}

fn status_url(name: &Name) -> String {
    format!("/v1/pipelines/{name}/status")
}
