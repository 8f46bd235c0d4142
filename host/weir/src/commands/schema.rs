//! `weir schema`: the JSON Schema of the pipeline file, for editors.

use crate::failure::{Exit, Failure};
use crate::pipeline_file;
use std::io::Write;

/// Prints it.
pub fn run() -> Result<Exit, Failure> {
    let text = serde_json::to_string_pretty(&pipeline_file::schema()).expect("a schema is made of texts");
    // A reader that has seen enough is no failure.
    let _ = writeln!(std::io::stdout(), "{text}");
    Ok(Exit::Done)
}
