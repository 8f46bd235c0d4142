//! What is looked at before a pipeline starts. Each finding is one line that says what to do.

use crate::admin::{QUESTION_TIMEOUT, Resource, TopicFacts};
use crate::client_error::ErrorCode;
use crate::cluster::KafkaCluster;
use weir_protocol::connector::{ConnectorError, ErrorKind};
use weir_protocol::plan::Guarantee;

/// `TxnOffsetCommit` 3 (Kafka 2.5) carries the group's generation; the same brokers know stable offset reads.
const TRANSACTIONAL_OFFSETS_VERSION_MIN: u64 = 3;
/// Fewer copies than this and one broken disk loses committed records.
const COPIES_MIN: usize = 2;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// The pipeline must not start.
    Error,
    /// The pipeline can start; somebody should know.
    Warning,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad.
    pub level: Level,
    /// One line.
    pub message: String,
}

/// Topics of a pipeline on one cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckedTopics {
    /// Read, as (NAME of `[source.NAME]`, topic).
    pub read: Vec<(String, String)>,
    /// Written, as (NAME of `[sink.NAME]`, topic).
    pub written: Vec<(String, String)>,
}

impl KafkaCluster {
    /// Everything that can be known before the start. That brokers answer is known already.
    pub fn checks(&self, topics: &CheckedTopics) -> Vec<Finding> {
        let mut findings = Vec::new();
        self.check_version(&mut findings);
        self.check_timeout(&mut findings);
        self.check_group(&mut findings);
        for (source, topic) in &topics.read {
            self.check_topic(topic, &format!("source.{source}.topics"), &mut findings);
        }
        for (sink, topic) in &topics.written {
            let facts = self.check_topic(topic, &format!("sink.{sink}.topic"), &mut findings);
            if let Some(facts) = facts {
                self.check_copies(topic, &facts, &mut findings);
            }
        }
        findings
    }

    fn check_version(&self, findings: &mut Vec<Finding>) {
        use std::sync::atomic::Ordering::Acquire;
        let noted = self.shared.admin.noted();
        let version = noted.transactional_offsets_version.load(Acquire);
        if noted.versions_seen.load(Acquire) && version < TRANSACTIONAL_OFFSETS_VERSION_MIN {
            findings.push(error(format!(
                "the brokers at {} are older than Kafka 2.5 (TxnOffsetCommit {version}, weir needs {TRANSACTIONAL_OFFSETS_VERSION_MIN}): a decision could be read while it is undecided; upgrade them",
                self.options.spec.brokers
            )));
        }
    }

    fn check_timeout(&self, findings: &mut Vec<Finding>) {
        let (ours, name) = (self.shared.transaction_timeout, &self.options.name);
        let Some(broker) = self.broker_transaction_timeout_max else { return };
        let needed = self.options.checkpoint_interval + self.options.checkpoint_timeout;
        if ours > broker {
            findings.push(error(format!(
                "kafka.{name}.transaction_timeout {ours:?} is longer than the brokers' transaction.max.timeout.ms {broker:?}; lower it or raise theirs"
            )));
        } else if needed > ours.mul_f64(0.8) {
            findings.push(error(format!(
                "checkpoint.interval + checkpoint.timeout ({needed:?}) must be at most 0.8 of the transaction timeout {ours:?} (the brokers allow {broker:?}); lower them or raise the brokers' transaction.max.timeout.ms"
            )));
        }
    }

    fn check_group(&self, findings: &mut Vec<Finding>) {
        let group = &self.shared.group;
        match self.shared.admin.group(group) {
            Ok(facts) if facts.members > 0 => findings.push(error(format!(
                "consumer group {group} has {} active members ({}); a group belongs to one pipeline: stop them or set kafka.{}.group",
                facts.members, facts.state, self.options.name
            ))),
            Ok(_) => {}
            Err(failed) => findings.push(unanswered(failed)),
        }
    }

    fn check_topic(&self, topic: &str, key: &str, findings: &mut Vec<Finding>) -> Option<TopicFacts> {
        let found = match self.shared.admin.topics(&[topic], QUESTION_TIMEOUT) {
            Ok((mut found, _)) => found.remove(topic),
            Err(failed) => {
                findings.push(unanswered(failed.of(&format!("topic {topic}"))));
                return None;
            }
        };
        let code = found.as_ref().map_or(ErrorCode::UNKNOWN_TOPIC, |facts| facts.code);
        if code.is_unknown_topic() {
            findings.push(error(format!(
                "topic {topic} does not exist on brokers {}; create it or fix {key}",
                self.options.spec.brokers
            )));
            return None;
        }
        if let Err(failed) = code.check() {
            findings.push(error(failed.of(&format!("topic {topic}")).message));
            return None;
        }
        found
    }

    fn check_copies(&self, topic: &str, facts: &TopicFacts, findings: &mut Vec<Finding>) {
        if self.shared.guarantee != Guarantee::ExactlyOnce {
            return;
        }
        let replicas = facts.replicas.values().copied().min().unwrap_or(0);
        let configuration = self.shared.admin.configuration(Resource::Topic(topic)).unwrap_or_default();
        let in_sync: usize =
            configuration.get("min.insync.replicas").and_then(|text| text.parse().ok()).unwrap_or(COPIES_MIN);
        if replicas < COPIES_MIN || in_sync < COPIES_MIN {
            findings.push(Finding {
                level: Level::Warning,
                message: format!(
                    "topic {topic} has {replicas} replica(s) and min.insync.replicas={in_sync}: losing one broker can lose committed records, whatever weir does; use at least 2 and 2 in production"
                ),
            });
        }
    }
}

/// A broker that does not answer now says nothing about the pipeline; the start itself waits for it.
fn unanswered(failed: ConnectorError) -> Finding {
    match failed.kind {
        ErrorKind::Transient => Finding { level: Level::Warning, message: failed.message },
        ErrorKind::Fenced | ErrorKind::Permanent | ErrorKind::Refused => error(failed.message),
    }
}

fn error(message: String) -> Finding {
    Finding { level: Level::Error, message }
}
