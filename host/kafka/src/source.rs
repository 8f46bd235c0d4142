//! A Kafka source: its partitions, where they start and end, and a reader per subtask.

use crate::admin::{OffsetSpec, QUESTION_TIMEOUT};
use crate::client::{Client, Kind};
use crate::cluster::Shared;
use crate::denied::reading;
use crate::lost_position;
use crate::properties::client_settings;
use crate::reader::KafkaReader;
use std::sync::Arc;
use weir_protocol::connector::{ConnectorError, Source, SourceReader, StartPolicy};
use weir_protocol::position::{Partition, Positions};

/// Topics of one cluster.
pub struct KafkaSource {
    shared: Arc<Shared>,
    name: String,
    topics: Vec<String>,
}

impl KafkaSource {
    pub(crate) fn new(shared: Arc<Shared>, name: &str, topics: &[String]) -> KafkaSource {
        KafkaSource { shared, name: name.to_owned(), topics: topics.to_vec() }
    }
}

impl Source for KafkaSource {
    fn partitions(&mut self) -> Result<Vec<Partition>, ConnectorError> {
        let topics: Vec<&str> = self.topics.iter().map(String::as_str).collect();
        let asked = self.shared.admin.topics(&topics, QUESTION_TIMEOUT);
        let (found, _) = asked.map_err(|error| error.of(&format!("source.{}: metadata", self.name)))?;
        let mut partitions = Vec::new();
        for topic in &self.topics {
            let facts = found.get(topic).filter(|facts| !facts.code.is_unknown_topic());
            let Some(facts) = facts else {
                return Err(ConnectorError::permanent(format!(
                    "topic {topic} does not exist on brokers {}; create it or fix source.{}.topics",
                    self.shared.spec.brokers, self.name
                )));
            };
            let asked = facts.code.check();
            let asked = asked.map_err(|error| error.needing(&self.shared.grantee, &[reading(topic)]));
            asked.map_err(|error| error.of(&format!("source.{}: topic {topic}", self.name)))?;
            let name: Arc<str> = topic.as_str().into();
            partitions.extend(facts.replicas.keys().map(|number| Partition::new(name.clone(), *number)));
        }
        Ok(partitions)
    }

    fn resolve(
        &mut self,
        partitions: &[Partition],
        policy: StartPolicy,
    ) -> Result<Positions, ConnectorError> {
        let spec = match policy {
            StartPolicy::CommittedOrEarliest | StartPolicy::Earliest => OffsetSpec::Earliest,
            StartPolicy::CommittedOrLatest | StartPolicy::Latest => OffsetSpec::LastStable,
            StartPolicy::Timestamp(at) => OffsetSpec::Timestamp(at),
        };
        let asked = |spec| partitions.iter().map(|p| (p.clone(), spec)).collect::<Vec<_>>();
        let mut positions = self.shared.admin.offsets(&asked(spec), &self.shared.grantee)?;
        if matches!(policy, StartPolicy::Timestamp(_)) && positions.values().any(|at| at.offset < 0) {
            // No record at or after the time: the end.
            let ends = self.shared.admin.offsets(&asked(OffsetSpec::LastStable), &self.shared.grantee)?;
            for (partition, position) in &mut positions {
                if position.offset < 0
                    && let Some(end) = ends.get(partition)
                {
                    *position = *end;
                }
            }
        }
        // The epoch in these answers is the leader's present one, not that of a record read.
        positions.values_mut().for_each(|position| position.leader_epoch = -1);
        Ok(positions)
    }

    fn ends(&mut self, partitions: &[Partition]) -> Result<Positions, ConnectorError> {
        self.resolve(partitions, StartPolicy::Latest)
    }

    fn check_start(&mut self, start: &Positions) -> Result<(), ConnectorError> {
        let asked = |spec| start.keys().map(|partition| (partition.clone(), spec)).collect::<Vec<_>>();
        let grantee = &self.shared.grantee;
        let firsts = self.shared.admin.offsets(&asked(OffsetSpec::Earliest), grantee)?;
        let ends = self.shared.admin.offsets(&asked(OffsetSpec::End), grantee)?;
        for (partition, position) in start {
            let (Some(first), Some(end)) = (firsts.get(partition), ends.get(partition)) else { continue };
            let range = (first.offset, end.offset);
            if !(range.0..=range.1).contains(&position.offset) {
                return Err(lost_position::refused(partition.clone(), position.offset, Some(range), None));
            }
        }
        Ok(())
    }

    fn reader(
        &mut self,
        start: &Positions,
        ends: Option<&Positions>,
    ) -> Result<Box<dyn SourceReader>, ConnectorError> {
        let shared = &self.shared;
        let client_id = format!("{}-source-{}", shared.client_id, self.name);
        let mut settings = client_settings(&shared.spec, Kind::Consumer, &client_id);
        // The client wants a group; partitions are assigned by hand, so it never joins.
        settings
            .set("group.id", &shared.group)
            .set("statistics.interval.ms", STATISTICS_INTERVAL_MS)
            .set("queued.max.messages.kbytes", (shared.prefetch_bytes_max / 1024).clamp(1, PREFETCH_KIB_MAX));
        let client = Client::new(Kind::Consumer, &client_id, &settings)?;
        Ok(Box::new(KafkaReader::new(client, shared.clone(), start, ends)?))
    }
}

/// How often the client tells the last stable offsets, which it has no call for. A reader that is not polled lets the
/// texts pile up; `checkpoint.timeout` ends that.
const STATISTICS_INTERVAL_MS: u64 = 5_000;

/// librdkafka's own upper bound of `queued.max.messages.kbytes`.
const PREFETCH_KIB_MAX: usize = 2_097_151;
