//! A pipeline of the server on its own threads: how it is started, what can be asked of it, what it tells.

use super::document;
use super::host::WeirHost;
use super::kept_document::KeptDocument;
use super::on_disk::{refused, unavailable};
use super::replaying::{self, Show, Told, replay_first};
use super::running_status::Shape;
use crate::called;
use crate::commands::savepoint::now_ms;
use crate::connectors::PlanConnectors;
use crate::guest_voice::GuestMetrics;
use crate::metrics::pipeline::{PipelineMetrics, SwapCounts};
use crate::pipeline_place;
use crate::prepared_pipeline::PreparedPipeline;
use crate::sampling::Recent;
use crate::savepoint_schedule::{RunningSchedule, Schedule};
use crossbeam_channel::{Sender, bounded};
use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use weir_control::host::{
    Ending, Listener, PipelineDocument, PipelineEvent, Reason, Refused, RunningPipeline, RunningStatus,
    StartPipeline, SwapAsked, SwapEvent,
};
use weir_kafka::Level;
use weir_protocol::connector::ConnectorError;
use weir_protocol::decision::Owner;
use weir_protocol::epoch::{Epoch, Incarnation};
use weir_protocol::plan::{Guarantee, Plan};
use weir_protocol::remedy::Called;
use weir_protocol::swap::Rules;
use weir_runtime::clock::{Clock, SystemClock};
use weir_runtime::connect::Connectors;
use weir_runtime::handle::{self, Handle, Notices, Refusal, SwapNotice};
use weir_runtime::meters::Meters;
use weir_runtime::recovery::{FromSavepoint, VerifiedSavepoint};
use weir_runtime::savepoint_store::{self, PIPELINE_FILE};
use weir_runtime::supervisor::{self, Outcome, Run};
use weir_runtime::version::{Version, Versions};

/// Reads a document and loads its components.
type Preparer = Box<dyn Fn(&PipelineDocument) -> Result<PreparedPipeline, Refused> + Send + Sync>;

/// A pipeline that runs.
struct Running {
    handle: Handle,
    stop: Sender<()>,
    meters: Arc<Meters>,
    recent: Arc<Recent>,
    shape: Shape,
    /// Where its dead letters come back first: what it shows meanwhile, and whether they do.
    replaying: Option<(Shape, Arc<AtomicBool>)>,
    /// What runs, also after a swap.
    versions: Arc<Versions>,
    prepare: Preparer,
    kept: Arc<KeptDocument>,
    /// What its operators measure, over all of their versions.
    guests: GuestMetrics,
}

/// Starts a pipeline. What is known to be wrong before is refused; the rest comes as events.
pub fn start(
    host: &WeirHost,
    start: &StartPipeline,
    listener: Arc<dyn Listener>,
) -> Result<Box<dyn RunningPipeline>, Refused> {
    let name = start.document.name.clone();
    let PreparedPipeline { plan, operators, metrics: guests } =
        document::prepare(&start.document, host.allowed(), host.engine())?;
    let candidate = match &start.candidate {
        Some(candidate) => {
            Some(version(document::prepare(candidate, host.allowed(), host.engine())?, &guests))
        }
        None => None,
    };
    let called = called::on_a_server(&plan, host.url());
    let refused = |error: ConnectorError| refused(ConnectorError { message: error.told(&called), ..error });
    let owner = Owner::of(&plan.spec.id_prefix, &plan.spec.name);
    let directory = host.data_dir().pipeline(&name, &owner).map_err(refused)?;
    let candidate_toml = start.candidate.as_ref().map(|candidate| candidate.toml.clone());
    let kept = Arc::new(KeptDocument::new(directory.clone(), candidate_toml));
    kept.start(&start.document.toml)
        .map_err(|error| unavailable(format!("{}: {error}", directory.join(PIPELINE_FILE).display())))?;
    let from_savepoint = match &start.from_savepoint {
        Some(savepoint) => Some(from_savepoint(host, &plan, savepoint, start)?),
        None => None,
    };
    let connectors = PlanConnectors::sharing(plan.clone(), directory.clone(), host.memory().clone());
    report_checks(&name, &connectors)?;
    let replay = match &start.replay {
        Some(_) if start.candidate.is_some() => {
            let cause = "a swap was under way, and how it has ended is found out first: ask again".to_owned();
            replaying::not_made(&name, cause, &*listener);
            None
        }
        Some(letters) => replaying::prepared(host, &start.document, letters, (&guests, &*listener)),
        None => None,
    };
    let schedule = schedule(host, &plan, &directory)?;
    let meters = Arc::new(match &replay {
        Some(replay) => Meters::of_both(&plan, replay.plan()),
        None => Meters::of(&plan),
    });
    let (stop, stops) = bounded(1);
    let (handle, requests) = handle::channel();
    let notices = ToListener {
        pipeline: name.clone(),
        listener: listener.clone(),
        kept: kept.clone(),
        swaps: host.metrics().swaps(&name),
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let recent = host.sampler().watch(meters.clone());
    let show = {
        let (metrics, name, meters, clock) =
            (host.metrics().clone(), name.clone(), meters.clone(), clock.clone());
        let (guests, recent) = (guests.clone(), recent.clone());
        move |plan: &Arc<Plan>| {
            let of = (plan.clone(), meters.clone(), clock.clone(), guests.clone(), recent.clone());
            metrics.set(&name, PipelineMetrics::new(of.0, of.1, of.2, of.3, of.4));
        }
    };
    show(&plan);
    let shape = Shape::of(&plan);
    let replaying = replay.as_ref().map(|replay| (replay.shape(&shape), Arc::new(AtomicBool::new(true))));
    let show: Show = {
        let plans = (plan.clone(), replay.as_ref().map_or(plan.clone(), |replay| replay.plan().clone()));
        let flag = replaying.as_ref().map(|(_, flag)| flag.clone());
        Box::new(move |is_replaying| {
            flag.iter().for_each(|flag| flag.store(is_replaying, Ordering::Relaxed));
            show(if is_replaying { &plans.1 } else { &plans.0 });
        })
    };
    let versions = Arc::new(Versions::new(Version { plan, operators }, candidate));
    let running = Running {
        handle,
        stop,
        meters: meters.clone(),
        recent,
        shape,
        replaying,
        versions: versions.clone(),
        prepare: preparer(host),
        kept,
        guests,
    };
    let run = Run {
        versions,
        connectors: Arc::new(connectors) as Arc<dyn Connectors>,
        owner,
        directory,
        level: host.data_dir().level().clone(),
        until_end: false,
        drain: false,
        restart_finished: start.restart_finished,
        verify: false,
        from_savepoint,
        stop: stops,
        requests,
        notices: Arc::new(notices),
        clock,
        meters,
    };
    let thread = std::thread::Builder::new().name(format!("p-{name}"));
    let started = thread.spawn(move || {
        let told = Told { called: &called, listener: listener.clone(), show };
        let replayed = replay.and_then(|replay| replay_first(&run, &replay, &told));
        let ending = replayed.unwrap_or_else(|| live(&run, &called));
        drop(schedule);
        listener.happened(&name, PipelineEvent::Ended(ending));
    });
    started.map_err(|error| unavailable(format!("no thread for the pipeline: {error}")))?;
    Ok(Box::new(running))
}

/// All lives of the pipeline. A panic in it is the end of this pipeline, and of no other.
pub fn live(run: &Run, called: &Called) -> Ending {
    match catch_unwind(AssertUnwindSafe(|| supervisor::run(run))) {
        Ok(Outcome::Finished) => Ending::Finished,
        Ok(Outcome::Stopped) => Ending::Stopped,
        Ok(Outcome::Superseded(record)) => Ending::Superseded(format!("checkpoint {}", record.id)),
        Ok(Outcome::Failed(error)) => Ending::Failed(error.told(called)),
        Err(panic) => of_panic(&*panic),
    }
}

/// How a pipeline ends by a panic.
pub fn of_panic(panic: &(dyn Any + Send)) -> Ending {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
    Ending::Failed(format!("a broken invariant of weir itself: {text}"))
}

fn version(prepared: PreparedPipeline, guests: &GuestMetrics) -> Version {
    prepared.metrics.pour_into(guests);
    Version { plan: prepared.plan, operators: prepared.operators }
}

/// What a swap needs of the host, for as long as the pipeline runs.
fn preparer(host: &WeirHost) -> Preparer {
    let (allowed, engine) = (host.allowed().clone(), host.engine().clone());
    Box::new(move |document| document::prepare(document, &allowed, &engine))
}

fn from_savepoint(
    host: &WeirHost,
    plan: &Plan,
    name: &str,
    start: &StartPipeline,
) -> Result<FromSavepoint, Refused> {
    if plan.spec.guarantee == Guarantee::AtMostOnce {
        return Err(Refused {
            reason: Reason::Conflict,
            message: "with guarantee = \"at_most_once\" the committed offsets are the whole truth: there is nothing to start from in a savepoint".to_owned(),
            hint: None,
            problems: vec![],
        });
    }
    let directory = host.savepoint(&plan.spec.name, name)?;
    let savepoint = savepoint_store::load(&directory).map_err(refused)?;
    let verifier = crate::commands::savepoint::verifier();
    let manifest = savepoint_store::verify(&directory, &savepoint, &verifier).map_err(refused)?;
    let savepoint = Ok(VerifiedSavepoint { manifest, directory });
    let (replay_output, again) = (start.replay_output, start.again);
    Ok(FromSavepoint { asked: name.to_owned(), savepoint, replay_output, again })
}

/// What is known to be wrong before the start; the rest is told.
fn report_checks(pipeline: &str, connectors: &PlanConnectors) -> Result<(), Refused> {
    let (errors, warnings): (Vec<_>, Vec<_>) =
        connectors.checks().into_iter().partition(|finding| finding.level == Level::Error);
    for warning in warnings {
        tracing::warn!(pipeline, "{}", warning.message);
    }
    if errors.is_empty() {
        return Ok(());
    }
    let problems: Vec<String> = errors.into_iter().map(|finding| finding.message).collect();
    Err(Refused { reason: Reason::Unavailable, message: problems.join("; "), hint: None, problems })
}

fn schedule(host: &WeirHost, plan: &Plan, directory: &Path) -> Result<Option<RunningSchedule>, Refused> {
    let Some(every) = plan.spec.savepoint.every else { return Ok(None) };
    let elsewhere = plan.spec.savepoint.dir.as_deref().map(Path::new);
    let schedule = Schedule {
        every,
        keep: plan.spec.savepoint.keep as usize,
        store: pipeline_place::savepoints(directory, &plan.spec.name, elsewhere),
        pipeline: directory.to_owned(),
        components: pipeline_place::components(host.data_dir().path()),
    };
    let started = schedule.start();
    started.map(Some).map_err(|error| unavailable(format!("no thread for savepoints: {error}")))
}

/// What the runtime tells becomes events of the control plane.
struct ToListener {
    pipeline: String,
    listener: Arc<dyn Listener>,
    kept: Arc<KeptDocument>,
    swaps: Arc<SwapCounts>,
}

impl Notices for ToListener {
    fn running(
        &self,
        incarnation: &Incarnation,
        epoch: Epoch,
        operators: &BTreeMap<String, String>,
        is_candidate: bool,
    ) {
        self.kept.runs(is_candidate);
        let event = PipelineEvent::Running {
            incarnation: incarnation.to_string(),
            epoch: epoch.0,
            operators: operators.clone(),
            candidate: is_candidate,
        };
        self.listener.happened(&self.pipeline, event);
    }

    fn restarting(&self, cause: &str, wait: Duration) {
        let event = PipelineEvent::Restarting { cause: cause.to_owned(), wait_ms: wait.as_millis() as u64 };
        self.listener.happened(&self.pipeline, event);
    }

    fn going_back(&self, cause: &str) {
        self.listener.happened(&self.pipeline, PipelineEvent::GoingBack { cause: cause.to_owned() });
    }

    fn swap(&self, notice: SwapNotice) {
        self.swaps.notice(&notice);
        // Before anybody hears of it and makes a savepoint.
        match &notice {
            SwapNotice::Prepared | SwapNotice::Probation { .. } => {}
            SwapNotice::Completed { .. } => self.kept.complete(),
            SwapNotice::RolledBack { .. } | SwapNotice::Interrupted { .. } | SwapNotice::Abandoned { .. } => {
                self.kept.forget()
            }
        }
        let event = match notice {
            SwapNotice::Prepared => SwapEvent::Prepared,
            SwapNotice::Probation { epoch } => SwapEvent::Probation { epoch: epoch.0 },
            SwapNotice::Completed { epoch } => SwapEvent::Completed { epoch: epoch.0 },
            SwapNotice::RolledBack { reason, samples } => SwapEvent::RolledBack { reason, samples },
            SwapNotice::Interrupted { reason } => SwapEvent::Interrupted { reason },
            SwapNotice::Abandoned { reason } => SwapEvent::Abandoned { reason },
        };
        self.listener.happened(&self.pipeline, PipelineEvent::Swap(event));
    }
}

impl Running {
    /// What it shows while its dead letters come back; none when they do not.
    fn replay_now(&self) -> Option<&Shape> {
        let (shape, flag) = self.replaying.as_ref()?;
        flag.load(Ordering::Relaxed).then_some(shape)
    }

    /// That life takes no requests, and may last.
    fn refuse_while_replaying(&self) -> Result<(), Refused> {
        match self.replay_now() {
            Some(_) => Err(Refused {
                reason: Reason::Conflict,
                message: "its dead letters come back first: ask again when its events say \"replayed\""
                    .to_owned(),
                hint: None,
                problems: vec![],
            }),
            None => Ok(()),
        }
    }
}

impl RunningPipeline for Running {
    fn stop(&self) {
        // A stop that was asked for before is enough.
        let _ = self.stop.try_send(());
    }

    fn status(&self) -> RunningStatus {
        let digests = self.versions.current().digests();
        let shape = self.replay_now().unwrap_or(&self.shape);
        shape.status(&self.meters, &self.recent.rates(), &digests, now_ms())
    }

    fn swap(&self, asked: &SwapAsked) -> Result<(), Refused> {
        self.refuse_while_replaying()?;
        let prepared = (self.prepare)(&asked.document)?;
        let rules = rules(asked);
        let version = version(prepared, &self.guests);
        let swap = || self.handle.swap(&asked.operator, version, rules).map_err(of_refusal);
        self.kept.ask(&asked.document.toml, swap)
    }

    fn cancel_swap(&self) -> Result<(), Refused> {
        self.refuse_while_replaying()?;
        self.handle.cancel_swap().map_err(of_refusal)
    }

    fn set_limits(&self, document: &PipelineDocument) -> Result<(), Refused> {
        self.refuse_while_replaying()?;
        let prepared = (self.prepare)(document)?;
        for operator in &prepared.plan.spec.operators {
            self.handle.set_limits(&operator.name, operator.limits.clone()).map_err(of_refusal)?;
        }
        self.kept.set(&document.toml);
        Ok(())
    }
}

/// What was not asked for has its default.
fn rules(asked: &SwapAsked) -> Rules {
    let default = Rules::default();
    Rules {
        probation_time: asked.probation_time,
        probation_records: asked.probation_records.unwrap_or(default.probation_records),
        rejection_points_max: asked.rejection_points_max.unwrap_or(default.rejection_points_max),
        slowdown_max: asked.slowdown_max.unwrap_or(default.slowdown_max),
        output_share_change_max: asked.output_share_change_max.or(default.output_share_change_max),
    }
}

fn of_refusal(refusal: Refusal) -> Refused {
    let reason = match &refusal {
        Refusal::NotASwap(_) => Reason::NotASwap,
        Refusal::UnknownOperator(_) | Refusal::NoSwap => Reason::NotFound,
        Refusal::SwapInProgress(_) | Refusal::OnProbation => Reason::Conflict,
        Refusal::NotRunning(_) => Reason::Conflict,
    };
    Refused { reason, message: refusal.to_string(), hint: None, problems: vec![] }
}
