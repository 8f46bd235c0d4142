//! `/livez` and `/readyz`: no token, and nothing told.

use super::answers::NoRefusal;
use crate::control::Control;
use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The process answers.
#[utoipa::path(get, path = "/livez", tag = "health", responses((status = 200, description = "it does", content_type = "text/plain", body = String)))]
pub async fn livez() -> &'static str {
    "ok\n"
}

/// Every pipeline that is to run was given to its thread.
#[utoipa::path(get, path = "/readyz", tag = "health", responses(
    (status = 200, description = "all are", content_type = "text/plain", body = String),
    (status = 503, description = "not yet", content_type = "text/plain", body = String),
))]
pub async fn readyz(State(control): State<Arc<Control>>) -> (StatusCode, Extension<NoRefusal>, &'static str) {
    let (status, text) = match control.ready.load(Ordering::SeqCst) && !*control.closing.borrow() {
        true => (StatusCode::OK, "ok\n"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
    };
    (status, Extension(NoRefusal), text)
}
