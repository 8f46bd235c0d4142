//! One life of a pipeline: recovery, subtasks, coordination, and the end of all of them.

use crate::assembly;
use crate::at_most_once;
use crate::coordinator::{Asked, Coordinator, CoordinatorOptions, Finished, SwapEnd};
use crate::handle::SwapNotice;
use crate::meters::{LastCheckpoint, LifeState};
use crate::persist::Job;
use crate::recovery::{Recovered, Recovery, Start};
use crate::subtask::{Command, Report, Subtask};
use crate::supervisor::Run;
use crate::version::Version;
use crate::{checkpoint_store::CheckpointStore, connect::Connected};
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use weir_protocol::connector::{ConnectorError, ErrorKind};
use weir_protocol::epoch::{CheckpointId, Incarnation};
use weir_protocol::kill_point::reached;
use weir_protocol::plan::{Guarantee, Plan};
use weir_protocol::position::Partition;

/// Subtasks that are in a guest's call when the incarnation ends are left behind after this time; their limits end them.
const LEAVE_BEHIND_AFTER: Duration = Duration::from_secs(2);

/// Threads that store state beside the stream, at the most.
const WORKERS_MAX: usize = 4;

/// What is known of an incarnation that ended with an error.
#[derive(Debug)]
pub struct Failed {
    /// Why.
    pub error: ConnectorError,
    /// The partitions that it read, once its start was decided; empty before.
    pub partitions: Vec<Partition>,
    /// A graceful stop was asked for and could not be completed.
    pub stop_asked: bool,
    /// How a swap ended with it.
    pub swap: Option<SwapEnd>,
}

/// How an incarnation ended without an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lived {
    /// The pipeline is done.
    Finished(Finished),
    /// This decided checkpoint is the candidate's: it is to run.
    FoundCandidate(CheckpointId),
}

/// The name of a life that has not been yet.
pub fn fresh() -> Incarnation {
    Incarnation::parse(&ulid::Ulid::generate().to_string()).expect("a ULID's text is 26 characters")
}

/// Runs one incarnation to its end; `earlier` are those of this process before it.
pub fn run(
    run: &Run,
    version: &Version,
    incarnation: &Incarnation,
    earlier: &[Incarnation],
    store: &CheckpointStore,
) -> Result<Lived, Failed> {
    let undecided = |error| Failed { error, partitions: vec![], stop_asked: false, swap: None };
    let mut connected = run.connectors.connect(incarnation).map_err(undecided)?;
    let operators = version.digests();
    let candidate = run.versions.candidate();
    let recovery = Recovery {
        plan: &version.plan,
        owner: &run.owner,
        incarnation,
        store,
        operators: &operators,
        wall_ms: run.clock.wall_ms(),
        restart_finished: run.restart_finished,
        from_savepoint: run.from_savepoint.as_ref(),
        verify: run.verify,
        candidate: candidate.as_ref(),
        earlier,
    };
    let recovered = match recovery.run(&mut connected).map_err(undecided)? {
        Start::From(recovered) => *recovered,
        Start::AlreadyFinished(checkpoint) => {
            tracing::warn!(
                %checkpoint,
                "pipeline {} is finished: it was drained to the end of its input, so nothing was started; --restart-finished starts it again",
                version.plan.spec.name
            );
            return Ok(Lived::Finished(Finished::Ended));
        }
        Start::Candidate(checkpoint) => return Ok(Lived::FoundCandidate(checkpoint)),
    };
    settle_candidate(run);
    let is_candidate = run.versions.is_candidate_of_start();
    run.notices.running(incarnation, recovered.start.epoch, &operators, is_candidate);
    let start = LastCheckpoint { epoch: recovered.start.epoch.0, took: Duration::ZERO };
    run.meters.decided(start, run.meters.records_in.get());
    run.meters.checkpoint.decided(run.clock.monotonic());
    run.meters.oldest_undecided.restored();
    let deciding = version.plan.deciding(&recovered.positions);
    let partitions: Vec<Partition> = deciding.flat_map(|positions| positions.keys().cloned()).collect();
    let stop_asked = AtomicBool::new(false);
    let mut swap = None;
    let lived =
        coordinate(run, version, incarnation, store, &mut connected, recovered, &stop_asked, &mut swap);
    lived.map(Lived::Finished).map_err(|error| {
        let stop_asked = stop_asked.load(Ordering::Relaxed);
        // Where another incarnation follows, its fence does the same.
        if stop_asked || matches!(error.kind, ErrorKind::Permanent | ErrorKind::Refused) {
            connected.decisions.abandon();
        }
        Failed { error, partitions, stop_asked, swap }
    })
}

/// The start is decided and does not name the candidate: its swap never came to be. The old version has not started.
fn settle_candidate(run: &Run) {
    let Some(candidate) = run.versions.drop_candidate() else { return };
    if let Some(swap) = candidate.swap {
        run.notices.swap(SwapNotice::Interrupted { reason: swap.reason });
    }
}

#[expect(clippy::too_many_arguments, reason = "what one life is made of, and two places for how it ended")]
fn coordinate(
    run: &Run,
    version: &Version,
    incarnation: &Incarnation,
    store: &CheckpointStore,
    connected: &mut Connected,
    recovered: Recovered,
    stop_asked: &AtomicBool,
    swap: &mut Option<SwapEnd>,
) -> Result<Finished, ConnectorError> {
    let ended = Arc::new(AtomicBool::new(false));
    let built = assembly::tasks(run, version, incarnation, connected, &recovered, &ended)?;
    reached("state_restored");
    run.meters.begins();
    run.meters.life.set(LifeState::Running);
    let (reports_to, reports) = unbounded();
    let (alive, all_gone) = bounded::<()>(0);
    let mut commands = Vec::new();
    let reads_sources = built.tasks.iter().map(|task| task.chain.sources() > 0).collect();
    for (number, task) in built.tasks.into_iter().enumerate() {
        let (to, from) = unbounded();
        commands.push(to);
        let subtask = Subtask {
            number,
            chain: task.chain,
            inbox: task.inbox,
            commands: from,
            reports: reports_to.clone(),
            waits: task.waits,
            sink_buffer_bytes_max: version.plan.spec.sink_buffer_bytes_max,
            guarantee: version.plan.spec.guarantee,
            clock: run.clock.clone(),
            meters: run.meters.clone(),
        };
        spawn(subtask, reports_to.clone(), alive.clone())?;
    }
    let jobs = spawn_workers(workers(&version.plan), &reports_to, &ended, &alive)?;
    drop((reports_to, alive));
    let options = CoordinatorOptions {
        version: version.clone(),
        versions: run.versions.clone(),
        notices: run.notices.clone(),
        places: built.places,
        owner: run.owner.clone(),
        incarnation: incarnation.clone(),
        recovered,
        until_end: run.until_end || version.plan.is_replay(),
        drains: built.drains,
        reads_sources,
        placement: built.placement,
        jobs,
        ended: ended.clone(),
        clock: run.clock.clone(),
        meters: run.meters.clone(),
    };
    let result = finish(
        options,
        connected,
        store,
        commands,
        &reports,
        Asked { stop: &run.stop, stop_asked, requests: &run.requests },
        swap,
    );
    run.meters.life.pulse.rests();
    run.meters.checkpoint.abandoned();
    ended.store(true, Ordering::Relaxed);
    // Nothing is ever sent here: the channel ends when the last subtask does, and all work beside the stream.
    if all_gone.recv_timeout(LEAVE_BEHIND_AFTER) == Err(crossbeam_channel::RecvTimeoutError::Timeout) {
        tracing::warn!(
            "a subtask is still in a call of its operator and is left behind; its limits will end it"
        );
    }
    result
}

/// How many threads work beside the stream, one of them for what is not state.
fn workers(plan: &Plan) -> usize {
    let keyed = plan.shapes.iter().filter(|shape| shape.is_keyed()).count();
    (keyed * plan.spec.parallelism).min(WORKERS_MAX) + 1
}

/// Threads for work beside the stream; they end with the coordinator, which holds the
/// only sender. What is still queued when the incarnation ends is nobody's any more: the next one writes to the same disk.
fn spawn_workers(
    count: usize,
    reports: &Sender<Report>,
    ended: &Arc<AtomicBool>,
    alive: &Sender<()>,
) -> Result<Sender<Job>, ConnectorError> {
    let (jobs, queue) = unbounded::<Job>();
    for number in 0..count {
        let (queue, reports, ended) = (queue.clone(), reports.clone(), ended.clone());
        // The next life clears away what is undecided: nothing may still be written there.
        let alive = alive.clone();
        let body = move || {
            let _alive = alive;
            work(&queue, &reports, &ended);
        };
        std::thread::Builder::new()
            .name(format!("snapshot-{number}"))
            .spawn(body)
            .map_err(|error| ConnectorError::transient(format!("no thread for snapshots: {error}")))?;
    }
    Ok(jobs)
}

/// Does one job after the other.
fn work(queue: &Receiver<Job>, reports: &Sender<Report>, ended: &AtomicBool) {
    for job in queue {
        if ended.load(Ordering::Relaxed) {
            return;
        }
        let answer = catch_unwind(AssertUnwindSafe(|| job.run())).unwrap_or_else(|_| {
            Report::Failed(ConnectorError::transient("a thread that stores state panicked"))
        });
        if reports.send(answer).is_err() {
            return;
        }
    }
}

/// Coordinates; the subtasks' commands end with it.
fn finish(
    options: CoordinatorOptions,
    connected: &mut Connected,
    store: &CheckpointStore,
    commands: Vec<Sender<Command>>,
    reports: &Receiver<Report>,
    asked: Asked<'_>,
    swap: &mut Option<SwapEnd>,
) -> Result<Finished, ConnectorError> {
    if options.version.plan.spec.guarantee == Guarantee::AtMostOnce {
        return at_most_once::run(&options, connected, &commands, reports, asked);
    }
    let mut coordinator = Coordinator::new(options, connected, store, commands);
    let result = coordinator.run(reports, asked);
    if let Err(error) = &result {
        *swap = coordinator.swap_end(error);
    }
    result
}

fn spawn(subtask: Subtask, reports: Sender<Report>, alive: Sender<()>) -> Result<(), ConnectorError> {
    let name = format!("subtask-{}", subtask.number);
    let body = move || {
        let _alive = alive;
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| subtask.run())) {
            let said = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("no message");
            let _ = reports
                .send(Report::Failed(ConnectorError::transient(format!("a subtask panicked: {said}"))));
        }
    };
    std::thread::Builder::new()
        .name(name)
        .spawn(body)
        .map(|_| ())
        .map_err(|error| ConnectorError::transient(format!("no thread for a subtask: {error}")))
}

#[cfg(test)]
mod tests;
