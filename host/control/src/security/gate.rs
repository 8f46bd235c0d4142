//! The gate in front of every handler: the name by which the server was called, the origin, the token, the role.

use super::roles::{Access, Entry, look_up};
use super::{Caller, token};
use crate::control::Control;
use crate::http::{blocking, body, document};
use crate::problem::{Code, Problem};
use crate::store::audit;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{ALLOW, AUTHORIZATION, HOST, ORIGIN};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::net::IpAddr;
use std::sync::Arc;

/// The route whose body is streamed to disk; every other is read here, before its handler.
const UPLOAD: (&str, &str) = ("POST", "/v1/operators/{name}/versions");

/// Characters of a path that are written down.
const PATH_NOTED_MAX: usize = 200;

/// Lets a request through, or answers it.
pub async fn pass(State(control): State<Arc<Control>>, request: Request, next: Next) -> Response {
    // Only the head is looked at across a wait: a body cannot be shared between threads.
    let (head, request_body) = request.into_parts();
    let checked = check(&control, &head).await;
    let mut request = Request::from_parts(head, request_body);
    match checked {
        Ok(Some(caller)) => {
            request.extensions_mut().insert(caller);
        }
        Ok(None) => {}
        Err(refusal) => {
            // A client that still sends would see a broken connection instead of the answer.
            body::discard(&control, request).await;
            return refusal;
        }
    }
    let path = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    if path.is_some_and(|path| (request.method().as_str(), path) == UPLOAD) {
        return next.run(request).await;
    }
    // Read whether or not the handler wants it, for the same reason.
    match body::buffered(&control, request).await {
        Ok(request) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

/// Who asks, where the route wants to know; or the refusal.
async fn check(control: &Arc<Control>, head: &Parts) -> Result<Option<Caller>, Response> {
    check_origin(control, &head.headers).map_err(IntoResponse::into_response)?;
    let path = head.extensions.get::<MatchedPath>().map(MatchedPath::as_str);
    let access = match path.map_or(Entry::Unknown, |path| look_up(head.method.as_str(), path)) {
        Entry::Access(access) => access,
        Entry::OtherMethods(methods) => return Err(other_methods(&methods)),
        Entry::Unknown => {
            let problem = Problem::new(Code::NotFound, format!("there is no {}", head.uri.path()));
            return Err(problem.hint("/docs lists all routes").into_response());
        }
    };
    let Access::Token(needed) = access else { return Ok(None) };
    let presented = presented(&head.headers).map_err(IntoResponse::into_response)?;
    let (control, noting) = (control.clone(), control.clone());
    let caller = blocking(move || token::authenticate(&control, &presented)).await;
    let caller = caller.map_err(IntoResponse::into_response)?;
    if caller.role < needed {
        let message = format!("this needs the role {}, the token has {}", needed.text(), caller.role.text());
        let target = format!("{} {}", head.method, shortened(head.uri.path()));
        // The client learns of the refusal whether or not it could be written.
        if let Err(error) = blocking(move || note_forbidden(&noting, &caller, &target)).await {
            tracing::error!("no line in the audit log: {error}");
        }
        return Err(Problem::new(Code::Forbidden, message).into_response());
    }
    check_query(head).map_err(IntoResponse::into_response)?;
    Ok(Some(caller))
}

/// Refuses a query where there is nothing to ask: who sends one expects something of it.
fn check_query(head: &Parts) -> Result<(), Problem> {
    let asked = head.uri.query().is_some_and(|query| !query.is_empty());
    let path = head.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
    match asked && !document::takes_query(head.method.as_str(), path) {
        true => Err(Problem::new(Code::InvalidParameter, "this route takes nothing in its query")),
        false => Ok(()),
    }
}

/// Somebody who is known tried what they may not: a line of the audit log. Who is not known could fill the disk with lines.
fn note_forbidden(control: &Control, caller: &Caller, target: &str) -> Result<(), Problem> {
    let line = audit::Line {
        outcome: Code::Forbidden.name().to_owned(),
        ..control.line(&caller.who, "forbidden", target)
    };
    control.store.write(|transaction| audit::insert(transaction, &line))
}

fn shortened(path: &str) -> String {
    path.chars().take(PATH_NOTED_MAX).collect()
}

fn other_methods(methods: &[&'static str]) -> Response {
    let methods = methods.join(", ");
    let problem = Problem::new(Code::MethodNotAllowed, format!("this path has {methods}"));
    let mut response = problem.into_response();
    if let Ok(value) = HeaderValue::from_str(&methods) {
        response.headers_mut().insert(ALLOW, value);
    }
    response
}

/// The token of a request.
fn presented(headers: &HeaderMap) -> Result<String, Problem> {
    let missing = || {
        Problem::new(Code::Unauthorized, "this needs a token")
            .hint("send `Authorization: Bearer weir_…`; the first start wrote one to admin.token in the data directory")
    };
    let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).ok_or_else(missing)?;
    let (scheme, presented) = header.split_once(' ').ok_or_else(missing)?;
    match scheme.eq_ignore_ascii_case("bearer") {
        true => Ok(presented.trim().to_owned()),
        false => Err(missing()),
    }
}

/// Refuses what a page of another origin may have sent, also where its name was made to point here.
fn check_origin(control: &Control, headers: &HeaderMap) -> Result<(), Problem> {
    let host = headers.get(HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let loopback = control.listening.get().is_none_or(|address| address.ip().is_loopback());
    if loopback && !host_is_ours(host, &control.options.host_names) {
        return Err(Problem::new(Code::HostNotAllowed, "the Host header is no name of this server")
            .hint("call it by 127.0.0.1 or localhost, or start it with this name as a further one"));
    }
    let Some(origin) = headers.get(ORIGIN) else { return Ok(()) };
    let origin = origin.to_str().unwrap_or_default();
    let authority = origin.split_once("://").map(|(_, authority)| authority);
    match authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host)) {
        true => Ok(()),
        false => Err(Problem::new(Code::CrossOrigin, "requests of pages of another origin are refused")),
    }
}

fn host_is_ours(host: &str, names: &[String]) -> bool {
    // The port is not compared: it may be forwarded.
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or("", |(address, _)| address),
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    let is_address = name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    is_address
        || name.eq_ignore_ascii_case("localhost")
        || names.iter().any(|ours| ours.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_a_loopback_address_the_host_is_loopback_or_a_configured_name() {
        let names = ["weir.test".to_owned()];
        for good in ["127.0.0.1:1", "127.0.0.1", "localhost:9", "LOCALHOST", "[::1]:80", "weir.test:1"] {
            assert!(host_is_ours(good, &names), "{good}");
        }
        for bad in ["", "evil.test", "10.0.0.1:1", "localhost.evil.test", "[::2]", "127.0.0.1.evil.test"] {
            assert!(!host_is_ours(bad, &names), "{bad}");
        }
    }
}
