//! `…/dead-letters`: what failed, and how it comes back.

use super::blocking;
use super::body::OptionalJson;
use super::extract::{IfMatch, PathOf, QueryOf, Who};
use super::pipelines::begun;
use crate::control::Control;
use crate::host::{LettersFound, PipelineDocument};
use crate::name::Name;
use crate::pipelines::plan::resolve;
use crate::pipelines::{self, life};
use crate::problem::{Code, Problem};
use crate::store::revisions;
use crate::wire::letters::{LettersQuery, ReplayRequest};
use crate::wire::paths::Named;
use crate::wire::pipelines::PipelineView;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// Dead letters that are open.
#[utoipa::path(get, path = "/v1/pipelines/{name}/dead-letters", tag = "dead letters", params(Named, LettersQuery),
    responses((status = 200, description = "oldest first, partition by partition", body = LettersFound)))]
pub async fn list_letters(
    State(control): State<Arc<Control>>,
    PathOf(path): PathOf<Named>,
    QueryOf(query): QueryOf<LettersQuery>,
) -> Result<axum::Json<LettersFound>, Problem> {
    let asked = query.asked()?;
    let found = blocking(move || Ok(control.host.letters(&applied(&control, &path.name)?, &asked)?));
    Ok(axum::Json(found.await?))
}

/// Sends dead letters back into the operators that failed: the pipeline stops, handles them, and goes on.
#[utoipa::path(post, path = "/v1/pipelines/{name}/dead-letters/replay", tag = "dead letters",
    params(Named, ("If-Match" = Option<String>, Header, description = "only where the pipeline is still this")),
    request_body = Option<ReplayRequest>,
    responses(
        (status = 200, description = "what a replay would take: with `dry_run`, and where that is nothing, which stops nothing", body = LettersFound),
        (status = 202, description = "its events show how it goes: `replayed` at the end, or `replay_stopped` or `replay_failed`", body = PipelineView,
            headers(("Location" = String, description = "what to watch"))),
    ))]
pub async fn replay_letters(
    State(control): State<Arc<Control>>,
    Who(who): Who,
    PathOf(path): PathOf<Named>,
    IfMatch(if_match): IfMatch,
    OptionalJson(asked): OptionalJson<ReplayRequest>,
) -> Result<Response, Problem> {
    blocking(move || {
        let selected = asked.selected();
        // What cannot be replayed is refused before anything is stopped.
        let found = control.host.letters(&applied(&control, &path.name)?, &asked.look())?;
        let nothing_to_do = found.complete && found.replayable == 0;
        if nothing_to_do {
            let pipeline = control.store.read(|connection| pipelines::find(connection, &path.name))?;
            pipelines::check_match(Some(&pipeline), if_match.as_deref())?;
        }
        if asked.dry_run || nothing_to_do {
            return Ok((StatusCode::OK, axum::Json(found)).into_response());
        }
        Ok(begun(life::replay(
            &control,
            &who,
            &path.name,
            (&selected, asked.restart_finished),
            if_match.as_deref(),
        )?))
    })
    .await
}

/// The document that is applied.
fn applied(control: &Control, name: &Name) -> Result<PipelineDocument, Problem> {
    let toml = control.store.read(|connection| {
        let pipeline = pipelines::find(connection, name)?;
        let number = pipeline.applied.ok_or_else(|| {
            Problem::new(Code::NotApplied, format!("{name} was never applied: it has no dead letters"))
        })?;
        revisions::find(connection, pipeline.id, number)
    })?;
    let toml = toml.ok_or_else(|| Problem::internal("the applied revision is not there"))?.toml;
    Ok(resolve(control, name, &toml)?.document)
}
