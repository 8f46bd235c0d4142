//! What handlers take of a request besides its body.

use crate::problem::{Code, Problem};
use crate::security::Caller;
use axum::extract::{FromRequestParts, Path, Query};
use axum::http::header::IF_MATCH;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

/// The parts of the path.
pub struct PathOf<T>(pub T);

/// The query.
pub struct QueryOf<T>(pub T);

/// The header `If-Match`.
pub struct IfMatch(pub Option<String>);

/// Who asks: the gate has put it there.
pub struct Who(pub String);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for PathOf<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<PathOf<T>, Problem> {
        let path = Path::<T>::from_request_parts(parts, state).await;
        path.map(|Path(value)| PathOf(value)).map_err(|error| {
            Problem::new(Code::InvalidName, error.body_text().trim_start_matches("Invalid URL: "))
        })
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for QueryOf<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<QueryOf<T>, Problem> {
        let query = Query::<T>::from_request_parts(parts, state).await;
        query
            .map(|Query(value)| QueryOf(value))
            .map_err(|error| Problem::new(Code::InvalidParameter, error.body_text()))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<IfMatch, Problem> {
        let Some(value) = parts.headers.get(IF_MATCH) else { return Ok(IfMatch(None)) };
        match value.to_str() {
            Ok(text) => Ok(IfMatch(Some(text.to_owned()))),
            Err(_) => Err(Problem::new(Code::InvalidParameter, "If-Match: expected an ETag")),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Who {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Who, Problem> {
        let caller = parts.extensions.get::<Caller>();
        caller
            .map(|caller| Who(caller.who.clone()))
            .ok_or_else(|| Problem::internal("a route for everybody asks who it is"))
    }
}
