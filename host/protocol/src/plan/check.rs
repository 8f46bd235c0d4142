//! Judges a specification: all problems at once, each with the path of its key.

use super::graph::Edges;
use super::*;
use crate::compatibility::drops_what_is_declared;
use crate::key_group::MAX_PARALLELISM_LIMIT;
use crate::state::OutputPort;
use std::collections::BTreeSet;
use std::time::Duration;

impl Plan {
    /// Checks a specification. `shapes` tells what each operator is, in the order of `spec.operators`; `None` where
    /// that is not known yet (`weir validate` without the components): then every port name is taken.
    pub fn check(spec: PipelineSpec, shapes: &[Option<OperatorShape>]) -> Result<Plan, Vec<Problem>> {
        let mut checker = Checker { spec: &spec, shapes, problems: Vec::new() };
        checker.names();
        checker.numbers();
        checker.clusters();
        checker.guarantee();
        checker.keyed();
        let edges = checker.edges();
        let dead_letters = checker.dead_letters();
        let order = checker.order();
        let problems = checker.problems;
        if !problems.is_empty() {
            return Err(problems);
        }
        let shapes = (0..spec.operators.len())
            .map(|index| shapes.get(index).cloned().flatten().unwrap_or_else(shape_of_mapper))
            .collect();
        let Edges { from_source, from_operator, inputs } = edges;
        let (exchanges, stages) = (Vec::new(), Vec::new());
        let mut plan =
            Plan { spec, shapes, from_source, from_operator, inputs, dead_letters, order, exchanges, stages };
        plan.cut_into_stages();
        Ok(plan)
    }
}

/// Below this a block cache and two write buffers do not fit.
const STATE_MEMORY_MIN: usize = 8 << 20;

/// One input, one output, nothing kept.
fn shape_of_mapper() -> OperatorShape {
    let outputs = vec![OutputPort { name: "out".to_owned(), keeps_key: false }];
    OperatorShape { inputs: vec!["in".to_owned()], outputs, ..OperatorShape::default() }
}

/// Gathers problems while it reads a specification.
pub(super) struct Checker<'a> {
    pub(super) spec: &'a PipelineSpec,
    pub(super) shapes: &'a [Option<OperatorShape>],
    problems: Vec<Problem>,
}

impl Checker<'_> {
    /// Notes a problem.
    pub(super) fn problem(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.problems.push(Problem { path: path.into(), message: message.into() });
    }

    fn names(&mut self) {
        let spec = self.spec;
        let fits = |name: &str| {
            !name.is_empty()
                && name.len() <= 100
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
        };
        if !fits(&spec.name) {
            self.problem("name", format!("{:?}: expected 1 to 100 of a-z A-Z 0-9 _ -", spec.name));
        }
        let mut seen = BTreeSet::new();
        let sources = spec.sources.iter().map(|s| ("source", &s.name));
        let operators = spec.operators.iter().map(|o| ("operator", &o.name));
        let sinks = spec.sinks.iter().map(|s| ("sink", &s.name));
        let own = |name: &String| {
            let letters = |source: &SourceSpec| matches!(source.kind, SourceKind::DeadLetters { .. });
            spec.sources.iter().any(|source| source.name == *name && letters(source))
                || spec.operators.iter().any(|operator| operator.name == *name && operator.is_router())
        };
        for (kind, name) in sources.chain(operators).chain(sinks) {
            if !fits(name) && !own(name) {
                self.problem(format!("{kind}.{name}"), "expected a name of 1 to 100 of a-z A-Z 0-9 _ -");
            }
            if !seen.insert(name) {
                self.problem(
                    format!("{kind}.{name}"),
                    "the name is used twice; sources, operators and sinks share one space of names",
                );
            }
        }
        if spec.sources.is_empty() {
            self.problem("source", "there is none; add a section [source.NAME]");
        }
        if spec.sinks.iter().all(|sink| sink.inputs.is_empty()) {
            self.problem("sink", "no sink has an input; add a section [sink.NAME] with input = \"...\"");
        }
    }

    fn numbers(&mut self) {
        let spec = self.spec;
        let checkpoint = &spec.checkpoint;
        if spec.parallelism == 0 || spec.parallelism > 256 {
            self.problem("parallelism", format!("{}: expected 1 to 256", spec.parallelism));
        }
        if checkpoint.interval < Duration::from_millis(200) {
            self.problem("checkpoint.interval", format!("{:?}: expected at least 200ms (two transactional ids need that long to be made ready again)", checkpoint.interval));
        }
        if checkpoint.timeout.is_zero() {
            self.problem("checkpoint.timeout", "expected more than 0");
        }
        if checkpoint.max_concurrent != 1 {
            self.problem("checkpoint.max_concurrent", format!("{}: expected 1: an epoch is one transaction and epochs are decided in order, so a second one in flight would gain nothing", checkpoint.max_concurrent));
        }
        if checkpoint.retain < 2 {
            self.problem("checkpoint.retain", format!("{}: expected at least 2", checkpoint.retain));
        }
        if spec.savepoint.keep == 0 {
            self.problem("savepoint.keep", "0: expected at least 1");
        }
        if let Some(every) = spec.savepoint.every
            && every < checkpoint.interval
        {
            self.problem("savepoint.every", format!("{every:?}: expected at least checkpoint.interval ({:?}), for a savepoint is a copy of a checkpoint", checkpoint.interval));
        }
        if spec.channel_bytes_max == 0 {
            self.problem("channel_bytes_max", "0: expected at least 1B; the default is 1MiB");
        }
        if let Some(memory) = spec.state_memory_max
            && memory < STATE_MEMORY_MIN
        {
            self.problem("state_memory_max", format!("{memory} bytes: expected at least 8MiB"));
        }
        self.times();
        self.limits();
    }

    fn times(&mut self) {
        for source in &self.spec.sources {
            let (path, time) = (format!("source.{}", source.name), &source.time);
            if time.idleness.is_some_and(|idleness| idleness.is_zero()) {
                self.problem(
                    format!("{path}.idleness"),
                    "expected more than 0; leave it out where a quiet partition holds time back",
                );
            }
            if matches!(&time.timestamp, TimestampSpec::JsonField { field, .. } if field.is_empty()) {
                self.problem(format!("{path}.timestamp.field"), "expected the name of a field");
            }
        }
    }

    fn limits(&mut self) {
        let spec = self.spec;
        for operator in &spec.operators {
            let (path, limits) = (format!("operator.{}", operator.name), &operator.limits);
            if !(operator.breaker.share > 0.0 && operator.breaker.share <= 1.0) {
                self.problem(format!("{path}.breaker.share"), "expected more than 0 and at most 1");
            }
            if limits.batch_rows_max == 0 || limits.batch_rows_max > 1 << 20 {
                self.problem(format!("{path}.limits.batch_rows_max"), "expected 1 to 1048576");
            }
            if limits.batch_bytes_max == 0 || limits.batch_bytes_max > 1 << 30 {
                self.problem(format!("{path}.limits.batch_bytes_max"), "expected 1B to 1GiB");
            }
            if limits.state_page_bytes_max == 0 || limits.state_page_bytes_max > 1 << 30 {
                self.problem(format!("{path}.limits.state_page_bytes_max"), "expected 1B to 1GiB");
            }
            if limits.state_reads_bytes == 0 || limits.state_reads_bytes > 1 << 31 {
                self.problem(format!("{path}.limits.state_reads"), "expected 1B to 2GiB");
            }
            if limits.state_writes_bytes == 0 || limits.state_writes_bytes > 1 << 31 {
                self.problem(format!("{path}.limits.state_writes"), "expected 1B to 2GiB");
            }
            if limits.timer_rounds_max == 0 {
                self.problem(format!("{path}.limits.timer_rounds_max"), "expected at least 1");
            }
            if limits.call.is_zero() || limits.search < limits.call {
                self.problem(
                    format!("{path}.limits"),
                    "expected call above 0 and search at least as long as call",
                );
            }
        }
    }

    fn clusters(&mut self) {
        let spec = self.spec;
        let sources = spec.sources.iter().filter_map(|s| match &s.kind {
            SourceKind::Kafka { cluster, topics, .. } => {
                Some((format!("source.{}", s.name), cluster, topics.is_empty()))
            }
            _ => None,
        });
        let sinks = spec.sinks.iter().filter_map(|s| match &s.kind {
            SinkKind::Kafka { cluster, topic, .. } => {
                Some((format!("sink.{}", s.name), cluster, topic.is_empty()))
            }
            _ => None,
        });
        for (path, cluster, no_topic) in sources.chain(sinks) {
            if !spec.clusters.contains_key(cluster) {
                self.problem(format!("{path}.cluster"), format!("there is no section [kafka.{cluster}]"));
            }
            if no_topic {
                self.problem(format!("{path}.topic"), "expected a topic");
            }
        }
        for (name, cluster) in &spec.clusters {
            let fits = |broker: &str| {
                let (host, port) = broker.trim().rsplit_once(':').unwrap_or_default();
                !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0)
            };
            if let Some(broker) = cluster.brokers.split(',').find(|broker| !fits(broker)) {
                let found = broker.trim();
                self.problem(
                    format!("kafka.{name}.brokers"),
                    format!("{found:?}: expected host:port, several with commas"),
                );
            }
        }
        self.loops();
        self.timeouts();
        let mut topics = BTreeSet::new();
        for source in &spec.sources {
            if let SourceKind::Kafka { cluster, topics: read, .. } = &source.kind {
                for topic in read {
                    if !topics.insert((cluster, topic)) {
                        self.problem(
                            format!("source.{}.topics", source.name),
                            format!(
                                "topic {topic} is read twice; a pipeline keeps one position per partition"
                            ),
                        );
                    }
                }
            }
        }
    }

    /// A pipeline that reads what it writes would never end and grow for ever.
    fn loops(&mut self) {
        let spec = self.spec;
        for sink in &spec.sinks {
            let SinkKind::Kafka { cluster, topic, .. } = &sink.kind else { continue };
            let reader = spec.sources.iter().find(|source| match &source.kind {
                SourceKind::Kafka { cluster: read, topics, .. } => read == cluster && topics.contains(topic),
                _ => false,
            });
            if let Some(reader) = reader {
                self.problem(format!("sink.{}.topic", sink.name), format!("source {} reads topic {topic}: the pipeline would feed on its own output for ever; write to another topic", reader.name));
            }
        }
    }

    fn timeouts(&mut self) {
        let checkpoint = &self.spec.checkpoint;
        for (name, cluster) in &self.spec.clusters {
            let Some(transaction) = cluster.transaction_timeout else { continue };
            if checkpoint.interval + checkpoint.timeout > transaction.mul_f64(0.8) {
                self.problem(format!("kafka.{name}.transaction_timeout"), format!("{transaction:?}: checkpoint.interval + checkpoint.timeout ({:?}) must be at most 0.8 of it", checkpoint.interval + checkpoint.timeout));
            }
        }
    }

    fn guarantee(&mut self) {
        if self.spec.guarantee == Guarantee::AtMostOnce {
            self.at_most_once();
        }
        if self.spec.guarantee != Guarantee::ExactlyOnce {
            return;
        }
        let clusters: BTreeSet<&String> = self
            .spec
            .sinks
            .iter()
            .filter_map(|sink| match &sink.kind {
                SinkKind::Kafka { cluster, .. } => Some(cluster),
                _ => None,
            })
            .collect();
        if clusters.len() > 1 {
            let named: Vec<&str> = clusters.iter().map(|name| name.as_str()).collect();
            self.problem("guarantee", format!("exactly_once with sinks on several clusters ({}): a transaction lives in one cluster; use one, or guarantee = \"at_least_once\"", named.join(", ")));
        }
    }

    /// Without checkpoints there is no moment at which a staged file could be published.
    fn at_most_once(&mut self) {
        for sink in &self.spec.sinks {
            if matches!(sink.kind, SinkKind::Files { .. }) {
                self.problems.push(Problem {
                    path: format!("sink.{}", sink.name),
                    message: "a files sink publishes at a checkpoint, and guarantee = \"at_most_once\" has none; use exactly_once or at_least_once".to_owned(),
                });
            }
        }
    }

    /// What only operators with state or timers can be asked.
    fn keyed(&mut self) {
        let spec = self.spec;
        if let Some(groups) = spec.max_parallelism
            && !(1..=MAX_PARALLELISM_LIMIT).contains(&groups)
        {
            self.problem("max_parallelism", format!("{groups}: expected 1 to {MAX_PARALLELISM_LIMIT}"));
        }
        let groups = spec.max_parallelism.unwrap_or(crate::key_group::DEFAULT_MAX_PARALLELISM) as usize;
        let partitioned =
            |s: &SourceSpec| matches!(s.kind, SourceKind::Kafka { .. } | SourceKind::DeadLetters { .. });
        if spec.co_partitioned && !spec.sources.iter().all(partitioned) {
            self.problem(
                "co_partitioned",
                "only Kafka topics have partitions that keys belong to; remove it, and rows are exchanged by key",
            );
        }
        for gone in &spec.drop_operators {
            if spec.operators.iter().any(|operator| operator.name == *gone) {
                self.problem("drop_operators", format!("there is a section [operator.{gone}]; name only operators that are gone, and single states in their drop_state"));
            }
        }
        for (index, operator) in spec.operators.iter().enumerate() {
            let path = format!("operator.{}", operator.name);
            let parallelism = operator.parallelism.unwrap_or(spec.parallelism);
            // What the whole pipeline sets is judged where it is set.
            if operator.parallelism.is_some_and(|own| !(1..=256).contains(&own)) {
                self.problem(format!("{path}.parallelism"), format!("{parallelism}: expected 1 to 256"));
            }
            let Some(shape) = self.shape(index) else { continue };
            let declared: Vec<&String> =
                operator.drop_state.iter().filter(|name| shape.declares(name)).collect();
            if !shape.is_keyed() {
                continue;
            }
            for name in declared {
                self.problem(format!("{path}.drop_state"), drops_what_is_declared(name));
            }
            if parallelism > groups {
                self.problem(
                    format!("{path}.parallelism"),
                    format!("{parallelism}: more than the {groups} key groups of max_parallelism"),
                );
            }
            if spec.guarantee == Guarantee::AtMostOnce {
                self.problem("guarantee", format!("operator {} keeps state, and guarantee = \"at_most_once\" has no checkpoints to keep it in; use exactly_once or at_least_once", operator.name));
            }
        }
    }
}
