//! Lives one after another: starts an incarnation, judges its end, waits, looks, starts the next.

use crate::checkpoint_store::CheckpointStore;
use crate::clock::Clock;
use crate::connect::Connectors;
use crate::coordinator::{Finished, SwapEnd};
use crate::format_file::LevelInForce;
use crate::handle::{Notices, Request, SwapNotice};
use crate::incarnation::{self, Lived};
use crate::meters::{LifeState, Meters, RestartCause};
use crate::recovery::FromSavepoint;
use crate::version::Versions;
use crossbeam_channel::Receiver;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use weir_protocol::connector::{ConnectorError, ErrorKind};
use weir_protocol::decision::{DecisionRecord, Owner};
use weir_protocol::epoch::{CheckpointId, Incarnation};
use weir_protocol::kill_point::reached;
use weir_protocol::position::Partition;
use weir_protocol::restart::{Ended, Restart, RestartPolicy};
use weir_protocol::verdict::named;

/// A pipeline that is to run.
pub struct Run {
    /// What runs, and what may run instead.
    pub versions: Arc<Versions>,
    /// Makes connectors for each incarnation.
    pub connectors: Arc<dyn Connectors>,
    /// Whose decisions are ours.
    pub owner: Owner,
    /// The pipeline's directory.
    pub directory: PathBuf,
    /// The level in which that directory is written.
    pub level: LevelInForce,
    /// Stop at what is the end when it starts.
    pub until_end: bool,
    /// What is the end when it starts is the end of event time, as it is for a source that ends by itself.
    pub drain: bool,
    /// A pipeline that was drained to its end starts again.
    pub restart_finished: bool,
    /// Start from this savepoint, unless that has happened already.
    pub from_savepoint: Option<FromSavepoint>,
    /// Read every byte of the restored state before the first record, not beside the stream.
    pub verify: bool,
    /// A message asks for a graceful stop.
    pub stop: Receiver<()>,
    /// What else can be asked; [`crate::handle::no_requests`] where nobody does.
    pub requests: Receiver<Request>,
    /// Told of what happens.
    pub notices: Arc<dyn Notices>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Counters.
    pub meters: Arc<Meters>,
}

/// How a pipeline ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Every source has ended and all is decided.
    Finished,
    /// A graceful stop: all that was read is decided.
    Stopped,
    /// Another incarnation has gone on.
    Superseded(DecisionRecord),
    /// It cannot go on.
    Failed(ConnectorError),
}

/// Runs a pipeline until it is done or cannot go on.
pub fn run(run: &Run) -> Outcome {
    let outcome = lives(run);
    run.meters.life.set(match &outcome {
        Outcome::Finished => LifeState::Finished,
        Outcome::Stopped => LifeState::Stopped,
        Outcome::Superseded(_) => LifeState::Superseded,
        Outcome::Failed(_) => LifeState::Failed,
    });
    outcome
}

fn lives(run: &Run) -> Outcome {
    let spec = run.versions.current().plan.spec.clone();
    let store = match CheckpointStore::open_at(&run.directory, spec.checkpoint.retain, run.level.clone()) {
        Ok(store) => store,
        Err(error) => return Outcome::Failed(error),
    };
    let mut policy = RestartPolicy::new(spec.restart.clone(), spec.checkpoint.interval);
    let mut ours: Vec<Incarnation> = Vec::new();
    loop {
        let incarnation = incarnation::fresh();
        tracing::info!(%incarnation, pipeline = spec.name, "starting");
        let began = run.clock.monotonic();
        run.meters.life.set(LifeState::Starting);
        let failed = match incarnation::run(run, &run.versions.current(), &incarnation, &ours, &store) {
            Ok(Lived::Finished(Finished::Ended)) => return Outcome::Finished,
            Ok(Lived::Finished(Finished::Stopped)) => return Outcome::Stopped,
            Ok(Lived::FoundCandidate(checkpoint)) => {
                take_candidate(run, &checkpoint);
                continue;
            }
            Err(failed) => failed,
        };
        ours.push(incarnation);
        let rolled_back = failed.swap.is_some_and(|end| tell(run, end));
        if failed.stop_asked {
            let undecided = run.meters.undecided();
            tracing::warn!(
                "stopped without a last checkpoint: {}; about {undecided} records will be read again",
                failed.error
            );
            return Outcome::Stopped;
        }
        // The old version did nothing wrong: it goes on at once, and its restarts are not counted.
        if rolled_back && failed.error.kind != ErrorKind::Fenced {
            tracing::warn!("the old version goes on: {}", failed.error);
            run.meters.life.restarts(RestartCause::SwapRolledBack);
            run.notices.going_back(&failed.error.message);
            continue;
        }
        let ended = Ended { kind: failed.error.kind, ran_for: run.clock.monotonic() - began };
        let (wait, look) = match policy.ended(ended) {
            Restart::Never => return Outcome::Failed(failed.error),
            Restart::After(wait) => (wait, false),
            Restart::LookAfter(wait) => (wait, true),
        };
        run.meters.restarts.add(1);
        run.meters.life.set(LifeState::Restarting);
        run.meters.life.restarts(match failed.error.kind {
            ErrorKind::Fenced => RestartCause::Fenced,
            ErrorKind::Transient | ErrorKind::Permanent | ErrorKind::Refused => RestartCause::Transient,
        });
        tracing::warn!(restart = policy.in_a_row(), wait = ?wait, "the incarnation ended: {}", failed.error);
        run.notices.restarting(&failed.error.message, wait);
        if stop_within(run, wait) {
            return Outcome::Stopped;
        }
        if look && let Some(record) = superseded(run, &ours, &failed.partitions) {
            return Outcome::Superseded(record);
        }
    }
}

/// Tells how a swap ended with its incarnation, before the next one starts. Returns true where the new version was at
/// fault.
fn tell(run: &Run, end: SwapEnd) -> bool {
    match end {
        SwapEnd::RolledBack { reason, samples } => {
            reached("swap_rolled_back");
            run.notices.swap(SwapNotice::RolledBack { reason, samples });
            reached("swap_rolled_back_noted");
            true
        }
        SwapEnd::Interrupted { reason } => {
            run.notices.swap(SwapNotice::Interrupted { reason });
            false
        }
        SwapEnd::InDoubt(candidate) => {
            run.versions.doubt(*candidate);
            false
        }
    }
}

/// The decision names the candidate: its swap had come to its end, and nobody had heard of it.
fn take_candidate(run: &Run, checkpoint: &CheckpointId) {
    let Some(candidate) = run.versions.take_candidate_as_current() else { return };
    tracing::info!(%checkpoint, "the decision names the new version: it is the one that runs");
    if let Some(swap) = candidate.swap {
        run.meters.operators[swap.operator].set_tally(swap.tally);
        run.notices.swap(SwapNotice::Completed { epoch: checkpoint.epoch });
    }
}

/// Waits, and returns true where a stop was asked for meanwhile: nothing is open then.
fn stop_within(run: &Run, wait: Duration) -> bool {
    run.stop.recv_timeout(wait).is_ok()
}

/// Another incarnation's decision, made after ours. Without an answer there is none: recovery will ask again.
///
/// An incarnation that never decided anything cannot tell a successor from its own past, so it does not ask.
fn superseded(run: &Run, ours: &[Incarnation], partitions: &[Partition]) -> Option<DecisionRecord> {
    if partitions.is_empty() {
        return None;
    }
    let mut log = run.connectors.observer().ok()?;
    let covered = log.covered(partitions);
    let committed = log.look(&covered).ok()?;
    let record = named(&committed)?;
    (!ours.contains(&record.id.incarnation)).then(|| record.clone())
}
