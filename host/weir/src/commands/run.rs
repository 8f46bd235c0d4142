//! `weir run`: a pipeline until it ends, is stopped, or cannot go on.

use super::{DataDirOptions, PipelineOptions, savepoint};
use crate::called;
use crate::component_store;
use crate::connectors::PlanConnectors;
use crate::failure::{Exit, Failure};
use crate::logging::{self, LogFormat};
use crate::memory;
use crate::metrics::ProbeOptions;
use crate::metrics::pipeline::PipelineMetrics;
use crate::metrics::process::ProcessMetrics;
use crate::metrics::run::RunProbe;
use crate::pipeline_place;
use crate::prepared_pipeline::{self, PreparedPipeline};
use crate::sampling::Sampler;
use crate::savepoint_schedule::{RunningSchedule, Schedule};
use crate::signals;
use crate::status::Status;
use std::path::Path;
use std::sync::Arc;
use weir_kafka::Level;
use weir_protocol::decision::Owner;
use weir_protocol::plan::{Guarantee, Plan};
use weir_protocol::remedy::Called;
use weir_runtime::clock::{Clock, SystemClock};
use weir_runtime::connect::{Connectors, Operators};
use weir_runtime::data_dir::DataDir;
use weir_runtime::handle::{NoNotices, no_requests};
use weir_runtime::meters::Meters;
use weir_runtime::recovery::{FromSavepoint, VerifiedSavepoint};
use weir_runtime::savepoint_store::{self, SavepointStore};
use weir_runtime::supervisor::{self, Outcome, Run};
use weir_runtime::version::{Version, Versions};
use weir_wasm::Engine;

/// Options of `weir run`.
#[derive(Debug, clap::Args)]
pub struct Options {
    #[command(flatten)]
    pipeline: PipelineOptions,
    /// Stop at what is the end of the sources when the pipeline starts
    #[arg(long)]
    until_end: bool,
    /// With --until-end: the end of the sources is the end of event time; all event-time timers fire, and the pipeline
    /// is finished
    #[arg(long, requires = "until_end")]
    drain: bool,
    /// Read every byte of the restored state before anything else; without it that happens beside the stream, and the
    /// output of the first epoch is held until it is done
    #[arg(long)]
    verify: bool,
    /// Start a pipeline again that was drained to its end
    #[arg(long)]
    restart_finished: bool,
    /// Start from a savepoint, by name or path; it works once, later starts go on from the newest decision, also when the
    /// savepoint is gone by then
    #[arg(long, value_name = "NAME|PATH")]
    from_savepoint: Option<String>,
    /// With --from-savepoint: output that was published beyond the savepoint may be published again
    #[arg(long, requires = "from_savepoint")]
    replay_output: bool,
    /// With --from-savepoint: start from it although the pipeline was started from it before. For the hand, not for a
    /// service that is restarted with the same command
    #[arg(long, requires = "from_savepoint")]
    again: bool,
    #[command(flatten)]
    probes: ProbeOptions,
    #[command(flatten)]
    data: DataDirOptions,
    /// How log lines on standard error look
    #[arg(long, value_enum, default_value_t = LogFormat::Text, value_name = "FORMAT")]
    log_format: LogFormat,
}

/// Runs the pipeline of a file.
pub fn run(options: &Options) -> Result<Exit, Failure> {
    logging::start(options.log_format);
    let mut called = called::on_the_command_line(&options.pipeline, &options.data.data_dir);
    live(options, &mut called).map_err(|failure| failure.told(&called))
}

fn live(options: &Options, called: &mut Called) -> Result<Exit, Failure> {
    let file = prepared_pipeline::read_file(&options.pipeline.file, &options.pipeline.overrides)?;
    let data_dir = DataDir::open(&options.data.data_dir)?;
    let state_memory = file.spec.state_memory_max.unwrap_or_else(memory::default_for_state);
    let probe = Arc::new(RunProbe::new(ProcessMetrics::new(data_dir.path(), state_memory as u64)));
    let _probes = options.probes.listen(probe.clone())?;
    let engine =
        Engine::new(Some(data_dir.compiled())).map_err(|error| Failure::failed(error.to_string()))?;
    let PreparedPipeline { plan, operators, metrics } = prepared_pipeline::prepare(&file, &engine)?;
    called::by_its_plan(called, &plan);
    let owner = Owner::of(&plan.spec.id_prefix, &plan.spec.name);
    let directory = data_dir.pipeline(&plan.spec.name, &owner)?;
    let meters = Arc::new(Meters::of(&plan));
    let stop = signals::watch(plan.spec.stop_timeout, meters.clone())
        .map_err(|error| Failure::failed(format!("signals cannot be handled: {error}")))?;
    let savepoints = pipeline_place::savepoints(
        &directory,
        &plan.spec.name,
        plan.spec.savepoint.dir.as_deref().map(Path::new),
    );
    let from_savepoint = match &options.from_savepoint {
        Some(asked) => Some(from_savepoint(asked, &savepoints, &plan, options)?),
        None => None,
    };
    keep_what_runs(options, &data_dir, &plan, &operators, &directory)?;
    for advice in plan.advice() {
        tracing::warn!("{advice}");
    }
    let connectors = PlanConnectors::new(plan.clone(), directory.clone());
    report_checks(&connectors)?;
    let status = Status::start(plan.clone(), meters.clone(), metrics.clone());
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let sampler =
        Sampler::start().map_err(|error| Failure::failed(format!("no thread for rates: {error}")))?;
    let recent = sampler.watch(meters.clone());
    let view = PipelineMetrics::new(plan.clone(), meters.clone(), clock.clone(), metrics, recent);
    probe.set(&plan.spec.name, view);
    let schedule = schedule(&data_dir, savepoints, &plan, &directory)?;
    let pipeline = plan.spec.name.clone();
    let run = Run {
        versions: Arc::new(Versions::new(Version { plan, operators }, None)),
        requests: no_requests(),
        notices: Arc::new(NoNotices),
        connectors: Arc::new(connectors) as Arc<dyn Connectors>,
        owner,
        directory,
        level: data_dir.level().clone(),
        until_end: options.until_end,
        drain: options.drain,
        restart_finished: options.restart_finished,
        verify: options.verify,
        from_savepoint,
        stop,
        clock,
        meters: meters.clone(),
    };
    let outcome = supervisor::run(&run);
    drop(schedule);
    drop(status);
    end(outcome, &pipeline, &meters)
}

/// A savepoint to start from, with every byte of it verified. One that is not there is missed only by recovery, and only
/// if the start from it has not happened yet.
fn from_savepoint(
    asked: &str,
    store: &SavepointStore,
    plan: &Plan,
    options: &Options,
) -> Result<FromSavepoint, Failure> {
    if plan.spec.guarantee == Guarantee::AtMostOnce {
        let message = "--from-savepoint: with guarantee = \"at_most_once\" the committed offsets are the whole truth; use `weir offsets reset`";
        return Err(Failure::configuration(message));
    }
    let savepoint = match pipeline_place::locate(asked, store) {
        Ok(directory) => {
            let savepoint = savepoint_store::load(&directory)?;
            let manifest = savepoint_store::verify(&directory, &savepoint, &savepoint::verifier())?;
            Ok(VerifiedSavepoint { manifest, directory })
        }
        Err(missing) => Err(missing.message),
    };
    let (replay_output, again) = (options.replay_output, options.again);
    Ok(FromSavepoint { asked: asked.to_owned(), savepoint, replay_output, again })
}

/// Operators and pipeline file go into the data directory: a savepoint is made of what is there.
fn keep_what_runs(
    options: &Options,
    data_dir: &DataDir,
    plan: &Plan,
    operators: &Operators,
    directory: &Path,
) -> Result<(), Failure> {
    for (spec, operator) in plan.spec.operators.iter().zip(operators) {
        component_store::keep_component(data_dir.path(), Path::new(&spec.component), operator.digest())?;
    }
    component_store::keep_pipeline_file(directory, &options.pipeline.file, &options.pipeline.overrides)?;
    Ok(())
}

/// Savepoints that the pipeline file asks for.
fn schedule(
    data_dir: &DataDir,
    store: SavepointStore,
    plan: &Plan,
    directory: &Path,
) -> Result<Option<RunningSchedule>, Failure> {
    let Some(every) = plan.spec.savepoint.every else { return Ok(None) };
    let schedule = Schedule {
        every,
        keep: plan.spec.savepoint.keep as usize,
        store,
        pipeline: directory.to_owned(),
        components: pipeline_place::components(data_dir.path()),
    };
    let started = schedule.start();
    Ok(Some(started.map_err(|error| Failure::failed(format!("no thread for savepoints: {error}")))?))
}

/// What is known to be wrong before the start ends the run; the rest is told.
fn report_checks(connectors: &PlanConnectors) -> Result<(), Failure> {
    let (errors, warnings): (Vec<_>, Vec<_>) =
        connectors.checks().into_iter().partition(|finding| finding.level == Level::Error);
    if let Some(sink) = connectors.repeating_sink() {
        tracing::warn!(
            "sink {sink} is at least once, whatever the guarantee: after a crash it writes some records again"
        );
    }
    for warning in warnings {
        tracing::warn!("{}", warning.message);
    }
    let mut messages: Vec<String> = errors.into_iter().map(|finding| finding.message).collect();
    match messages.pop() {
        None => Ok(()),
        Some(last) => {
            let details = messages.into_iter().map(|message| format!("weir: error: {message}")).collect();
            Err(Failure { details, ..Failure::configuration(last) })
        }
    }
}

fn end(outcome: Outcome, pipeline: &str, meters: &Meters) -> Result<Exit, Failure> {
    let ended = match outcome {
        Outcome::Finished => "finished",
        Outcome::Stopped => "stopped",
        Outcome::Superseded(record) => {
            let message = format!(
                "{pipeline}: another weir has taken over (checkpoint {}); this one has ended",
                record.id
            );
            return Err(Failure::new(Exit::Superseded, message));
        }
        Outcome::Failed(error) => return Err(error.into()),
    };
    tracing::info!(
        pipeline,
        records_in = meters.records_in.get(),
        records_out = meters.records_out.get(),
        checkpoint = meters.last_checkpoint().epoch,
        restarts = meters.restarts.get(),
        longest_pause_us = meters.longest_pause_us(),
        longest_alignment_us = meters.longest_alignment_us.get(),
        checkpoints = meters.checkpoints.get(),
        barrier_pause_p50_us = meters.barrier_pauses.percentile_us(50),
        barrier_pause_p99_us = meters.barrier_pauses.percentile_us(99),
        barrier_pause_max_us = meters.barrier_pauses.longest_us(),
        decision_p50_us = meters.decision_times.percentile_us(50),
        decision_p99_us = meters.decision_times.percentile_us(99),
        decision_max_us = meters.decision_times.longest_us(),
        state_bytes_written = meters.state_bytes_written.get(),
        "{ended}"
    );
    Ok(Exit::Done)
}
