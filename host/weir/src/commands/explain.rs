//! `weir explain`: what a pipeline file becomes, without running or connecting anything.

use super::PipelineOptions;
use crate::explained;
use crate::failure::{Exit, Failure};
use crate::prepared_pipeline;
use std::io::Write;
use weir_wasm::Engine;

/// Options of `weir explain`.
#[derive(Debug, clap::Args)]
pub struct Options {
    #[command(flatten)]
    pipeline: PipelineOptions,
    /// How it is printed
    #[arg(long, value_enum, default_value_t = Format::Text, value_name = "FORMAT")]
    format: Format,
}

/// How something is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people
    Text,
    /// For programs
    Json,
}

/// Prints threads, promises, names and permissions of a plan.
pub fn run(options: &Options) -> Result<Exit, Failure> {
    let file = prepared_pipeline::read_file(&options.pipeline.file, &options.pipeline.overrides)?;
    let engine = Engine::new(None).map_err(|error| Failure::failed(error.to_string()))?;
    let explained = prepared_pipeline::prepare(&file, &engine)?.plan.explain();
    let text = match options.format {
        Format::Text => explained::text(&explained),
        Format::Json => {
            serde_json::to_string_pretty(&explained).expect("an explanation is made of texts") + "\n"
        }
    };
    // A reader that has seen enough is no failure.
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(Exit::Done)
}
