//! Pumps the checkpoint rule: turns reports into its events, and carries out its actions in order.

mod discovery;
mod state_parts;

use self::state_parts::StateSnapshot;
use crate::chain::Snapshot;
use crate::checkpoint_store::CheckpointStore;
use crate::clock::Clock;
use crate::connect::Connected;
use crate::keyed_start;
use crate::meters::{LastCheckpoint, Meters};
use crate::persist::Job;
use crate::placement::Placement;
use crate::recovery::{Recovered, decision_offsets, handles_of, manifest_of};
use crate::subtask::{Command, Report};
use crate::verification::Verification;
use crossbeam_channel::{Receiver, Sender};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use weir_protocol::align::Barrier;
use weir_protocol::checkpoint::{Action, Cycle, CycleOptions, Event, doubt};
use weir_protocol::connector::ConnectorError;
use weir_protocol::decision::{Decision, DecisionRecord, Owner};
use weir_protocol::epoch::{CheckpointId, Epoch, Incarnation};
use weir_protocol::kill_point::reached;
use weir_protocol::manifest::{KeyedStates, Manifest, ManifestHash, PreparedHandle};
use weir_protocol::plan::Plan;
use weir_protocol::position::{Partition, Positions};
use weir_protocol::state::StatePart;
use weir_protocol::watermark;

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

/// Where a graceful stop is asked for, and the note that it was: the next incarnation must not start then.
#[derive(Debug, Clone, Copy)]
pub struct StopRequests<'a> {
    /// A message asks.
    pub from: &'a Receiver<()>,
    /// Set when it came.
    pub asked: &'a AtomicBool,
}

/// What a coordinator is made of.
pub struct CoordinatorOptions {
    /// The pipeline.
    pub plan: Arc<Plan>,
    /// Whose decisions are ours.
    pub owner: Owner,
    /// This life.
    pub incarnation: Incarnation,
    /// The operators' digests.
    pub operators: BTreeMap<String, String>,
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
    records_at_barrier: u64,
    activity_at_barrier: u64,
    last: bool,
    began: Duration,
    looked: Duration,
    discovered: Duration,
    stopped: bool,
}

/// The parts of the restored checkpoint that somebody depends on and nobody has read whole.
fn to_verify(options: &CoordinatorOptions) -> Vec<StatePart> {
    let Some(keyed) = &options.recovered.keyed else { return Vec::new() };
    if options.recovered.verified || keyed.checkpoint.is_none() {
        return Vec::new();
    }
    // Nothing depends on the state of an operator that was dropped.
    let running = keyed_start::declared(&options.plan);
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
            checkpoint: options.plan.spec.checkpoint.clone(),
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
            records_at_barrier: options.meters.records_in.get(),
            began,
            looked: began,
            discovered: began,
            stopped: false,
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
    pub fn run(
        mut self,
        reports: &Receiver<Report>,
        stop: StopRequests<'_>,
    ) -> Result<Finished, ConnectorError> {
        self.open()?;
        let tick = (self.options.plan.spec.checkpoint.interval / 8).min(TICK_MAX);
        loop {
            let event = crossbeam_channel::select! {
                recv(reports) -> report => match report {
                    Ok(report) => self.reported(report),
                    Err(_) => Some(Event::Failed(ConnectorError::transient("all subtasks are gone"))),
                },
                recv(stop.from) -> _ => {
                    stop.asked.store(true, Ordering::Relaxed);
                    self.stopped = true;
                    Some(Event::Stop)
                }
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
        self.look_and_discover()?;
        let active = self.options.meters.activity() != self.activity_at_barrier;
        self.step(Event::Tick { active })
    }

    /// Turns a subtask's report into an event.
    pub fn reported(&mut self, report: Report) -> Option<Event> {
        match report {
            Report::Delivered { subtask, epoch, mut snapshot } => {
                for part in snapshot.frozen.drain(..) {
                    self.persist(epoch, part);
                }
                self.snapshots[subtask] = snapshot;
                Some(Event::Delivered { subtask, epoch })
            }
            Report::Persisted { epoch, result } => self.persisted(epoch, result),
            Report::Verified(None) => Some(Event::Verified),
            Report::Verified(Some(damage)) => Some(Event::Failed(ConnectorError::refused(format!(
                "checkpoint {}, from which this run was restored, is damaged: {damage}; nothing that depends on it was written or decided; bring the file back from a copy, or start from a savepoint (weir run --from-savepoint)",
                self.options.recovered.start
            )))),
            Report::Ended { subtask } => {
                self.ended.insert(subtask);
                let sources = self.options.reads_sources.iter().filter(|reads| **reads).count();
                (self.ended.len() == sources).then_some(Event::Stop)
            }
            Report::Failed(error) => Some(Event::Failed(error)),
            Report::Fetched { subtask, .. } => {
                let message =
                    format!("subtask {subtask} asks for a decision per batch, which only at_most_once has");
                Some(Event::Failed(ConnectorError::permanent(message)))
            }
        }
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

    /// Carries out one action; what it leads to is the next event. An error ends the incarnation.
    fn carry_out(&mut self, action: Action) -> Result<Option<Event>, ConnectorError> {
        let epoch = self.cycle.running();
        let in_doubt = |error| doubt(epoch, error);
        match action {
            Action::Barrier { epoch, last } => {
                self.barrier(epoch, last);
                Ok(None)
            }
            Action::Flush(epoch) => {
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
                self.decide(epoch).map_err(in_doubt)?;
                self.options.meters.decision_times.add(self.options.clock.monotonic() - self.barrier_at);
                reached("after_commit");
                Ok(Some(Event::Decided))
            }
            Action::Publish(epoch) => {
                self.publish(epoch).map_err(in_doubt)?;
                Ok(Some(Event::Published))
            }
            Action::Finished | Action::End(_) => Ok(None),
        }
    }

    fn tell(&self, command: &Command) {
        for subtask in &self.subtasks {
            // A subtask that is gone has reported why, or will.
            let _ = subtask.send(command.clone());
        }
    }

    fn begin(&mut self, epoch: Epoch) -> Result<(), ConnectorError> {
        self.connected.decisions.begin(epoch)?;
        reached("epoch_begun");
        self.tell(&Command::Open(epoch));
        Ok(())
    }

    fn barrier(&mut self, epoch: Epoch, last: bool) {
        self.barrier_at = self.options.clock.monotonic();
        self.records_at_barrier = self.options.meters.records_in.get();
        self.activity_at_barrier = self.options.meters.activity();
        self.last = last;
        let command = Command::Barrier(Barrier { epoch, last });
        for (subtask, reads) in self.subtasks.iter().zip(&self.options.reads_sources) {
            if *reads {
                let _ = subtask.send(command.clone());
            }
        }
        reached(if last { "stop_barrier" } else { "barrier_injected" });
    }

    /// Stores the manifest of all that the subtasks have handed over.
    fn snapshot(&mut self, epoch: Epoch) -> Event {
        if let Some(failure) = self.state.failure.take() {
            return Event::SnapshotFailed(failure);
        }
        let sources = self.options.plan.spec.sources.len();
        let mut positions = vec![Positions::new(); sources];
        let mut prepared: Vec<PreparedHandle> = Vec::new();
        let mut now_ms = self.options.recovered.now_ms;
        for snapshot in &self.snapshots {
            for (all, own) in positions.iter_mut().zip(&snapshot.positions) {
                all.extend(own.clone());
            }
            prepared.extend(snapshot.prepared.iter().cloned());
            now_ms = now_ms.max(snapshot.now_ms);
        }
        for (source, start) in &self.pending {
            positions[*source].extend(start.clone());
        }
        self.pending_in_manifest = !self.pending.is_empty();
        prepared.sort();
        let id = self.id(epoch);
        let (plan, operators) = (&self.options.plan, &self.options.operators);
        let mut manifest =
            manifest_of(plan, operators, id, Some(self.parent.clone()), &positions, prepared, now_ms);
        manifest.started_from = self.options.recovered.started_from.clone();
        manifest.savepoint = self.options.recovered.savepoint.clone();
        manifest.watermarks = self.snapshots.iter().flat_map(|s| s.watermarks.iter().cloned()).collect();
        manifest.watermarks.sort_by(|a, b| (&a.source, &a.partition).cmp(&(&b.source, &b.partition)));
        manifest.operator_watermarks = self.operator_watermarks();
        manifest.finished = self.last && !self.stopped && self.options.drains && plan.is_keyed();
        manifest.keyed = self.options.recovered.keyed.as_ref().filter(|_| plan.is_keyed()).map(|keyed| {
            let mut parts = self.state.parts.clone();
            parts.sort_by(|a, b| (&a.operator, a.subtask).cmp(&(&b.operator, b.subtask)));
            KeyedStates { groups: keyed.groups, operators: keyed_start::declared(plan), parts }
        });
        match self.store.store(&manifest) {
            Ok(hash) => {
                self.state.parts.clear();
                self.made = Some((manifest, hash));
                Event::Durable
            }
            Err(error) => {
                tracing::warn!(%epoch, "the checkpoint cannot be stored: {error}");
                Event::SnapshotFailed(error.to_string())
            }
        }
    }

    /// The lowest of an operator's subtasks. Before the first watermark there is none; the end of event time is not kept,
    /// for a pipeline that is started again after a drain has more to come.
    fn operator_watermarks(&self) -> BTreeMap<String, i64> {
        let mut lowest: BTreeMap<String, i64> = BTreeMap::new();
        for (operator, ms) in self.snapshots.iter().flat_map(|snapshot| &snapshot.operator_watermarks) {
            let name = &self.options.plan.spec.operators[*operator].name;
            let known = lowest.entry(name.clone()).or_insert(*ms);
            *known = (*known).min(*ms);
        }
        lowest.retain(|_, ms| *ms != watermark::NONE_MS && *ms != watermark::END_MS);
        lowest
    }

    fn made(&self) -> &(Manifest, ManifestHash) {
        self.made.as_ref().expect("C3: the rule decides and publishes only what is durable")
    }

    fn record(&self) -> DecisionRecord {
        let (manifest, hash) = self.made();
        DecisionRecord { owner: self.options.owner.clone(), id: manifest.id.clone(), manifest: hash.clone() }
    }

    fn decide(&mut self, epoch: Epoch) -> Result<(), ConnectorError> {
        let manifest = &self.made().0;
        let mut positions = vec![Positions::new()];
        for old in &manifest.positions {
            positions[0].insert(old.partition.clone(), old.position);
        }
        let all: Vec<Partition> = positions[0].keys().cloned().collect();
        let covered = self.connected.decisions.covered(&all);
        let offsets = decision_offsets(&covered, &positions, epoch);
        self.connected.decisions.decide(&Decision { record: self.record(), offsets })
    }

    /// After the decision, in any order and idempotently: nothing here can change what is true.
    fn publish(&mut self, epoch: Epoch) -> Result<(), ConnectorError> {
        let disk =
            |error: std::io::Error| ConnectorError::transient(format!("the decided checkpoint: {error}"));
        self.store.write_hint(&self.record()).map_err(disk)?;
        reached("after_hint");
        let prepared = self.made().0.prepared.clone();
        for (spec, sink) in self.options.plan.spec.sinks.iter().zip(&mut self.connected.sinks) {
            let handles = handles_of(&spec.name, &prepared);
            if !handles.is_empty() {
                sink.commit(&handles)?;
            }
        }
        reached("after_side_commit");
        let id = self.made().0.id.clone();
        self.store.delete_old(&id).map_err(disk)?;
        reached("after_cleanup");
        self.connected.states.decided(self.made().0.now_ms);
        self.connected.decisions.retire(epoch)?;
        self.parent = id;
        let took = self.options.clock.monotonic() - self.barrier_at;
        self.options.meters.decided(LastCheckpoint { epoch: epoch.0, took }, self.records_at_barrier);
        if std::mem::take(&mut self.pending_in_manifest) {
            self.hand_out_pending();
        }
        Ok(())
    }
}
