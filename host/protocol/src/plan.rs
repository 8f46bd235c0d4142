//! The pipeline plan: what the pipeline file asks for, and the checked graph that runs.
//!
//! A [`PipelineSpec`] is plain data, read from the file by the binary. [`Plan::check`] reports all problems at once,
//! each with the path of the key at fault, and returns a graph in which every edge is known to exist.

use crate::connector::StartPolicy;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

/// What readers of the output are promised. A property of the pipeline, not of a sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Guarantee {
    /// Each record takes effect once.
    #[default]
    ExactlyOnce,
    /// Each record takes effect, perhaps again after a crash.
    AtLeastOnce,
    /// Each record takes effect once or, after a crash, not at all. Stateless pipelines only.
    AtMostOnce,
}

impl fmt::Display for Guarantee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Guarantee::ExactlyOnce => "exactly_once",
            Guarantee::AtLeastOnce => "at_least_once",
            Guarantee::AtMostOnce => "at_most_once",
        })
    }
}

/// `[checkpoint]`. The names are Flink's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointSpec {
    /// Time from the start of one checkpoint to the start of the next.
    pub interval: Duration,
    /// A checkpoint that takes longer fails.
    pub timeout: Duration,
    /// Time from the end of one checkpoint to the start of the next, at least.
    pub min_pause: Duration,
    /// How often in a row a snapshot may fail and be taken again before the incarnation ends.
    pub tolerable_failures: u32,
    /// Undecided epochs beside the running one.
    pub max_concurrent: u32,
    /// Decided checkpoints that are kept.
    pub retain: u32,
}

impl Default for CheckpointSpec {
    fn default() -> CheckpointSpec {
        CheckpointSpec {
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(60),
            min_pause: Duration::ZERO,
            tolerable_failures: 0,
            max_concurrent: 1,
            retain: 2,
        }
    }
}

/// `[restart]`: what happens when an incarnation ends with an error that may pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestartSpec {
    /// The first wait.
    pub initial_backoff: Duration,
    /// The longest wait.
    pub max_backoff: Duration,
    /// A run of this length without an error forgets earlier ones.
    pub reset_after: Duration,
    /// Restarts in a row before the pipeline fails; none = unlimited.
    pub attempts: Option<u32>,
}

impl Default for RestartSpec {
    fn default() -> RestartSpec {
        RestartSpec {
            initial_backoff: Duration::from_secs(1),
            max_backoff: Duration::from_secs(60),
            reset_after: Duration::from_secs(600),
            attempts: None,
        }
    }
}

/// `[kafka.NAME]`: one cluster.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClusterSpec {
    /// `bootstrap.servers`.
    pub brokers: String,
    /// The consumer group; `weir.<pipeline>` unless set.
    pub group: Option<String>,
    /// Unset: derived from the interval.
    pub transaction_timeout: Option<Duration>,
    /// librdkafka's properties, for all clients of this cluster.
    pub properties: BTreeMap<String, String>,
    /// For producers only, over `properties`.
    pub producer_properties: BTreeMap<String, String>,
    /// For consumers only, over `properties`.
    pub consumer_properties: BTreeMap<String, String>,
}

/// What a source reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceKind {
    /// Kafka topics.
    Kafka {
        /// The name of the `[kafka.NAME]` section.
        cluster: String,
        /// The topics.
        topics: Vec<String>,
        /// Where a partition without a position starts.
        start: StartPolicy,
    },
    /// Seeded made-up records.
    Generator {
        /// The same seed makes the same records.
        seed: u64,
        /// Records per second over all partitions; none = as fast as possible.
        rate: Option<u64>,
        /// Records over all partitions; none = endless.
        count: Option<u64>,
        /// Number of partitions.
        partitions: u32,
        /// Distinct keys.
        keys: u64,
        /// Bytes of each value.
        value_bytes: usize,
    },
    /// Files, one partition each.
    Files {
        /// Paths; `*` in the last part matches several.
        paths: Vec<String>,
        /// How a line is read.
        format: FileFormat,
    },
}

/// How a line of a file is read or written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FileFormat {
    /// JSON objects of key, value, timestamp, headers, as `kcat -J` prints them.
    #[default]
    JsonLines,
    /// The line is the value.
    RawLines,
}

/// `[source.NAME]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceSpec {
    /// NAME.
    pub name: String,
    /// What it reads.
    pub kind: SourceKind,
}

/// What happens to a row that an operator cannot handle.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum OnError {
    /// The pipeline stops, finally, and names the record.
    #[default]
    Fail,
    /// The record goes to this sink, in the same transaction as the output.
    DeadLetter(String),
    /// The record is left out, counted and logged.
    Skip,
}

/// Limits of an operator, each by name changeable without a restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorLimits {
    /// Linear memory of one instance.
    pub memory_bytes: usize,
    /// An instance with more memory than this is replaced between two calls.
    pub memory_recycle_bytes: usize,
    /// CPU time of one call; ten times that by the wall.
    pub call: Duration,
    /// Bytes that one call returns.
    pub output_bytes: usize,
    /// Rows of one batch.
    pub batch_rows_max: usize,
    /// Bytes of one batch.
    pub batch_bytes_max: usize,
    /// CPU time of one search for poison records; past it the pipeline stops.
    pub search: Duration,
    /// A longer log line is cut.
    pub log_line_bytes_max: usize,
    /// More log lines in a second are counted, not kept.
    pub log_lines_per_second_max: u32,
}

impl Default for OperatorLimits {
    fn default() -> OperatorLimits {
        OperatorLimits {
            memory_bytes: 256 << 20,
            memory_recycle_bytes: 128 << 20,
            call: Duration::from_secs(5),
            output_bytes: 16 << 20,
            batch_rows_max: 4096,
            batch_bytes_max: 1 << 20,
            search: Duration::from_secs(60),
            log_line_bytes_max: 8 << 10,
            log_lines_per_second_max: 100,
        }
    }
}

/// The circuit breaker of an operator's error policy.
#[derive(Debug, Clone, PartialEq)]
pub struct BreakerSpec {
    /// The pipeline stops when more than this share of the rows fails...
    pub share: f64,
    /// ...over this time.
    pub over: Duration,
    /// Fewer rows than this in that time are not judged.
    pub rows_min: u64,
}

impl Default for BreakerSpec {
    fn default() -> BreakerSpec {
        BreakerSpec { share: 0.5, over: Duration::from_secs(60), rows_min: 1000 }
    }
}

/// `[operator.NAME]`.
#[derive(Debug, Clone, PartialEq)]
pub struct OperatorSpec {
    /// NAME.
    pub name: String,
    /// What it reads: names of sources and operators, `name.port` for a named output port.
    pub inputs: Vec<String>,
    /// A path to a component.
    pub component: String,
    /// Its configuration.
    pub config: BTreeMap<String, String>,
    /// What happens to a row that fails.
    pub on_error: OnError,
    /// When failing rows stop the pipeline.
    pub breaker: BreakerSpec,
    /// Its limits.
    pub limits: OperatorLimits,
    /// For a mapper: it promises to keep the key of each record.
    pub keeps_key: bool,
}

/// What timestamp an output record gets in Kafka.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SinkTimestamp {
    /// The record's own.
    #[default]
    Record,
    /// The time at which the producer sends it; allows the batch call.
    ProduceTime,
}

/// What a sink writes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SinkKind {
    /// A Kafka topic.
    Kafka {
        /// The name of the `[kafka.NAME]` section.
        cluster: String,
        /// The topic.
        topic: String,
        /// What timestamp the records get.
        timestamp: SinkTimestamp,
        /// False: headers are left out.
        headers: bool,
    },
    /// Files in a directory, exactly once by renaming after the decision.
    Files {
        /// The directory.
        directory: String,
        /// How a record is written.
        format: FileFormat,
    },
    /// Standard output, at least once.
    Stdout {
        /// How a record is written.
        format: FileFormat,
    },
    /// Counts and forgets: for measuring.
    Blackhole,
}

/// `[sink.NAME]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkSpec {
    /// NAME.
    pub name: String,
    /// What it writes; empty for a target of dead letters.
    pub inputs: Vec<String>,
    /// What it writes to.
    pub kind: SinkKind,
}

/// A pipeline file as plain data.
#[derive(Debug, Clone, PartialEq)]
pub struct PipelineSpec {
    /// The pipeline's name: part of ids and paths.
    pub name: String,
    /// What is promised.
    pub guarantee: Guarantee,
    /// Number of subtasks.
    pub parallelism: usize,
    /// Put before the pipeline's name in transactional ids and the default group.
    pub id_prefix: String,
    /// Checkpoints.
    pub checkpoint: CheckpointSpec,
    /// Restarts.
    pub restart: RestartSpec,
    /// A graceful stop takes at most this long.
    pub stop_timeout: Duration,
    /// Bytes of records between fetch and produce, over all subtasks.
    pub inflight_bytes_max: usize,
    /// Bytes of output that each subtask holds while the slot changes.
    pub sink_buffer_bytes_max: usize,
    /// How often sources look for new partitions.
    pub partition_discovery_interval: Duration,
    /// Clusters by name.
    pub clusters: BTreeMap<String, ClusterSpec>,
    /// Sources in the file's order.
    pub sources: Vec<SourceSpec>,
    /// Operators in the file's order.
    pub operators: Vec<OperatorSpec>,
    /// Sinks in the file's order.
    pub sinks: Vec<SinkSpec>,
}

/// One thing that is wrong with a pipeline file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The path of the key at fault, such as `operator.prefix.input`.
    pub path: String,
    /// What was found, what was expected, what to do.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// Where rows come from inside the graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Upstream {
    /// A source, by index.
    Source(usize),
    /// An output port of an operator, by indices.
    Operator(usize, usize),
}

/// Where rows go inside the graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Downstream {
    /// An operator, by index.
    Operator(usize),
    /// A sink, by index.
    Sink(usize),
}

/// A checked pipeline: all names are indices, the operators are in an order in which inputs come first.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The specification that was checked. Its operators are in the file's order.
    pub spec: PipelineSpec,
    /// Consumers of each source.
    pub from_source: Vec<Vec<Downstream>>,
    /// Consumers of each output port of each operator.
    pub from_operator: Vec<Vec<Vec<Downstream>>>,
    /// For each operator the sink of its dead letters.
    pub dead_letters: Vec<Option<usize>>,
    /// Operators such that each stands behind all of its inputs.
    pub order: Vec<usize>,
}

/// Output ports of an operator, by name; a mapper has one, named `out`.
pub type Ports = Vec<String>;

impl Plan {
    /// Checks a specification. `ports` tells the output ports of each operator, in the order of `spec.operators`;
    /// `None` where they are not known yet (`weir validate` without the components): then every port name is taken.
    pub fn check(spec: PipelineSpec, ports: &[Option<Ports>]) -> Result<Plan, Vec<Problem>> {
        let mut checker = Checker { spec: &spec, ports, problems: Vec::new() };
        checker.names();
        checker.numbers();
        checker.clusters();
        checker.guarantee();
        let edges = checker.edges();
        let dead_letters = checker.dead_letters();
        let order = checker.order();
        let problems = checker.problems;
        if !problems.is_empty() {
            return Err(problems);
        }
        let (from_source, from_operator) = edges;
        Ok(Plan { spec, from_source, from_operator, dead_letters, order })
    }
}

type Edges = (Vec<Vec<Downstream>>, Vec<Vec<Vec<Downstream>>>);

struct Checker<'a> {
    spec: &'a PipelineSpec,
    ports: &'a [Option<Ports>],
    problems: Vec<Problem>,
}

impl Checker<'_> {
    fn problem(&mut self, path: impl Into<String>, message: impl Into<String>) {
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
        for (kind, name) in sources.chain(operators).chain(sinks) {
            if !fits(name) {
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
            if cluster.brokers.trim().is_empty() {
                self.problem(format!("kafka.{name}.brokers"), "expected host:port, several with commas");
            }
        }
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

    fn upstream(&mut self, path: &str, input: &str) -> Option<Upstream> {
        let spec = self.spec;
        if let Some(source) = spec.sources.iter().position(|source| source.name == input) {
            return Some(Upstream::Source(source));
        }
        let (name, port) = match input.split_once('.') {
            Some((name, port)) => (name, Some(port)),
            None => (input, None),
        };
        let Some(operator) = spec.operators.iter().position(|operator| operator.name == name) else {
            let names: Vec<&str> = spec
                .sources
                .iter()
                .map(|s| s.name.as_str())
                .chain(spec.operators.iter().map(|o| o.name.as_str()))
                .collect();
            self.problem(
                path,
                format!("there is no source or operator {name:?}; there are: {}", names.join(", ")),
            );
            return None;
        };
        let ports = self.ports.get(operator).and_then(Option::as_ref);
        match (port, ports) {
            (None, Some(ports)) if ports.len() > 1 => {
                self.problem(
                    path,
                    format!(
                        "operator {name} has several output ports; name one: {}",
                        with_ports(name, ports)
                    ),
                );
                None
            }
            (None, Some(ports)) if ports.is_empty() => {
                self.problem(path, format!("operator {name} has no output port"));
                None
            }
            (None, _) => Some(Upstream::Operator(operator, 0)),
            (Some(_), None) => Some(Upstream::Operator(operator, 0)),
            (Some(port), Some(ports)) => match ports.iter().position(|known| known == port) {
                Some(index) => Some(Upstream::Operator(operator, index)),
                None => {
                    self.problem(
                        path,
                        format!(
                            "operator {name} has no output port {port:?}; there are: {}",
                            with_ports(name, ports)
                        ),
                    );
                    None
                }
            },
        }
    }

    fn edges(&mut self) -> Edges {
        let spec = self.spec;
        let port_counts =
            (0..spec.operators.len()).map(|i| self.ports.get(i).and_then(Option::as_ref).map_or(1, Vec::len));
        let mut from_source = vec![Vec::new(); spec.sources.len()];
        let mut from_operator: Vec<Vec<Vec<Downstream>>> =
            port_counts.map(|count| vec![Vec::new(); count]).collect();
        let operators = spec
            .operators
            .iter()
            .enumerate()
            .map(|(i, o)| (Downstream::Operator(i), format!("operator.{}.input", o.name), &o.inputs));
        let sinks = spec
            .sinks
            .iter()
            .enumerate()
            .map(|(i, s)| (Downstream::Sink(i), format!("sink.{}.input", s.name), &s.inputs));
        for (downstream, path, inputs) in operators.chain(sinks) {
            if inputs.is_empty() && matches!(downstream, Downstream::Operator(_)) {
                self.problem(path.clone(), "expected the name of a source or operator");
            }
            for input in inputs {
                match self.upstream(&path, input) {
                    Some(Upstream::Source(source)) => from_source[source].push(downstream),
                    Some(Upstream::Operator(operator, port)) => {
                        if let Some(consumers) = from_operator[operator].get_mut(port) {
                            consumers.push(downstream);
                        }
                    }
                    None => {}
                }
            }
        }
        for (source, consumers) in spec.sources.iter().zip(&from_source) {
            if consumers.is_empty() {
                self.problem(
                    format!("source.{}", source.name),
                    "nothing reads it; remove it or name it as an input",
                );
            }
        }
        (from_source, from_operator)
    }

    fn dead_letters(&mut self) -> Vec<Option<usize>> {
        let spec = self.spec;
        let mut used = BTreeSet::new();
        let mut targets = Vec::new();
        for operator in &spec.operators {
            let path = format!("operator.{}.on_error", operator.name);
            targets.push(match &operator.on_error {
                OnError::DeadLetter(name) => match spec.sinks.iter().position(|sink| sink.name == *name) {
                    Some(sink) => {
                        used.insert(sink);
                        Some(sink)
                    }
                    None => {
                        self.problem(
                            path,
                            format!("there is no section [sink.{name}]; add it without an input"),
                        );
                        None
                    }
                },
                OnError::Fail | OnError::Skip => None,
            });
        }
        for (index, sink) in spec.sinks.iter().enumerate() {
            if sink.inputs.is_empty() && !used.contains(&index) {
                self.problem(format!("sink.{}", sink.name), "nothing writes to it; give it an input, or name it in an operator's on_error = { dead_letter = ... }");
            }
        }
        targets
    }

    /// Kahn's algorithm, in the file's order where there is a choice.
    fn order(&mut self) -> Vec<usize> {
        let spec = self.spec;
        let index_of = |input: &String| {
            let name = input.split('.').next().unwrap_or_default();
            spec.operators.iter().position(|operator| operator.name == name)
        };
        let inputs: Vec<Vec<usize>> = spec
            .operators
            .iter()
            .map(|operator| operator.inputs.iter().filter_map(index_of).collect())
            .collect();
        let mut order = Vec::new();
        while let Some(next) = (0..inputs.len())
            .find(|i| !order.contains(i) && inputs[*i].iter().all(|input| order.contains(input)))
        {
            order.push(next);
        }
        for (index, operator) in spec.operators.iter().enumerate() {
            if !order.contains(&index) {
                self.problem(
                    format!("operator.{}.input", operator.name),
                    "it reads its own output, directly or through others; a pipeline has no circles",
                );
            }
        }
        order
    }
}

fn with_ports(name: &str, ports: &Ports) -> String {
    ports.iter().map(|port| format!("{name}.{port}")).collect::<Vec<_>>().join(", ")
}
