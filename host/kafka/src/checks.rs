//! What is looked at before a pipeline starts. Each finding is one line that says what to do.

use crate::admin::{QUESTION_TIMEOUT, Resource, TopicFacts};
use crate::client_error::ErrorCode;
use crate::cluster::KafkaCluster;
use crate::denied::{Needs, reading, writing};
use weir_protocol::connector::{ConnectorError, ErrorKind};
use weir_protocol::permission::{Operation, Resource as Acl};
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

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looked {
    /// What it is, such as `topic orders`.
    pub check: String,
    /// What was found, where nothing is wrong with it.
    pub told: String,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

impl KafkaCluster {
    /// Everything that is known to be wrong before the start. That brokers answer is known already.
    pub fn checks(&self, topics: &CheckedTopics) -> Vec<Finding> {
        self.look(topics).into_iter().flat_map(|looked| looked.findings).collect()
    }

    /// Looks at everything that can be known before the start, and changes nothing.
    pub fn look(&self, topics: &CheckedTopics) -> Vec<Looked> {
        let mut looked =
            vec![self.look_at_version(), self.look_at_limits(), self.look_at_timeout(), self.look_at_group()];
        for (source, topic) in &topics.read {
            let (key, needs) = (format!("source.{source}.topics"), reading(topic));
            looked.push(self.look_at_topic(topic, &key, &needs, false));
        }
        for (sink, topic) in &topics.written {
            let (key, needs) = (format!("sink.{sink}.topic"), writing(topic));
            looked.push(self.look_at_topic(topic, &key, &needs, true));
        }
        looked
    }

    fn look_at_version(&self) -> Looked {
        use std::sync::atomic::Ordering::Acquire;
        let noted = self.shared.admin.noted();
        let version = noted.transactional_offsets_version.load(Acquire);
        let too_old = noted.versions_seen.load(Acquire) && version < TRANSACTIONAL_OFFSETS_VERSION_MIN;
        let finding = too_old.then(|| {
            error(format!(
                "the brokers at {} are older than Kafka 2.5 (TxnOffsetCommit {version}, weir needs {TRANSACTIONAL_OFFSETS_VERSION_MIN}): a decision could be read while it is undecided; upgrade them",
                self.options.spec.brokers
            ))
        });
        Looked {
            check: "version of the brokers".to_owned(),
            told: format!("Kafka 2.5 or newer (TxnOffsetCommit {version})"),
            findings: finding.into_iter().collect(),
        }
    }

    /// Without them the transaction timeout may be longer than the brokers allow, which the start would say.
    fn look_at_limits(&self) -> Looked {
        let finding = self.denied_broker_configuration.then(|| {
            let line = self.shared.grantee.command(Operation::DescribeConfigs, &Acl::Cluster);
            warning(format!(
                "the brokers' transaction.max.timeout.ms may not be read and is taken for 15 minutes; to allow it: {line}"
            ))
        });
        Looked {
            check: "limits of the brokers".to_owned(),
            told: match self.broker_transaction_timeout_max {
                Some(limit) => format!("transaction.max.timeout.ms is {limit:?}"),
                None => "the brokers do not tell transaction.max.timeout.ms".to_owned(),
            },
            findings: finding.into_iter().collect(),
        }
    }

    fn look_at_timeout(&self) -> Looked {
        let (ours, name) = (self.shared.transaction_timeout, &self.options.name);
        let needed = self.options.checkpoint_interval + self.options.checkpoint_timeout;
        let finding = match self.broker_transaction_timeout_max {
            Some(broker) if ours > broker => Some(error(format!(
                "kafka.{name}.transaction_timeout {ours:?} is longer than the brokers' transaction.max.timeout.ms {broker:?}; lower it or raise theirs"
            ))),
            Some(broker) if needed > ours.mul_f64(0.8) => Some(error(format!(
                "checkpoint.interval + checkpoint.timeout ({needed:?}) must be at most 0.8 of the transaction timeout {ours:?} (the brokers allow {broker:?}); lower them or raise the brokers' transaction.max.timeout.ms"
            ))),
            _ => None,
        };
        Looked {
            check: "transaction timeout".to_owned(),
            told: format!("{ours:?}, and a checkpoint needs at most {needed:?} of it"),
            findings: finding.into_iter().collect(),
        }
    }

    fn look_at_group(&self) -> Looked {
        let group = &self.shared.group;
        let (told, finding) = match self.shared.admin.group(group) {
            Ok(facts) if facts.members > 0 => {
                let message = format!(
                    "consumer group {group} has {} active members ({}); a group belongs to one pipeline: stop them or set kafka.{}.group",
                    facts.members, facts.state, self.options.name
                );
                (String::new(), Some(error(message)))
            }
            Ok(facts) => (format!("no members ({})", facts.state), None),
            Err(failed) => (String::new(), Some(unanswered(failed))),
        };
        Looked { check: format!("consumer group {group}"), told, findings: finding.into_iter().collect() }
    }

    fn look_at_topic(&self, topic: &str, key: &str, needs: &Needs, written: bool) -> Looked {
        let mut findings = Vec::new();
        let mut told = String::new();
        if let Some(facts) = self.look_for_topic(topic, key, needs, &mut findings) {
            told = format!("{} partition(s)", facts.replicas.len());
            if written {
                self.look_at_configuration(topic, &facts, &mut told, &mut findings);
            }
        }
        Looked { check: format!("topic {topic}"), told, findings }
    }

    fn look_for_topic(
        &self,
        topic: &str,
        key: &str,
        needs: &Needs,
        findings: &mut Vec<Finding>,
    ) -> Option<TopicFacts> {
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
        // It can be seen, and still not be allowed to be used.
        let denied = self.shared.admin.may_use(topic, needs.0) == Some(false);
        let code = if denied { ErrorCode::TOPIC_FORBIDDEN } else { code };
        if let Err(failed) = code.check() {
            let failed = failed.needing(&self.shared.grantee, std::slice::from_ref(needs));
            findings.push(error(failed.of(key).message));
            return None;
        }
        found
    }

    fn look_at_configuration(
        &self,
        topic: &str,
        facts: &TopicFacts,
        told: &mut String,
        findings: &mut Vec<Finding>,
    ) {
        let configuration = self.shared.admin.configuration(Resource::Topic(topic));
        if configuration.as_ref().is_err_and(|failed| failed.code.is_forbidden()) {
            let to = &self.shared.grantee;
            let line = to.command(Operation::DescribeConfigs, &Acl::Topic(topic.to_owned()));
            findings.push(warning(format!(
                "the configuration of topic {topic} may not be read, its max.message.bytes is taken for 1048588; to allow it: {line}"
            )));
        }
        let configuration = configuration.unwrap_or_default();
        for name in ["min.insync.replicas", "max.message.bytes", "compression.type"] {
            if let Some(value) = configuration.get(name) {
                *told += &format!(", {name}={value}");
            }
        }
        let replicas = facts.replicas.values().copied().min().unwrap_or(0);
        let in_sync: usize =
            configuration.get("min.insync.replicas").and_then(|text| text.parse().ok()).unwrap_or(COPIES_MIN);
        *told += &format!(", {replicas} replica(s)");
        let exactly_once = self.shared.guarantee == Guarantee::ExactlyOnce;
        if exactly_once && (replicas < COPIES_MIN || in_sync < COPIES_MIN) {
            findings.push(warning(format!(
                "topic {topic} has {replicas} replica(s) and min.insync.replicas={in_sync}: losing one broker can lose committed records, whatever weir does; use at least 2 and 2 in production"
            )));
        }
    }
}

/// A broker that does not answer now says nothing about the pipeline; the start itself waits for it.
fn unanswered(failed: ConnectorError) -> Finding {
    match failed.kind {
        ErrorKind::Transient => warning(failed.message),
        ErrorKind::Fenced | ErrorKind::Permanent | ErrorKind::Refused => error(failed.message),
    }
}

fn warning(message: String) -> Finding {
    Finding { level: Level::Warning, message }
}

fn error(message: String) -> Finding {
    Finding { level: Level::Error, message }
}
