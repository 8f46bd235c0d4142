//! `/livez` and `/readyz`: no token, and nothing told.

use crate::control::Control;
use crate::problem::{Code, Problem};
use axum::extract::State;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The process answers.
#[utoipa::path(get, path = "/livez", tag = "health", responses((status = 200, description = "it does", content_type = "text/plain", body = String)))]
pub async fn livez() -> &'static str {
    "ok\n"
}

/// Every pipeline that is to run was given to its thread.
#[utoipa::path(get, path = "/readyz", tag = "health", responses((status = 200, description = "all are", content_type = "text/plain", body = String)))]
pub async fn readyz(State(control): State<Arc<Control>>) -> Result<&'static str, Problem> {
    match control.ready.load(Ordering::SeqCst) && !*control.closing.borrow() {
        true => Ok("ok\n"),
        false => Err(Problem::new(Code::Unavailable, "not ready")),
    }
}
