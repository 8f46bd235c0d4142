//! The simulated world: an input, a decision log with transactions, and the crashes between two steps.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use weir_protocol::batch::Batch;
use weir_protocol::connector::*;
use weir_protocol::decision::{CommittedOffset, Decision, Metadata, Owner};
use weir_protocol::epoch::{Epoch, Incarnation};
use weir_protocol::manifest::PreparedHandle;
use weir_protocol::output::Output;
use weir_protocol::plan::*;
use weir_protocol::position::{Partition, Position, Positions};
use weir_runtime::chain::Chain;
use weir_runtime::checkpoint_store::CheckpointStore;
use weir_runtime::clock::{Clock, ManualClock};
use weir_runtime::connect::Connected;
use weir_runtime::coordinator::{Coordinator, CoordinatorOptions};
use weir_runtime::meters::Meters;
use weir_runtime::operator_task::{OperatorTask, OperatorTaskOptions};
use weir_runtime::recovery::Recovery;
use weir_runtime::sink_task::SinkTask;
use weir_runtime::source_task::SourceTask;
use weir_runtime::subtask::{Command, Report};

const PARTITIONS: i32 = 3;

/// What Kafka would hold: survives every crash.
#[derive(Default)]
struct Broker {
    /// Committed records, in the order of their commits.
    committed: Vec<String>,
    /// Records of transactions that are open, by epoch.
    open: BTreeMap<u64, Vec<String>>,
    offsets: Vec<CommittedOffset>,
    /// Armed: the next commit takes effect, and its answer is lost.
    lose_answer: bool,
    /// Armed: the next commit fails without an effect.
    fail_commit: bool,
}

type Shared = Arc<Mutex<Broker>>;

/// Everything that survives a crash, and what was seen.
pub struct World {
    /// Values by partition.
    pub input: Vec<Vec<String>>,
    /// What happened, in order.
    pub log: Vec<String>,
    /// How many lives ended in a crash.
    pub crashes: usize,
    subtasks: usize,
    broker: Shared,
    disk: tempfile::TempDir,
    random: u64,
    clock: Arc<ManualClock>,
}

impl World {
    pub fn new(seed: u64, subtasks: usize) -> World {
        let mut world = World {
            input: Vec::new(),
            log: Vec::new(),
            crashes: 0,
            subtasks,
            broker: Shared::default(),
            disk: tempfile::tempdir().expect("a temporary directory"),
            random: seed ^ 0x9E37_79B9_7F4A_7C15,
            clock: Arc::new(ManualClock::default()),
        };
        for partition in 0..PARTITIONS {
            let records = world.below(60);
            world.input.push((0..records).map(|offset| format!("{partition}-{offset}")).collect());
        }
        world
    }

    pub fn committed_output(&self) -> Vec<String> {
        self.broker.lock().expect("one thread").committed.clone()
    }

    /// A number below `most`, the same for the same seed (splitmix64).
    fn below(&mut self, most: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % most
    }
}

struct MemorySource {
    input: Vec<Vec<String>>,
}

impl Source for MemorySource {
    fn partitions(&mut self) -> Result<Vec<Partition>, ConnectorError> {
        Ok((0..PARTITIONS).map(|number| Partition::new("in", number)).collect())
    }

    fn resolve(&mut self, partitions: &[Partition], _: StartPolicy) -> Result<Positions, ConnectorError> {
        Ok(partitions.iter().map(|partition| (partition.clone(), Position::at(0))).collect())
    }

    fn ends(&mut self, _: &[Partition]) -> Result<Positions, ConnectorError> {
        Ok(Positions::new())
    }

    fn reader(
        &mut self,
        start: &Positions,
        _: Option<&Positions>,
    ) -> Result<Box<dyn SourceReader>, ConnectorError> {
        Ok(Box::new(MemoryReader { input: self.input.clone(), positions: start.clone() }))
    }
}

struct MemoryReader {
    input: Vec<Vec<String>>,
    positions: Positions,
}

impl SourceReader for MemoryReader {
    fn poll(
        &mut self,
        batch: &mut Batch,
        limits: BatchLimits,
        _: Duration,
    ) -> Result<Polled, ConnectorError> {
        for (partition, position) in &mut self.positions {
            let records = &self.input[partition.number as usize];
            while batch.rows < limits.rows_max
                && let Some(value) = records.get(position.offset as usize)
            {
                batch.push(position.offset, Some(b"k"), Some(value.as_bytes()), None);
                batch.origins.push(&partition.topic, partition.number, position.offset);
                position.offset += 1;
            }
        }
        Ok(if batch.rows > 0 { Polled::Rows } else { Polled::End })
    }

    fn positions(&self) -> Positions {
        self.positions.clone()
    }

    fn add(&mut self, start: &Positions) -> Result<(), ConnectorError> {
        self.positions.extend(start.clone());
        Ok(())
    }

    fn lag(&self) -> Option<u64> {
        None
    }
}

struct MemorySink(Shared);

impl Sink for MemorySink {
    fn promise(&self) -> SinkPromise {
        SinkPromise::Transactional
    }

    fn record_bytes_max(&self) -> Option<usize> {
        None
    }

    fn writer(&mut self, _: usize) -> Result<Box<dyn SinkWriter>, ConnectorError> {
        Ok(Box::new(MemoryWriter { broker: self.0.clone(), epoch: None }))
    }

    fn recover(&mut self, _: &[PreparedHandle]) -> Result<(), ConnectorError> {
        Ok(())
    }

    fn commit(&mut self, _: &[PreparedHandle]) -> Result<(), ConnectorError> {
        Ok(())
    }
}

struct MemoryWriter {
    broker: Shared,
    epoch: Option<Epoch>,
}

impl SinkWriter for MemoryWriter {
    fn begin(&mut self, epoch: Epoch) -> Result<(), ConnectorError> {
        self.epoch = Some(epoch);
        Ok(())
    }

    fn write(&mut self, batch: &Batch, from: usize) -> Result<Written, ConnectorError> {
        let epoch = self.epoch.expect("a write outside an epoch");
        let mut broker = self.broker.lock().expect("one thread");
        let open = broker.open.get_mut(&epoch.0).expect("a write into a transaction that is not open");
        for row in from..batch.rows {
            open.push(String::from_utf8_lossy(batch.values.bytes(row)).into_owned());
        }
        Ok(Written::All)
    }

    fn prepare(&mut self, _: Epoch) -> Result<Vec<PreparedHandle>, ConnectorError> {
        self.epoch = None;
        Ok(vec![])
    }
}

struct MemoryDecisions(Shared);

impl DecisionLog for MemoryDecisions {
    fn look(&mut self, partitions: &[Partition]) -> Result<Vec<CommittedOffset>, ConnectorError> {
        let broker = self.0.lock().expect("one thread");
        let none = |partition: &Partition| CommittedOffset {
            partition: partition.clone(),
            position: None,
            metadata: Metadata::Empty,
        };
        let found = |partition: &Partition| {
            broker.offsets.iter().find(|entry| entry.partition == *partition).cloned()
        };
        Ok(partitions.iter().map(|partition| found(partition).unwrap_or_else(|| none(partition))).collect())
    }

    fn fence(&mut self) -> Result<(), ConnectorError> {
        self.0.lock().expect("one thread").open.clear();
        Ok(())
    }

    fn read(&mut self, partitions: &[Partition]) -> Result<Vec<CommittedOffset>, ConnectorError> {
        assert!(self.0.lock().expect("one thread").open.is_empty(), "read before the fence");
        self.look(partitions)
    }

    fn covered(&self, partitions: &[Partition]) -> Vec<Partition> {
        partitions.to_vec()
    }

    fn begin(&mut self, epoch: Epoch) -> Result<(), ConnectorError> {
        self.0.lock().expect("one thread").open.insert(epoch.0, vec![]);
        Ok(())
    }

    fn flush(&mut self, _: Epoch) -> Result<(), ConnectorError> {
        Ok(())
    }

    fn decide(&mut self, decision: &Decision) -> Result<(), ConnectorError> {
        let mut broker = self.0.lock().expect("one thread");
        if std::mem::take(&mut broker.fail_commit) {
            return Err(ConnectorError::transient("the commit failed"));
        }
        let epoch = decision.record.id.epoch.0;
        let records = broker.open.remove(&epoch).expect("a decision without its transaction");
        broker.committed.extend(records);
        let metadata = Metadata::parse(&decision.record.to_string());
        broker.offsets = decision
            .offsets
            .iter()
            .map(|(partition, position)| CommittedOffset {
                partition: partition.clone(),
                position: Some(*position),
                metadata: metadata.clone(),
            })
            .collect();
        if std::mem::take(&mut broker.lose_answer) {
            return Err(ConnectorError::transient("the answer was lost"));
        }
        Ok(())
    }

    fn retire(&mut self, _: Epoch) -> Result<(), ConnectorError> {
        Ok(())
    }
}

struct Prefix;

impl Operator for Prefix {
    fn call(&mut self, input: &Batch, _: CallContext) -> Result<Output, CallError> {
        let mut output = Output { count: input.rows as u32, ..Output::default() };
        for row in 0..input.rows {
            let value = [b"processed_", input.values.bytes(row)].concat();
            output.values.push(Some(&value));
        }
        Ok(output)
    }

    fn reset(&mut self) {}
}

fn plan(subtasks: usize) -> Plan {
    let source =
        SourceKind::Generator { seed: 0, rate: None, count: None, partitions: 1, keys: 1, value_bytes: 1 };
    let operator = OperatorSpec {
        name: "prefix".to_owned(),
        inputs: vec!["in".to_owned()],
        component: String::new(),
        config: BTreeMap::new(),
        on_error: OnError::Fail,
        breaker: BreakerSpec::default(),
        limits: OperatorLimits { batch_rows_max: 7, ..OperatorLimits::default() },
        keeps_key: false,
    };
    let spec = PipelineSpec {
        name: "simulated".to_owned(),
        guarantee: Guarantee::ExactlyOnce,
        parallelism: subtasks,
        id_prefix: "weir.".to_owned(),
        checkpoint: CheckpointSpec { interval: Duration::from_millis(200), ..CheckpointSpec::default() },
        restart: RestartSpec::default(),
        stop_timeout: Duration::from_secs(20),
        inflight_bytes_max: 1 << 20,
        sink_buffer_bytes_max: 1 << 20,
        partition_discovery_interval: Duration::from_secs(3600),
        clusters: BTreeMap::new(),
        sources: vec![SourceSpec { name: "in".to_owned(), kind: source }],
        operators: vec![operator],
        sinks: vec![SinkSpec {
            name: "out".to_owned(),
            inputs: vec!["prefix".to_owned()],
            kind: SinkKind::Blackhole,
        }],
    };
    Plan::check(spec, &[Some(vec!["out".to_owned()])]).expect("a valid plan")
}

/// One life, step by step.
pub struct Simulation<'a> {
    coordinator: Coordinator<'a>,
    chains: Vec<Chain>,
    commands: Vec<crossbeam_channel::Receiver<Command>>,
    told_end: Vec<bool>,
    last: Vec<bool>,
}

impl Simulation<'_> {
    /// Lives until a crash or the end; returns true at the end.
    pub fn live(world: &mut World, life: u64) -> bool {
        let incarnation = Incarnation::parse(&format!("{life:026}")).expect("26 digits");
        let plan = Arc::new(plan(world.subtasks));
        let store = CheckpointStore::open(world.disk.path(), 2).expect("a store");
        let mut connected = Connected {
            sources: vec![Box::new(MemorySource { input: world.input.clone() })],
            sinks: vec![Box::new(MemorySink(world.broker.clone()))],
            decisions: Box::new(MemoryDecisions(world.broker.clone())),
            transaction_timeout: None,
            needs_manifest: None,
        };
        let operators = BTreeMap::from([("prefix".to_owned(), "00".to_owned())]);
        let owner = Owner::of("weir.", "simulated");
        let recovery = Recovery {
            plan: &plan,
            owner: &owner,
            incarnation: &incarnation,
            store: &store,
            operators: &operators,
            wall_ms: world.clock.wall_ms(),
        };
        world.arm();
        let recovered = match recovery.run(&mut connected) {
            Ok(recovered) => recovered,
            Err(error) => return world.crashed(&error.message),
        };
        world.log.push(format!("life {life} starts at {}", recovered.start.epoch));
        let meters = Arc::new(Meters::new(1, world.subtasks));
        let (chains, senders, commands) = chains(world, &plan, &mut connected, &recovered.positions, &meters);
        let options = CoordinatorOptions {
            plan,
            owner: owner.clone(),
            incarnation,
            operators,
            recovered,
            until_end: false,
            clock: world.clock.clone(),
            meters,
        };
        let coordinator = Coordinator::new(options, &mut connected, &store, senders);
        let subtasks = world.subtasks;
        Simulation {
            coordinator,
            chains,
            commands,
            told_end: vec![false; subtasks],
            last: vec![false; subtasks],
        }
        .run(world)
    }

    fn run(mut self, world: &mut World) -> bool {
        self.coordinator.open().expect("the first epoch opens");
        loop {
            let step = Duration::from_millis(world.below(40));
            world.clock.advance(step);
            if world.below(80) == 0 {
                return world.crashed("between two steps");
            }
            if world.below(60) == 0 {
                world.arm();
            }
            let ended = if world.below(3) == 0 {
                self.coordinator.tick()
            } else {
                let subtask = world.below(world.subtasks as u64) as usize;
                self.subtask_step(subtask, world)
            };
            match ended {
                Ok(None) => {}
                Ok(Some(_)) => {
                    world.log.push("finished".to_owned());
                    return true;
                }
                Err(error) => return world.crashed(&error.message),
            }
        }
    }

    /// What the pump of `subtask.rs` does in one turn.
    fn subtask_step(
        &mut self,
        subtask: usize,
        world: &mut World,
    ) -> Result<Option<weir_runtime::coordinator::Finished>, ConnectorError> {
        let chain = &mut self.chains[subtask];
        let never_full = &mut || -> Result<(), ConnectorError> { unreachable!("memory is never full") };
        let report = match self.commands[subtask].try_recv() {
            Ok(Command::Open(epoch)) => {
                chain.open(epoch, never_full)?;
                None
            }
            Ok(Command::Barrier { epoch, last }) => {
                world.log.push(format!("subtask {subtask} delivers barrier {epoch}"));
                self.last[subtask] |= last;
                Some(Report::Delivered { subtask, epoch, snapshot: chain.barrier(epoch)? })
            }
            Ok(Command::AddPartitions { .. } | Command::Proceed) => None,
            Err(_) if self.last[subtask] => None,
            Err(_) if chain.has_ended() => {
                let told = std::mem::replace(&mut self.told_end[subtask], true);
                (!told).then_some(Report::Ended { subtask })
            }
            Err(_) => {
                if let Some(batch) = chain.poll(0, Duration::ZERO)? {
                    world.log.push(format!("subtask {subtask} processes {} rows", batch.rows));
                    chain.process(0, batch, world.clock.wall_ms(), never_full)?;
                }
                None
            }
        };
        match report.and_then(|report| self.coordinator.reported(report)) {
            Some(event) => self.coordinator.step(event),
            None => Ok(None),
        }
    }
}

type Chains =
    (Vec<Chain>, Vec<crossbeam_channel::Sender<Command>>, Vec<crossbeam_channel::Receiver<Command>>);

fn chains(
    world: &World,
    plan: &Arc<Plan>,
    connected: &mut Connected,
    positions: &[Positions],
    meters: &Arc<Meters>,
) -> Chains {
    let (mut chains, mut senders, mut receivers) = (Vec::new(), Vec::new(), Vec::new());
    for subtask in 0..world.subtasks {
        let own =
            |(partition, _): &(&Partition, &Position)| partition.number as usize % world.subtasks == subtask;
        let start = positions[0].iter().filter(own).map(|(p, o)| (p.clone(), *o)).collect();
        let reader = connected.sources[0].reader(&start, None).expect("memory");
        let limits = BatchLimits { rows_max: 7, bytes_max: 1 << 20 };
        let options = OperatorTaskOptions {
            index: 0,
            spec: plan.spec.operators[0].clone(),
            digest: "00".to_owned(),
            ports: 1,
            record_bytes_max: vec![None],
            dead_letter_bytes_max: None,
            clock: world.clock.clone(),
            meters: meters.clone(),
        };
        let sinks = vec![SinkTask::new(connected.sinks[0].writer(subtask).expect("memory"))];
        let sources = vec![SourceTask::new(reader, limits)];
        let operators = vec![OperatorTask::new(Box::new(Prefix), options)];
        chains.push(Chain::new(plan.clone(), sources, operators, sinks, meters.clone(), 0));
        let (sender, receiver) = crossbeam_channel::unbounded();
        senders.push(sender);
        receivers.push(receiver);
    }
    (chains, senders, receivers)
}

impl World {
    /// Sometimes arms a fault of the next commit.
    fn arm(&mut self) {
        let which = self.below(6);
        let mut broker = self.broker.lock().expect("one thread");
        broker.lose_answer = which == 0;
        broker.fail_commit = which == 1;
    }

    fn crashed(&mut self, why: &str) -> bool {
        self.log.push(format!("crash: {why}"));
        self.crashes += 1;
        false
    }
}
