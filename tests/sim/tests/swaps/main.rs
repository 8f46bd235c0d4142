//! Swaps in the product's own supervisor, on its own threads, over the doubles of the simulation: each is asked for by a
//! handle, and told by notices. What readers saw is judged by the checkers.

mod held;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use held::Held;
use sim::history::Ending;
use sim::outside::{CommitFault, MemoryConnectors, operators};
use sim::scenario::{Record, Scenario};
use sim::versions::Version;
use sim::world::World;
use sim::{checkers, pipeline};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use weir_protocol::decision::Owner;
use weir_protocol::epoch::{Epoch, Incarnation};
use weir_protocol::plan::OperatorLimits;
use weir_protocol::swap::Rules;
use weir_runtime::clock::SystemClock;
use weir_runtime::format_file::LevelInForce;
use weir_runtime::handle::{Handle, Notices, Refusal, SwapNotice, channel};
use weir_runtime::meters::Meters;
use weir_runtime::supervisor::{self, Outcome, Run};
use weir_runtime::version::{self, Versions};

/// A notice that does not come in this time never does.
const PATIENCE: Duration = Duration::from_secs(30);

/// Nothing happens for so long: many checkpoint intervals.
const QUIET: Duration = Duration::from_millis(700);

const PARTITIONS: usize = 2;
const RECORDS: usize = 300;

/// What the pipeline has told.
#[derive(Debug, Clone, PartialEq)]
enum Told {
    /// A life of this digest has begun; is it the candidate of the start?
    Running(String, bool),
    Swap(SwapNotice),
}

struct Teller {
    told: Sender<Told>,
    world: Arc<World>,
    /// What the commit of probation meets.
    fault: Option<CommitFault>,
}

impl Notices for Teller {
    fn running(&self, _: &Incarnation, _: Epoch, operators: &BTreeMap<String, String>, is_candidate: bool) {
        let _ = self.told.send(Told::Running(operators[pipeline::COUNT].clone(), is_candidate));
    }

    fn restarting(&self, _: &str, _: Duration) {}

    fn going_back(&self, _: &str) {}

    fn swap(&self, notice: SwapNotice) {
        if matches!(notice, SwapNotice::Probation { .. }) {
            self.world.outside.lock().next_commit = self.fault;
        }
        let _ = self.told.send(Told::Swap(notice));
    }
}

/// A pipeline that runs on threads of its own.
struct Bench {
    world: Arc<World>,
    handle: Handle,
    stop: Sender<()>,
    told: Receiver<Told>,
    meters: Arc<Meters>,
    thread: JoinHandle<Outcome>,
}

/// An input without poison, of which so many records of each partition can be read.
fn world(readable: usize) -> Arc<World> {
    let world = World::new(1, None);
    let record = |offset: usize| Record {
        key: format!("key-{}", offset % 7),
        timestamp: offset as i64 * 10,
        poison: false,
    };
    let input = (0..PARTITIONS).map(|_| (0..RECORDS).map(record).collect()).collect();
    let scenario =
        Scenario { input, batch_rows_max: 8, checkpoint_interval_ms: 200, retain: 2, co_partitioned: false };
    let mut outside = world.outside.lock();
    outside.scenario = Arc::new(scenario);
    (outside.faults, outside.readable) = (false, readable);
    drop(outside);
    Arc::new(world)
}

fn version(world: &World, of: Version) -> version::Version {
    let scenario = world.outside.lock().scenario.clone();
    let plan = Arc::new(pipeline::plan(&scenario, 2, 2, of));
    version::Version { plan, operators: operators::all(&world.outside, of) }
}

impl Bench {
    fn start(world: &Arc<World>, running: Version) -> Bench {
        Bench::start_with(world, running, None, None)
    }

    fn start_with(
        world: &Arc<World>,
        running: Version,
        candidate: Option<Version>,
        fault: Option<CommitFault>,
    ) -> Bench {
        let current = version(world, running);
        let meters = Arc::new(Meters::of(&current.plan));
        let ((handle, requests), (stop, stops), (to, told)) = (channel(), unbounded(), unbounded());
        let run = Run {
            versions: Arc::new(Versions::new(current, candidate.map(|of| version(world, of)))),
            connectors: Arc::new(MemoryConnectors(world.outside.clone())),
            owner: Owner::of("weir.", "simulated"),
            directory: world.directory().to_owned(),
            level: LevelInForce::newest(),
            until_end: false,
            drain: false,
            restart_finished: false,
            from_savepoint: None,
            verify: false,
            stop: stops,
            requests,
            notices: Arc::new(Teller { told: to, world: world.clone(), fault }),
            clock: Arc::new(SystemClock::default()),
            meters: meters.clone(),
        };
        let thread = std::thread::spawn(move || supervisor::run(&run));
        Bench { world: world.clone(), handle, stop, told, meters, thread }
    }

    fn next(&self) -> Told {
        self.told.recv_timeout(PATIENCE).expect("the pipeline tells something in time")
    }

    fn runs(&self, version: Version) {
        assert_eq!(self.next(), Told::Running(version.digest().to_owned(), false));
    }

    /// All of this is told, in this order.
    fn tells(&self, expected: &[fn(&SwapNotice) -> bool]) {
        for is_expected in expected {
            let told = self.next();
            assert!(matches!(&told, Told::Swap(notice) if is_expected(notice)), "{told:?}");
        }
    }

    fn swap(&self, from: Version, to: Version) -> Result<(), Refusal> {
        self.swap_to(from, to, version(&self.world, to))
    }

    fn swap_to(&self, from: Version, to: Version, version: version::Version) -> Result<(), Refusal> {
        let rules = Rules {
            probation_time: Some(Duration::from_millis(30)),
            probation_records: 40,
            ..Rules::default()
        };
        self.handle.swap(pipeline::COUNT, version, rules)?;
        self.world.outside.lock().control.begun.push((from, to));
        Ok(())
    }

    fn release(&self, readable: usize) {
        self.world.outside.lock().readable = readable;
    }

    /// Waits until the version that runs has had so many rows.
    fn has_had(&self, rows: u64) {
        let begun = std::time::Instant::now();
        while self.meters.operators[1].tally().rows.get() < rows {
            assert!(begun.elapsed() < PATIENCE, "the rows do not come");
            std::thread::yield_now();
        }
    }

    /// Lets the input go on to its end, and checks all that was seen.
    fn finish(self, last: Version) {
        self.release(usize::MAX);
        assert_eq!(self.thread.join().expect("no panic"), Outcome::Finished);
        let history = self.world.end(Ending::Finished);
        let broken = checkers::broken(&history);
        assert!(broken.is_empty(), "{broken:#?}");
        let checkpoint = history.decisions.last().expect("a decision").checkpoint.clone();
        assert_eq!(checkpoint.expect("it is whole").version, last.digest());
    }
}

fn prepared(notice: &SwapNotice) -> bool {
    *notice == SwapNotice::Prepared
}

fn probation(notice: &SwapNotice) -> bool {
    matches!(notice, SwapNotice::Probation { .. })
}

fn completed(notice: &SwapNotice) -> bool {
    matches!(notice, SwapNotice::Completed { .. })
}

fn rolled_back(notice: &SwapNotice) -> bool {
    matches!(notice, SwapNotice::RolledBack { samples, .. } if !samples.is_empty())
}

fn interrupted(notice: &SwapNotice) -> bool {
    matches!(notice, SwapNotice::Interrupted { .. })
}

fn cancelled(notice: &SwapNotice) -> bool {
    *notice == SwapNotice::Abandoned { reason: "cancelled".to_owned() }
}

/// Swaps on a stream that stands still, and lets it go on.
fn swap_well(to: Version) {
    let bench = Bench::start(&world(50), Version::First);
    bench.runs(Version::First);
    bench.has_had(100);
    bench.swap(Version::First, to).expect("it fits");
    bench.tells(&[prepared, probation]);
    bench.release(200);
    bench.tells(&[completed]);
    bench.finish(to);
}

#[test]
fn a_good_version_takes_over_with_state_and_timers_as_they_are() {
    swap_well(Version::Second);
}

#[test]
fn a_version_that_declares_its_state_anew_takes_over_with_what_is_in_it() {
    swap_well(Version::Reordered);
}

#[test]
fn the_same_bytes_can_be_swapped_in() {
    swap_well(Version::First);
}

fn roll_back(to: Version) {
    let bench = Bench::start(&world(50), Version::First);
    bench.runs(Version::First);
    bench.has_had(100);
    bench.swap(Version::First, to).expect("it fits");
    bench.tells(&[prepared, probation]);
    bench.release(100);
    bench.tells(&[rolled_back]);
    bench.runs(Version::First);
    assert_eq!(bench.meters.restarts.get(), 0, "a rollback is no restart");
    bench.finish(Version::First);
}

#[test]
fn a_version_that_traps_is_rolled_back_and_its_records_are_handled_once() {
    roll_back(Version::Traps);
}

#[test]
fn a_version_that_rejects_is_rolled_back_and_its_records_are_handled_once() {
    roll_back(Version::Rejects);
}

#[test]
fn a_bad_version_under_load_is_rolled_back_wherever_it_is_found_out() {
    let bench = Bench::start(&world(100), Version::First);
    bench.runs(Version::First);
    bench.has_had(20);
    bench.swap(Version::First, Version::Traps).expect("it fits");
    // Its records may come before N is decided, and then there was no probation.
    bench.release(250);
    loop {
        match bench.next() {
            Told::Swap(SwapNotice::RolledBack { .. }) => break,
            Told::Swap(SwapNotice::Prepared) => {}
            // The old version may have had all of it before the barrier, and an idle stream waits.
            Told::Swap(SwapNotice::Probation { .. }) => bench.release(290),
            other => panic!("{other:?}"),
        }
    }
    bench.runs(Version::First);
    bench.finish(Version::First);
}

#[test]
fn an_idle_stream_waits_for_its_probation() {
    let bench = Bench::start(&world(50), Version::First);
    bench.runs(Version::First);
    bench.has_had(100);
    bench.swap(Version::First, Version::Second).expect("it fits");
    bench.tells(&[prepared, probation]);
    assert!(bench.told.recv_timeout(QUIET).is_err(), "without records it is not judged");
    bench.release(60);
    assert!(bench.told.recv_timeout(QUIET).is_err(), "20 records are fewer than it asks for");
    bench.release(100);
    bench.tells(&[completed]);
    bench.finish(Version::Second);
}

#[test]
fn two_swaps_in_a_row_go_there_and_back() {
    let bench = Bench::start(&world(50), Version::First);
    bench.runs(Version::First);
    bench.has_had(100);
    bench.swap(Version::First, Version::Reordered).expect("it fits");
    bench.tells(&[prepared, probation]);
    let second = bench.swap(Version::First, Version::Second);
    assert_eq!(second, Err(Refusal::SwapInProgress(pipeline::COUNT.to_owned())));
    assert_eq!(bench.handle.cancel_swap(), Err(Refusal::OnProbation));
    bench.release(100);
    bench.tells(&[completed]);
    bench.swap(Version::Reordered, Version::First).expect("it fits");
    bench.tells(&[prepared, probation]);
    bench.release(200);
    bench.tells(&[completed]);
    bench.finish(Version::First);
}

#[test]
fn a_swap_is_cancelled_while_it_is_prepared_and_another_takes_its_place() {
    let bench = Bench::start(&world(50), Version::First);
    bench.runs(Version::First);
    bench.has_had(100);
    let ((open, gate), (limits, told_limits)) = (bounded::<()>(0), unbounded());
    let mut held = version(&bench.world, Version::Second);
    held.operators[1] = Arc::new(Held { inner: held.operators[1].clone(), gate, limits });
    bench.swap_to(Version::First, Version::Second, held).expect("it fits");
    bench.handle.cancel_swap().expect("it is not handed over");
    bench.tells(&[cancelled]);
    assert_eq!(bench.handle.cancel_swap(), Err(Refusal::NoSwap));
    // The instances come when nobody waits for them any more.
    drop(open);
    for _ in 0..2 {
        told_limits.recv_timeout(PATIENCE).expect("each instance is given its limits");
    }
    bench.swap(Version::First, Version::Reordered).expect("it fits");
    bench.tells(&[prepared, probation]);
    bench.release(100);
    bench.tells(&[completed]);
    bench.finish(Version::Reordered);
}

#[test]
fn the_limits_of_a_running_operator_are_set_without_a_swap() {
    let bench = Bench::start(&world(50), Version::First);
    bench.runs(Version::First);
    bench.has_had(100);
    let ((open, gate), (limits, told_limits)) = (bounded::<()>(0), unbounded());
    drop(open);
    let mut watched = version(&bench.world, Version::Second);
    watched.operators[1] = Arc::new(Held { inner: watched.operators[1].clone(), gate, limits });
    bench.swap_to(Version::First, Version::Second, watched).expect("it fits");
    bench.tells(&[prepared, probation]);
    bench.release(100);
    bench.tells(&[completed]);
    while told_limits.try_recv().is_ok() {}
    let asked = OperatorLimits { batch_rows_max: 3, ..OperatorLimits::default() };
    assert_eq!(
        bench.handle.set_limits("nobody", asked.clone()),
        Err(Refusal::UnknownOperator("nobody".to_owned()))
    );
    bench.handle.set_limits(pipeline::COUNT, asked.clone()).expect("the operator runs");
    for _ in 0..2 {
        assert_eq!(told_limits.recv_timeout(PATIENCE), Ok(asked.clone()));
    }
    bench.finish(Version::Second);
}

fn in_doubt(fault: CommitFault, end: fn(&SwapNotice) -> bool, runs: Version) {
    let bench = Bench::start_with(&world(50), Version::First, None, Some(fault));
    bench.runs(Version::First);
    bench.has_had(100);
    bench.swap(Version::First, Version::Second).expect("it fits");
    bench.tells(&[prepared, probation]);
    bench.release(100);
    bench.tells(&[end]);
    bench.runs(runs);
    bench.finish(runs);
}

#[test]
fn a_commit_in_doubt_that_took_effect_completes_the_swap() {
    in_doubt(CommitFault::AnswerLost, completed, Version::Second);
}

#[test]
fn a_commit_in_doubt_that_took_no_effect_interrupts_the_swap() {
    in_doubt(CommitFault::RequestLost, interrupted, Version::First);
}

#[test]
fn a_swap_that_is_asked_for_during_recovery_begins_in_the_next_life() {
    let bench = Bench::start(&world(50), Version::First);
    bench.runs(Version::First);
    bench.has_had(100);
    bench.world.outside.lock().next_commit = Some(CommitFault::RequestLost);
    bench.release(100);
    let begun = std::time::Instant::now();
    while bench.meters.restarts.get() == 0 {
        assert!(begun.elapsed() < PATIENCE, "the life does not end");
        std::thread::yield_now();
    }
    bench.swap(Version::First, Version::Second).expect("the next life takes it");
    bench.runs(Version::First);
    bench.tells(&[prepared, probation]);
    bench.release(200);
    bench.tells(&[completed]);
    bench.finish(Version::Second);
}

#[test]
fn a_stop_in_probation_stops_with_the_old_version_and_loses_nothing() {
    let world = world(50);
    let bench = Bench::start(&world, Version::First);
    bench.runs(Version::First);
    bench.has_had(100);
    bench.swap(Version::First, Version::Second).expect("it fits");
    bench.tells(&[prepared, probation]);
    bench.release(60);
    bench.stop.send(()).expect("it runs");
    bench.tells(&[interrupted]);
    assert_eq!(bench.thread.join().expect("no panic"), Outcome::Stopped);
    // The process is started again, and told of a swap that may have been decided.
    let bench = Bench::start_with(&world, Version::First, Some(Version::Second), None);
    bench.runs(Version::First);
    bench.finish(Version::First);
}

#[test]
fn a_process_that_starts_with_a_candidate_runs_what_the_decision_names() {
    let world = world(50);
    let bench = Bench::start(&world, Version::First);
    bench.runs(Version::First);
    bench.has_had(100);
    bench.swap(Version::First, Version::Reordered).expect("it fits");
    bench.tells(&[prepared, probation]);
    bench.release(100);
    bench.tells(&[completed]);
    bench.stop.send(()).expect("it runs");
    assert_eq!(bench.thread.join().expect("no panic"), Outcome::Stopped);
    // Whoever keeps the book has not heard of the end.
    let bench = Bench::start_with(&world, Version::First, Some(Version::Reordered), None);
    assert_eq!(bench.next(), Told::Running(Version::Reordered.digest().to_owned(), true));
    bench.finish(Version::Reordered);
}

#[test]
fn what_is_no_swap_is_refused_with_the_way_out() {
    let bench = Bench::start(&world(50), Version::First);
    bench.runs(Version::First);
    let mut two = version(&bench.world, Version::Second);
    let mut plan = (*two.plan).clone();
    plan.shapes[1].outputs[0].keeps_key = false;
    two.plan = Arc::new(plan);
    let Err(Refusal::NotASwap(why)) = bench.swap_to(Version::First, Version::Second, two) else {
        panic!("a changed port is no swap")
    };
    assert!(why.contains("apply the change with a restart"), "{why}");
    let unknown = bench.handle.swap("nobody", version(&bench.world, Version::Second), Rules::default());
    assert_eq!(unknown, Err(Refusal::UnknownOperator("nobody".to_owned())));
    let handle = bench.handle.clone();
    bench.finish(Version::First);
    assert!(matches!(handle.cancel_swap(), Err(Refusal::NotRunning(_))));
}
