//! `…/checkpoints` and `…/savepoints`: what a pipeline has on disk.

use super::body::OptionalJson;
use super::extract::{PathOf, QueryOf, Who};
use super::{blocking, files};
use crate::control::{Change, Control};
use crate::host::{CheckpointInfo, SavepointInfo};
use crate::pipelines;
use crate::problem::{Code, Problem};
use crate::registry::{INCOMING, Received};
use crate::wire::Bytes;
use crate::wire::page::{List, PageQuery};
use crate::wire::paths::{Named, NamedSavepoint};
use crate::wire::savepoints::SavepointRequest;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use std::sync::Arc;

/// Checkpoints on disk.
#[utoipa::path(get, path = "/v1/pipelines/{name}/checkpoints", tag = "savepoints", params(Named, PageQuery),
    responses((status = 200, description = "newest first", body = List<CheckpointInfo>)))]
pub async fn list_checkpoints(
    State(control): State<Arc<Control>>,
    PathOf(path): PathOf<Named>,
    QueryOf(query): QueryOf<PageQuery>,
) -> Result<axum::Json<List<CheckpointInfo>>, Problem> {
    let page = query.page()?;
    let found = blocking(move || {
        control.store.read(|connection| pipelines::find(connection, &path.name))?;
        Ok(control.host.checkpoints(path.name.as_str())?)
    });
    Ok(axum::Json(List::part(found.await?, &page, |found| &found.id)?))
}

/// Savepoints.
#[utoipa::path(get, path = "/v1/pipelines/{name}/savepoints", tag = "savepoints", params(Named, PageQuery),
    responses((status = 200, description = "newest first", body = List<SavepointInfo>)))]
pub async fn list_savepoints(
    State(control): State<Arc<Control>>,
    PathOf(path): PathOf<Named>,
    QueryOf(query): QueryOf<PageQuery>,
) -> Result<axum::Json<List<SavepointInfo>>, Problem> {
    let page = query.page()?;
    let found = blocking(move || {
        control.store.read(|connection| pipelines::find(connection, &path.name))?;
        Ok(control.host.savepoints(path.name.as_str())?)
    });
    Ok(axum::Json(List::part(found.await?, &page, |found| &found.name)?))
}

/// Makes a savepoint of the newest decided checkpoint.
#[utoipa::path(post, path = "/v1/pipelines/{name}/savepoints", tag = "savepoints", params(Named),
    request_body = Option<SavepointRequest>,
    responses((status = 201, description = "it is made", body = SavepointInfo)))]
pub async fn create_savepoint(
    State(control): State<Arc<Control>>,
    Who(who): Who,
    PathOf(path): PathOf<Named>,
    OptionalJson(asked): OptionalJson<SavepointRequest>,
) -> Result<(StatusCode, axum::Json<SavepointInfo>), Problem> {
    let made = blocking(move || {
        let change = Change::of_pipeline(&who, "savepoint.create", &path.name);
        control.change(change, |change| {
            control.store.read(|connection| pipelines::find(connection, &path.name))?;
            let name = asked.name.as_ref().map(|name| name.as_str());
            let made = control.host.create_savepoint(path.name.as_str(), name)?;
            change.target = format!("{}/savepoint/{}", change.target, made.name);
            control.store.write(|transaction| control.note(transaction, change))?;
            Ok(made)
        })
    });
    Ok((StatusCode::CREATED, axum::Json(made.await?)))
}

/// Deletes a savepoint.
#[utoipa::path(delete, path = "/v1/pipelines/{name}/savepoints/{savepoint}", tag = "savepoints", params(NamedSavepoint),
    responses((status = 204, description = "it is gone")))]
pub async fn delete_savepoint(
    State(control): State<Arc<Control>>,
    Who(who): Who,
    PathOf(path): PathOf<NamedSavepoint>,
) -> Result<StatusCode, Problem> {
    blocking(move || {
        let mut change = Change::of_pipeline(&who, "savepoint.delete", &path.name);
        change.target = format!("{}/savepoint/{}", change.target, path.savepoint);
        control.change(change, |change| {
            control.store.read(|connection| pipelines::find(connection, &path.name))?;
            control.host.delete_savepoint(path.name.as_str(), path.savepoint.as_str())?;
            control.store.write(|transaction| control.note(transaction, change))
        })
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A savepoint as one tar file.
#[utoipa::path(get, path = "/v1/pipelines/{name}/savepoints/{savepoint}/export", tag = "savepoints", params(NamedSavepoint),
    responses((status = 200, description = "`weir savepoint` reads it", content_type = "application/x-tar", body = Bytes)))]
pub async fn export_savepoint(
    State(control): State<Arc<Control>>,
    PathOf(path): PathOf<NamedSavepoint>,
) -> Result<Response, Problem> {
    let place = control.uploads.clone().try_acquire_owned();
    let _place = place.map_err(|_| Problem::new(Code::Busy, "too many uploads and exports at a time"))?;
    let name = format!("{}-{}.tar", path.name, path.savepoint);
    let written = blocking(move || {
        control.store.read(|connection| pipelines::find(connection, &path.name))?;
        // The file goes with this value; what is being sent stays open.
        let part = control.options.data_dir.join(INCOMING).join(format!("{}.tar", control.new_id()));
        let written = Received { part, sha256: String::new(), size: 0 };
        control.host.export_savepoint(path.name.as_str(), path.savepoint.as_str(), &written.part)?;
        Ok(written)
    })
    .await?;
    files::file(&written.part, "application/x-tar", &name).await
}
