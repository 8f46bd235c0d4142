//! One incarnation, step by step: the seed says whose turn it is, and when the process dies.

use crate::outside::{Defect, MemoryConnectors, operators};
use crate::pipeline;
use crate::versions::{self, Listener};
use crate::world::World;
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use weir_protocol::connector::{ConnectorError, ErrorKind};
use weir_protocol::decision::Owner;
use weir_protocol::epoch::Incarnation;
use weir_protocol::swap::Rules;
use weir_runtime::assembly;
use weir_runtime::checkpoint_store::CheckpointStore;
use weir_runtime::connect::Connected;
use weir_runtime::coordinator::{Coordinator, CoordinatorOptions, Finished, SwapEnd};
use weir_runtime::format_file::LevelInForce;
use weir_runtime::handle::{Notices, Request, SwapNotice, no_requests};
use weir_runtime::meters::Meters;
use weir_runtime::persist::Job;
use weir_runtime::recovery::{Recovered, Recovery, Start};
use weir_runtime::subtask::{Progress, Report, Stop, Subtask};
use weir_runtime::supervisor::Run;
use weir_runtime::version::{Candidate, Version, Versions};

/// A life that takes longer than this is ended.
const STEPS_MAX: u64 = 30_000;

/// How often a process dies between two steps: once in so many.
const CRASH_ONE_IN: u64 = 400;

/// How often an incarnation is taken for dead and replaced while it goes on: once in so many steps.
const ZOMBIE_ONE_IN: u64 = 900;

/// How often a swap is asked for: once in so many steps.
const SWAP_ONE_IN: u64 = 120;

/// How often a swap is cancelled, where it can be.
const CANCEL_ONE_IN: u64 = 200;

/// A swap is asked for when the old version has had so many rows: with fewer, all of them may have been poison.
const ROWS_BEFORE_SWAP: u64 = 5;

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

/// The pipeline with one version of the keyed operator, in as many subtasks as this life has.
struct Shape {
    readers: usize,
    counters: usize,
}

impl Shape {
    fn version(&self, world: &World, version: versions::Version) -> Version {
        let scenario = world.outside.lock().scenario.clone();
        let plan = Arc::new(pipeline::plan(&scenario, self.readers, self.counters, version));
        Version { plan, operators: operators::all(&world.outside, version) }
    }
}

fn run_of(world: &mut World, life: u64) -> (Run, Shape, Sender<()>) {
    let (readers, counters) = (1 + world.random.index(4), 1 + world.random.index(4));
    // Where keys lie with their owners already, equal numbers need no exchange.
    let counters = if world.random.one_in(2) { readers } else { counters };
    let shape = Shape { readers, counters };
    let running = world.outside.lock().control.running;
    let version = shape.version(world, running);
    let meters = Arc::new(Meters::of(&version.plan));
    let (stop_to, stop) = unbounded();
    let run = Run {
        versions: Arc::new(Versions::new(version, None)),
        connectors: Arc::new(MemoryConnectors(world.outside.clone())),
        owner: Owner::of("weir.", "simulated"),
        directory: world.directory().to_owned(),
        level: LevelInForce::newest(),
        until_end: false,
        drain: false,
        restart_finished: false,
        from_savepoint: None,
        verify: false,
        stop,
        requests: no_requests(),
        notices: Arc::new(Listener { outside: world.outside.clone(), life }),
        clock: world.clock.clone(),
        meters,
    };
    (run, shape, stop_to)
}

/// A version of which only the decision tells whether it runs: the process knows, or the control plane remembers.
fn candidate_of(world: &World, shape: &Shape) -> Option<(versions::Version, Candidate)> {
    let (version, swap) = match &world.doubt {
        Some((version, swap)) => (*version, Some(swap.clone())),
        None => {
            let control = &world.outside.lock().control;
            (control.swap.filter(|_| control.on_probation)?, None)
        }
    };
    if world.outside.lock().plants(Defect::ForgetCandidate, 1) {
        return None;
    }
    Some((version, Candidate { version: shape.version(world, version), swap }))
}

fn begin(world: &mut World, number: u64, may_be_replaced: bool) -> Result<End, ConnectorError> {
    let incarnation =
        Incarnation::parse(&format!("{number:026}")).expect("26 digits are an incarnation's text");
    let (run, shape, _stop) = run_of(world, number);
    let version = run.versions.current();
    let candidate = candidate_of(world, &shape);
    let store = CheckpointStore::open(&run.directory, version.plan.spec.checkpoint.retain)?;
    let mut connected = run.connectors.connect(&incarnation)?;
    let recovery = Recovery {
        plan: &version.plan,
        owner: &run.owner,
        incarnation: &incarnation,
        store: &store,
        operators: &version.digests(),
        wall_ms: run.clock.wall_ms(),
        restart_finished: false,
        from_savepoint: None,
        verify: false,
        candidate: candidate.as_ref().map(|(_, candidate)| candidate),
        earlier: &[],
    };
    let start = recovery.run(&mut connected)?;
    // Earlier lives are fenced: what they say is not true any more.
    world.outside.lock().control.life = number;
    let recovered = match start {
        Start::From(recovered) => *recovered,
        // The last decision took effect, and nobody heard of it.
        Start::AlreadyFinished(_) => return Ok(End::Finished),
        Start::Candidate(checkpoint) => {
            world.outside.lock().note(format!("life {number} finds the new version in {checkpoint}"));
            *world.outside.lock().counts.entry("the decision names the candidate").or_default() += 1;
            world.doubt = None;
            run.notices.swap(SwapNotice::Completed { epoch: checkpoint.epoch });
            return Ok(End::Crashed);
        }
    };
    world.doubt = None;
    if world.outside.lock().control.swap.is_some() {
        run.notices.swap(SwapNotice::Interrupted { reason: "it is not decided".to_owned() });
    }
    let (readers, counters) = (shape.readers, shape.counters);
    let running = world.outside.lock().control.running;
    world.outside.lock().note(format!(
        "life {number} starts at {} with {readers} readers, {counters} counters of {running:?}, {} tasks",
        recovered.start,
        version.plan.tasks()
    ));
    let mut life = Life::new(world, &run, version, incarnation, &mut connected, &store, recovered)?;
    life.number = number;
    life.shape = Some(shape);
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
    shape: Option<Shape>,
    meters: Arc<Meters>,
    notices: Arc<dyn Notices>,
}

impl<'a> Life<'a> {
    fn new(
        world: &mut World,
        run: &Run,
        version: Version,
        incarnation: Incarnation,
        connected: &'a mut Connected,
        store: &'a CheckpointStore,
        recovered: Recovered,
    ) -> Result<Life<'a>, ConnectorError> {
        let ended = Arc::new(AtomicBool::new(false));
        let built = assembly::tasks(run, &version, &incarnation, connected, &recovered, &ended)?;
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
                waits: task.waits,
                sink_buffer_bytes_max: version.plan.spec.sink_buffer_bytes_max,
                guarantee: version.plan.spec.guarantee,
                clock: run.clock.clone(),
                meters: run.meters.clone(),
            };
            subtasks.push(Some((subtask, Progress::default())));
        }
        let options = CoordinatorOptions {
            version,
            versions: run.versions.clone(),
            notices: run.notices.clone(),
            places: built.places,
            owner: run.owner.clone(),
            incarnation,
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
            shape: None,
            meters: run.meters.clone(),
            notices: run.notices.clone(),
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
            let asked = if successor.is_none() { self.ask(world) } else { Ok(()) };
            match (asked.and_then(|()| self.step(world)), &successor) {
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
                (Err(error), None) => {
                    // The supervisor goes on with the old version, whatever the error was.
                    if self.swap_ends(world, &error) {
                        world.outside.lock().note(format!("life {} ends: {}", self.number, error.message));
                        return Ok(End::Crashed);
                    }
                    return Err(error);
                }
            }
        }
        world.outside.lock().note(format!("life {} takes too long", self.number));
        Ok(successor.unwrap_or(End::Crashed))
    }

    /// A person asks for a swap, or cancels one.
    fn ask(&mut self, world: &mut World) -> Result<(), ConnectorError> {
        let control = world.outside.lock().control.clone();
        let rows = self.meters.operators[1].tally().rows.get();
        let (answer, answered) = bounded(1);
        let request = match control.swap {
            None if world.random.one_in(SWAP_ONE_IN) && rows >= ROWS_BEFORE_SWAP => {
                let to = versions::ALL[world.random.index(versions::ALL.len())];
                let Some(shape) = &self.shape else { return Ok(()) };
                let rules = Rules {
                    probation_time: Some(std::time::Duration::from_millis(world.random.below(300))),
                    probation_records: 1 + world.random.below(20),
                    ..Rules::default()
                };
                let (operator, version) = (pipeline::COUNT.to_owned(), shape.version(world, to));
                world.outside.lock().control.swap = Some(to);
                Request::Swap { operator, version, rules, answer }
            }
            Some(_) if world.random.one_in(CANCEL_ONE_IN) => Request::CancelSwap { answer },
            _ => return Ok(()),
        };
        let begins = matches!(request, Request::Swap { .. });
        if let Some(event) = self.coordinator.asked(request)? {
            self.coordinator.step(event)?;
        }
        let mut outside = world.outside.lock();
        match (begins, answered.try_recv()) {
            (true, Ok(Ok(()))) => {
                let to = outside.control.swap.expect("it was put there");
                outside.note(format!("life {}: a swap to {to:?} begins", self.number));
                outside.control.begun.push((control.running, to));
            }
            (true, refused) => {
                outside.note(format!("life {}: a swap is refused: {refused:?}", self.number));
                outside.control.swap = None;
            }
            (false, answer) => outside.note(format!("life {}: cancelled: {answer:?}", self.number)),
        }
        Ok(())
    }

    /// What the supervisor does about a swap when the incarnation ends. Returns true where it was rolled back.
    fn swap_ends(&mut self, world: &mut World, error: &ConnectorError) -> bool {
        let version = world.outside.lock().control.swap;
        match self.coordinator.swap_end(error) {
            None => {}
            Some(SwapEnd::RolledBack { reason, samples }) => {
                self.notices.swap(SwapNotice::RolledBack { reason, samples });
                return error.kind != ErrorKind::Fenced;
            }
            Some(SwapEnd::Interrupted { reason }) => {
                self.notices.swap(SwapNotice::Interrupted { reason });
            }
            Some(SwapEnd::InDoubt(candidate)) => {
                *world.outside.lock().counts.entry("a swap is in doubt").or_default() += 1;
                world.doubt = version.zip(candidate.swap);
            }
        }
        false
    }

    /// Somebody's turn.
    fn step(&mut self, world: &mut World) -> Result<Option<Finished>, ConnectorError> {
        self.waiting.extend(self.queue.try_iter());
        match world.random.below(8) {
            0 => self.coordinator.tick(),
            1 | 2 => {
                let Ok(report) = self.reports.try_recv() else { return Ok(None) };
                let event = self.coordinator.reported(report)?;
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
