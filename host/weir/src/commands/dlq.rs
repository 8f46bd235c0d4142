//! `weir dlq`: dead letters, looked at and sent back.

mod list;
mod replay;
mod show;

use super::client::letters::Wanted;
use super::{DataDirOptions, PipelineOptions};
use crate::connectors::PlanConnectors;
use crate::dead_letters::DeadLetters;
use crate::dead_letters::selection::{parse_kind, since_ms};
use crate::failure::{Exit, Failure};
use crate::pipeline_file::PipelineFile;
use crate::prepared_pipeline::{self, PreparedPipeline};
use std::sync::Arc;
use weir_protocol::connector::FailureKind;
use weir_protocol::plan::Plan;
use weir_protocol::replay::Selection;
use weir_runtime::data_dir::DataDir;
use weir_wasm::Engine;

/// Commands about dead letters.
#[derive(Debug, clap::Subcommand)]
pub enum DlqCommand {
    /// List open letters: which operator failed, how, on which record
    List(list::Options),
    /// Show open letters with their records, as JSON lines
    Show(show::Options),
    /// Send open letters back into the operators that failed; a pipeline of this machine has to be stopped, a server's is
    /// stopped and started
    Replay(replay::Options),
}

/// Which letters.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct SelectionOptions {
    /// Only letters of this operator; may be repeated
    #[arg(long = "operator", value_name = "NAME")]
    operators: Vec<String>,
    /// Only letters that failed in this way; may be repeated
    #[arg(long = "kind", value_name = "KIND", value_parser = parse_kind)]
    kinds: Vec<FailureKind>,
    /// Only letters that failed at this time or later: 2026-01-31T12:00:00Z, or how long ago, such as 2h
    #[arg(long, value_name = "TIME|AGE")]
    since: Option<String>,
}

impl SelectionOptions {
    fn wanted(&self) -> Wanted<'_> {
        Wanted { operators: &self.operators, kinds: &self.kinds, since: self.since.as_deref() }
    }

    /// `now_ms` is the present time in milliseconds since 1970.
    fn selection(&self, now_ms: i64) -> Result<Selection, Failure> {
        let since_ms = match &self.since {
            Some(text) => {
                Some(since_ms(text, now_ms).map_err(|why| Failure::configuration(format!("--since {why}")))?)
            }
            None => None,
        };
        Ok(Selection { operators: self.operators.clone(), kinds: self.kinds.clone(), since_ms })
    }
}

/// Carries a command out.
pub fn run(command: &DlqCommand) -> Result<Exit, Failure> {
    match command {
        DlqCommand::List(options) => list::run(options),
        DlqCommand::Show(options) => show::run(options),
        DlqCommand::Replay(options) => replay::run(options),
    }
}

/// The pipeline of a file as a replay runs it.
fn replay_pipeline(
    file: &PipelineFile,
    engine: &Engine,
    selection: &Selection,
) -> Result<PreparedPipeline, Failure> {
    let prepared = prepared_pipeline::prepare(file, engine)?;
    if let Some((name, why)) = prepared.plan.unknown_operator(selection) {
        return Err(Failure::configuration(format!("--operator {name}: {why}")));
    }
    prepared.with_replay(selection).map_err(|problems| file.locate(&problems).into())
}

/// Looks at letters beside whatever runs.
fn look(
    pipeline: &PipelineOptions,
    data: &DataDirOptions,
    selection: &Selection,
) -> Result<(Arc<Plan>, DeadLetters), Failure> {
    let file = prepared_pipeline::read_file(&pipeline.file, &pipeline.overrides)?;
    DataDir::look(&data.data_dir)?;
    let engine = Engine::new(None).map_err(|error| Failure::failed(error.to_string()))?;
    let plan = replay_pipeline(&file, &engine, selection)?.plan;
    let directory = DataDir::pipeline_path(&data.data_dir, &plan.spec.name);
    let connectors = PlanConnectors::new(plan.clone(), directory.clone());
    let letters = DeadLetters::open(&plan, &connectors, &directory)?;
    Ok((plan, letters))
}
