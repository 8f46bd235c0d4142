//! `weir validate`: everything that can be wrong with a pipeline file, without running anything.

use super::PipelineOptions;
use crate::failure::{Exit, Failure};
use crate::prepared_pipeline::{self, Missing};
use std::path::Path;
use weir_wasm::Engine;

/// Options of `weir validate`.
#[derive(Debug, clap::Args)]
pub struct Options {
    #[command(flatten)]
    pipeline: PipelineOptions,
}

/// Checks a file, and the components that are there.
pub fn run(options: &Options) -> Result<Exit, Failure> {
    let file = prepared_pipeline::read_file(&options.pipeline.file, &options.pipeline.overrides)?;
    let engine = Engine::new(None).map_err(|error| Failure::failed(error.to_string()))?;
    prepared_pipeline::prepare(&file, &engine, Missing::Unchecked)?;
    let spec = &file.spec;
    for operator in spec.operators.iter().filter(|operator| !Path::new(&operator.component).exists()) {
        eprintln!(
            "weir: warning: operator.{}.component: {} is not there; its configuration and ports are not checked",
            operator.name, operator.component
        );
    }
    println!(
        "{} is valid: {}, {}, {}; {}",
        options.pipeline.file.display(),
        count(spec.sources.len(), "source"),
        count(spec.operators.len(), "operator"),
        count(spec.sinks.len(), "sink"),
        spec.guarantee,
    );
    Ok(Exit::Done)
}

fn count(number: usize, what: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{number} {what}{ending}")
}
