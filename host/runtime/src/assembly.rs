//! The tasks of one incarnation: readers, operators with their state, writers, and the channels between them.

use crate::chain::{Chain, ChainParts};
use crate::connect::Connected;
use crate::inbox::Inbox;
use crate::keyed_calls::{KeyedCalls, KeyedCallsOptions};
use crate::keyed_start::KeyedStart;
use crate::operator_task::{OperatorTask, OperatorTaskOptions};
use crate::placement::Placement;
use crate::recovery::Recovered;
use crate::replay::{HeldReader, LettersReader};
use crate::sink_task::SinkTask;
use crate::source_task::{SourceTask, SourceTaskOptions};
use crate::state_opening::StateOpening;
use crate::successor::OperatorPlace;
use crate::supervisor::Run;
use crate::version::Version;
use crate::waits::Waits;
use crate::wiring::{Wired, wire};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use weir_protocol::connector::{BatchLimits, ConnectorError, SourceReader};
use weir_protocol::epoch::Incarnation;
use weir_protocol::key_group::KeyGroups;
use weir_protocol::plan::replay::is_letters;
use weir_protocol::plan::{Downstream, Plan, SourceKind, SourceSpec, TimeSpec};
use weir_protocol::position::{Partition, Position, Positions};
use weir_protocol::state::SharedState;

/// One task, ready to run.
pub struct Task {
    /// Its steps.
    pub chain: Chain,
    /// What comes in from other tasks.
    pub inbox: Inbox,
    /// How it waits.
    pub waits: Waits,
}

/// All tasks of an incarnation, in the order of their numbers.
pub struct Built {
    /// The tasks.
    pub tasks: Vec<Task>,
    /// Which of them reads which partition.
    pub placement: Placement,
    /// When all sources have ended, event time has too.
    pub drains: bool,
    /// Where each operator runs.
    pub places: Vec<OperatorPlace>,
}

/// Makes all tasks. State is restored here.
pub fn tasks(
    run: &Run,
    version: &Version,
    incarnation: &Incarnation,
    connected: &mut Connected,
    recovered: &Recovered,
    ended: &Arc<AtomicBool>,
) -> Result<Built, ConnectorError> {
    let plan = &version.plan;
    // Without keyed operators nothing is sent by key.
    let groups = recovered.keyed.as_ref().map_or(KeyGroups::plain(1), |keyed| keyed.groups);
    let placement = Placement::new(plan, recovered.keyed.as_ref().map(|keyed| keyed.groups));
    let drained = run.drain && run.until_end;
    let replays = plan.is_replay();
    let drains = !replays && connected.sources.iter().all(|source| source.is_finite() || drained);
    let live = Live::prepare(run, plan, incarnation)?;
    let mut ends = Vec::new();
    let read = plan.spec.sources.iter().zip(&mut connected.sources);
    for ((spec, source), positions) in read.zip(&recovered.positions) {
        let partitions: Vec<Partition> = positions.keys().cloned().collect();
        ends.push(match letters_end(spec) {
            Some(fixed) => Some(ends_of_replay(fixed, positions, &source.ends(&partitions)?)),
            None if replays && !is_letters(&spec.name) => None,
            None if run.until_end || replays => {
                // A position behind the end would look like one that has reached it.
                source.check_start(positions)?;
                Some(source.ends(&partitions)?)
            }
            None => None,
        });
    }
    let places = Vec::new();
    let mut builder = Builder { run, version, connected, recovered, placement, ends, live, places };
    let mut built = Vec::new();
    let waits = run.meters.subtasks.iter().map(|meters| Waits {
        ended: ended.clone(),
        clock: run.clock.clone(),
        meters: meters.clone(),
    });
    let waits: Vec<Waits> = waits.collect();
    for (number, (wired, waits)) in wire(plan, groups, &waits).into_iter().zip(waits).enumerate() {
        built.push(builder.task(number, wired, waits)?);
    }
    Ok(Built { tasks: built, placement: builder.placement, drains, places: builder.places })
}

fn letters_end(spec: &SourceSpec) -> Option<&Positions> {
    match &spec.kind {
        SourceKind::DeadLetters { ends, .. } => ends.as_ref(),
        _ => None,
    }
}

/// What the replay itself writes is not of it, also behind a restart: neither behind the ends that it was given, nor in a
/// partition that came to be since. What is gone since is not waited for.
fn ends_of_replay(fixed: &Positions, start: &Positions, now: &Positions) -> Positions {
    let end = |(partition, start): (&Partition, &Position)| {
        let fixed = fixed.get(partition).unwrap_or(start);
        let end = now.get(partition).map_or(fixed, |now| if now.offset < fixed.offset { now } else { fixed });
        (partition.clone(), *end)
    };
    start.iter().map(end).collect()
}

/// A source that is held is not idle: its records come when the replay is over, and are not late then.
fn time_while_held(time: &TimeSpec) -> TimeSpec {
    TimeSpec { idleness: None, ..time.clone() }
}

/// The directory of this incarnation's live databases. Those of earlier ones are of no use to anybody.
struct Live {
    directory: PathBuf,
}

impl Live {
    fn prepare(run: &Run, plan: &Plan, incarnation: &Incarnation) -> Result<Live, ConnectorError> {
        let all = run.directory.join("live");
        let directory = all.join(incarnation.to_string());
        if !plan.is_keyed() {
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
    version: &'a Version,
    connected: &'a mut Connected,
    recovered: &'a Recovered,
    placement: Placement,
    ends: Vec<Option<Positions>>,
    live: Live,
    places: Vec<OperatorPlace>,
}

impl Builder<'_> {
    fn task(&mut self, number: usize, wired: Wired, waits: Waits) -> Result<Task, ConnectorError> {
        let plan = self.version.plan.clone();
        let stage = &plan.stages[wired.stage];
        let mut sources = Vec::new();
        for source in &stage.sources {
            sources.push((*source, self.source(*source, wired.subtask)?));
        }
        let mut operators = Vec::new();
        for operator in &stage.operators {
            let (task, ordinals) = self.operator(*operator, number, (wired.subtask, stage.parallelism))?;
            operators.push((*operator, task, ordinals));
        }
        let mut sinks = Vec::new();
        for sink in &stage.sinks {
            // Writers are numbered over all stages: a sink may be written by several.
            sinks.push((*sink, SinkTask::new(self.connected.sinks[*sink].writer(number)?)));
        }
        let parts =
            ChainParts { subtask: wired.subtask, sources, operators, sinks, exchanges: wired.exchanges };
        let meters = (self.run.meters.clone(), waits.meters.clone());
        let mut chain = Chain::new(plan.clone(), parts, meters, self.recovered.now_ms);
        for operator in &stage.operators {
            let name = &plan.spec.operators[*operator].name;
            if let Some(watermark_ms) = self.recovered.operator_watermarks.get(name) {
                chain.start_at(*operator, *watermark_ms);
            }
        }
        Ok(Task { chain, inbox: wired.inbox, waits })
    }

    fn source(&mut self, index: usize, subtask: usize) -> Result<SourceTask, ConnectorError> {
        let spec = &self.version.plan.spec.sources[index];
        let start = self.placement.share(&self.recovered.positions[index], index, subtask);
        let ends = self.ends[index].as_ref().map(|ends| {
            let own = ends.iter().filter(|(partition, _)| start.contains_key(*partition));
            own.map(|(partition, end)| (partition.clone(), *end)).collect::<Positions>()
        });
        let source = &mut self.connected.sources[index];
        // In a replay only letters are read; everything else is held where it stands.
        let replay = match &spec.kind {
            SourceKind::DeadLetters { replay, .. } => Some(replay.clone()),
            _ => None,
        };
        let replays = self.version.plan.is_replay();
        let is_held = replays && replay.is_none();
        let reader: Box<dyn SourceReader> = match replay.clone() {
            Some(replay) => Box::new(LettersReader::new(source.reader(&start, ends.as_ref())?, replay)),
            None if is_held => Box::new(HeldReader::new(start.clone())),
            None => source.reader(&start, ends.as_ref())?,
        };
        let known = &self.recovered.watermarks;
        let highest = start.keys().map(|partition| {
            let found = known.iter().find(|w| w.source == spec.name && w.partition == *partition);
            (partition.clone(), found.map(|watermark| watermark.highest_ms))
        });
        // Letters hold no event time back, and move none: a source of no partitions is idle.
        let highest = highest.filter(|_| replay.is_none());
        let options = SourceTaskOptions {
            limits: batch_limits(&self.version.plan),
            time: if is_held { time_while_held(&spec.time) } else { spec.time.clone() },
            drains: !replays && (source.is_finite() || (self.run.drain && self.run.until_end)),
            highest: highest.collect(),
        };
        Ok(SourceTask::new(reader, options))
    }

    fn operator(
        &mut self,
        index: usize,
        task: usize,
        (subtask, subtasks): (usize, usize),
    ) -> Result<(OperatorTask, Range<u32>), ConnectorError> {
        let (plan, factory) = (&self.version.plan, &self.version.operators[index]);
        let smallest = |consumers: &Vec<Downstream>| {
            let sinks = consumers.iter().filter_map(|consumer| match consumer {
                Downstream::Sink(sink) => self.connected.sinks[*sink].record_bytes_max(),
                Downstream::Operator(..) | Downstream::Exchange(_) => None,
            });
            sinks.min()
        };
        let options = OperatorTaskOptions {
            pipeline: format!("{}{}", plan.spec.id_prefix, plan.spec.name),
            index,
            spec: plan.spec.operators[index].clone(),
            digest: factory.digest().to_owned(),
            input_ports: plan.shapes[index].inputs.clone(),
            ports: plan.shapes[index].outputs.len(),
            record_bytes_max: plan.from_operator[index].iter().map(smallest).collect(),
            dead_letter_bytes_max: plan.dead_letters[index]
                .and_then(|sink| self.connected.sinks[sink].record_bytes_max()),
            clock: self.run.clock.clone(),
            meters: self.run.meters.clone(),
        };
        let keyed = self.recovered.keyed.as_ref().filter(|_| plan.shapes[index].is_keyed());
        let Some(keyed) = keyed else {
            let mut operator = factory.operator(subtask, None)?;
            operator.set_limits(&options.spec.limits);
            self.places.push(OperatorPlace { operator: index, task, subtask, keyed: None });
            return Ok((OperatorTask::new(operator, None, options), 0..0));
        };
        let ordinals = keyed.groups.owned(subtask, subtasks);
        let opening = self.opening(index, subtask, keyed, ordinals.clone());
        let parts = keyed.checkpoint.as_ref().map_or(&[][..], |_| &keyed.states.parts);
        let state: SharedState = Arc::new(Mutex::new(opening.open(keyed.checkpoint.as_deref(), parts)?));
        let calls = KeyedCalls::new(KeyedCallsOptions {
            operator: options.spec.name.clone(),
            state: state.clone(),
            groups: keyed.groups,
            ordinals: ordinals.clone(),
            null_key: options.spec.null_key,
        });
        let mut operator = factory.operator(subtask, Some(state.clone()))?;
        operator.set_limits(&options.spec.limits);
        let keyed = Some((state, opening));
        self.places.push(OperatorPlace { operator: index, task, subtask, keyed });
        Ok((OperatorTask::new(operator, Some(calls), options), ordinals))
    }

    /// How the state of one operator's subtask is opened.
    fn opening(
        &self,
        index: usize,
        subtask: usize,
        keyed: &KeyedStart,
        ordinals: Range<u32>,
    ) -> StateOpening {
        let plan = self.version.plan.clone();
        let live = self.live.directory.join(format!("{}-{subtask}", plan.spec.operators[index].name));
        StateOpening {
            backend: self.connected.states.clone(),
            plan,
            operator: index,
            factory: self.version.operators[index].clone(),
            subtask,
            groups: keyed.groups,
            restored_groups: keyed.states.groups,
            ordinals,
            changes: keyed.changes[index].clone(),
            live,
            clock: self.run.clock.clone(),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn at(entries: &[(i32, i64)]) -> Positions {
        entries
            .iter()
            .map(|(number, offset)| (Partition::new("dead", *number), Position::at(*offset)))
            .collect()
    }

    #[test]
    fn a_replay_ends_where_it_was_told_or_where_less_is_left_and_reads_nothing_that_came_since() {
        let (fixed, start) = (at(&[(0, 100), (1, 50)]), at(&[(0, 7), (1, 0), (2, 3)]));
        let now = at(&[(0, 120), (1, 0), (2, 9)]);
        assert_eq!(ends_of_replay(&fixed, &start, &now), at(&[(0, 100), (1, 0), (2, 3)]));
    }
}
