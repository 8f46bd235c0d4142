//! Which adapter implements which seam: the one list.

use crate::memory;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use weir_kafka::{CheckedTopics, ClusterOptions, DecisionForm, Finding, KafkaCluster, Level, Looked};
use weir_local::blackhole::Blackhole;
use weir_local::files_sink::{FilesSink, FilesSinkOptions};
use weir_local::files_source::{FilesSource, FilesSourceOptions};
use weir_local::generator::{Generator, GeneratorOptions};
use weir_local::local_decision::{LocalDecision, LocalDecisionOptions};
use weir_local::stdout_sink::{StdoutSink, StdoutSinkOptions};
use weir_protocol::connector::{ConnectorError, DecisionLog, Sink, Source};
use weir_protocol::epoch::Incarnation;
use weir_protocol::plan::{ClusterSpec, Decider, Guarantee, Plan, SinkKind, SinkSpec, SourceKind};
use weir_protocol::verdict::DecisionPlace;
use weir_runtime::connect::{Connected, Connectors};
use weir_state::backend::{RocksBackend, SharedStateMemory, StateMemory};

/// Makes the connectors of one plan.
pub struct PlanConnectors {
    plan: Arc<Plan>,
    /// The pipeline's directory, for a decision that no cluster holds.
    directory: PathBuf,
    /// Bytes for all keyed state.
    state_memory: usize,
    /// Memory that several pipelines of this process share.
    shared_memory: Option<SharedStateMemory>,
}

/// The clusters of a plan, connected.
struct Clusters(BTreeMap<String, Arc<KafkaCluster>>);

impl Clusters {
    fn get(&self, name: &str) -> Result<&KafkaCluster, ConnectorError> {
        let found = self.0.get(name).map(Arc::as_ref);
        found.ok_or_else(|| ConnectorError::permanent(format!("there is no section [kafka.{name}]")))
    }
}

impl PlanConnectors {
    /// Connects nothing yet.
    pub fn new(plan: Arc<Plan>, directory: PathBuf) -> PlanConnectors {
        let state_memory = plan.spec.state_memory_max.unwrap_or_else(memory::default_for_state);
        PlanConnectors { plan, directory, state_memory, shared_memory: None }
    }

    /// One of several pipelines: their state shares this memory.
    pub fn sharing(plan: Arc<Plan>, directory: PathBuf, memory: SharedStateMemory) -> PlanConnectors {
        PlanConnectors { shared_memory: Some(memory), ..PlanConnectors::new(plan, directory) }
    }

    fn states(&self) -> RocksBackend {
        let memory = StateMemory::of(self.state_memory);
        match &self.shared_memory {
            Some(shared) => RocksBackend::within(shared, memory.cache_bytes_max),
            None => RocksBackend::new(memory),
        }
    }

    /// What can be known about the clusters before a start; nothing for a cluster that does not answer yet, which is
    /// a matter of restarts.
    pub fn checks(&self) -> Vec<Finding> {
        let Ok(clusters) = self.clusters() else { return Vec::new() };
        clusters.0.iter().flat_map(|(name, cluster)| cluster.checks(&self.topics(name))).collect()
    }

    /// Per source the cluster that it reads, connected; none for one that is not Kafka.
    pub fn clusters_of_sources(&self) -> Result<Vec<Option<Arc<KafkaCluster>>>, ConnectorError> {
        let clusters = self.clusters()?;
        let named = self.plan.source_clusters().into_iter();
        Ok(named.map(|name| name.and_then(|name| clusters.0.get(name).cloned())).collect())
    }

    /// Looks at each cluster, one that does not answer as well.
    pub fn look(&self) -> Vec<Looked> {
        let mut looked = Vec::new();
        for (name, spec) in self.used_clusters() {
            let check = format!("kafka.{name}.brokers");
            match KafkaCluster::connect(self.cluster_options(name, spec)) {
                Ok(cluster) => {
                    let id = cluster.id().map_or_else(String::new, |id| format!(", cluster {id}"));
                    let told = format!("{} answer{id}", spec.brokers);
                    looked.push(Looked { check, told, findings: Vec::new() });
                    looked.extend(cluster.look(&self.topics(name)));
                }
                Err(error) => {
                    let finding = Finding { level: Level::Error, message: error.message };
                    looked.push(Looked { check, told: String::new(), findings: vec![finding] });
                }
            }
        }
        looked
    }

    /// A sink that cannot keep the guarantee, where the guarantee is exactly-once.
    pub fn repeating_sink(&self) -> Option<&str> {
        let spec = &self.plan.spec;
        let stdout = spec.sinks.iter().find(|sink| matches!(sink.kind, SinkKind::Stdout { .. }));
        stdout.filter(|_| spec.guarantee == Guarantee::ExactlyOnce).map(|sink| sink.name.as_str())
    }

    fn topics(&self, name: &str) -> CheckedTopics {
        let mut topics = CheckedTopics::default();
        for source in &self.plan.spec.sources {
            let kind = match &source.kind {
                SourceKind::DeadLetters { from, .. } => from.as_ref(),
                kind => kind,
            };
            if let SourceKind::Kafka { cluster, topics: read, .. } = kind
                && cluster == name
            {
                topics.read.extend(read.iter().map(|topic| (source.name.clone(), topic.clone())));
            }
        }
        for sink in &self.plan.spec.sinks {
            if let SinkKind::Kafka { cluster, topic, .. } = &sink.kind
                && cluster == name
            {
                topics.written.push((sink.name.clone(), topic.clone()));
            }
        }
        topics
    }

    fn decider(&self, clusters: &Clusters) -> Decider {
        self.plan.decider(|a, b| {
            a == b || clusters.0.get(a).zip(clusters.0.get(b)).is_some_and(|(a, b)| Arc::ptr_eq(a, b))
        })
    }

    fn used_clusters(&self) -> impl Iterator<Item = (&String, &ClusterSpec)> {
        let used = |name: &str| {
            let topics = self.topics(name);
            !topics.read.is_empty() || !topics.written.is_empty()
        };
        self.plan.spec.clusters.iter().filter(move |(name, _)| used(name))
    }

    fn clusters(&self) -> Result<Clusters, ConnectorError> {
        let mut connected: BTreeMap<String, Arc<KafkaCluster>> = BTreeMap::new();
        for (name, spec) in self.used_clusters() {
            let cluster = KafkaCluster::connect(self.cluster_options(name, spec))?;
            // Two sections can name one cluster; a transaction reaches all of it.
            let twin = connected
                .values()
                .find(|other| cluster.id().is_some() && other.id() == cluster.id())
                .cloned();
            connected.insert(name.clone(), twin.unwrap_or_else(|| Arc::new(cluster)));
        }
        Ok(Clusters(connected))
    }

    /// Half of the bytes in flight wait in front of the operators, half behind them.
    fn cluster_options(&self, name: &str, cluster: &ClusterSpec) -> ClusterOptions {
        let spec = &self.plan.spec;
        let readers = spec.parallelism * self.plan.source_clusters().iter().flatten().count().max(1);
        ClusterOptions {
            name: name.to_owned(),
            spec: cluster.clone(),
            pipeline: spec.name.clone(),
            id_prefix: spec.id_prefix.clone(),
            guarantee: spec.guarantee,
            checkpoint_interval: spec.checkpoint.interval,
            checkpoint_timeout: spec.checkpoint.timeout,
            prefetch_bytes_max: (spec.inflight_bytes_max / 2 / readers).max(1 << 20),
            producer_bytes_max: (spec.inflight_bytes_max / 2).max(1 << 20),
        }
    }

    fn source(
        &self,
        clusters: &Clusters,
        name: &str,
        kind: &SourceKind,
    ) -> Result<Box<dyn Source>, ConnectorError> {
        let name = name.to_owned();
        Ok(match kind.clone() {
            SourceKind::DeadLetters { from, .. } => match *from {
                // Before the first letter there is no file.
                SourceKind::Files { paths, format } => {
                    Box::new(FilesSource::new(FilesSourceOptions { name, paths, format, may_be_empty: true }))
                }
                from => return self.source(clusters, &name, &from),
            },
            SourceKind::Kafka { cluster, topics, .. } => clusters.get(&cluster)?.source(&name, &topics),
            SourceKind::Generator { seed, rate, count, partitions, keys, value_bytes } => {
                Box::new(Generator::new(GeneratorOptions {
                    name,
                    seed,
                    rate,
                    count,
                    partitions,
                    keys,
                    value_bytes,
                }))
            }
            SourceKind::Files { paths, format } => {
                Box::new(FilesSource::new(FilesSourceOptions { name, paths, format, may_be_empty: false }))
            }
        })
    }

    fn sink(
        &self,
        clusters: &Clusters,
        spec: &SinkSpec,
        incarnation: &Incarnation,
    ) -> Result<Box<dyn Sink>, ConnectorError> {
        let name = spec.name.clone();
        Ok(match spec.kind.clone() {
            SinkKind::Kafka { cluster, topic, timestamp, headers } => {
                clusters.get(&cluster)?.sink(&name, &topic, timestamp, headers)?
            }
            SinkKind::Files { directory, format } => Box::new(FilesSink::new(FilesSinkOptions {
                pipeline: self.plan.spec.name.clone(),
                name,
                directory: PathBuf::from(directory),
                format,
                incarnation: incarnation.clone(),
            })),
            SinkKind::Stdout { format } => Box::new(StdoutSink::new(StdoutSinkOptions { name, format })),
            SinkKind::Blackhole => Box::new(Blackhole::new()),
        })
    }

    fn decision_log(&self, clusters: &Clusters) -> Result<Box<dyn DecisionLog>, ConnectorError> {
        Ok(match self.decider(clusters) {
            Decider::SourcePartitions(cluster) => {
                clusters.get(&cluster)?.decision_log(DecisionForm::SourcePartitions)
            }
            Decider::StandIn { cluster, topic } => {
                clusters.get(&cluster)?.decision_log(DecisionForm::StandIn { topic })
            }
            Decider::Local => {
                Box::new(LocalDecision::new(LocalDecisionOptions { directory: self.directory.clone() }))
            }
        })
    }

    /// Only source offsets and Kafka records are whole in the decision log.
    fn needs_manifest(&self, decider: &Decider) -> Option<&'static str> {
        if matches!(decider, Decider::StandIn { .. }) {
            return Some("the positions of sources outside of the deciding cluster are only there");
        }
        let staged = self.plan.spec.sinks.iter().any(|sink| matches!(sink.kind, SinkKind::Files { .. }));
        staged.then_some("the names of the files that are to be published are only there")
    }
}

impl Connectors for PlanConnectors {
    fn connect(&self, incarnation: &Incarnation) -> Result<Connected, ConnectorError> {
        let spec = &self.plan.spec;
        let clusters = self.clusters()?;
        let sources = spec
            .sources
            .iter()
            .map(|source| self.source(&clusters, &source.name, &source.kind))
            .collect::<Result<_, _>>()?;
        // Before the decision log is fenced: its producers are made for the limits of all topics.
        let sinks = spec
            .sinks
            .iter()
            .map(|sink| self.sink(&clusters, sink, incarnation))
            .collect::<Result<_, _>>()?;
        let decider = self.decider(&clusters);
        let transaction_timeout = match (decider.cluster(), spec.guarantee) {
            (Some(cluster), Guarantee::ExactlyOnce) => Some(clusters.get(cluster)?.transaction_timeout()),
            _ => None,
        };
        let decisions = self.decision_log(&clusters)?;
        Ok(Connected {
            sources,
            sinks,
            decisions,
            transaction_timeout,
            needs_manifest: self.needs_manifest(&decider),
            place: match decider.cluster() {
                Some(_) => DecisionPlace::ConsumerGroup,
                None => DecisionPlace::LocalFile,
            },
            states: Arc::new(self.states()),
        })
    }

    fn observer(&self) -> Result<Box<dyn DecisionLog>, ConnectorError> {
        self.decision_log(&self.clusters()?)
    }
}
