//! `/v1/operators`: the registry.

use super::body::{Json, check_announced, discard};
use super::extract::{PathOf, QueryOf, Who};
use super::{blocking, files};
use crate::control::{Change, Control};
use crate::host::{OperatorTest, OperatorTested};
use crate::problem::{Code, Problem};
use crate::registry;
use crate::store::operators;
use crate::wire::Bytes;
use crate::wire::operators::VersionView;
use crate::wire::page::{List, PageQuery};
use crate::wire::paths::{Named, Versioned};
use axum::extract::{Request, State};
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// The highest version of each operator.
#[utoipa::path(get, path = "/v1/operators", tag = "operators", params(PageQuery),
    responses((status = 200, description = "by name", body = List<VersionView>)))]
pub async fn list_operators(
    State(control): State<Arc<Control>>,
    QueryOf(query): QueryOf<PageQuery>,
) -> Result<axum::Json<List<VersionView>>, Problem> {
    let page = query.page()?;
    let rows = blocking(move || control.store.read(|connection| operators::page(connection, &page))).await?;
    Ok(axum::Json(List::of(rows, VersionView::from)))
}

/// The versions of an operator.
#[utoipa::path(get, path = "/v1/operators/{name}/versions", tag = "operators", params(Named, PageQuery),
    responses((status = 200, description = "newest first", body = List<VersionView>)))]
pub async fn list_versions(
    State(control): State<Arc<Control>>,
    PathOf(path): PathOf<Named>,
    QueryOf(query): QueryOf<PageQuery>,
) -> Result<axum::Json<List<VersionView>>, Problem> {
    let page = query.page()?;
    let rows = blocking(move || {
        control.store.read(|connection| {
            registry::find(connection, &path.name, None)?;
            operators::versions(connection, path.name.as_str(), &page)
        })
    });
    Ok(axum::Json(List::of(rows.await?, VersionView::from)))
}

/// Uploads a component: the body is its bytes. The same bytes again are the same version.
#[utoipa::path(post, path = "/v1/operators/{name}/versions", tag = "operators", params(Named),
    request_body(content = Bytes, content_type = "application/wasm"),
    responses(
        (status = 201, description = "a new version", body = VersionView,
            headers(("Location" = String, description = "the version"))),
        (status = 200, description = "the operator had these bytes already", body = VersionView,
            headers(("Location" = String, description = "the version"))),
    ))]
pub async fn push_version(
    State(control): State<Arc<Control>>,
    Who(who): Who,
    path: Result<PathOf<Named>, Problem>,
    request: Request,
) -> Result<Response, Problem> {
    let (path, received) = match admit(&control, path, request.headers()).await {
        Ok((path, _place)) => (path, registry::upload::receive(&control, request.into_body()).await?),
        Err(problem) => {
            discard(&control, request).await;
            return Err(problem);
        }
    };
    let (found, received) = {
        let (control, name) = (control.clone(), path.name.clone());
        blocking(move || Ok((registry::known(&control, &name, &received)?, received))).await?
    };
    let (version, new) = match found {
        Some(version) => (version, false),
        None => {
            let place = place(&control, &control.inspections).await?;
            blocking(move || {
                // Held until the child process is over, whether or not the client waits for it.
                let _place = place;
                registry::add(&control, &who, &path.name, received)
            })
            .await?
        }
    };
    let location = format!("/v1/operators/{}/versions/{}", version.operator, version.version);
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, [(LOCATION, location)], axum::Json(VersionView::from(version))).into_response())
}

/// Whether an upload may begin: its name, its size, and a place among those under way.
async fn admit(
    control: &Control,
    path: Result<PathOf<Named>, Problem>,
    headers: &HeaderMap,
) -> Result<(Named, OwnedSemaphorePermit), Problem> {
    let PathOf(path) = path?;
    check_announced(headers, control.options.limits.component_bytes_max)?;
    Ok((path, place(control, &control.uploads).await?))
}

/// A version.
#[utoipa::path(get, path = "/v1/operators/{name}/versions/{version}", tag = "operators", params(Versioned),
    responses((status = 200, description = "what it says of itself", body = VersionView)))]
pub async fn show_version(
    State(control): State<Arc<Control>>,
    PathOf(path): PathOf<Versioned>,
) -> Result<axum::Json<VersionView>, Problem> {
    let row = blocking(move || find(&control, &path)).await?;
    Ok(axum::Json(VersionView::from(row)))
}

/// Deletes a version that no draft, no applied revision and no open swap names.
#[utoipa::path(delete, path = "/v1/operators/{name}/versions/{version}", tag = "operators", params(Versioned),
    responses((status = 204, description = "it is gone")))]
pub async fn delete_version(
    State(control): State<Arc<Control>>,
    Who(who): Who,
    PathOf(path): PathOf<Versioned>,
) -> Result<StatusCode, Problem> {
    blocking(move || registry::delete(&control, &who, &path.name, path.version)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The bytes of a version.
#[utoipa::path(get, path = "/v1/operators/{name}/versions/{version}/component", tag = "operators", params(Versioned),
    responses((status = 200, description = "as they were uploaded", content_type = "application/wasm", body = Bytes)))]
pub async fn download_component(
    State(control): State<Arc<Control>>,
    PathOf(path): PathOf<Versioned>,
) -> Result<Response, Problem> {
    let (component, name) = blocking(move || {
        let row = find(&control, &path)?;
        Ok((registry::component_file(&control, &row), format!("{}-{}.wasm", row.operator, row.version)))
    })
    .await?;
    files::file(&component.path, "application/wasm", &name).await
}

/// Runs sample records through a version, in a child process with limits.
#[utoipa::path(post, path = "/v1/operators/{name}/versions/{version}/test", tag = "operators", params(Versioned),
    request_body = OperatorTest, responses((status = 200, description = "what became of them", body = OperatorTested)))]
pub async fn test_version(
    State(control): State<Arc<Control>>,
    Who(who): Who,
    PathOf(path): PathOf<Versioned>,
    Json(asked): Json<OperatorTest>,
) -> Result<axum::Json<OperatorTested>, Problem> {
    let place = place(&control, &control.inspections).await?;
    let tested = blocking(move || {
        let _place = place;
        let row = find(&control, &path)?;
        let change = Change {
            who,
            action: "operator.test",
            target: format!("operator/{}@{}", path.name, path.version),
            digest: Some(row.inspected.sha256.clone()),
            plan_hash: None,
        };
        control.change(change, |change| {
            let tested = control.host.test(&registry::component_file(&control, &row).path, &asked)?;
            control.store.write(|transaction| control.note(transaction, change))?;
            Ok(tested)
        })
    });
    Ok(axum::Json(tested.await?))
}

fn find(control: &Control, path: &Versioned) -> Result<operators::Version, Problem> {
    control.store.read(|connection| registry::find(connection, &path.name, Some(path.version)))
}

/// A place among those who do the same, after a while.
async fn place(control: &Control, places: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Problem> {
    match timeout(control.options.limits.queue_time_max, places.clone().acquire_owned()).await {
        Ok(Ok(place)) => Ok(place),
        _ => {
            Err(Problem::new(Code::Busy, "too many uploads and tests at a time").hint("try again in a while"))
        }
    }
}
