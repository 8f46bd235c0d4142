//! At most once: the positions behind each fetched batch become true before its first record is processed.
//!
//! There is no barrier and no manifest: the committed offsets are the whole truth. A crash loses what was fetched and
//! not written, and repeats nothing.

use crate::connect::Connected;
use crate::coordinator::{Asked, CoordinatorOptions, Finished};
use crate::handle::{Refusal, Request};
use crate::subtask::{Command, Report};
use crossbeam_channel::{Receiver, Sender};
use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;
use weir_protocol::align::Barrier;
use weir_protocol::connector::ConnectorError;
use weir_protocol::decision::{Decision, DecisionRecord};
use weir_protocol::epoch::{CheckpointId, Epoch};
use weir_protocol::manifest::ManifestHash;
use weir_protocol::position::{Partition, Positions};

/// The longest time in which nothing turns.
const TURN_MAX: Duration = Duration::from_millis(500);

/// Stands in a decision that has no manifest.
const NO_MANIFEST: &str = "0000000000000000";

/// Decides batch by batch until every source has ended or a stop is asked for.
pub fn run(
    options: &CoordinatorOptions,
    connected: &mut Connected,
    subtasks: &[Sender<Command>],
    reports: &Receiver<Report>,
    asked: Asked<'_>,
) -> Result<Finished, ConnectorError> {
    if let Some(reason) = connected.needs_manifest {
        return Err(ConnectorError::permanent(format!(
            "guarantee = \"at_most_once\" needs its whole truth in committed offsets, but {reason}"
        )));
    }
    let first = options.recovered.start.epoch.next();
    connected.decisions.begin(first)?;
    tell(subtasks, || Command::Open(first));
    let mut decider = Decider { options, epoch: first, positions: options.recovered.positions.clone() };
    let sources = options.reads_sources.iter().filter(|reads| **reads).count();
    let (mut ended, mut delivered, mut stopping) = (BTreeSet::new(), 0, None);
    let mut requests = asked.requests.clone();
    let pulse = &options.meters.life.pulse;
    loop {
        pulse.turned(options.clock.monotonic());
        let mut request = None;
        crossbeam_channel::select! {
            recv(reports) -> report => match report {
                Ok(Report::Fetched { subtask, positions }) => {
                    // The broker answers when it likes, within its limits.
                    pulse.rests();
                    decider.decide(connected, &positions)?;
                    pulse.turned(options.clock.monotonic());
                    let _ = subtasks[subtask].send(Command::Proceed);
                }
                Ok(Report::Ended { subtask }) => {
                    ended.insert(subtask);
                    request = (ended.len() == sources).then_some(Finished::Ended);
                }
                Ok(Report::Delivered { .. }) => delivered += 1,
                Ok(Report::Failed(error)) => return Err(error),
                // Keyed operators, which alone have state, are refused with this guarantee.
                Ok(Report::Persisted { .. } | Report::Verified(_) | Report::Prepared { .. }) => {}
                Err(_) => return Err(ConnectorError::transient("all subtasks are gone")),
            },
            recv(asked.stop) -> _ => {
                asked.stop_asked.store(true, Ordering::Relaxed);
                request = Some(Finished::Stopped);
            }
            recv(requests) -> asked => match asked {
                Ok(asked) => answer(options, subtasks, asked),
                Err(_) => requests = crossbeam_channel::never(),
            },
            default(TURN_MAX) => {}
        }
        if let Some(why) = request
            && stopping.is_none()
        {
            stopping = Some(why);
            let barrier = Barrier { epoch: first, last: true };
            for (subtask, _) in subtasks.iter().zip(&options.reads_sources).filter(|(_, reads)| **reads) {
                let _ = subtask.send(Command::Barrier(barrier));
            }
        }
        if let Some(why) = stopping
            && delivered == subtasks.len()
        {
            pulse.rests();
            connected.decisions.flush(first)?;
            return Ok(why);
        }
    }
}

/// Without barriers there is no moment at which one version could let go and another take over.
fn answer(options: &CoordinatorOptions, subtasks: &[Sender<Command>], request: Request) {
    match request {
        Request::Swap { answer, .. } => {
            let why = "guarantee = \"at_most_once\" has no checkpoints between which an operator could be swapped: apply the change with a restart";
            let _ = answer.send(Err(Refusal::NotASwap(why.to_owned())));
        }
        Request::CancelSwap { answer } => {
            let _ = answer.send(Err(Refusal::NoSwap));
        }
        Request::SetLimits { operator, limits, answer } => {
            let Some(index) = options.version.operator(&operator) else {
                let _ = answer.send(Err(Refusal::UnknownOperator(operator)));
                return;
            };
            if answer.send(Ok(())).is_ok() {
                options.versions.set_limits(index, &limits);
                let limits = || Box::new(limits.clone());
                tell(subtasks, || Command::SetLimits { operator: index, limits: limits() });
            }
        }
    }
}

fn tell(subtasks: &[Sender<Command>], command: impl Fn() -> Command) {
    for subtask in subtasks {
        let _ = subtask.send(command());
    }
}

struct Decider<'a> {
    options: &'a CoordinatorOptions,
    epoch: Epoch,
    positions: Vec<Positions>,
}

impl Decider<'_> {
    fn decide(&mut self, connected: &mut Connected, fetched: &[Positions]) -> Result<(), ConnectorError> {
        for (all, own) in self.positions.iter_mut().zip(fetched) {
            all.extend(own.clone());
        }
        let all: Vec<Partition> =
            self.positions.iter().flat_map(|positions| positions.keys().cloned()).collect();
        let covered = connected.decisions.covered(&all);
        let decisions = connected.decisions.as_ref();
        let offsets = crate::recovery::decision_offsets(decisions, &covered, &self.positions, self.epoch);
        let record = DecisionRecord {
            owner: self.options.owner.clone(),
            id: CheckpointId { epoch: self.epoch, incarnation: self.options.incarnation.clone() },
            manifest: ManifestHash::parse(NO_MANIFEST).expect("sixteen zeros are a hash's text"),
        };
        // What was read until here is read; what comes now belongs to the next decision.
        self.options.meters.oldest_undecided.barrier();
        connected.decisions.decide(&Decision { record, offsets })?;
        self.options.meters.oldest_undecided.decided();
        self.options.meters.checkpoint.decided(self.options.clock.monotonic());
        self.epoch = self.epoch.next();
        Ok(())
    }
}
