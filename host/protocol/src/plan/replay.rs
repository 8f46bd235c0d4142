//! The plan of a replay: the pipeline as it is, with its dead letters as sources and a router behind each.
//!
//! The pipeline's own sources are held where they stand. A letter that is not replayed leaves the router by
//! [`STAYS`], which leads back to its sink.

use super::*;
use crate::connector::StartPolicy;
use crate::position::{Partition, Positions};
use crate::replay::{Replay, Selection, Target};
use crate::state::OutputPort;

/// What a source of dead letters is called, in front of its sink's name. No name of a pipeline file has a colon.
const LETTERS: &str = "letters:";

/// And the router behind it.
const ROUTER: &str = "replay:";

/// The component of a router, which is none.
pub const ROUTER_COMPONENT: &str = "weir:replay";

/// The output port of letters that stay.
pub const STAYS: u8 = 0;

/// Output ports are bytes, and the first is [`STAYS`].
const TARGETS_MAX: usize = 255;

/// True for the name of a source of dead letters.
pub fn is_letters(source: &str) -> bool {
    source.starts_with(LETTERS)
}

/// The sink whose letters a source reads.
pub fn sink_of_letters(source: &str) -> Option<&str> {
    source.strip_prefix(LETTERS)
}

impl OperatorSpec {
    /// True for the router of a replay: the host's own, and nothing of the user's.
    pub fn is_router(&self) -> bool {
        self.component == ROUTER_COMPONENT && self.name.starts_with(ROUTER)
    }
}

impl SourceKind {
    /// True where the offsets of its partitions are part of a decision that is made of source offsets.
    pub fn decides(&self) -> bool {
        !matches!(self, SourceKind::DeadLetters { decides: false, .. })
    }

    /// False for a partition of a topic that the source does not read any more.
    pub fn may_have(&self, partition: &Partition) -> bool {
        match self {
            SourceKind::Kafka { topics, .. } => topics.iter().any(|topic| *topic == *partition.topic),
            SourceKind::DeadLetters { from, .. } => from.may_have(partition),
            SourceKind::Generator { .. } | SourceKind::Files { .. } => true,
        }
    }
}

impl Plan {
    /// True for the plan of a replay.
    pub fn is_replay(&self) -> bool {
        self.spec.sources.iter().any(|source| is_letters(&source.name))
    }

    /// True where the source is part of the plan and its offsets are part of a decision.
    pub fn decides(&self, source: &str) -> bool {
        self.spec.sources.iter().any(|spec| spec.name == source && spec.kind.decides())
    }

    /// True where the source of that name reads the partition, if it is there.
    pub fn reads(&self, source: &str, partition: &Partition) -> bool {
        self.spec.sources.iter().any(|spec| spec.name == source && spec.kind.may_have(partition))
    }

    /// The same replay of the letters up to here, by the names of their sources.
    #[must_use]
    pub fn with_letters_until(&self, until: &[(String, Positions)]) -> Plan {
        let mut plan = self.clone();
        for source in &mut plan.spec.sources {
            if let SourceKind::DeadLetters { ends, .. } = &mut source.kind {
                *ends = until.iter().find(|(name, _)| *name == source.name).map(|(_, ends)| ends.clone());
            }
        }
        plan
    }

    /// Of what there is per source, that of the sources whose offsets are part of a decision.
    pub fn deciding<'a, T>(&'a self, per_source: &'a [T]) -> impl Iterator<Item = &'a T> {
        let each = self.spec.sources.iter().zip(per_source);
        each.filter(|(spec, _)| spec.kind.decides()).map(|(_, of_source)| of_source)
    }

    /// An operator that is selected and that the pipeline does not have, and which it has.
    pub fn unknown_operator<'a>(&self, selection: &'a Selection) -> Option<(&'a str, String)> {
        let names: Vec<&str> = self.spec.operators.iter().map(|spec| spec.name.as_str()).collect();
        let unknown = selection.operators.iter().find(|name| !names.contains(&name.as_str()))?;
        Some((unknown, format!("the pipeline has no such operator; it has {}", names.join(", "))))
    }

    /// The plan that sends dead letters back. The routers stand behind the operators of the pipeline, in the order of
    /// the sources of letters.
    pub fn with_replay(&self, selection: &Selection) -> Result<Plan, Vec<Problem>> {
        let (mut spec, mut shapes) = (self.spec.clone(), self.shapes.clone());
        let problem =
            |path: &str, message: &str| Problem { path: path.to_owned(), message: message.to_owned() };
        if spec.guarantee == Guarantee::AtMostOnce {
            let message = "\"at_most_once\" has no checkpoints that a replay could be part of; send the letters back by hand";
            return Err(vec![problem("guarantee", message)]);
        }
        let (mut found, mut problems) = (false, Vec::new());
        for (index, sink) in self.spec.sinks.iter().enumerate() {
            let writers: Vec<usize> =
                (0..self.dead_letters.len()).filter(|at| self.dead_letters[*at] == Some(index)).collect();
            if writers.is_empty() {
                continue;
            }
            found = true;
            match self.letters_of(sink) {
                Ok((kind, decides)) => {
                    add(&mut spec, &mut shapes, sink, (kind, decides), &writers, selection)
                }
                Err(message) => problems.push(problem(&format!("sink.{}", sink.name), message)),
            }
        }
        if !found {
            let message =
                "no operator has on_error = { dead_letter = \"SINK\" }, so there are no dead letters";
            problems.push(problem("operator", message));
        }
        problems.extend(
            self.unknown_operator(selection).map(|(name, why)| problem(&format!("operator.{name}"), &why)),
        );
        if !problems.is_empty() {
            return Err(problems);
        }
        Plan::check(spec, &shapes.into_iter().map(Some).collect::<Vec<_>>())
    }

    /// How the letters of a sink are read again, and whether their offsets are part of the decision.
    pub(super) fn letters_of(&self, sink: &SinkSpec) -> Result<(SourceKind, bool), &'static str> {
        match &sink.kind {
            kind if self
                .spec
                .sinks
                .iter()
                .any(|other| other.name != sink.name && is_one_topic(&other.kind, kind)) =>
            {
                Err(
                    "another sink writes the same topic: letters of one sink need a topic of their own to be replayed",
                )
            }
            SinkKind::Kafka { headers: false, .. } => {
                Err("headers = false: its letters do not say what failed where, so they cannot be replayed")
            }
            SinkKind::Kafka { cluster, topic, .. } => {
                let decides = self.decider(|a, b| a == b) == Decider::SourcePartitions(cluster.clone());
                let kind = SourceKind::Kafka {
                    cluster: cluster.clone(),
                    topics: vec![topic.clone()],
                    start: StartPolicy::Earliest,
                };
                Ok((kind, decides))
            }
            SinkKind::Files { format: FileFormat::RawLines, .. } => Err(
                "format = \"raw_lines\": its letters do not say what failed where, so they cannot be replayed; use \"json_lines\"",
            ),
            SinkKind::Files { directory, format } => {
                // The names that the sink gives: name, epoch in twenty digits, subtask.
                let path = format!("{}/{}-0000000000*", directory.trim_end_matches('/'), sink.name);
                Ok((SourceKind::Files { paths: vec![path], format: *format }, false))
            }
            SinkKind::Stdout { .. } | SinkKind::Blackhole => {
                Err("what was written there cannot be read again: use a kafka or files sink for dead letters")
            }
        }
    }
}

fn is_one_topic(a: &SinkKind, b: &SinkKind) -> bool {
    let topic = |kind: &SinkKind| match kind {
        SinkKind::Kafka { cluster, topic, .. } => Some((cluster.clone(), topic.clone())),
        _ => None,
    };
    topic(a).is_some() && topic(a) == topic(b)
}

/// Adds a source of letters, its router, and a way into every input of the operators that write to the sink.
fn add(
    spec: &mut PipelineSpec,
    shapes: &mut Vec<OperatorShape>,
    sink: &SinkSpec,
    (from, decides): (SourceKind, bool),
    writers: &[usize],
    selection: &Selection,
) {
    let (letters, router) = (format!("{LETTERS}{}", sink.name), format!("{ROUTER}{}", sink.name));
    let mut targets = Vec::new();
    let mut outputs = vec![OutputPort { name: "stays".to_owned(), keeps_key: false }];
    for writer in writers {
        for port in &shapes[*writer].inputs {
            if targets.len() == TARGETS_MAX {
                break;
            }
            let operator = &mut spec.operators[*writer];
            targets.push(Target { operator: operator.name.clone(), port: port.clone() });
            let name = format!("t{}", targets.len());
            operator.inputs.push(InputSpec { from: format!("{router}.{name}"), port: Some(port.clone()) });
            // Letters lie in their topic as they came: their keys' owners are elsewhere.
            outputs.push(OutputPort { name, keeps_key: false });
        }
    }
    let pipeline = format!("{}{}", spec.id_prefix, spec.name);
    let replay = Replay { pipeline, selection: selection.clone(), targets };
    spec.sources.push(SourceSpec {
        name: letters.clone(),
        kind: SourceKind::DeadLetters { from: Box::new(from), decides, ends: None, replay },
        time: TimeSpec::default(),
    });
    spec.operators.push(OperatorSpec {
        name: router.clone(),
        inputs: vec![InputSpec::from(letters)],
        component: ROUTER_COMPONENT.to_owned(),
        config: Default::default(),
        on_error: OnError::Fail,
        breaker: BreakerSpec::default(),
        limits: OperatorLimits::default(),
        keeps_key: false,
        parallelism: None,
        null_key: NullKey::default(),
        drop_state: Vec::new(),
    });
    shapes.push(OperatorShape { inputs: vec!["in".to_owned()], outputs, ..OperatorShape::default() });
    if let Some(own) = spec.sinks.iter_mut().find(|own| own.name == sink.name) {
        own.inputs.push(format!("{router}.stays"));
    }
}

#[cfg(test)]
mod tests;
