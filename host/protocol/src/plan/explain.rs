//! A plan as people read it: which threads there are, where records cross them and why, what each sink promises, where
//! the decision lives, and what a cluster must allow. Nothing is asked of anybody.

use super::*;
use crate::permission::{Grantee, Permission};
use serde::Serialize;
use std::time::Duration;

/// A plan, explained.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// The pipeline's name.
    pub pipeline: String,
    /// What its readers are promised.
    pub guarantee: String,
    /// Threads of subtasks over all chains.
    pub threads: usize,
    /// What runs together: each chain on one thread per subtask.
    pub chains: Vec<Chain>,
    /// Where records go from the threads of one chain to those of another.
    pub exchanges: Vec<Crossing>,
    /// What readers of each sink are promised.
    pub sinks: Vec<Promise>,
    /// Where a checkpoint becomes true.
    pub decision: String,
    /// When that happens.
    pub checkpoints: String,
    /// The clusters that are used.
    pub clusters: Vec<ClusterExplained>,
    /// What is hardly ever meant like that.
    pub advice: Vec<String>,
}

/// Neighbours on one thread.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Chain {
    /// Its number, from 1.
    pub chain: usize,
    /// Subtasks, each a thread.
    pub parallelism: usize,
    /// Where its records begin: sources, and exchanges that end here.
    pub steps: Vec<Step>,
}

/// One step of a record, and where it goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// `source`, `operator`, `sink`, `exchange`.
    pub kind: &'static str,
    /// Its name; for an exchange its number.
    pub name: String,
    /// What it is.
    pub about: String,
    /// What follows on the same thread; left out where it stands further up already.
    pub then: Vec<Step>,
}

/// An exchange.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Crossing {
    /// Its number, from 1.
    pub exchange: usize,
    /// The chain that sends.
    pub from_chain: usize,
    /// The chain that receives.
    pub to_chain: usize,
    /// What sends.
    pub from: String,
    /// The operator that receives.
    pub to: String,
    /// `by key`, `in turn` or `one to one`.
    pub distribution: &'static str,
    /// Why there is one.
    pub why: String,
}

/// What readers of a sink are promised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Promise {
    /// NAME of `[sink.NAME]`.
    pub sink: String,
    /// `exactly_once`, `at_least_once` or `at_most_once`.
    pub guarantee: &'static str,
    /// Why.
    pub why: String,
    /// When readers see what was written.
    pub visible: String,
}

/// A cluster with what its authorizer must allow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClusterExplained {
    /// NAME of `[kafka.NAME]`.
    pub cluster: String,
    /// `bootstrap.servers`.
    pub brokers: String,
    /// The consumer group.
    pub group: String,
    /// The ids of both slots, on the cluster that decides.
    pub transactional_ids: Vec<String>,
    /// Whom the commands name.
    pub principal: String,
    /// What the principal needs.
    pub permissions: Vec<Granted>,
}

/// A permission with the command that grants it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Granted {
    /// What.
    #[serde(flatten)]
    pub permission: Permission,
    /// The line for a shell.
    pub command: String,
}

impl Plan {
    /// Explains the plan.
    pub fn explain(&self) -> Explanation {
        // Whether two sections name one cluster, only the cluster can tell; the same brokers do.
        let brokers = |name: &str| self.spec.clusters.get(name).map(|cluster| cluster.brokers.as_str());
        let decider = self.decider(|a, b| a == b || brokers(a) == brokers(b));
        let explained = |(number, stage)| self.chain(number, stage);
        Explanation {
            pipeline: self.spec.name.clone(),
            guarantee: self.spec.guarantee.to_string(),
            threads: self.tasks(),
            chains: self.stages.iter().enumerate().map(explained).collect(),
            exchanges: (0..self.exchanges.len()).map(|number| self.crossing(number)).collect(),
            sinks: self.spec.sinks.iter().map(|sink| self.promise(sink)).collect(),
            decision: self.where_decided(&decider),
            checkpoints: self.when_decided(),
            clusters: self.clusters_explained(&decider),
            advice: self.advice().iter().map(ToString::to_string).collect(),
        }
    }

    fn chain(&self, number: usize, stage: &Stage) -> Chain {
        let mut shown = vec![false; self.spec.operators.len()];
        let mut steps = Vec::new();
        for source in stage.sources.iter().copied() {
            let then = self.follow(&self.from_source[source], &mut shown);
            let spec = &self.spec.sources[source];
            let about = about_source(&spec.kind);
            steps.push(Step { kind: "source", name: spec.name.clone(), about, then });
        }
        for exchange in stage.exchanges_in.iter().copied() {
            let (operator, input) = self.exchanges[exchange].to;
            let about = format!("from chain {}", self.exchanges[exchange].from_stage + 1);
            let then = self.follow(&[Downstream::Operator(operator, input)], &mut shown);
            steps.push(Step { kind: "exchange", name: (exchange + 1).to_string(), about, then });
        }
        Chain { chain: number + 1, parallelism: stage.parallelism, steps }
    }

    fn follow(&self, consumers: &[Downstream], shown: &mut [bool]) -> Vec<Step> {
        let mut steps = Vec::new();
        for consumer in consumers {
            steps.push(match consumer {
                Downstream::Operator(operator, _) => self.operator_step(*operator, shown),
                Downstream::Sink(sink) => self.sink_step(*sink, ""),
                Downstream::Exchange(exchange) => {
                    let to = self.exchanges[*exchange].to_stage + 1;
                    let (name, about) = ((exchange + 1).to_string(), format!("to chain {to}"));
                    Step { kind: "exchange", name, about, then: Vec::new() }
                }
            });
        }
        steps
    }

    fn operator_step(&self, operator: usize, shown: &mut [bool]) -> Step {
        let spec = &self.spec.operators[operator];
        let mut about = spec.component.rsplit('/').next().unwrap_or_default().to_owned();
        let shape = &self.shapes[operator];
        if shape.is_keyed() {
            let names = shape.states.iter().map(|state| state.name.as_str());
            let names: Vec<&str> =
                names.chain(shape.timers.iter().map(|timer| timer.name.as_str())).collect();
            about += &format!(", keeps {}", names.join(", "));
        }
        let mut then = Vec::new();
        if std::mem::replace(&mut shown[operator], true) {
            about += ", as above";
        } else {
            for port in &self.from_operator[operator] {
                then.extend(self.follow(port, shown));
            }
            then.extend(self.dead_letters[operator].map(|sink| self.sink_step(sink, ", its dead letters")));
        }
        Step { kind: "operator", name: spec.name.clone(), about, then }
    }

    fn sink_step(&self, sink: usize, role: &str) -> Step {
        let spec = &self.spec.sinks[sink];
        let about = match &spec.kind {
            SinkKind::Kafka { cluster, topic, .. } => format!("topic {topic} of {cluster}{role}"),
            SinkKind::Files { directory, .. } => format!("files in {directory}{role}"),
            SinkKind::Stdout { .. } => format!("standard output{role}"),
            SinkKind::Blackhole => format!("counted and forgotten{role}"),
        };
        Step { kind: "sink", name: spec.name.clone(), about, then: Vec::new() }
    }

    fn name_of(&self, from: Upstream) -> String {
        match from {
            Upstream::Source(source) => format!("source {}", self.spec.sources[source].name),
            Upstream::Operator(operator, _) => format!("operator {}", self.spec.operators[operator].name),
        }
    }

    fn crossing(&self, number: usize) -> Crossing {
        let Exchange { from, to: (operator, _), from_stage, to_stage, distribution } = self.exchanges[number];
        let (sender, to) = (self.name_of(from), self.spec.operators[operator].name.clone());
        let (sends, receives) = (self.stages[from_stage].parallelism, self.stages[to_stage].parallelism);
        let why = match (distribution, from) {
            (Distribution::ByKey, Upstream::Operator(upstream, port)) if !self.keeps_key(upstream, port) => {
                format!(
                    "operator {to} keeps something per key, and {sender} may change keys; keeps_key = true in its section says that it does not"
                )
            }
            (Distribution::ByKey, Upstream::Source(_)) if !self.spec.co_partitioned => {
                format!(
                    "operator {to} keeps something per key, and each key has one subtask; co_partitioned = true says that the topics are partitioned by key already"
                )
            }
            (Distribution::ByKey, _) => {
                format!(
                    "operator {to} keeps something per key, and the records of {sender} are not with the subtasks that own their keys ({sends} subtasks send, {receives} receive)"
                )
            }
            (Distribution::RoundRobin, _) => {
                format!("{sender} has {sends} subtasks, operator {to} has {receives}")
            }
            (Distribution::Forward, _) => {
                format!("another input of operator {to} comes from other threads")
            }
        };
        let distribution = match distribution {
            Distribution::ByKey => "by key",
            Distribution::RoundRobin => "in turn",
            Distribution::Forward => "one to one",
        };
        Crossing {
            exchange: number + 1,
            from_chain: from_stage + 1,
            to_chain: to_stage + 1,
            from: sender,
            to: format!("operator {to}"),
            distribution,
            why,
        }
    }

    fn promise(&self, sink: &SinkSpec) -> Promise {
        let decided = "after each checkpoint's commit";
        let (guarantee, why, visible) = match (&sink.kind, self.spec.guarantee) {
            (SinkKind::Kafka { .. }, Guarantee::ExactlyOnce) => (
                "exactly_once",
                "its records are in the transaction that holds the decision",
                format!("{decided}, with isolation.level=read_committed"),
            ),
            (SinkKind::Kafka { .. }, Guarantee::AtLeastOnce) => (
                "at_least_once",
                "records are sent at once; after a crash those since the last checkpoint are sent again",
                "at once".to_owned(),
            ),
            (SinkKind::Kafka { .. }, Guarantee::AtMostOnce) => (
                "at_most_once",
                "positions are decided before records are sent; a crash loses those in between",
                "at once".to_owned(),
            ),
            (SinkKind::Files { .. }, Guarantee::ExactlyOnce | Guarantee::AtLeastOnce) => (
                "exactly_once",
                "files get their names after the decision, again after a crash",
                decided.to_owned(),
            ),
            (SinkKind::Files { .. }, Guarantee::AtMostOnce) => (
                "at_most_once",
                "positions are decided before records are written; a crash loses those in between",
                decided.to_owned(),
            ),
            (SinkKind::Stdout { .. }, _) => (
                "at_least_once",
                "what was printed cannot be taken back; after a crash some of it is printed again",
                "at once".to_owned(),
            ),
            (SinkKind::Blackhole, _) => ("exactly_once", "nothing is kept", "never".to_owned()),
        };
        Promise { sink: sink.name.clone(), guarantee, why: why.to_owned(), visible }
    }

    fn where_decided(&self, decider: &Decider) -> String {
        match decider {
            Decider::SourcePartitions(cluster) => format!(
                "consumer group {} on {cluster}: the committed offsets of the source partitions, whose metadata names the checkpoint",
                self.consumer_group(cluster)
            ),
            Decider::StandIn { cluster, topic } => format!(
                "consumer group {} on {cluster}: the offset of {topic} 0 is the epoch and its metadata names the checkpoint; the sources' positions are in the data directory",
                self.consumer_group(cluster)
            ),
            Decider::Local => "a file of the data directory".to_owned(),
        }
    }

    fn when_decided(&self) -> String {
        let CheckpointSpec { interval, min_pause, timeout, .. } = self.spec.checkpoint;
        let pause = match min_pause {
            Duration::ZERO => String::new(),
            pause => format!(", {pause:?} after the one before at the earliest"),
        };
        format!(
            "every {interval:?} (checkpoint.interval){pause}; one that takes longer than {timeout:?} fails"
        )
    }

    fn clusters_explained(&self, decider: &Decider) -> Vec<ClusterExplained> {
        let mut found = Vec::new();
        for (name, spec) in &self.spec.clusters {
            let permissions = self.permissions(name, decider);
            if permissions.is_empty() {
                continue;
            }
            let to = Grantee::of(spec);
            let granted = |permission: Permission| Granted {
                command: to.command(permission.operation, &permission.resource),
                permission,
            };
            let decides = decider.cluster() == Some(name);
            found.push(ClusterExplained {
                cluster: name.clone(),
                brokers: spec.brokers.clone(),
                group: self.consumer_group(name),
                transactional_ids: if decides { self.transactional_ids().to_vec() } else { Vec::new() },
                principal: to.principal.clone(),
                permissions: permissions.into_iter().map(granted).collect(),
            });
        }
        found
    }
}

fn about_source(kind: &SourceKind) -> String {
    match kind {
        SourceKind::Kafka { cluster, topics, .. } => {
            let ending = if topics.len() == 1 { "" } else { "s" };
            format!("topic{ending} {} of {cluster}", topics.join(", "))
        }
        SourceKind::Generator { partitions, .. } => format!("made-up records, {partitions} partition(s)"),
        SourceKind::Files { paths, .. } => format!("files {}", paths.join(", ")),
        SourceKind::DeadLetters { from, .. } => format!("dead letters, {}", about_source(from)),
    }
}
