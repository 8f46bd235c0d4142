//! The outermost layer: every answer gets the request's id, and every refusal the one shape, whoever refused.

use super::refusals;
use crate::control::Control;
use crate::problem::{Code, Problem};
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// The header with the request's id.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Runs a request and finishes its answer.
pub async fn write(State(control): State<Arc<Control>>, request: Request, next: Next) -> Response {
    let request_id = control.new_id();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let response = next.run(request).await;
    let status = response.status();
    let mut response = match problem_of(&response) {
        Some(problem) => {
            debug_assert!(
                is_documented(&method, route.as_ref(), problem.code),
                "{method} {path} refuses with {}, which is not in the table of refusals: {problem}",
                problem.code.name()
            );
            written(response, &problem, &request_id)
        }
        None => response,
    };
    tracing::debug!(request_id, %method, path, status = status.as_u16(), "request");
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, HeaderValue::from_str(&request_id).expect("a ULID is letters and digits"));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if method == Method::HEAD {
        *response.body_mut() = Body::empty();
    }
    response
}

/// A handler that panicked on the executor ends its request only.
pub async fn survive_panics(request: Request, next: Next) -> Response {
    match tokio::spawn(next.run(request)).await {
        Ok(response) => response,
        Err(failed) => {
            let problem = Problem::internal(failed);
            let bare = problem.clone().into_response();
            written(bare, &problem, "none")
        }
    }
}

/// A refusal is one of those that the document has for the route. What meets no route is not in it.
fn is_documented(method: &Method, route: Option<&MatchedPath>, code: Code) -> bool {
    let codes = route.and_then(|route| refusals::of(method.as_str(), route.as_str()));
    codes.is_none_or(|codes| codes.contains(&code))
}

fn problem_of(response: &Response) -> Option<Problem> {
    if let Some(problem) = response.extensions().get::<Problem>() {
        return Some(problem.clone());
    }
    let status = response.status();
    let is_refusal = status.is_client_error() || status.is_server_error();
    if !is_refusal {
        return None;
    }
    // A refusal of axum's own, which no handler has seen.
    let code = match status.as_u16() {
        404 => Code::NotFound,
        405 => Code::MethodNotAllowed,
        408 => Code::RequestTimeout,
        413 => Code::TooLarge,
        415 => Code::UnsupportedMediaType,
        400..500 => Code::InvalidParameter,
        _ => Code::Internal,
    };
    Some(Problem::new(code, status.canonical_reason().unwrap_or("refused").to_lowercase()))
}

fn written(response: Response, problem: &Problem, request_id: &str) -> Response {
    let body = serde_json::to_vec(&problem.body(request_id)).expect("texts can be written as JSON");
    let (mut parts, _) = response.into_parts();
    parts.status = axum::http::StatusCode::from_u16(problem.code.status()).unwrap_or(parts.status);
    parts.headers.remove(CONTENT_LENGTH);
    parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if problem.code == Code::Unauthorized {
        parts.headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if problem.code == Code::Busy {
        parts.headers.insert(RETRY_AFTER, HeaderValue::from_static("5"));
    }
    if problem.code != Code::MethodNotAllowed {
        parts.headers.remove(ALLOW);
    }
    Response::from_parts(parts, Body::from(body))
}
