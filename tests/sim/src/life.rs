//! One incarnation, step by step: the seed says whose turn it is, and when the process dies.

use crate::outside::{Defect, MemoryConnectors, operators};
use crate::pipeline;
use crate::world::World;
use crossbeam_channel::{Receiver, Sender, unbounded};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use weir_protocol::connector::{ConnectorError, ErrorKind};
use weir_protocol::decision::Owner;
use weir_protocol::epoch::Incarnation;
use weir_runtime::assembly;
use weir_runtime::checkpoint_store::CheckpointStore;
use weir_runtime::connect::Connected;
use weir_runtime::coordinator::{Coordinator, CoordinatorOptions, Finished};
use weir_runtime::meters::Meters;
use weir_runtime::persist::Job;
use weir_runtime::recovery::{Recovered, Recovery, Start};
use weir_runtime::subtask::{Progress, Report, Stop, Subtask};
use weir_runtime::supervisor::Run;

/// A life that takes longer than this is ended.
const STEPS_MAX: u64 = 30_000;

/// How often a process dies between two steps: once in so many.
const CRASH_ONE_IN: u64 = 400;

/// How often an incarnation is taken for dead and replaced while it goes on: once in so many steps.
const ZOMBIE_ONE_IN: u64 = 900;

/// How a life ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The input is read, and all of it is decided.
    Finished,
    /// It died, or had an error that may pass.
    Crashed,
    /// It had an error that does not pass.
    Stopped(String),
}

/// Lives once. `may_be_replaced`: a successor may start while this one goes on.
pub fn live(world: &mut World, may_be_replaced: bool) -> End {
    let number = world.lives;
    world.lives += 1;
    match begin(world, number, may_be_replaced) {
        Ok(end) => end,
        Err(error) => {
            world.outside.lock().note(format!("life {number} ends: {}", error.message));
            match error.kind {
                ErrorKind::Transient | ErrorKind::Fenced => End::Crashed,
                ErrorKind::Permanent | ErrorKind::Refused => End::Stopped(error.message),
            }
        }
    }
}

fn run_of(world: &mut World) -> (Run, Sender<()>) {
    let (readers, counters) = (1 + world.random.index(4), 1 + world.random.index(4));
    // Where keys lie with their owners already, equal numbers need no exchange.
    let counters = if world.random.one_in(2) { readers } else { counters };
    let scenario = world.outside.lock().scenario.clone();
    let plan = Arc::new(pipeline::plan(&scenario, readers, counters));
    let meters = Arc::new(Meters::new(plan.spec.operators.len(), plan.tasks()));
    let (stop_to, stop) = unbounded();
    let run = Run {
        plan,
        operators: operators::all(&world.outside),
        connectors: Arc::new(MemoryConnectors(world.outside.clone())),
        owner: Owner::of("weir.", "simulated"),
        directory: world.directory().to_owned(),
        until_end: false,
        drain: false,
        restart_finished: false,
        from_savepoint: None,
        verify: false,
        stop,
        clock: world.clock.clone(),
        meters,
    };
    (run, stop_to)
}

fn begin(world: &mut World, number: u64, may_be_replaced: bool) -> Result<End, ConnectorError> {
    let incarnation =
        Incarnation::parse(&format!("{number:026}")).expect("26 digits are an incarnation's text");
    let (run, _stop) = run_of(world);
    let store = CheckpointStore::open(&run.directory, run.plan.spec.checkpoint.retain)?;
    let mut connected = run.connectors.connect(&incarnation)?;
    let names = run.plan.spec.operators.iter().zip(&run.operators);
    let operators: BTreeMap<String, String> =
        names.map(|(spec, factory)| (spec.name.clone(), factory.digest().to_owned())).collect();
    let recovery = Recovery {
        plan: &run.plan,
        owner: &run.owner,
        incarnation: &incarnation,
        store: &store,
        operators: &operators,
        wall_ms: run.clock.wall_ms(),
        restart_finished: false,
        from_savepoint: None,
        verify: false,
        earlier: &[],
    };
    let recovered = match recovery.run(&mut connected)? {
        Start::From(recovered) => *recovered,
        // The last decision took effect, and nobody heard of it.
        Start::AlreadyFinished(_) => return Ok(End::Finished),
    };
    let (readers, counters) = (run.plan.spec.parallelism, run.plan.spec.operators[1].parallelism);
    world.outside.lock().note(format!(
        "life {number} starts at {} with {readers} readers, {counters:?} counters, {} tasks",
        recovered.start,
        run.plan.tasks()
    ));
    let mut life = Life::new(world, &run, incarnation, &mut connected, &store, recovered, operators)?;
    life.number = number;
    life.run(world, may_be_replaced)
}

/// One life under way.
struct Life<'a> {
    number: u64,
    coordinator: Coordinator<'a>,
    /// None once it has failed.
    subtasks: Vec<Option<(Subtask, Progress)>>,
    /// How slow each is: it has its turn once in so many times.
    slowness: Vec<u64>,
    reports_to: Sender<Report>,
    reports: Receiver<Report>,
    queue: Receiver<Job>,
    waiting: Vec<Job>,
}

impl<'a> Life<'a> {
    fn new(
        world: &mut World,
        run: &Run,
        incarnation: Incarnation,
        connected: &'a mut Connected,
        store: &'a CheckpointStore,
        recovered: Recovered,
        operators: BTreeMap<String, String>,
    ) -> Result<Life<'a>, ConnectorError> {
        let ended = Arc::new(AtomicBool::new(false));
        let built = assembly::tasks(run, &incarnation, connected, &recovered, &ended)?;
        let (reports_to, reports) = unbounded();
        let (jobs, queue) = unbounded();
        let reads_sources = built.tasks.iter().map(|task| task.chain.sources() > 0).collect();
        let (mut commands, mut subtasks) = (Vec::new(), Vec::new());
        for (number, task) in built.tasks.into_iter().enumerate() {
            let (to, from) = unbounded();
            commands.push(to);
            let subtask = Subtask {
                number,
                chain: task.chain,
                inbox: task.inbox,
                commands: from,
                reports: reports_to.clone(),
                ended: ended.clone(),
                sink_buffer_bytes_max: run.plan.spec.sink_buffer_bytes_max,
                guarantee: run.plan.spec.guarantee,
                clock: run.clock.clone(),
                meters: run.meters.clone(),
            };
            subtasks.push(Some((subtask, Progress::default())));
        }
        let options = CoordinatorOptions {
            plan: run.plan.clone(),
            owner: run.owner.clone(),
            incarnation,
            operators,
            recovered,
            until_end: false,
            drains: built.drains,
            reads_sources,
            placement: built.placement,
            jobs,
            ended: ended.clone(),
            clock: run.clock.clone(),
            meters: run.meters.clone(),
        };
        let slow = |random: &mut crate::random::Random| if random.one_in(4) { 12 } else { 1 };
        Ok(Life {
            number: 0,
            coordinator: Coordinator::new(options, connected, store, commands),
            slowness: subtasks.iter().map(|_| slow(&mut world.random)).collect(),
            subtasks,
            reports_to,
            reports,
            queue,
            waiting: Vec::new(),
        })
    }

    fn run(mut self, world: &mut World, may_be_replaced: bool) -> Result<End, ConnectorError> {
        self.coordinator.open()?;
        let mut successor = None;
        for _ in 0..STEPS_MAX {
            world.clock.advance(world.random.below(12));
            let faults = world.outside.lock().faults;
            if faults && world.random.one_in(CRASH_ONE_IN) {
                world.outside.lock().note(format!("life {} dies between two steps", self.number));
                return Ok(successor.unwrap_or(End::Crashed));
            }
            if faults && may_be_replaced && successor.is_none() && world.random.one_in(ZOMBIE_ONE_IN) {
                world.outside.lock().note(format!("life {} is taken for dead", self.number));
                *world.outside.lock().counts.entry("a zombie goes on").or_default() += 1;
                successor = Some(live(world, false));
            }
            match (self.step(world), &successor) {
                (Ok(None), _) => {}
                (Ok(Some(_)), _) => {
                    world.outside.lock().note(format!("life {} finishes", self.number));
                    return Ok(End::Finished);
                }
                // What became of a zombie does not matter to its successor.
                (Err(error), Some(end)) => {
                    world.outside.lock().note(format!("zombie {} ends: {}", self.number, error.message));
                    return Ok(end.clone());
                }
                (Err(error), None) => return Err(error),
            }
        }
        world.outside.lock().note(format!("life {} takes too long", self.number));
        Ok(successor.unwrap_or(End::Crashed))
    }

    /// Somebody's turn.
    fn step(&mut self, world: &mut World) -> Result<Option<Finished>, ConnectorError> {
        self.waiting.extend(self.queue.try_iter());
        match world.random.below(8) {
            0 => self.coordinator.tick(),
            1 | 2 => {
                let event = self.reports.try_recv().ok().and_then(|report| self.coordinator.reported(report));
                event.map_or(Ok(None), |event| self.coordinator.step(event))
            }
            3 => {
                self.job(world);
                Ok(None)
            }
            _ => {
                self.subtask(world);
                Ok(None)
            }
        }
    }

    /// A job beside the stream, in any order.
    fn job(&mut self, world: &mut World) {
        if self.waiting.is_empty() || !world.random.one_in(3) {
            return;
        }
        let job = self.waiting.swap_remove(world.random.index(self.waiting.len()));
        if matches!(job, Job::Persist { .. }) && world.outside.lock().plants(Defect::ForgetJobs, 1) {
            return;
        }
        // The receiver is ours.
        let _ = self.reports_to.send(job.run());
    }

    fn subtask(&mut self, world: &mut World) {
        let number = world.random.index(self.subtasks.len());
        if !world.random.one_in(self.slowness[number]) {
            return;
        }
        let Some((subtask, progress)) = &mut self.subtasks[number] else { return };
        if let Err(stop) = subtask.step(progress) {
            self.subtasks[number] = None;
            if let Stop::Failed(error) = stop {
                let _ = self.reports_to.send(Report::Failed(error));
            }
        }
    }
}
