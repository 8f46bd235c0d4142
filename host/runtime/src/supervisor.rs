//! Lives one after another: starts an incarnation, judges its end, waits, looks, starts the next.

use crate::checkpoint_store::CheckpointStore;
use crate::clock::Clock;
use crate::connect::{Connectors, Operators};
use crate::coordinator::Finished;
use crate::incarnation;
use crate::meters::Meters;
use crate::recovery::FromSavepoint;
use crossbeam_channel::Receiver;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use weir_protocol::connector::ConnectorError;
use weir_protocol::decision::{DecisionRecord, Owner};
use weir_protocol::epoch::Incarnation;
use weir_protocol::plan::Plan;
use weir_protocol::position::Partition;
use weir_protocol::restart::{Ended, Restart, RestartPolicy};
use weir_protocol::verdict::named;

/// A pipeline that is to run.
pub struct Run {
    /// The checked graph.
    pub plan: Arc<Plan>,
    /// The operators, in the order of the plan.
    pub operators: Operators,
    /// Makes connectors for each incarnation.
    pub connectors: Arc<dyn Connectors>,
    /// Whose decisions are ours.
    pub owner: Owner,
    /// The pipeline's directory.
    pub directory: PathBuf,
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
    let store = match CheckpointStore::open(&run.directory, run.plan.spec.checkpoint.retain) {
        Ok(store) => store,
        Err(error) => return Outcome::Failed(error),
    };
    let mut policy = RestartPolicy::new(run.plan.spec.restart.clone(), run.plan.spec.checkpoint.interval);
    let mut ours: Vec<Incarnation> = Vec::new();
    loop {
        let incarnation =
            Incarnation::parse(&ulid::Ulid::generate().to_string()).expect("a ULID's text is 26 characters");
        tracing::info!(%incarnation, pipeline = run.plan.spec.name, "starting");
        let began = run.clock.monotonic();
        let failed = match incarnation::run(run, &incarnation, &ours, &store) {
            Ok(Finished::Ended) => return Outcome::Finished,
            Ok(Finished::Stopped) => return Outcome::Stopped,
            Err(failed) => failed,
        };
        ours.push(incarnation);
        if failed.stop_asked {
            let undecided = run.meters.undecided();
            tracing::warn!(
                "stopped without a last checkpoint: {}; about {undecided} records will be read again",
                failed.error
            );
            return Outcome::Stopped;
        }
        let ended = Ended { kind: failed.error.kind, ran_for: run.clock.monotonic() - began };
        let (wait, look) = match policy.ended(ended) {
            Restart::Never => return Outcome::Failed(failed.error),
            Restart::After(wait) => (wait, false),
            Restart::LookAfter(wait) => (wait, true),
        };
        run.meters.restarts.add(1);
        tracing::warn!(restart = policy.in_a_row(), wait = ?wait, "the incarnation ended: {}", failed.error);
        if stop_within(run, wait) {
            return Outcome::Stopped;
        }
        if look && let Some(record) = superseded(run, &ours, &failed.partitions) {
            return Outcome::Superseded(record);
        }
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
