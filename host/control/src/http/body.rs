//! Bodies, read with limits on size, silence and time. Nothing is read by axum's own extractors, which have no clock.

use super::strict_json;
use crate::control::Control;
use crate::problem::{Code, Problem};
use axum::body::{Body, BodyDataStream, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, EXPECT};
use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// A body, chunk by chunk.
pub struct Reader {
    chunks: BodyDataStream,
    bytes_left: u64,
    bytes_max: u64,
    idle_max: Duration,
    deadline: Instant,
}

impl Reader {
    /// From now on.
    pub fn new(body: Body, bytes_max: u64, idle_max: Duration, time_max: Duration) -> Reader {
        let deadline = Instant::now() + time_max;
        Reader { chunks: body.into_data_stream(), bytes_left: bytes_max, bytes_max, idle_max, deadline }
    }

    /// The next chunk; none is the end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        let until = self.deadline.min(Instant::now() + self.idle_max);
        let next = timeout_at(until, self.chunks.next())
            .await
            .map_err(|_| Problem::new(Code::RequestTimeout, "the body came too slowly"))?;
        let Some(chunk) = next else { return Ok(None) };
        let chunk = chunk.map_err(|error| {
            Problem::new(Code::InvalidParameter, "the body broke off").details(vec![error.to_string()])
        })?;
        match self.bytes_left.checked_sub(chunk.len() as u64) {
            Some(left) => self.bytes_left = left,
            None => return Err(too_large(self.bytes_max)),
        }
        Ok(Some(chunk))
    }

    /// Reads what else comes, up to a limit, and forgets it: a client that still sends would see a broken connection
    /// instead of the answer.
    pub async fn discard_rest(&mut self, bytes_max: u64, time_max: Duration) {
        self.bytes_left = bytes_max;
        self.deadline = Instant::now() + time_max;
        while let Ok(Some(_)) = self.next().await {}
    }
}

/// Refuses a body by the size that it announces, before any of it is read.
pub fn check_announced(headers: &HeaderMap, bytes_max: u64) -> Result<(), Problem> {
    let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    match announced {
        Some(bytes) if bytes > bytes_max => Err(too_large(bytes_max)),
        _ => Ok(()),
    }
}

fn too_large(bytes_max: u64) -> Problem {
    Problem::new(Code::TooLarge, format!("the body is larger than {bytes_max} bytes"))
}

/// A request with its body read, within the limits of all but uploads.
pub async fn buffered(control: &Control, request: Request) -> Result<Request, Problem> {
    let limits = &control.options.limits;
    if let Err(problem) = check_announced(request.headers(), limits.body_bytes_max) {
        discard(control, request).await;
        return Err(problem);
    }
    let (parts, body) = request.into_parts();
    let mut reader = Reader::new(body, limits.body_bytes_max, limits.body_idle_max, limits.body_time_max);
    let mut bytes = Vec::new();
    while let Some(chunk) = reader.next().await? {
        bytes.extend_from_slice(&chunk);
    }
    Ok(Request::from_parts(parts, Body::from(bytes)))
}

/// Reads what comes of a body that nobody wants, as much as the largest that anybody may send.
pub async fn discard(control: &Control, request: Request) {
    // Who waits to be asked for the body is not asked.
    if request.headers().contains_key(EXPECT) {
        return;
    }
    let limits = &control.options.limits;
    let mut reader = Reader::new(request.into_body(), 0, limits.body_idle_max, limits.body_time_max);
    reader.discard_rest(limits.component_bytes_max, limits.body_time_max).await;
}

/// All of a body that the gate has read.
pub async fn read(control: &Control, request: Request) -> Result<Bytes, Problem> {
    let bytes_max = usize::try_from(control.options.limits.body_bytes_max).unwrap_or(usize::MAX);
    axum::body::to_bytes(request.into_body(), bytes_max).await.map_err(Problem::internal)
}

/// The type of a body, without its parameters.
pub fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

/// A JSON body.
pub struct Json<T>(pub T);

/// A JSON body that may be left out.
pub struct OptionalJson<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Arc<Control>> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, control: &Arc<Control>) -> Result<Json<T>, Problem> {
        expect_json(request.headers())?;
        Ok(Json(parse(&read(control, request).await?)?))
    }
}

impl<T: DeserializeOwned + Default> FromRequest<Arc<Control>> for OptionalJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, control: &Arc<Control>) -> Result<OptionalJson<T>, Problem> {
        let headers = request.headers().clone();
        let bytes = read(control, request).await?;
        if bytes.is_empty() {
            return Ok(OptionalJson(T::default()));
        }
        expect_json(&headers)?;
        // `null` is how some clients leave it out.
        Ok(OptionalJson(parse::<Option<T>>(&bytes)?.unwrap_or_default()))
    }
}

fn expect_json(headers: &HeaderMap) -> Result<(), Problem> {
    match media_type(headers).as_deref() {
        Some("application/json") => Ok(()),
        _ => Err(Problem::new(Code::UnsupportedMediaType, "expected Content-Type: application/json")),
    }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    strict_json::from_slice(bytes).map_err(|error| {
        Problem::new(Code::InvalidJson, "the body is not what this route reads")
            .details(vec![error.to_string()])
    })
}
