//! `weir schema`: the JSON Schema of the pipeline file, for editors.

use crate::failure::{Exit, Failure};
use crate::pipeline_file;

/// Prints it.
pub fn run() -> Result<Exit, Failure> {
    let text = serde_json::to_string_pretty(&pipeline_file::schema()).expect("a schema is made of texts");
    println!("{text}");
    Ok(Exit::Done)
}
