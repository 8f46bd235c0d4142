//! `weir dlq replay`: a run of the pipeline in which nothing is read but dead letters.

use super::{SelectionOptions, replay_pipeline};
use crate::called;
use crate::commands::client::connection::ServerOptions;
use crate::commands::client::letters::Remote;
use crate::commands::savepoint::now_ms;
use crate::commands::{DataDirOptions, PipelineOptions};
use crate::connectors::PlanConnectors;
use crate::dead_letters::{self, DeadLetters};
use crate::failure::{Exit, Failure};
use crate::logging::{self, LogFormat};
use crate::prepared_pipeline::{self, PreparedPipeline};
use crate::signals;
use std::sync::Arc;
use weir_kafka::Level;
use weir_protocol::counted::counted;
use weir_protocol::decision::Owner;
use weir_protocol::remedy::Remedy;
use weir_runtime::clock::SystemClock;
use weir_runtime::connect::Connectors;
use weir_runtime::data_dir::DataDir;
use weir_runtime::handle::{NoNotices, no_requests};
use weir_runtime::meters::Meters;
use weir_runtime::supervisor::{self, Outcome, Run};
use weir_runtime::version::{Version, Versions};
use weir_wasm::Engine;

/// Options of `weir dlq replay`.
#[derive(Debug, clap::Args)]
pub struct Options {
    #[command(flatten)]
    pipeline: PipelineOptions,
    #[command(flatten)]
    selection: SelectionOptions,
    /// Only say what would be replayed
    #[arg(long)]
    dry_run: bool,
    /// Replay into a pipeline that was drained to its end
    #[arg(long)]
    restart_finished: bool,
    #[command(flatten)]
    data: DataDirOptions,
    #[command(flatten)]
    server: ServerOptions,
    /// How log lines on standard error look
    #[arg(long, value_enum, default_value_t = LogFormat::Text, value_name = "FORMAT")]
    log_format: LogFormat,
}

/// Replays.
pub fn run(options: &Options) -> Result<Exit, Failure> {
    replayed(options)
        .map_err(|failure| failure.told(&called::by_its_file(&options.pipeline, &options.data.data_dir)))
}

fn replayed(options: &Options) -> Result<Exit, Failure> {
    logging::start(options.log_format);
    if let Some(remote) = Remote::of(&options.server, &options.pipeline.file)? {
        return remote.replay(&options.selection.wanted(), options.dry_run, options.restart_finished);
    }
    let selection = options.selection.selection(now_ms())?;
    let file = prepared_pipeline::read_file(&options.pipeline.file, &options.pipeline.overrides)?;
    if options.dry_run {
        let (_, mut letters) = super::look(&options.pipeline, &options.data, &selection)?;
        let summary = letters.count()?;
        println!("{} would be replayed, {}", counted(summary.taken(), "letter"), summary.stay());
        print!("{}", summary.text());
        return Ok(Exit::Done);
    }
    let data_dir = DataDir::open(&options.data.data_dir)?;
    let engine =
        Engine::new(Some(data_dir.compiled())).map_err(|error| Failure::failed(error.to_string()))?;
    let prepared = replay_pipeline(&file, &engine, &selection)?;
    dead_letters::may_be_replayed(&prepared.plan, data_dir.level().level()).map_err(|why| Failure {
        remedy: Some(Box::new(Remedy::Finalize)),
        ..Failure::new(Exit::NeedsPerson, why)
    })?;
    let spec = &prepared.plan.spec;
    let owner = Owner::of(&spec.id_prefix, &spec.name);
    let directory = data_dir.pipeline(&spec.name, &owner)?;
    let connectors = Arc::new(PlanConnectors::new(prepared.plan.clone(), directory.clone()));
    let errors = connectors.checks().into_iter().filter(|finding| finding.level == Level::Error);
    if let Some(error) = errors.map(|finding| finding.message).next() {
        return Err(Failure::configuration(error));
    }
    let mut letters = DeadLetters::open(&prepared.plan, &connectors, &directory)?;
    letters.may_come_back()?;
    let before = letters.count()?;
    let prepared = prepared.with_letters_until(&letters.ends());
    drop(letters);
    if before.taken() == 0 {
        println!("nothing to replay: {}", before.stay());
        print!("{}", before.text());
        return Ok(Exit::Done);
    }
    let plan = prepared.plan.clone();
    let meters = replay(options, prepared, owner, &data_dir, connectors.clone())?;
    let after = DeadLetters::open(&plan, &connectors, &directory)?.count()?;
    let again: u64 = meters.operators.iter().map(|operator| operator.dead_letters.get()).sum();
    println!("{} replayed", counted(before.taken(), "letter"));
    for note in &before.notes {
        println!("{note}");
    }
    if again > 0 {
        println!("{} failed again: each is a new letter, with its attempt counted", counted(again, "record"));
    }
    let open = after.taken() + after.left();
    match open {
        0 => println!("no letter is open"),
        1 => println!("1 letter is open; `weir dlq list` tells whether it can be replayed"),
        _ => println!("{open} letters are open; `weir dlq list` tells which can be replayed"),
    }
    Ok(Exit::Done)
}

fn replay(
    options: &Options,
    prepared: PreparedPipeline,
    owner: Owner,
    data_dir: &DataDir,
    connectors: Arc<PlanConnectors>,
) -> Result<Arc<Meters>, Failure> {
    let PreparedPipeline { plan, operators, .. } = prepared;
    let meters = Arc::new(Meters::of(&plan));
    let stop = signals::watch(plan.spec.stop_timeout, meters.clone())
        .map_err(|error| Failure::failed(format!("signals cannot be handled: {error}")))?;
    let pipeline = plan.spec.name.clone();
    let directory = data_dir.pipeline(&pipeline, &owner)?;
    let run = Run {
        versions: Arc::new(Versions::new(Version { plan, operators }, None)),
        requests: no_requests(),
        notices: Arc::new(NoNotices),
        connectors: connectors as Arc<dyn Connectors>,
        owner,
        directory,
        level: data_dir.level().clone(),
        until_end: false,
        drain: false,
        restart_finished: options.restart_finished,
        verify: false,
        from_savepoint: None,
        stop,
        clock: Arc::new(SystemClock::default()),
        meters: meters.clone(),
    };
    match supervisor::run(&run) {
        Outcome::Finished => Ok(meters),
        Outcome::Stopped => Err(Failure::failed(format!(
            "{pipeline}: stopped before all letters were replayed; what was replayed is decided, and the next replay goes on behind it"
        ))),
        Outcome::Superseded(record) => Err(Failure {
            exit: Exit::Superseded,
            details: Vec::new(),
            remedy: None,
            message: format!("{pipeline}: another weir has taken over (checkpoint {})", record.id),
        }),
        Outcome::Failed(error) => Err(error.into()),
    }
}
