//! The one shape in which the service refuses: `{code, message, hint?, details?, request_id}`.
//!
//! A [`Problem`] travels as an extension of the response; the outermost layer ([`crate::http::answers`]) gives it the
//! request's id and writes it, so that a refusal of axum's own comes out in the same shape.

mod codes;

pub use codes::Code;

use crate::host::{Reason, Refused};
use axum::body::Body;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Why a request was not done.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct Problem {
    /// Which one; its page is `docs/errors/<code>.md`.
    pub code: Code,
    /// One line for a person.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
    /// One entry per problem, where there are several.
    pub details: Vec<String>,
}

/// An error, as it is answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// Which one: stable, and the name of a page in docs/errors/.
    pub code: String,
    /// One line for a person.
    pub message: String,
    /// What to do, where that is not in the message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// One entry per problem, where there are several.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub details: Vec<String>,
    /// The request, as the server's log names it; also in the header `x-request-id`.
    pub request_id: String,
}

impl Problem {
    /// A problem with one line.
    pub fn new(code: Code, message: impl Into<String>) -> Problem {
        Problem { code, message: message.into(), hint: None, details: Vec::new() }
    }

    /// The same with what to do.
    pub fn hint(self, hint: impl Into<String>) -> Problem {
        Problem { hint: Some(hint.into()), ..self }
    }

    /// The same with one line for each problem.
    pub fn details(self, details: Vec<String>) -> Problem {
        Problem { details, ..self }
    }

    /// Something that should not happen; the cause goes to the log, not to the client.
    pub fn internal(cause: impl std::fmt::Display) -> Problem {
        tracing::error!("internal error: {cause}");
        Problem::new(Code::Internal, "the server could not do this; its log says why")
    }

    /// The answer's body.
    pub fn body(&self, request_id: &str) -> ProblemBody {
        ProblemBody {
            code: self.code.name().to_owned(),
            message: self.message.clone(),
            hint: self.hint.clone(),
            details: self.details.clone(),
            request_id: request_id.to_owned(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() =
            StatusCode::from_u16(self.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        response.extensions_mut().insert(self);
        response
    }
}

impl From<rusqlite::Error> for Problem {
    fn from(error: rusqlite::Error) -> Problem {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => disk_full(),
            _ => Problem::internal(error),
        }
    }
}

impl From<std::io::Error> for Problem {
    fn from(error: std::io::Error) -> Problem {
        match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => disk_full(),
            _ => Problem::internal(error),
        }
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Problem {
        let code = match refused.reason {
            Reason::InvalidComponent => Code::InvalidComponent,
            Reason::LimitExceeded => Code::LimitExceeded,
            Reason::InvalidPipeline => Code::InvalidPipeline,
            Reason::StateIncompatible => Code::StateIncompatible,
            Reason::NotASwap => Code::NotASwap,
            Reason::Conflict => Code::Conflict,
            Reason::NotFound => Code::NotFound,
            Reason::Unavailable => Code::Unavailable,
        };
        Problem { code, message: refused.message, hint: refused.hint, details: refused.problems }
    }
}

fn disk_full() -> Problem {
    Problem::new(Code::DiskFull, "the disk of the data directory is full")
        .hint("make room and try again; running pipelines go on as long as their checkpoints fit")
}
