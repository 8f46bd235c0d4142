//! `weir dlq`: dead letters, looked at and sent back.

mod list;
mod replay;
mod show;
mod summary;

use super::{DataDirOptions, PipelineOptions};
use crate::connectors::PlanConnectors;
use crate::dead_letters::DeadLetters;
use crate::failure::{Exit, Failure};
use crate::pipeline_file::PipelineFile;
use crate::pipeline_file::units::timestamp_ms;
use crate::prepared_pipeline::{self, Missing, PreparedPipeline};
use std::sync::Arc;
use std::time::Duration;
use weir_protocol::connector::FailureKind;
use weir_protocol::plan::Plan;
use weir_protocol::replay::Selection;
use weir_runtime::data_dir::DataDir;
use weir_runtime::replay::Router;
use weir_wasm::Engine;

/// Commands about dead letters.
#[derive(Debug, clap::Subcommand)]
pub enum DlqCommand {
    /// List open letters: which operator failed, how, on which record
    List(list::Options),
    /// Show open letters with their records, as JSON lines
    Show(show::Options),
    /// Send open letters back into the operators that failed, while the pipeline is stopped
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
    /// `now_ms` is the present time in milliseconds since 1970.
    fn selection(&self, now_ms: i64) -> Result<Selection, Failure> {
        let since_ms = match &self.since {
            Some(text) => Some(since_ms(text, now_ms).ok_or_else(|| {
                Failure::configuration(format!(
                    "--since {text:?}: expected a time such as 2026-01-31T12:00:00Z, milliseconds since 1970, or an age such as 2h"
                ))
            })?),
            None => None,
        };
        Ok(Selection { operators: self.operators.clone(), kinds: self.kinds.clone(), since_ms })
    }
}

fn since_ms(text: &str, now_ms: i64) -> Option<i64> {
    let age = |age: Duration| i64::try_from(age.as_millis()).ok();
    timestamp_ms(text).or_else(|| now_ms.checked_sub(age(humantime::parse_duration(text.trim()).ok()?)?))
}

fn parse_kind(text: &str) -> Result<FailureKind, String> {
    let found = FailureKind::ALL.into_iter().find(|kind| kind.name() == text);
    let names: Vec<&str> = FailureKind::ALL.into_iter().map(FailureKind::name).collect();
    found.ok_or_else(|| format!("expected one of {}", names.join(", ")))
}

/// Carries a command out.
pub fn run(command: &DlqCommand) -> Result<Exit, Failure> {
    match command {
        DlqCommand::List(options) => list::run(options),
        DlqCommand::Show(options) => show::run(options),
        DlqCommand::Replay(options) => replay::run(options),
    }
}

/// The plan of a replay, with a router for every sink of dead letters.
pub fn replay_pipeline(
    file: &PipelineFile,
    engine: &Engine,
    selection: &Selection,
) -> Result<PreparedPipeline, Failure> {
    let mut prepared = prepared_pipeline::prepare(file, engine, Missing::Refused)?;
    let plan = prepared.plan.with_replay(selection).map_err(|problems| file.locate(&problems))?;
    let routers = plan.spec.operators.iter().filter(|spec| spec.is_router()).count();
    prepared.operators.extend((0..routers).map(|_| Arc::new(Router) as _));
    prepared.plan = Arc::new(plan);
    Ok(prepared)
}

/// Looks at letters beside whatever runs.
fn look(
    pipeline: &PipelineOptions,
    data: &DataDirOptions,
    selection: &Selection,
) -> Result<(Arc<Plan>, DeadLetters), Failure> {
    let file = prepared_pipeline::read_file(&pipeline.file, &pipeline.overrides)?;
    let engine = Engine::new(None).map_err(|error| Failure::failed(error.to_string()))?;
    let plan = replay_pipeline(&file, &engine, selection)?.plan;
    let directory = DataDir::pipeline_path(&data.data_dir, &plan.spec.name);
    let connectors = PlanConnectors::new(plan.clone(), directory.clone());
    let letters = DeadLetters::open(&plan, &connectors, &directory)?;
    Ok((plan, letters))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_a_time_or_an_age() {
        assert_eq!(since_ms("1970-01-01T00:00:05Z", 99_000), Some(5000));
        assert_eq!(since_ms("2s", 99_000), Some(97_000));
        assert_eq!(since_ms("yesterday", 99_000), None);
    }

    #[test]
    fn a_kind_that_does_not_exist_names_those_that_do() {
        assert_eq!(parse_kind("trap"), Ok(FailureKind::Trap));
        assert!(parse_kind("boom").unwrap_err().contains("rejection"));
    }
}
