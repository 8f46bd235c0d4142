//! What may be asked of pipelines. A file here is one thing that may be asked; [`crate::http::pipelines`] is how.

pub mod apply;
pub mod draft;
pub mod life;
pub mod offsets;
pub mod pause;
pub mod plan;
pub mod swap;
pub mod way_back;

use crate::name::Name;
use crate::problem::{Code, Problem};
use crate::store::pipelines::{self, Pipeline};
use rusqlite::Connection;

/// One that is there.
pub fn find(connection: &Connection, name: &Name) -> Result<Pipeline, Problem> {
    pipelines::find(connection, name.as_str())?.ok_or_else(|| {
        Problem::new(Code::PipelineNotFound, format!("there is no pipeline {name}"))
            .hint(format!("PUT /v1/pipelines/{name} makes it"))
    })
}

/// `If-Match`: the pipeline is still the one that the client has read.
pub fn check_match(pipeline: Option<&Pipeline>, if_match: Option<&str>) -> Result<(), Problem> {
    let Some(wanted) = if_match else { return Ok(()) };
    let matches = pipeline.is_some_and(|pipeline| {
        let etag = pipeline.etag();
        wanted.split(',').map(str::trim).any(|one| one == "*" || one == etag)
    });
    match matches {
        true => Ok(()),
        false => Err(Problem::new(Code::PreconditionFailed, "the pipeline is not what If-Match says")
            .hint("read it again; its ETag is what If-Match takes")),
    }
}
