//! Answers that are files, streamed.

use crate::problem::Problem;
use axum::body::Body;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use std::path::Path;
use tokio_util::io::ReaderStream;

/// A file under a name, whose letters the caller has checked.
pub async fn file(path: &Path, content_type: &'static str, name: &str) -> Result<Response, Problem> {
    let file = tokio::fs::File::open(path).await?;
    let bytes = file.metadata().await?.len();
    let headers = [
        (CONTENT_TYPE, content_type.to_owned()),
        (CONTENT_LENGTH, bytes.to_string()),
        (CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
    ];
    Ok((headers, Body::from_stream(ReaderStream::new(file))).into_response())
}
