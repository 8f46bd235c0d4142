//! Pumps the checkpoint rule: turns reports into its events, and carries out its actions in order.

mod deciding;
mod discovery;
mod measuring;
mod state_parts;
mod swapping;

use self::state_parts::StateSnapshot;
pub use self::swapping::SwapEnd;
use self::swapping::Swapping;
use crate::chain::Snapshot;
use crate::checkpoint_store::CheckpointStore;
use crate::clock::Clock;
use crate::connect::Connected;
use crate::handle::{Notices, Request};
use crate::keyed_start;
use crate::meters::Meters;
use crate::persist::Job;
use crate::placement::Placement;
use crate::recovery::Recovered;
use crate::subtask::{Command, Report};
use crate::successor::OperatorPlace;
use crate::verification::Verification;
use crate::version::{Version, Versions};
use crossbeam_channel::{Receiver, Sender};
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use weir_protocol::align::Barrier;
use weir_protocol::checkpoint::{Action, Cycle, CycleOptions, Event, doubt};
use weir_protocol::connector::ConnectorError;
use weir_protocol::decision::Owner;
use weir_protocol::epoch::{CheckpointId, Epoch, Incarnation};
use weir_protocol::kill_point::reached;
use weir_protocol::manifest::{Manifest, ManifestHash};
use weir_protocol::position::{Partition, Positions};
use weir_protocol::remedy::Remedy;
use weir_protocol::state::StatePart;
use weir_protocol::swap;

/// How often the decision is read again, to notice that somebody else writes to our group.
const LOOK_INTERVAL: Duration = Duration::from_secs(60);

/// The longest time between two ticks of the rule.
const TICK_MAX: Duration = Duration::from_millis(50);

/// How a coordination ended without an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finished {
    /// Every source has ended.
    Ended,
    /// A graceful stop was asked for.
    Stopped,
}

/// Where a person asks for something.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// A message asks for a graceful stop.
    pub stop: &'a Receiver<()>,
    /// Set when it came: the next incarnation must not start then.
    pub stop_asked: &'a AtomicBool,
    /// Everything else.
    pub requests: &'a Receiver<Request>,
}

/// What a coordinator is made of.
pub struct CoordinatorOptions {
    /// What runs.
    pub version: Version,
    /// And what will, behind this incarnation.
    pub versions: Arc<Versions>,
    /// Told of swaps.
    pub notices: Arc<dyn Notices>,
    /// Where each operator runs.
    pub places: Vec<OperatorPlace>,
    /// Whose decisions are ours.
    pub owner: Owner,
    /// This life.
    pub incarnation: Incarnation,
    /// Where it starts.
    pub recovered: Recovered,
    /// True: partitions that appear later are not read.
    pub until_end: bool,
    /// When all sources have ended, event time has too.
    pub drains: bool,
    /// Per task: does it read sources?
    pub reads_sources: Vec<bool>,
    /// Which task reads a partition.
    pub placement: Placement,
    /// Takes work that goes on beside the stream; its results come back as reports.
    pub jobs: Sender<Job>,
    /// Set when the incarnation has ended, for that work.
    pub ended: Arc<AtomicBool>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Counters.
    pub meters: Arc<Meters>,
}

/// The coordinator of one incarnation.
pub struct Coordinator<'a> {
    options: CoordinatorOptions,
    connected: &'a mut Connected,
    store: &'a CheckpointStore,
    subtasks: Vec<Sender<Command>>,
    cycle: Cycle,
    parent: CheckpointId,
    snapshots: Vec<Snapshot>,
    state: StateSnapshot,
    /// The checkpoint that is being made: its manifest and hash, once durable.
    made: Option<(Manifest, ManifestHash)>,
    known: Vec<BTreeSet<Partition>>,
    /// New partitions: in the next manifest, then given to a subtask.
    pending: Vec<(usize, Positions)>,
    pending_in_manifest: bool,
    ended: BTreeSet<usize>,
    barrier_at: Duration,
    /// The subtask that delivered the barrier last stood still for so long, until this moment.
    froze: Duration,
    delivered_at: Duration,
    /// When the broker's clock of the transaction began that is being decided, since the incarnation began.
    transaction_since: Duration,
    records_at_barrier: u64,
    activity_at_barrier: u64,
    last: bool,
    began: Duration,
    looked: Duration,
    discovered: Duration,
    stopped: bool,
    /// The swap under way.
    swap: Option<Swapping>,
    /// How the one that ended the incarnation ended.
    swap_end: Option<SwapEnd>,
    /// Swaps of this incarnation so far.
    swaps: u64,
}

/// The parts of the restored checkpoint that somebody depends on and nobody has read whole.
fn to_verify(options: &CoordinatorOptions) -> Vec<StatePart> {
    let Some(keyed) = &options.recovered.keyed else { return Vec::new() };
    if options.recovered.verified || keyed.checkpoint.is_none() {
        return Vec::new();
    }
    // Nothing depends on the state of an operator that was dropped.
    let running = keyed_start::declared(&options.version.plan);
    let used = keyed.states.parts.iter().filter(|part| running.contains_key(&part.operator));
    used.cloned().collect()
}

impl<'a> Coordinator<'a> {
    /// A coordinator whose subtasks wait for their first epoch.
    pub fn new(
        options: CoordinatorOptions,
        connected: &'a mut Connected,
        store: &'a CheckpointStore,
        subtasks: Vec<Sender<Command>>,
    ) -> Coordinator<'a> {
        let began = options.clock.monotonic();
        let cycle = Cycle::new(CycleOptions {
            checkpoint: options.version.plan.spec.checkpoint.clone(),
            transaction_timeout: connected.transaction_timeout,
            subtasks: subtasks.len(),
            first_epoch: options.recovered.start.epoch.next(),
            verifying: !to_verify(&options).is_empty(),
        });
        let known = options.recovered.positions.iter().map(|p| p.keys().cloned().collect()).collect();
        Coordinator {
            parent: options.recovered.start.clone(),
            snapshots: subtasks.iter().map(|_| Snapshot::default()).collect(),
            state: StateSnapshot::default(),
            activity_at_barrier: options.meters.activity_at_start(),
            last: false,
            made: None,
            known,
            pending: Vec::new(),
            pending_in_manifest: false,
            ended: BTreeSet::new(),
            barrier_at: began,
            froze: Duration::ZERO,
            delivered_at: began,
            transaction_since: Duration::ZERO,
            records_at_barrier: options.meters.records_in.get(),
            began,
            looked: began,
            discovered: began,
            stopped: false,
            swap: None,
            swap_end: None,
            swaps: 0,
            cycle,
            options,
            connected,
            store,
            subtasks,
        }
    }

    /// Opens the first epoch, for the subtasks too. Where files were restored that nobody has read whole, that waits:
    /// subtasks read and process meanwhile, and sinks hold the output as they do between two transactions.
    pub fn open(&mut self) -> Result<(), ConnectorError> {
        let parts = to_verify(&self.options);
        let keyed = self.options.recovered.keyed.as_ref();
        if let (Some(checkpoint), false) =
            (keyed.and_then(|keyed| keyed.checkpoint.clone()), parts.is_empty())
        {
            self.give(Job::Verify(Verification {
                backend: self.connected.states.clone(),
                checkpoint,
                parts,
                ended: self.options.ended.clone(),
                clock: self.options.clock.clone(),
            }));
            return Ok(());
        }
        let epoch = self.cycle.running();
        self.begin(epoch)
    }

    fn give(&self, job: Job) {
        // Whoever runs jobs lives as long as the incarnation.
        let _ = self.options.jobs.send(job);
    }

    /// Runs until a graceful end or an error.
    pub fn run(&mut self, reports: &Receiver<Report>, asked: Asked<'_>) -> Result<Finished, ConnectorError> {
        let result = self.pump(reports, asked);
        self.options.meters.life.pulse.rests();
        result
    }

    fn turned(&self) {
        self.options.meters.life.pulse.turned(self.options.clock.monotonic());
    }

    fn pump(&mut self, reports: &Receiver<Report>, asked: Asked<'_>) -> Result<Finished, ConnectorError> {
        self.open()?;
        let mut requests = asked.requests.clone();
        let tick = (self.options.version.plan.spec.checkpoint.interval / 8).min(TICK_MAX);
        loop {
            self.turned();
            let event = crossbeam_channel::select! {
                recv(reports) -> report => match report {
                    Ok(report) => self.reported(report)?,
                    Err(_) => Some(Event::Failed(ConnectorError::transient("all subtasks are gone"))),
                },
                recv(asked.stop) -> _ => {
                    asked.stop_asked.store(true, Ordering::Relaxed);
                    self.stopped = true;
                    self.swap_step(swap::Event::StopAsked)?;
                    Some(Event::Stop)
                }
                recv(requests) -> request => match request {
                    Ok(request) => self.asked(request)?,
                    Err(_) => {
                        // Nobody is left who could ask.
                        requests = crossbeam_channel::never();
                        None
                    }
                },
                default(tick) => None,
            };
            if let Some(event) = event
                && let Some(finished) = self.step(event)?
            {
                return Ok(finished);
            }
            if let Some(finished) = self.tick()? {
                return Ok(finished);
            }
        }
    }

    /// One turn without a report: time passes.
    pub fn tick(&mut self) -> Result<Option<Finished>, ConnectorError> {
        // Brokers are asked here, who answer when they like.
        self.options.meters.life.pulse.rests();
        let looked = self.look_and_discover();
        self.turned();
        looked?;
        if self.swap.is_some()
            && let Some(event) = self.swap_step(swap::Event::Tick(self.swap_counts()))?
            && let Some(finished) = self.step(event)?
        {
            return Ok(Some(finished));
        }
        let active = self.options.meters.activity() != self.activity_at_barrier;
        self.step(Event::Tick { active })
    }

    /// Turns a subtask's report into an event.
    pub fn reported(&mut self, report: Report) -> Result<Option<Event>, ConnectorError> {
        Ok(match report {
            Report::Delivered { subtask, epoch, mut snapshot } => {
                for part in snapshot.frozen.drain(..) {
                    self.persist(epoch, part);
                }
                self.froze = snapshot.froze;
                self.snapshots[subtask] = snapshot;
                Some(Event::Delivered { subtask, epoch })
            }
            Report::Persisted { epoch, result } => self.persisted(epoch, result),
            Report::Verified(None) => Some(Event::Verified),
            Report::Verified(Some(damage)) => Some(Event::Failed(ConnectorError::refused(format!(
                "checkpoint {}, from which this run was restored, is damaged: {damage}; nothing that depends on it was written or decided; bring the file back from a copy, or start from a savepoint (weir run --from-savepoint)",
                self.options.recovered.start
            ))
            .helped_by(Remedy::Savepoints))),
            Report::Prepared { swap, result } => self.swap_prepared(swap, result)?,
            Report::Ended { subtask } => {
                self.ended.insert(subtask);
                let sources = self.options.reads_sources.iter().filter(|reads| **reads).count();
                let all = self.ended.len() == sources;
                if all {
                    self.swap_step(swap::Event::InputEnded)?;
                }
                all.then_some(Event::Stop)
            }
            Report::Failed(error) => Some(Event::Failed(error)),
            Report::Fetched { subtask, .. } => {
                let message =
                    format!("subtask {subtask} asks for a decision per batch, which only at_most_once has");
                Some(Event::Failed(ConnectorError::permanent(message)))
            }
        })
    }

    fn id(&self, epoch: Epoch) -> CheckpointId {
        CheckpointId { epoch, incarnation: self.options.incarnation.clone() }
    }

    /// One event, and all that follows from it at once.
    pub fn step(&mut self, event: Event) -> Result<Option<Finished>, ConnectorError> {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let now = self.options.clock.monotonic() - self.began;
            for action in self.cycle.step(now, event) {
                match action {
                    Action::Finished => {
                        return Ok(Some(if self.stopped { Finished::Stopped } else { Finished::Ended }));
                    }
                    Action::End(error) => return Err(error),
                    action => events.extend(self.carry_out(action)?),
                }
            }
        }
        Ok(None)
    }

    /// Carries out one action; what it leads to is the next event. An error ends the incarnation. What waits for others
    /// has time limits of its own: meanwhile nothing is to turn here.
    fn carry_out(&mut self, action: Action) -> Result<Option<Event>, ConnectorError> {
        let waits = !matches!(action, Action::Barrier { .. } | Action::Snapshot(_));
        if waits {
            self.options.meters.life.pulse.rests();
        }
        let result = self.perform(action);
        self.turned();
        result
    }

    fn perform(&mut self, action: Action) -> Result<Option<Event>, ConnectorError> {
        let epoch = self.cycle.running();
        let in_doubt = |error| doubt(epoch, error);
        match action {
            Action::Barrier { epoch, last } => {
                self.barrier(epoch, last)?;
                Ok(None)
            }
            Action::Flush(epoch) => {
                self.delivered();
                reached("sinks_prepared");
                reached("before_flush");
                self.connected.decisions.flush(epoch).map_err(in_doubt)?;
                reached("after_flush");
                Ok(Some(Event::Flushed))
            }
            Action::BeginFirst(epoch) => self.begin(epoch).map(|()| None),
            Action::Begin(epoch) => {
                self.begin(epoch)?;
                reached("next_epoch_begun");
                Ok(None)
            }
            Action::Snapshot(epoch) => {
                // Parts that could not be stored are stored again from the same frozen set.
                if self.state.failure.is_none() {
                    for part in std::mem::take(&mut self.state.failed) {
                        self.persist(epoch, part);
                    }
                }
                if self.state.outstanding > 0 {
                    self.state.wanted = Some(epoch);
                    return Ok(None);
                }
                Ok(Some(self.snapshot(epoch)))
            }
            Action::Decide(epoch) => {
                self.judge_swap(epoch)?;
                let before = self.options.clock.monotonic();
                self.decide(epoch).map_err(in_doubt)?;
                self.measure_decision(before);
                reached("after_commit");
                Ok(Some(Event::Decided))
            }
            Action::Publish(epoch) => {
                self.publish(epoch).map_err(in_doubt)?;
                self.swap_step(swap::Event::Decided(epoch))?;
                Ok(Some(Event::Published))
            }
            Action::Finished | Action::End(_) => Ok(None),
        }
    }

    /// A probation that would end with this epoch's decision is judged before it.
    fn judge_swap(&mut self, epoch: Epoch) -> Result<(), ConnectorError> {
        if self.swap.as_ref().is_some_and(|swap| swap.is_on_probation()) {
            self.swap_step(swap::Event::Deciding(epoch, self.swap_counts()))?;
            reached("swap_probation_judged");
        }
        Ok(())
    }

    fn tell(&self, command: impl Fn() -> Command) {
        for subtask in &self.subtasks {
            // A subtask that is gone has reported why, or will.
            let _ = subtask.send(command());
        }
    }

    fn begin(&mut self, epoch: Epoch) -> Result<(), ConnectorError> {
        self.connected.decisions.begin(epoch)?;
        reached("epoch_begun");
        self.tell(|| Command::Open(epoch));
        Ok(())
    }

    fn barrier(&mut self, epoch: Epoch, last: bool) -> Result<(), ConnectorError> {
        self.swap_step(swap::Event::Barrier { epoch, last })?;
        self.barrier_at = self.options.clock.monotonic();
        self.records_at_barrier = self.options.meters.records_in.get();
        self.activity_at_barrier = self.options.meters.activity();
        self.last = last;
        self.options.meters.checkpoint.begins();
        self.options.meters.oldest_undecided.barrier();
        for (subtask, reads) in self.subtasks.iter().zip(&self.options.reads_sources) {
            if *reads {
                let _ = subtask.send(Command::Barrier(Barrier { epoch, last }));
            }
        }
        reached(if last { "stop_barrier" } else { "barrier_injected" });
        Ok(())
    }
}
