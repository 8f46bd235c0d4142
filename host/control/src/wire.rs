//! What goes over HTTP, version 1: requests and answers. Each file is one kind of resource; nothing else of this crate
//! is seen by a client.

pub mod letters;
pub mod offsets;
pub mod operators;
pub mod page;
pub mod paths;
pub mod pipelines;
pub mod savepoints;
pub mod swaps;
pub mod tokens;
pub mod upgrade;

use crate::problem::{Code, Problem};
use std::time::Duration;
use utoipa::ToSchema;

/// A body that is bytes and no text: a component, an archive.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
pub struct Bytes(pub Vec<u8>);

/// The longest duration that may be asked for: 100 years.
const DURATION_MAX: Duration = Duration::from_secs(100 * 366 * 24 * 3600);

/// A duration with its unit, as everywhere in weir.
pub fn duration(key: &str, text: Option<&str>) -> Result<Option<Duration>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let parsed = humantime::parse_duration(text).ok().filter(|duration| *duration <= DURATION_MAX);
    match parsed {
        Some(duration) => Ok(Some(duration)),
        None => Err(Problem::new(
            Code::InvalidParameter,
            format!("{key}: expected a duration with its unit, such as \"30s\" or \"90d\""),
        )),
    }
}
