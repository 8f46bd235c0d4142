//! HTTP: routes, extractors, answers. A handler reads the request, calls one function of the core on a thread that may
//! block, and writes what it says.

pub mod answers;
pub mod body;
pub mod document;
mod events;
pub mod extract;
mod files;
mod health;
mod letters;
mod offsets;
mod operators;
mod pages;
mod pipelines;
pub mod refusals;
mod savepoints;
mod strict_json;
mod swaps;
mod tokens;
mod upgrade;

use crate::control::Control;
use crate::problem::Problem;
use crate::security::gate;
use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use serde_json::Value;
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// All routes, and the document made of them.
pub fn routes() -> (Router<Arc<Control>>, Value) {
    let (router, api) = OpenApiRouter::with_openapi(document::head())
        .routes(routes!(health::livez))
        .routes(routes!(health::readyz))
        .routes(routes!(pages::openapi))
        .routes(routes!(pages::docs))
        .routes(routes!(operators::list_operators))
        .routes(routes!(operators::list_versions, operators::push_version))
        .routes(routes!(operators::show_version, operators::delete_version))
        .routes(routes!(operators::download_component))
        .routes(routes!(operators::test_version))
        .routes(routes!(pipelines::list_pipelines))
        .routes(routes!(pipelines::show_pipeline, pipelines::put_pipeline, pipelines::delete_pipeline))
        .routes(routes!(pipelines::plan_pipeline))
        .routes(routes!(pipelines::explain_pipeline))
        .routes(routes!(pipelines::pipeline_schema))
        .routes(routes!(pipelines::apply_pipeline))
        .routes(routes!(pipelines::start_pipeline))
        .routes(routes!(pipelines::stop_pipeline))
        .routes(routes!(pipelines::restart_pipeline))
        .routes(routes!(pipelines::pipeline_status))
        .routes(routes!(pipelines::list_revisions))
        .routes(routes!(savepoints::list_checkpoints))
        .routes(routes!(offsets::show_offsets, offsets::reset_offsets))
        .routes(routes!(savepoints::list_savepoints, savepoints::create_savepoint))
        .routes(routes!(savepoints::delete_savepoint))
        .routes(routes!(savepoints::export_savepoint))
        .routes(routes!(letters::list_letters))
        .routes(routes!(letters::replay_letters))
        .routes(routes!(events::pipeline_events))
        .routes(routes!(swaps::swap_operator))
        .routes(routes!(swaps::rollback_pipeline))
        .routes(routes!(swaps::list_swaps))
        .routes(routes!(swaps::show_swap, swaps::cancel_swap))
        .routes(routes!(tokens::list_tokens, tokens::create_token))
        .routes(routes!(tokens::revoke_token))
        .routes(routes!(tokens::list_audit))
        .routes(routes!(upgrade::show_upgrade))
        .routes(routes!(upgrade::finalize_upgrade))
        .split_for_parts();
    (router, document::complete(&api))
}

/// The service behind a connection.
pub fn app(control: Arc<Control>) -> Router {
    let (router, _) = routes();
    router
        // Axum's own answer for an unknown path passes the same layers.
        .fallback(|| async {})
        .layer(from_fn_with_state(control.clone(), gate::pass))
        .layer(from_fn_with_state(control.clone(), answers::write))
        .with_state(control)
        .layer(from_fn(answers::survive_panics))
}

/// Calls something that blocks.
pub async fn blocking<T: Send + 'static>(
    body: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    match tokio::task::spawn_blocking(body).await {
        Ok(result) => result,
        Err(panicked) => Err(Problem::internal(panicked)),
    }
}
