//! One life of a pipeline: recovery, subtasks, coordination, and the end of all of them.

use crate::at_most_once;
use crate::chain::Chain;
use crate::coordinator::{Coordinator, CoordinatorOptions, Finished, StopRequests};
use crate::meters::LastCheckpoint;
use crate::operator_task::{OperatorTask, OperatorTaskOptions};
use crate::recovery::{Recovered, Recovery};
use crate::sink_task::SinkTask;
use crate::source_task::SourceTask;
use crate::subtask::{Command, Report, Subtask};
use crate::supervisor::Run;
use crate::{checkpoint_store::CheckpointStore, connect::Connected};
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use weir_protocol::connector::{BatchLimits, ConnectorError, ErrorKind};
use weir_protocol::epoch::Incarnation;
use weir_protocol::plan::{Downstream, Guarantee, Plan};
use weir_protocol::position::{Partition, Positions};

/// Subtasks that are in a guest's call when the incarnation ends are left behind after this time; their limits end them.
const LEAVE_BEHIND_AFTER: Duration = Duration::from_secs(2);

/// What is known of an incarnation that ended with an error.
#[derive(Debug)]
pub struct Failed {
    /// Why.
    pub error: ConnectorError,
    /// The partitions that it read, once its start was decided; empty before.
    pub partitions: Vec<Partition>,
    /// A graceful stop was asked for and could not be completed.
    pub stop_asked: bool,
}

/// Runs one incarnation to its end.
pub fn run(run: &Run, incarnation: &Incarnation, store: &CheckpointStore) -> Result<Finished, Failed> {
    let undecided = |error| Failed { error, partitions: vec![], stop_asked: false };
    let mut connected = run.connectors.connect(incarnation).map_err(undecided)?;
    let operators: BTreeMap<String, String> = run
        .plan
        .spec
        .operators
        .iter()
        .zip(&run.operators)
        .map(|(spec, factory)| (spec.name.clone(), factory.digest().to_owned()))
        .collect();
    let recovery = Recovery {
        plan: &run.plan,
        owner: &run.owner,
        incarnation,
        store,
        operators: &operators,
        wall_ms: run.clock.wall_ms(),
    };
    let recovered = recovery.run(&mut connected).map_err(undecided)?;
    let start = LastCheckpoint { epoch: recovered.start.epoch.0, took: Duration::ZERO };
    run.meters.decided(start, run.meters.records_in.get());
    let partitions: Vec<Partition> = recovered.positions.iter().flat_map(|p| p.keys().cloned()).collect();
    let stop_asked = AtomicBool::new(false);
    coordinate(run, incarnation, store, &mut connected, recovered, operators, &stop_asked).map_err(|error| {
        let stop_asked = stop_asked.load(Ordering::Relaxed);
        // Where another incarnation follows, its fence does the same.
        if stop_asked || matches!(error.kind, ErrorKind::Permanent | ErrorKind::Refused) {
            connected.decisions.abandon();
        }
        Failed { error, partitions, stop_asked }
    })
}

fn coordinate(
    run: &Run,
    incarnation: &Incarnation,
    store: &CheckpointStore,
    connected: &mut Connected,
    recovered: Recovered,
    operators: BTreeMap<String, String>,
    stop_asked: &AtomicBool,
) -> Result<Finished, ConnectorError> {
    let chains = chains(run, connected, &recovered)?;
    let (reports_to, reports) = unbounded();
    let (alive, all_gone) = bounded::<()>(0);
    let ended = Arc::new(AtomicBool::new(false));
    let mut commands = Vec::new();
    for (number, chain) in chains.into_iter().enumerate() {
        let (to, from) = unbounded();
        commands.push(to);
        let subtask = Subtask {
            number,
            chain,
            commands: from,
            reports: reports_to.clone(),
            ended: ended.clone(),
            sink_buffer_bytes_max: run.plan.spec.sink_buffer_bytes_max,
            guarantee: run.plan.spec.guarantee,
            clock: run.clock.clone(),
            meters: run.meters.clone(),
        };
        spawn(subtask, reports_to.clone(), alive.clone())?;
    }
    drop((reports_to, alive));
    let options = CoordinatorOptions {
        plan: run.plan.clone(),
        owner: run.owner.clone(),
        incarnation: incarnation.clone(),
        operators,
        recovered,
        until_end: run.until_end,
        clock: run.clock.clone(),
        meters: run.meters.clone(),
    };
    let result = finish(
        options,
        connected,
        store,
        commands,
        &reports,
        StopRequests { from: &run.stop, asked: stop_asked },
    );
    ended.store(true, Ordering::Relaxed);
    // Nothing is ever sent here: the channel ends when the last subtask does.
    if all_gone.recv_timeout(LEAVE_BEHIND_AFTER) == Err(crossbeam_channel::RecvTimeoutError::Timeout) {
        tracing::warn!(
            "a subtask is still in a call of its operator and is left behind; its limits will end it"
        );
    }
    result
}

/// Coordinates; the subtasks' commands end with it.
fn finish(
    options: CoordinatorOptions,
    connected: &mut Connected,
    store: &CheckpointStore,
    commands: Vec<Sender<Command>>,
    reports: &Receiver<Report>,
    stop: StopRequests<'_>,
) -> Result<Finished, ConnectorError> {
    if options.plan.spec.guarantee == Guarantee::AtMostOnce {
        return at_most_once::run(&options, connected, &commands, reports, stop);
    }
    Coordinator::new(options, connected, store, commands).run(reports, stop)
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

/// Which partitions a subtask reads: every n-th, so that each has its share of every source.
fn share(positions: &Positions, source: usize, subtask: usize, subtasks: usize) -> Positions {
    positions
        .iter()
        .enumerate()
        .filter(|(index, _)| (index + source) % subtasks == subtask)
        .map(|(_, (partition, position))| (partition.clone(), *position))
        .collect()
}

fn chains(run: &Run, connected: &mut Connected, recovered: &Recovered) -> Result<Vec<Chain>, ConnectorError> {
    let subtasks = run.plan.spec.parallelism;
    let mut ends = Vec::new();
    for (source, positions) in connected.sources.iter_mut().zip(&recovered.positions) {
        let partitions: Vec<Partition> = positions.keys().cloned().collect();
        ends.push(if run.until_end { Some(source.ends(&partitions)?) } else { None });
    }
    let mut chains = Vec::new();
    for subtask in 0..subtasks {
        let mut sources = Vec::new();
        for (index, source) in connected.sources.iter_mut().enumerate() {
            let start = share(&recovered.positions[index], index, subtask, subtasks);
            let own_ends = ends[index].as_ref().map(|ends| {
                ends.iter()
                    .filter(|(p, _)| start.contains_key(*p))
                    .map(|(p, e)| (p.clone(), *e))
                    .collect::<Positions>()
            });
            let reader = source.reader(&start, own_ends.as_ref())?;
            sources.push(SourceTask::new(reader, batch_limits(&run.plan)));
        }
        let operators = operators(run, connected, subtask)?;
        let mut sinks = Vec::new();
        for sink in &mut connected.sinks {
            sinks.push(SinkTask::new(sink.writer(subtask)?));
        }
        let (plan, meters) = (run.plan.clone(), run.meters.clone());
        chains.push(Chain::new(plan, sources, operators, sinks, meters, recovered.now_ms));
    }
    Ok(chains)
}

/// The smallest batch that any operator asks for, so that a source's batch is one call.
fn batch_limits(plan: &Plan) -> BatchLimits {
    let defaults = weir_protocol::plan::OperatorLimits::default();
    let all = || plan.spec.operators.iter().map(|operator| &operator.limits);
    BatchLimits {
        rows_max: all().map(|limits| limits.batch_rows_max).min().unwrap_or(defaults.batch_rows_max),
        bytes_max: all().map(|limits| limits.batch_bytes_max).min().unwrap_or(defaults.batch_bytes_max),
    }
}

fn operators(run: &Run, connected: &Connected, subtask: usize) -> Result<Vec<OperatorTask>, ConnectorError> {
    let plan = &run.plan;
    let mut tasks = Vec::new();
    for (index, factory) in run.operators.iter().enumerate() {
        let smallest = |consumers: &Vec<Downstream>| {
            let sinks = consumers.iter().filter_map(|consumer| match consumer {
                Downstream::Sink(sink) => connected.sinks[*sink].record_bytes_max(),
                Downstream::Operator(_) => None,
            });
            sinks.min()
        };
        let options = OperatorTaskOptions {
            index,
            spec: plan.spec.operators[index].clone(),
            digest: factory.digest().to_owned(),
            ports: factory.output_ports(),
            record_bytes_max: plan.from_operator[index].iter().map(smallest).collect(),
            dead_letter_bytes_max: plan.dead_letters[index]
                .and_then(|sink| connected.sinks[sink].record_bytes_max()),
            clock: run.clock.clone(),
            meters: run.meters.clone(),
        };
        tasks.push(OperatorTask::new(factory.operator(subtask)?, options));
    }
    Ok(tasks)
}
