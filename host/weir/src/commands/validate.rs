//! `weir validate`: everything that can be wrong with a pipeline file, without running anything.

use super::{DataDirOptions, PipelineOptions};
use crate::called;
use crate::failure::{Exit, Failure};
use crate::online::{self, Checked, Outcome};
use crate::pipeline_file::PipelineFile;
use crate::prepared_pipeline;
use std::path::Path;
use weir_protocol::counted::counted;
use weir_wasm::Engine;

/// Options of `weir validate`.
#[derive(Debug, clap::Args)]
pub struct Options {
    #[command(flatten)]
    pipeline: PipelineOptions,
    /// Make every check of a start as well: brokers, topics, permissions, what is decided. Nobody is fenced and nothing is
    /// written, so it may run beside the pipeline
    #[arg(long)]
    online: bool,
    #[command(flatten)]
    data: DataDirOptions,
}

/// Checks a file and its components.
pub fn run(options: &Options) -> Result<Exit, Failure> {
    let file = prepared_pipeline::read_file(&options.pipeline.file, &options.pipeline.overrides)?;
    let engine = Engine::new(None).map_err(|error| Failure::failed(error.to_string()))?;
    let pipeline = prepared_pipeline::prepare(&file, &engine)?;
    prepared_pipeline::open_operators(&file, &pipeline)?;
    report(&options.pipeline.file, &file);
    if !options.online {
        return Ok(Exit::Done);
    }
    let mut called = called::on_the_command_line(&options.pipeline, &options.data.data_dir);
    called::by_its_plan(&mut called, &pipeline.plan);
    judge(&online::checks(&pipeline, &options.data.data_dir, &called))
}

fn report(path: &Path, file: &PipelineFile) {
    let spec = &file.spec;
    println!(
        "{} is valid: {}, {}, {}; {}",
        path.display(),
        counted(spec.sources.len() as u64, "source"),
        counted(spec.operators.len() as u64, "operator"),
        counted(spec.sinks.len() as u64, "sink"),
        spec.guarantee,
    );
}

/// Prints every check; those that a start would end with make the command fail as the start would.
fn judge(checks: &[Checked]) -> Result<Exit, Failure> {
    for Checked { check, outcome, message } in checks {
        let word = match outcome {
            Outcome::Ok => "ok",
            Outcome::Warning => "warning",
            Outcome::Failed | Outcome::Refused => "FAILED",
            Outcome::Unasked => "unasked",
        };
        println!("{word:<8} {check}: {message}");
    }
    let bad = |outcome| checks.iter().filter(|checked| checked.outcome == outcome).count();
    let (failed, refused) = (bad(Outcome::Failed), bad(Outcome::Refused));
    let exit = exit_of(failed, refused);
    if exit == Exit::Done {
        return Ok(exit);
    }
    let message = format!("{} of {} checks failed: a start would end", failed + refused, checks.len());
    Err(Failure { exit, details: Vec::new(), message, remedy: None })
}

/// How a look before a start ends, by how many checks have failed and how many would be refused.
pub fn exit_of(failed: usize, refused: usize) -> Exit {
    match (failed, refused) {
        (0, 0) => Exit::Done,
        (0, _) => Exit::NeedsPerson,
        _ => Exit::Failed,
    }
}
