//! The tasks of one incarnation: readers, operators with their state, writers, and the channels between them.

use crate::chain::{Chain, ChainParts};
use crate::connect::Connected;
use crate::inbox::Inbox;
use crate::keyed_calls::{KeyedCalls, KeyedCallsOptions};
use crate::keyed_start::KeyedStart;
use crate::operator_task::{OperatorTask, OperatorTaskOptions};
use crate::placement::Placement;
use crate::recovery::Recovered;
use crate::sink_task::SinkTask;
use crate::source_task::{SourceTask, SourceTaskOptions};
use crate::supervisor::Run;
use crate::wiring::{Wired, wire};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use weir_protocol::connector::{BatchLimits, ConnectorError, SourceReader};
use weir_protocol::epoch::Incarnation;
use weir_protocol::key_group::KeyGroups;
use weir_protocol::plan::{Downstream, Plan};
use weir_protocol::position::{Partition, Positions};
use weir_protocol::state::{Migrator, OpenState, SharedState, StatePart};

/// One task, ready to run.
pub struct Task {
    /// Its steps.
    pub chain: Chain,
    /// What comes in from other tasks.
    pub inbox: Inbox,
}

/// All tasks of an incarnation, in the order of their numbers.
pub struct Built {
    /// The tasks.
    pub tasks: Vec<Task>,
    /// Which of them reads which partition.
    pub placement: Placement,
    /// When all sources have ended, event time has too.
    pub drains: bool,
}

/// Makes all tasks. State is restored here.
pub fn tasks(
    run: &Run,
    incarnation: &Incarnation,
    connected: &mut Connected,
    recovered: &Recovered,
    ended: &Arc<AtomicBool>,
) -> Result<Built, ConnectorError> {
    let plan = &run.plan;
    // Without keyed operators nothing is sent by key.
    let groups = recovered.keyed.as_ref().map_or(KeyGroups::plain(1), |keyed| keyed.groups);
    let placement = Placement::new(plan, recovered.keyed.as_ref().map(|keyed| keyed.groups));
    let drained = run.drain && run.until_end;
    let drains = connected.sources.iter().all(|source| source.is_finite() || drained);
    let live = Live::prepare(run, incarnation)?;
    let mut ends = Vec::new();
    for (source, positions) in connected.sources.iter_mut().zip(&recovered.positions) {
        let partitions: Vec<Partition> = positions.keys().cloned().collect();
        ends.push(if run.until_end { Some(source.ends(&partitions)?) } else { None });
    }
    let mut builder = Builder { run, connected, recovered, placement, ends, live };
    let mut built = Vec::new();
    for (number, wired) in wire(plan, groups, ended).into_iter().enumerate() {
        built.push(builder.task(number, wired)?);
    }
    Ok(Built { tasks: built, placement: builder.placement, drains })
}

/// The directory of this incarnation's live databases. Those of earlier ones are of no use to anybody.
struct Live {
    directory: PathBuf,
}

impl Live {
    fn prepare(run: &Run, incarnation: &Incarnation) -> Result<Live, ConnectorError> {
        let all = run.directory.join("live");
        let directory = all.join(incarnation.to_string());
        if !run.plan.is_keyed() {
            return Ok(Live { directory });
        }
        let failed = |error: std::io::Error| {
            ConnectorError::transient(format!("{} cannot be prepared: {error}", all.display()))
        };
        match std::fs::remove_dir_all(&all) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        std::fs::create_dir_all(&directory).map_err(failed)?;
        Ok(Live { directory })
    }
}

struct Builder<'a> {
    run: &'a Run,
    connected: &'a mut Connected,
    recovered: &'a Recovered,
    placement: Placement,
    ends: Vec<Option<Positions>>,
    live: Live,
}

impl Builder<'_> {
    fn task(&mut self, number: usize, wired: Wired) -> Result<Task, ConnectorError> {
        let plan = self.run.plan.clone();
        let stage = &plan.stages[wired.stage];
        let mut sources = Vec::new();
        for source in &stage.sources {
            sources.push((*source, self.source(*source, wired.subtask)?));
        }
        let mut operators = Vec::new();
        for operator in &stage.operators {
            let (task, ordinals) = self.operator(*operator, wired.subtask, stage.parallelism)?;
            operators.push((*operator, task, ordinals));
        }
        let mut sinks = Vec::new();
        for sink in &stage.sinks {
            // Writers are numbered over all stages: a sink may be written by several.
            sinks.push((*sink, SinkTask::new(self.connected.sinks[*sink].writer(number)?)));
        }
        let parts =
            ChainParts { subtask: wired.subtask, sources, operators, sinks, exchanges: wired.exchanges };
        let mut chain = Chain::new(plan.clone(), parts, self.run.meters.clone(), self.recovered.now_ms);
        for operator in &stage.operators {
            let name = &plan.spec.operators[*operator].name;
            if let Some(watermark_ms) = self.recovered.operator_watermarks.get(name) {
                chain.start_at(*operator, *watermark_ms);
            }
        }
        Ok(Task { chain, inbox: wired.inbox })
    }

    fn source(&mut self, index: usize, subtask: usize) -> Result<SourceTask, ConnectorError> {
        let spec = &self.run.plan.spec.sources[index];
        let start = self.placement.share(&self.recovered.positions[index], index, subtask);
        let ends = self.ends[index].as_ref().map(|ends| {
            let own = ends.iter().filter(|(partition, _)| start.contains_key(*partition));
            own.map(|(partition, end)| (partition.clone(), *end)).collect::<Positions>()
        });
        let source = &mut self.connected.sources[index];
        let reader: Box<dyn SourceReader> = source.reader(&start, ends.as_ref())?;
        let known = &self.recovered.watermarks;
        let highest = start.keys().map(|partition| {
            let found = known.iter().find(|w| w.source == spec.name && w.partition == *partition);
            (partition.clone(), found.map(|watermark| watermark.highest_ms))
        });
        let options = SourceTaskOptions {
            limits: batch_limits(&self.run.plan),
            time: spec.time.clone(),
            drains: source.is_finite() || (self.run.drain && self.run.until_end),
            highest: highest.collect(),
        };
        Ok(SourceTask::new(reader, options))
    }

    fn operator(
        &mut self,
        index: usize,
        subtask: usize,
        subtasks: usize,
    ) -> Result<(OperatorTask, Range<u32>), ConnectorError> {
        let (plan, factory) = (&self.run.plan, &self.run.operators[index]);
        let smallest = |consumers: &Vec<Downstream>| {
            let sinks = consumers.iter().filter_map(|consumer| match consumer {
                Downstream::Sink(sink) => self.connected.sinks[*sink].record_bytes_max(),
                Downstream::Operator(..) | Downstream::Exchange(_) => None,
            });
            sinks.min()
        };
        let options = OperatorTaskOptions {
            index,
            spec: plan.spec.operators[index].clone(),
            digest: factory.digest().to_owned(),
            ports: plan.shapes[index].outputs.len(),
            record_bytes_max: plan.from_operator[index].iter().map(smallest).collect(),
            dead_letter_bytes_max: plan.dead_letters[index]
                .and_then(|sink| self.connected.sinks[sink].record_bytes_max()),
            clock: self.run.clock.clone(),
            meters: self.run.meters.clone(),
        };
        let Some(keyed) = self.recovered.keyed.as_ref().filter(|_| plan.shapes[index].is_keyed()) else {
            return Ok((OperatorTask::new(factory.operator(subtask, None)?, None, options), 0..0));
        };
        let ordinals = keyed.groups.owned(subtask, subtasks);
        let state = self.state(index, subtask, keyed, ordinals.clone())?;
        let calls = KeyedCalls::new(KeyedCallsOptions {
            operator: options.spec.name.clone(),
            state: state.clone(),
            groups: keyed.groups,
            ordinals: ordinals.clone(),
            null_key: options.spec.null_key,
        });
        Ok((OperatorTask::new(factory.operator(subtask, Some(state))?, Some(calls), options), ordinals))
    }

    /// Opens the state of one operator's subtask as the decided checkpoint left it.
    fn state(
        &self,
        index: usize,
        subtask: usize,
        keyed: &KeyedStart,
        ordinals: Range<u32>,
    ) -> Result<SharedState, ConnectorError> {
        let (plan, spec) = (&self.run.plan, &self.run.plan.spec.operators[index]);
        let divided_anew = keyed.states.groups != keyed.groups;
        let overlaps = |part: &&StatePart| {
            let meets = part.ordinal_start < ordinals.end && ordinals.start < part.ordinal_end;
            part.operator == spec.name && (divided_anew || meets)
        };
        let restore: Vec<(PathBuf, StatePart)> = keyed
            .checkpoint
            .iter()
            .flat_map(|checkpoint| {
                let parts = keyed.states.parts.iter().filter(overlaps);
                parts.map(|part| (checkpoint.join(part.directory()), part.clone()))
            })
            .collect();
        let live = self.live.directory.join(format!("{}-{subtask}", spec.name));
        let changes = &keyed.changes[index];
        for name in changes.needless.iter().filter(|_| subtask == 0) {
            tracing::warn!(
                operator = spec.name,
                "drop_state names {name:?}, which neither the checkpoint nor the component has"
            );
        }
        let mut migrator =
            if changes.migrate.is_empty() { None } else { self.run.operators[index].migrator()? };
        let open = OpenState {
            operator: &spec.name,
            subtask,
            shape: &plan.shapes[index],
            drop_states: &changes.drop_states,
            drop_timers: &changes.drop_timers,
            migrate: &changes.migrate,
            groups: keyed.groups,
            restored_groups: keyed.states.groups,
            ordinals,
            live: &live,
            restore: &restore,
            page_bytes_max: spec.limits.state_page_bytes_max,
            writes_bytes_max: spec.limits.state_writes_bytes,
            reads_bytes_max: spec.limits.state_reads_bytes,
        };
        let before = self.run.clock.monotonic();
        let migrator = migrator.as_mut().map(|migrator| migrator.as_mut() as &mut dyn Migrator);
        let (state, restored) = self.connected.states.open(&open, migrator)?;
        if !restore.is_empty() {
            let took_ms = (self.run.clock.monotonic() - before).as_millis() as u64;
            tracing::info!(
                operator = spec.name,
                subtask,
                linked_bytes = restored.linked_bytes,
                copied_bytes = restored.copied_bytes,
                migrated_entries = restored.migrated_entries,
                took_ms,
                "state restored"
            );
        }
        Ok(Arc::new(Mutex::new(state)))
    }
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
