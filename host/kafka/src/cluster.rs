//! One Kafka cluster for one incarnation of one pipeline: what its sources, sinks and decision log share.

use crate::admin::{QUESTION_TIMEOUT, Resource, asking};
use crate::client::{Client, Kind, Settings};
use crate::client_error::{ClientError, ErrorCode};
use crate::decision_log::{DecisionForm, KafkaDecisionLog};
use crate::denied::writing;
use crate::properties::{check_cluster_properties, client_settings};
use crate::refusal::{Refusal, refusal};
use crate::sink::KafkaSink;
use crate::slots::Slots;
use crate::source::KafkaSource;
use crate::topic_handle::TopicHandle;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use weir_protocol::connector::{ConnectorError, DecisionLog, Sink, Source};
use weir_protocol::permission::Grantee;
use weir_protocol::plan::{ClusterSpec, Guarantee, SinkTimestamp};

/// librdkafka's own size of a batch; a topic with a smaller limit lowers it.
const BATCH_BYTES: usize = 1_000_000;
/// librdkafka's bounds of `message.max.bytes`.
const MESSAGE_BYTES: std::ops::RangeInclusive<usize> = 1_000..=1_000_000_000;
/// What a topic's `max.message.bytes` is where nobody changed it.
const MESSAGE_BYTES_DEFAULT: usize = 1_048_588;
/// librdkafka reckons more bytes per header than the broker stores; its own check must not refuse what ours took.
const HEADER_MARGIN_BYTES: usize = 64 << 10;
/// The least transaction timeout that is derived.
const TRANSACTION_TIMEOUT_MIN: Duration = Duration::from_secs(60);
/// A broker's `transaction.max.timeout.ms` where nobody changed it.
const TRANSACTION_TIMEOUT_MAX: Duration = Duration::from_secs(15 * 60);

/// What a cluster has to know of its pipeline.
#[derive(Debug, Clone)]
pub struct ClusterOptions {
    /// NAME of `[kafka.NAME]`.
    pub name: String,
    /// The section.
    pub spec: ClusterSpec,
    /// The pipeline's name.
    pub pipeline: String,
    /// Put before the pipeline's name in transactional ids and the default group.
    pub id_prefix: String,
    /// What is promised.
    pub guarantee: Guarantee,
    /// `checkpoint.interval`.
    pub checkpoint_interval: Duration,
    /// `checkpoint.timeout`.
    pub checkpoint_timeout: Duration,
    /// Bytes that one reader fetches ahead.
    pub prefetch_bytes_max: usize,
    /// Bytes of records that one producer holds.
    pub producer_bytes_max: usize,
}

/// What sources, sinks and decision log of a cluster share.
pub(crate) struct Shared {
    pub(crate) spec: ClusterSpec,
    pub(crate) group: String,
    pub(crate) client_id: String,
    pub(crate) guarantee: Guarantee,
    /// To whom permissions are granted.
    pub(crate) grantee: Grantee,
    pub(crate) transaction_timeout: Duration,
    pub(crate) prefetch_bytes_max: usize,
    producer_bytes_max: usize,
    pub(crate) admin: Client,
    pub(crate) slots: Slots,
    /// Topics that are written, with their `max.message.bytes`.
    written: Mutex<BTreeMap<String, usize>>,
}

impl Shared {
    /// Settings of a producer that can write to all topics of this pipeline.
    pub(crate) fn producer_settings(&self, client_id: &str) -> Settings {
        let mut settings = Settings::default();
        settings.set("queue.buffering.max.kbytes", (self.producer_bytes_max / 1024).max(1));
        settings.0.extend(client_settings(&self.spec, Kind::Producer, client_id).0);
        let written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let largest = written.values().copied().max().unwrap_or(MESSAGE_BYTES_DEFAULT);
        let smallest = written.values().copied().min().unwrap_or(MESSAGE_BYTES_DEFAULT);
        let message = largest.saturating_add(HEADER_MARGIN_BYTES);
        settings.set("message.max.bytes", message.clamp(*MESSAGE_BYTES.start(), *MESSAGE_BYTES.end()));
        // A batch larger than the topic's limit would be refused as a whole.
        let batch: usize =
            settings.0.get("batch.size").and_then(|size| size.parse().ok()).unwrap_or(BATCH_BYTES);
        settings.set("batch.size", batch.min(smallest));
        settings
    }

    /// Connects a producer and makes it know the topics that it will write.
    pub(crate) fn warm(
        &self,
        client: &Arc<Client>,
        step: Duration,
        deadline: Instant,
    ) -> Result<Vec<TopicHandle>, ConnectorError> {
        let names: Vec<String> = {
            let written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
            written.keys().cloned().collect()
        };
        let handles: Result<Vec<TopicHandle>, ConnectorError> =
            names.iter().map(|name| TopicHandle::new(client, name)).collect();
        let handles = handles?;
        let asked: Vec<&str> = names.iter().map(String::as_str).collect();
        loop {
            match client.topics(&asked, step) {
                Ok(_) => return Ok(handles),
                Err(error) if error.code.is_transport() && Instant::now() < deadline => {}
                Err(error) => return Err(error.of("connecting a producer")),
            }
        }
    }
}

/// One cluster. Made anew for each incarnation; nothing of it survives one.
pub struct KafkaCluster {
    pub(crate) options: ClusterOptions,
    pub(crate) shared: Arc<Shared>,
    id: Option<String>,
    pub(crate) broker_transaction_timeout_max: Option<Duration>,
    /// Reading the brokers' configuration is a permission of its own, and we have it not.
    pub(crate) denied_broker_configuration: bool,
}

impl KafkaCluster {
    /// Connects, which proves that a broker answers and accepts the credentials.
    pub fn connect(options: ClusterOptions) -> Result<KafkaCluster, ConnectorError> {
        let section = format!("kafka.{}", options.name);
        if let Some(problem) = check_cluster_properties(&options.spec).into_iter().next() {
            return Err(ConnectorError::permanent(format!("{section}.{problem}")));
        }
        let client_id = format!("{}{}", options.id_prefix, options.pipeline);
        let admin_id = format!("{client_id}-admin");
        let admin = asking(client_settings(&options.spec, Kind::Admin, &admin_id));
        let admin = Client::new(Kind::Admin, &admin_id, &admin)
            .map_err(|error| ConnectorError { message: format!("{section}: {}", error.message), ..error })?;
        let broker = reach(&admin, &section, &options.spec)?;
        let id = admin.cluster_id(QUESTION_TIMEOUT);
        let timeout_max = broker.map_or(Ok(None), |broker| transaction_timeout_max(&admin, broker));
        let denied_broker_configuration = timeout_max.as_ref().err().is_some_and(|e| e.code.is_forbidden());
        let broker_transaction_timeout_max = timeout_max.ok().flatten();
        let shared = Shared {
            group: options.spec.group.clone().unwrap_or_else(|| client_id.clone()),
            guarantee: options.guarantee,
            grantee: Grantee::of(&options.spec),
            transaction_timeout: transaction_timeout(
                &options,
                broker_transaction_timeout_max.unwrap_or(TRANSACTION_TIMEOUT_MAX),
            ),
            prefetch_bytes_max: options.prefetch_bytes_max,
            producer_bytes_max: options.producer_bytes_max,
            slots: Slots::new(&options.id_prefix, &options.pipeline),
            written: Mutex::default(),
            spec: options.spec.clone(),
            client_id,
            admin,
        };
        Ok(KafkaCluster {
            options,
            shared: Arc::new(shared),
            id,
            broker_transaction_timeout_max,
            denied_broker_configuration,
        })
    }

    /// The cluster's own id: two sections with the same id are the same cluster.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The consumer group that holds the decision.
    pub fn group(&self) -> &str {
        &self.shared.group
    }

    /// The transaction timeout in use: the longest that an epoch may take from its first record to its commit.
    pub fn transaction_timeout(&self) -> Duration {
        self.shared.transaction_timeout
    }

    /// Makes a topic where there is none, with the cluster's default for its replicas, and waits until it can be used.
    pub fn create_topic(&self, topic: &str, partitions: i32) -> Result<(), ConnectorError> {
        let (admin, what) = (&self.shared.admin, format!("creating topic {topic}"));
        admin.create_topic(topic, partitions).map_err(|error| error.of(&what))?;
        let deadline = Instant::now() + QUESTION_TIMEOUT;
        loop {
            // The answer comes from the controller; other brokers hear of the topic a little later.
            let (found, _) = admin.topics(&[topic], QUESTION_TIMEOUT).map_err(|error| error.of(&what))?;
            match found.get(topic) {
                Some(facts) if facts.code == ErrorCode::NONE && !facts.replicas.is_empty() => return Ok(()),
                _ if Instant::now() >= deadline => {
                    return Err(ConnectorError::transient(format!("{what}: it does not appear")));
                }
                _ => std::thread::sleep(APPEARANCE_PAUSE),
            }
        }
    }

    /// A source. `name` is NAME of `[source.NAME]`.
    pub fn source(&self, name: &str, topics: &[String]) -> Box<dyn Source> {
        Box::new(KafkaSource::new(self.shared.clone(), name, topics))
    }

    /// A sink. `name` is NAME of `[sink.NAME]`. To be made before the fence: producers are made for the limits of
    /// all topics.
    pub fn sink(
        &self,
        name: &str,
        topic: &str,
        timestamp: SinkTimestamp,
        headers: bool,
    ) -> Result<Box<dyn Sink>, ConnectorError> {
        let admin = &self.shared.admin;
        let what = format!("sink.{name}: topic {topic}");
        let (found, _) = admin.topics(&[topic], QUESTION_TIMEOUT).map_err(|error| error.of(&what))?;
        let code = found.get(topic).map_or(ErrorCode::UNKNOWN_TOPIC, |facts| facts.code);
        if code.is_unknown_topic() {
            return Err(ConnectorError::permanent(format!(
                "topic {topic} does not exist on brokers {}; create it or fix sink.{name}.topic",
                self.options.spec.brokers
            )));
        }
        let to = &self.shared.grantee;
        code.check().map_err(|error| error.needing(to, &[writing(topic)]).of(&what))?;
        let message_bytes_max = match admin.configuration(Resource::Topic(topic)) {
            Ok(found) => found.get("max.message.bytes").and_then(|text| text.parse().ok()),
            // Reading the configuration is a permission of its own; the broker's default is the best guess.
            Err(error) if error.code.is_forbidden() => None,
            Err(error) => return Err(error.of(&what)),
        };
        let message_bytes_max = message_bytes_max.unwrap_or(MESSAGE_BYTES_DEFAULT);
        let mut written = self.shared.written.lock().unwrap_or_else(PoisonError::into_inner);
        written.insert(topic.to_owned(), message_bytes_max);
        let (shared, topic) = (self.shared.clone(), topic.to_owned());
        Ok(Box::new(KafkaSink { shared, topic, timestamp, headers, message_bytes_max }))
    }

    /// The decision log of the pipeline, on this cluster.
    pub fn decision_log(&self, form: DecisionForm) -> Box<dyn DecisionLog> {
        Box::new(KafkaDecisionLog::new(self.shared.clone(), form))
    }
}

/// How long a topic that was just made is left alone before it is looked for again.
const APPEARANCE_PAUSE: Duration = Duration::from_millis(50);

/// How long one try to reach a broker lasts before what was seen meanwhile is looked at.
const REACH_STEP: Duration = Duration::from_secs(1);

/// Asks until a broker answers, refuses for good, or the time is over, and then says why.
fn reach(admin: &Client, section: &str, spec: &ClusterSpec) -> Result<Option<i32>, ConnectorError> {
    let deadline = Instant::now() + QUESTION_TIMEOUT;
    loop {
        let error = match admin.topics(&[], REACH_STEP) {
            Ok((_, broker)) => return Ok(broker),
            Err(error) => error,
        };
        let seen = admin.noted().seen();
        let refused = refusal(section, spec, &seen);
        if let Some(Refusal::Final(why)) = refused {
            return Err(ConnectorError::permanent(why));
        }
        if Instant::now() < deadline && error.code.is_transport() {
            continue;
        }
        let reason = seen.error.unwrap_or(error);
        if reason.code.is_forbidden() {
            let message = format!("the Kafka brokers at {} refuse: {reason}", spec.brokers);
            return Err(ConnectorError::permanent(message));
        }
        let (brokers, seconds) = (&spec.brokers, QUESTION_TIMEOUT.as_secs());
        let (why, advice) = match refused {
            Some(Refusal::Perhaps(hint)) => (hint, String::new()),
            _ => (
                reason.to_string(),
                format!(
                    "; check {section}.brokers, security.protocol, and that the brokers' advertised.listeners can be reached from here"
                ),
            ),
        };
        return Err(ConnectorError::transient(format!(
            "no Kafka broker answers at {brokers} (tried for {seconds} s; {why}){advice}"
        )));
    }
}

fn transaction_timeout_max(admin: &Client, broker: i32) -> Result<Option<Duration>, ClientError> {
    let found = admin.configuration(Resource::Broker(broker))?;
    let limit = found.get("transaction.max.timeout.ms").and_then(|text| text.parse().ok());
    Ok(limit.map(Duration::from_millis))
}

/// The configured transaction timeout; else ten intervals, and long enough that a checkpoint may take its own timeout.
fn transaction_timeout(options: &ClusterOptions, broker_max: Duration) -> Duration {
    options.spec.transaction_timeout.unwrap_or_else(|| {
        let checkpoint = (options.checkpoint_interval + options.checkpoint_timeout).mul_f64(1.25);
        (options.checkpoint_interval * 10).max(checkpoint).max(TRANSACTION_TIMEOUT_MIN).min(broker_max)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn derived(interval: u64, timeout: u64, broker_max: u64) -> u64 {
        let options = ClusterOptions {
            name: "main".to_owned(),
            spec: ClusterSpec::default(),
            pipeline: "p".to_owned(),
            id_prefix: "weir.".to_owned(),
            guarantee: Guarantee::ExactlyOnce,
            checkpoint_interval: Duration::from_secs(interval),
            checkpoint_timeout: Duration::from_secs(timeout),
            prefetch_bytes_max: 1,
            producer_bytes_max: 1,
        };
        transaction_timeout(&options, Duration::from_secs(broker_max)).as_secs()
    }

    #[test]
    fn the_transaction_timeout_is_ten_intervals_within_its_bounds() {
        assert_eq!(derived(1, 10, 900), 60);
        assert_eq!(derived(10, 10, 900), 100);
        assert_eq!(derived(600, 10, 900), 900);
    }

    #[test]
    fn a_derived_transaction_outlives_an_interval_and_a_slow_checkpoint() {
        assert_eq!(derived(5, 60, 900), 81);
    }
}
