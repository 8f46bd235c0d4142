//! The life in which dead letters come back, before the pipeline goes on: counted, handled, and told of, however it ends.

use super::host::WeirHost;
use super::letters::{prepare, selection};
use super::running::{live, of_panic};
use super::running_status::Shape;
use crate::connectors::PlanConnectors;
use crate::dead_letters::DeadLetters;
use crate::dead_letters::summary::Summary;
use crate::guest_voice::GuestMetrics;
use crate::prepared_pipeline::PreparedPipeline;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use weir_control::host::{Ending, LettersSelected, Listener, PipelineDocument, PipelineEvent, Refused};
use weir_protocol::connector::ConnectorError;
use weir_protocol::epoch::{Epoch, Incarnation};
use weir_protocol::plan::Plan;
use weir_protocol::position::Positions;
use weir_protocol::remedy::Called;
use weir_protocol::restart::{Ended, Restart, RestartPolicy};
use weir_runtime::handle::{self, Notices, SwapNotice};
use weir_runtime::supervisor::Run;
use weir_runtime::version::{Version, Versions};

/// What runs in a life in which nothing is read but dead letters.
pub struct ReplayLife {
    plan: Arc<Plan>,
    prepared: PreparedPipeline,
    connectors: Arc<PlanConnectors>,
    directory: PathBuf,
}

/// Where it is told that letters come back, and that they do no more.
pub type Show = Box<dyn Fn(bool) + Send>;

/// How a replay is told of.
pub struct Told<'a> {
    /// The commands that refusals name.
    pub called: &'a Called,
    /// Takes the events.
    pub listener: Arc<dyn Listener>,
    /// Shows which plan the counters are of.
    pub show: Show,
}

impl ReplayLife {
    /// Prepares it; nothing is connected and nothing is read.
    pub fn prepare(
        host: &WeirHost,
        document: &PipelineDocument,
        asked: &LettersSelected,
        guests: &GuestMetrics,
    ) -> Result<ReplayLife, Refused> {
        let prepared = prepare(host, document, &selection(asked)?)?;
        prepared.metrics.pour_into(guests);
        let (plan, directory) = (prepared.plan.clone(), host.directory(&document.name));
        let connectors = PlanConnectors::sharing(plan.clone(), directory.clone(), host.memory().clone());
        Ok(ReplayLife { plan, prepared, connectors: Arc::new(connectors), directory })
    }

    /// What it runs.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// What a status shows of it: the operators of the pipeline, the subtasks of the replay.
    pub fn shape(&self, own: &Shape) -> Shape {
        Shape::of(&self.plan).with_operators_of(own)
    }

    fn letters(&self) -> Result<DeadLetters, ConnectorError> {
        DeadLetters::open(&self.plan, &self.connectors, &self.directory)
    }

    /// Looks and counts, again and again where something outside does not answer; none where a stop is asked for.
    fn count(&self, run: &Run) -> Result<Option<Counted>, ConnectorError> {
        let spec = &self.plan.spec;
        let mut policy = RestartPolicy::new(spec.restart.clone(), spec.checkpoint.interval);
        loop {
            let began = run.clock.monotonic();
            let counted = self.letters().and_then(|mut letters| {
                // The stop stays where it is, for whoever waits for it.
                let summary = letters.count_unless(|| !run.stop.is_empty())?;
                Ok(summary.map(|summary| Counted { summary, ends: letters.ends() }))
            });
            let error = match counted {
                Ok(counted) => return Ok(counted),
                Err(error) => error,
            };
            let ended = Ended { kind: error.kind, ran_for: run.clock.monotonic() - began };
            let (Restart::After(wait) | Restart::LookAfter(wait)) = policy.ended(ended) else {
                return Err(error);
            };
            run.notices.restarting(&error.message, wait);
            if run.stop.recv_timeout(wait).is_ok() {
                return Ok(None);
            }
        }
    }

    /// How many letters of those that were counted are still open; none where nobody can tell.
    fn left(&self, counted: &Counted) -> Option<u64> {
        let look = || self.letters()?.until(&counted.ends).count();
        match look() {
            Ok(summary) => Some(summary.taken()),
            Err(error) => {
                tracing::warn!("how many letters are left cannot be told: {error}");
                None
            }
        }
    }

    fn run(&self, own: &Run, counted: &Counted, told: &Told<'_>) -> Ending {
        let PreparedPipeline { plan, operators, .. } = self.prepared.with_letters_until(&counted.ends);
        let notices = OfReplay {
            pipeline: self.plan.spec.name.clone(),
            letters: counted.summary.taken(),
            own: own.notices.clone(),
            listener: told.listener.clone(),
        };
        let life = Run {
            versions: Arc::new(Versions::new(Version { plan, operators }, None)),
            connectors: self.connectors.clone(),
            meters: own.meters.clone(),
            requests: handle::no_requests(),
            owner: own.owner.clone(),
            directory: own.directory.clone(),
            stop: own.stop.clone(),
            notices: Arc::new(notices),
            clock: own.clock.clone(),
            level: own.level.clone(),
            from_savepoint: None,
            ..*own
        };
        live(&life, told.called)
    }
}

/// What there was when the life began.
struct Counted {
    summary: Summary,
    ends: Vec<(String, Positions)>,
}

/// The life that was asked for. Where the pipeline has been changed since, so that there is none, it goes on without: that
/// is told, and the letters stay open.
pub fn prepared(
    host: &WeirHost,
    document: &PipelineDocument,
    asked: &LettersSelected,
    (guests, listener): (&GuestMetrics, &dyn Listener),
) -> Option<ReplayLife> {
    let refused = match ReplayLife::prepare(host, document, asked, guests) {
        Ok(life) => return Some(life),
        Err(refused) => refused,
    };
    let problems = refused.problems.first().map(|first| format!(": {first}")).unwrap_or_default();
    let cause = format!("{refused}{problems}");
    not_made(&document.name, cause, listener);
    None
}

/// A replay that ended before it had taken a letter.
fn nothing_came_back(cause: String) -> PipelineEvent {
    PipelineEvent::ReplayEnded { letters: Some(0), left: None, failed_again: 0, cause: Some(cause) }
}

/// Tells that letters stay open for which a replay was asked.
pub fn not_made(pipeline: &str, cause: String, listener: &dyn Listener) {
    tracing::warn!(pipeline, "dead letters are not replayed: {cause}");
    listener.happened(pipeline, nothing_came_back(cause));
}

/// The life in which dead letters come back; how the pipeline ended, where it does not come to its next life.
pub fn replay_first(run: &Run, replay: &ReplayLife, told: &Told<'_>) -> Option<Ending> {
    (told.show)(true);
    // Letters are looked at on this thread, outside of any life.
    let ended = catch_unwind(AssertUnwindSafe(|| replayed(run, replay, told)));
    let ended = ended.unwrap_or_else(|panic| Some(of_panic(&*panic)));
    run.meters.replay_is_over(&run.versions.current().plan);
    (told.show)(false);
    ended
}

fn replayed(run: &Run, replay: &ReplayLife, told: &Told<'_>) -> Option<Ending> {
    let tell = |event| told.listener.happened(&replay.plan.spec.name, event);
    let counted = match replay.count(run) {
        Ok(Some(counted)) => counted,
        // None of it was told yet: another start, with the same wish, may be why.
        Ok(None) => return Some(Ending::Stopped),
        Err(error) => {
            let cause = error.told(told.called);
            tell(nothing_came_back(cause.clone()));
            return Some(failed(&cause));
        }
    };
    for note in &counted.summary.notes {
        tracing::warn!(pipeline = replay.plan.spec.name, "{note}");
    }
    let all = counted.summary.taken();
    let dead_letters = || -> u64 { run.meters.operators.iter().map(|of| of.dead_letters.get()).sum() };
    let before = dead_letters();
    // What only stays is copied by nobody.
    let ending = if all == 0 { Ending::Finished } else { replay.run(run, &counted, told) };
    let failed_again = dead_letters() - before;
    let cause = match &ending {
        Ending::Finished => {
            let notes = counted.summary.notes;
            tell(PipelineEvent::Replayed { letters: all, failed_again, notes });
            return None;
        }
        Ending::Stopped => None,
        Ending::Superseded(by) => Some(format!("another weir has taken over: {by}")),
        Ending::Failed(cause) => Some(cause.clone()),
    };
    let left = replay.left(&counted);
    let letters = left.map(|left| all.saturating_sub(left));
    tell(PipelineEvent::ReplayEnded { letters, left, failed_again, cause });
    Some(match ending {
        Ending::Failed(cause) => failed(&cause),
        ended => ended,
    })
}

fn failed(cause: &str) -> Ending {
    Ending::Failed(format!("the replay of its dead letters failed: {cause}"))
}

/// What is told of that life: the pipeline does not run before it is over, and a host that goes down meanwhile begins it
/// again.
struct OfReplay {
    pipeline: String,
    letters: u64,
    own: Arc<dyn Notices>,
    listener: Arc<dyn Listener>,
}

impl Notices for OfReplay {
    fn running(&self, incarnation: &Incarnation, _: Epoch, _: &BTreeMap<String, String>, _: bool) {
        let event = PipelineEvent::Replaying { incarnation: incarnation.to_string(), letters: self.letters };
        self.listener.happened(&self.pipeline, event);
    }

    fn restarting(&self, cause: &str, wait: Duration) {
        self.own.restarting(cause, wait);
    }

    fn going_back(&self, cause: &str) {
        self.own.going_back(cause);
    }

    fn swap(&self, notice: SwapNotice) {
        self.own.swap(notice);
    }
}
