//! `/v1/upgrade`: in which formats the data directory is written, and the step to the next ones.

use super::blocking;
use super::extract::Who;
use crate::control::Control;
use crate::problem::Problem;
use crate::upgrade;
use crate::wire::upgrade::UpgradeView;
use axum::extract::State;
use std::sync::Arc;

/// The feature level in force, and what this weir knows.
#[utoipa::path(get, path = "/v1/upgrade", tag = "upgrade",
    responses((status = 200, description = "the level and its formats", body = UpgradeView)))]
pub async fn show_upgrade(State(control): State<Arc<Control>>) -> Result<axum::Json<UpgradeView>, Problem> {
    Ok(axum::Json(blocking(move || upgrade::show(&control)).await?))
}

/// Puts the newest level in force. An older weir refuses the data directory from then on, and there is no way back but a
/// savepoint that was made before. Nothing stops; where the newest is in force already, nothing happens.
#[utoipa::path(post, path = "/v1/upgrade/finalize", tag = "upgrade",
    responses((status = 200, description = "it is in force", body = UpgradeView)))]
pub async fn finalize_upgrade(
    State(control): State<Arc<Control>>,
    Who(who): Who,
) -> Result<axum::Json<UpgradeView>, Problem> {
    Ok(axum::Json(blocking(move || upgrade::finalize(&control, who)).await?))
}
