//! Who decides the checkpoints of a plan, by which names, and what that needs of a cluster's authorizer.

use super::*;
use crate::permission::{Need, Operation, Permission, Resource};

/// The only worker of a pipeline that runs in one process.
const WORKER: &str = "0";

/// Who decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decider {
    /// A cluster, by the NAME of its section: the committed offsets of the source partitions are the decision.
    SourcePartitions(String),
    /// A cluster: the sources are elsewhere, the epoch's number stands as the offset of partition 0 of this topic.
    StandIn {
        /// NAME of `[kafka.NAME]`.
        cluster: String,
        /// The topic of the first Kafka sink.
        topic: String,
    },
    /// A file of the pipeline's directory.
    Local,
}

impl Decider {
    /// The section of the cluster that decides.
    pub fn cluster(&self) -> Option<&str> {
        match self {
            Decider::SourcePartitions(cluster) | Decider::StandIn { cluster, .. } => Some(cluster),
            Decider::Local => None,
        }
    }
}

/// The transactional id of a slot: a contract, for recovery fences by it.
pub fn transactional_id(id_prefix: &str, pipeline: &str, slot: usize) -> String {
    format!("{id_prefix}{pipeline}.{WORKER}.{slot}")
}

impl Plan {
    /// The cluster of the first Kafka sink, because its transaction is the commit; else that of the sources, if they
    /// are all on one; else nobody but the host. `same` tells whether two sections name one cluster.
    pub fn decider(&self, same: impl Fn(&str, &str) -> bool) -> Decider {
        let clusters: Vec<Option<&str>> = self.source_clusters();
        let all_on =
            |cluster: &str| clusters.iter().all(|source| source.is_some_and(|name| same(name, cluster)));
        let sink = self.spec.sinks.iter().find_map(|sink| match &sink.kind {
            SinkKind::Kafka { cluster, topic, .. } => Some((cluster.clone(), topic.clone())),
            _ => None,
        });
        match (sink, clusters.first()) {
            (Some((cluster, _)), _) if all_on(&cluster) => Decider::SourcePartitions(cluster),
            (Some((cluster, topic)), _) => Decider::StandIn { cluster, topic },
            (None, Some(Some(cluster))) if all_on(cluster) => {
                Decider::SourcePartitions((*cluster).to_owned())
            }
            _ => Decider::Local,
        }
    }

    /// Per source its cluster, `None` for one that is not Kafka. A replay of dead letters changes nothing about where the
    /// decision is, and is left out.
    pub fn source_clusters<'a>(&'a self) -> Vec<Option<&'a str>> {
        let of = |source: &'a SourceSpec| match &source.kind {
            SourceKind::Kafka { cluster, .. } => Some(Some(cluster.as_str())),
            SourceKind::Generator { .. } | SourceKind::Files { .. } => Some(None),
            SourceKind::DeadLetters { .. } => None,
        };
        self.spec.sources.iter().filter_map(of).collect()
    }

    /// The consumer group on a cluster.
    pub fn consumer_group(&self, cluster: &str) -> String {
        let own = self.spec.clusters.get(cluster).and_then(|cluster| cluster.group.clone());
        own.unwrap_or_else(|| format!("{}{}", self.spec.id_prefix, self.spec.name))
    }

    /// The transactional ids of both slots.
    pub fn transactional_ids(&self) -> [String; 2] {
        [0, 1].map(|slot| transactional_id(&self.spec.id_prefix, &self.spec.name, slot))
    }

    /// What the principal of a cluster's section needs: what it cannot do without first.
    pub fn permissions(&self, cluster: &str, decider: &Decider) -> Vec<Permission> {
        let mut found: Vec<Permission> = Vec::new();
        let mut add = |need: Need, operation: Operation, resource: Resource, reason: String| {
            let same = |known: &Permission| known.operation == operation && known.resource == resource;
            if !found.iter().any(same) {
                found.push(Permission { operation, resource, need, reason });
            }
        };
        for source in &self.spec.sources {
            let kind = match &source.kind {
                SourceKind::DeadLetters { from, .. } => from.as_ref(),
                kind => kind,
            };
            if let SourceKind::Kafka { cluster: own, topics, .. } = kind
                && own == cluster
            {
                for topic in topics {
                    let reason = format!("source {} reads it", source.name);
                    add(Need::Run, Operation::Read, Resource::Topic(topic.clone()), reason);
                }
            }
        }
        let written = self.written(cluster);
        for (sink, topic) in &written {
            let reason = format!("sink {sink} writes it");
            add(Need::Run, Operation::Write, Resource::Topic((*topic).to_owned()), reason);
        }
        let group = Resource::Group(self.consumer_group(cluster));
        if decider.cluster() == Some(cluster) {
            if let Decider::StandIn { topic, .. } = decider {
                let reason = "the decision is committed as the offset of its partition 0".to_owned();
                add(Need::Run, Operation::Read, Resource::Topic(topic.clone()), reason);
            }
            let reason = "the decision is among its committed offsets".to_owned();
            add(Need::Run, Operation::Read, group, reason);
            for id in self.transactional_ids() {
                let reason = match self.spec.guarantee {
                    Guarantee::ExactlyOnce => "every other epoch is a transaction of this id",
                    Guarantee::AtLeastOnce | Guarantee::AtMostOnce => {
                        "each start fences the one before by it"
                    }
                };
                add(Need::Run, Operation::Write, Resource::TransactionalId(id), reason.to_owned());
            }
        } else if self.source_clusters().contains(&Some(cluster)) {
            let reason = "the client asks for the group that it belongs to by name".to_owned();
            add(Need::Run, Operation::Describe, group, reason);
        } else if self.replayed(cluster).next().is_some() {
            let reason =
                "the client that reads letters asks for the group that it belongs to by name".to_owned();
            add(Need::DeadLetters, Operation::Describe, group, reason);
        }
        for (sink, topic) in self.replayed(cluster) {
            let reason = format!(
                "weir dlq reads the dead letters of sink {sink}, and commits how far a replay has come"
            );
            add(Need::DeadLetters, Operation::Read, Resource::Topic(topic.to_owned()), reason);
        }
        for (sink, topic) in written {
            let reason = format!(
                "sink {sink} learns max.message.bytes and min.insync.replicas; without it weir assumes 1048588 bytes"
            );
            add(Need::Limits, Operation::DescribeConfigs, Resource::Topic(topic.to_owned()), reason);
        }
        if decider.cluster() == Some(cluster) {
            let reason =
                "weir learns the brokers' transaction.max.timeout.ms; without it weir assumes 15 minutes";
            add(Need::Limits, Operation::DescribeConfigs, Resource::Cluster, reason.to_owned());
        }
        found
    }

    /// Sinks of dead letters on a cluster with their topics, as far as letters can come back.
    fn replayed<'a>(&'a self, cluster: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let sinks = self.spec.sinks.iter().enumerate();
        let replayed = sinks.filter(|(index, sink)| {
            self.spec.guarantee != Guarantee::AtMostOnce
                && self.dead_letters.contains(&Some(*index))
                && self.letters_of(sink).is_ok()
        });
        replayed.filter_map(move |(_, sink)| match &sink.kind {
            SinkKind::Kafka { cluster: own, topic, .. } if own == cluster => {
                Some((sink.name.as_str(), topic.as_str()))
            }
            _ => None,
        })
    }

    /// Sinks on a cluster with their topics.
    fn written(&self, cluster: &str) -> Vec<(&str, &str)> {
        let sinks = self.spec.sinks.iter();
        sinks
            .filter_map(|sink| match &sink.kind {
                SinkKind::Kafka { cluster: own, topic, .. } if own == cluster => {
                    Some((sink.name.as_str(), topic.as_str()))
                }
                _ => None,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_transactional_ids_are_a_contract() {
        assert_eq!(transactional_id("weir.", "orders", 0), "weir.orders.0.0");
        assert_eq!(transactional_id("test.", "orders", 1), "test.orders.0.1");
    }
}
