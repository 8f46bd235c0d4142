//! Which of librdkafka's properties a user may set, and what is said to those who name another.
//!
//! Any property passes, except those on which the guarantee rests. A name of the Java client is answered with
//! librdkafka's or with weir's.

use crate::client::{Kind, Settings, native_settings};
use std::collections::BTreeMap;
use weir_protocol::plan::ClusterSpec;

/// Properties that are weir's, and why.
const RESERVED: &[(&str, &str)] = &[
    ("bootstrap.servers", "set kafka.NAME.brokers"),
    ("metadata.broker.list", "set kafka.NAME.brokers"),
    ("group.id", "set kafka.NAME.group"),
    ("group.instance.id", "weir assigns partitions itself and is not a member of the group"),
    ("group.protocol", "weir assigns partitions itself and is not a member of the group"),
    ("group.protocol.type", "weir assigns partitions itself and is not a member of the group"),
    ("group.remote.assignor", "weir assigns partitions itself and is not a member of the group"),
    ("partition.assignment.strategy", "weir assigns partitions itself and is not a member of the group"),
    (
        "isolation.level",
        "always read_committed: records of an aborted transaction must not be read, and the decision is read behind it",
    ),
    ("enable.auto.commit", "offsets are committed with the output, never by time"),
    ("auto.commit.enable", "offsets are committed with the output, never by time"),
    ("auto.commit.interval.ms", "offsets are committed with the output; set checkpoint.interval"),
    ("enable.auto.offset.store", "positions are weir's own"),
    ("offset.store.method", "positions are weir's own"),
    (
        "auto.offset.reset",
        "a lost offset is an error that a person decides, never a silent jump; set source.NAME.start for the first start",
    ),
    ("enable.partition.eof", "weir needs these events to know the end of a partition"),
    ("check.crcs", "always on"),
    (
        "transactional.id",
        "derived from the pipeline's name: recovery fences it; set id_prefix to separate environments",
    ),
    ("transaction.timeout.ms", "set kafka.NAME.transaction_timeout"),
    ("enable.idempotence", "always on"),
    ("enable.gapless.guarantee", "it would make a lost record fatal in another way than weir handles"),
    ("acks", "always all"),
    ("request.required.acks", "always all"),
    ("max.in.flight", "at most 5, for the order of records"),
    ("max.in.flight.requests.per.connection", "at most 5, for the order of records"),
    (
        "message.timeout.ms",
        "a record may take as long as its transaction; set kafka.NAME.transaction_timeout",
    ),
    (
        "delivery.timeout.ms",
        "a record may take as long as its transaction; set kafka.NAME.transaction_timeout",
    ),
    ("retries", "a record is sent again until its transaction ends"),
    ("message.send.max.retries", "a record is sent again until its transaction ends"),
    ("queuing.strategy", "always fifo: anything else changes the order of records"),
    ("delivery.report.only.error", "weir reads delivery reports itself"),
    ("allow.auto.create.topics", "create topics before the pipeline starts"),
    ("broker.version.fallback", "weir needs brokers of 2.5 or newer, which tell their version"),
    ("api.version.request", "weir needs brokers of 2.5 or newer, which tell their version"),
    ("log.queue", "weir takes the log itself"),
    ("enabled_events", "weir takes events itself"),
    ("debug", "set RUST_LOG=weir_kafka=debug; librdkafka's debug contexts are not for production"),
    ("plugin.library.paths", "native plug-ins are not loaded"),
    ("interceptors", "native plug-ins are not loaded"),
];

/// Names of the Java client, and what to write instead.
const JAVA: &[(&str, &str)] = &[
    ("sasl.jaas.config", "sasl.username and sasl.password (or sasl.oauthbearer.*)"),
    ("sasl.login.callback.handler.class", "sasl.oauthbearer.method = oidc"),
    ("sasl.oauthbearer.token.endpoint.uri", "sasl.oauthbearer.token.endpoint.url"),
    ("ssl.truststore.location", "ssl.ca.location (a PEM file: keytool -exportcert -rfc)"),
    ("ssl.truststore.password", "ssl.ca.location, which needs no password"),
    ("ssl.truststore.type", "ssl.ca.location (a PEM file)"),
    ("ssl.truststore.certificates", "ssl.ca.pem"),
    (
        "ssl.keystore.type",
        "ssl.keystore.location (PKCS#12), or ssl.certificate.location and ssl.key.location (PEM)",
    ),
    ("ssl.keystore.key", "ssl.key.pem"),
    ("ssl.keystore.certificate.chain", "ssl.certificate.pem"),
    ("key.serializer", "nothing: records are bytes, operators read them"),
    ("value.serializer", "nothing: records are bytes, operators read them"),
    ("key.deserializer", "nothing: records are bytes, operators read them"),
    ("value.deserializer", "nothing: records are bytes, operators read them"),
    ("max.poll.records", "operator.NAME.limits.batch_rows_max"),
    ("buffer.memory", "queue.buffering.max.kbytes"),
    ("max.block.ms", "nothing: weir waits as long as the transaction lives"),
    ("max.request.size", "nothing: weir takes the limit from the topic's max.message.bytes"),
    ("partitioner.class", "partitioner (murmur2_random, weir's default, is Java's)"),
    ("partitioner.ignore.keys", "partitioner"),
    ("default.api.timeout.ms", "socket.timeout.ms"),
    ("connections.max.idle.ms.config", "connections.max.idle.ms"),
    ("receive.buffer.bytes", "socket.receive.buffer.bytes"),
    ("send.buffer.bytes", "socket.send.buffer.bytes"),
    ("fetch.max.wait.ms", "fetch.wait.max.ms"),
    ("metadata.max.idle.ms", "topic.metadata.refresh.interval.ms"),
    ("metric.reporters", "nothing: weir has its own metrics"),
    ("interceptor.classes", "nothing: write an operator"),
    ("exclude.internal.topics", "nothing: topics are named one by one"),
];

/// Parts of names whose values are never printed.
const SECRET_PARTS: &[&str] =
    &["password", "passphrase", "secret", "jaas", "token", "key.pem", "private.key", "oauthbearer.config"];

/// True where a property's value must not be printed.
pub(crate) fn is_secret(name: &str) -> bool {
    name != "sasl.oauthbearer.token.endpoint.url" && SECRET_PARTS.iter().any(|part| name.contains(part))
}

/// Checks properties as a user wrote them. Each problem is one line without the value of a secret.
pub fn check_properties(properties: &BTreeMap<String, String>) -> Vec<String> {
    let problem = |(name, value): (&String, &String)| {
        let found = |table: &[(&str, &'static str)]| {
            table.iter().find(|(known, _)| known == name).map(|(_, text)| *text)
        };
        if let Some(reason) = found(RESERVED) {
            return Some(format!("{name} cannot be set: {reason}"));
        }
        if let Some(instead) = found(JAVA) {
            return Some(format!("{name} is a property of the Java client; instead: {instead}"));
        }
        let mut one = Settings::default();
        one.set(name, value);
        match native_settings(&one) {
            Ok(conf) => {
                // SAFETY: the configuration is ours and not used again.
                unsafe { rdkafka::bindings::rd_kafka_conf_destroy(conf) };
                None
            }
            Err(error) => Some(error.message),
        }
    };
    properties.iter().filter_map(problem).collect()
}

/// All problems of a cluster's properties, each with the table that it stands in.
pub fn check_cluster_properties(spec: &ClusterSpec) -> Vec<String> {
    let tables = [
        ("properties", &spec.properties),
        ("producer_properties", &spec.producer_properties),
        ("consumer_properties", &spec.consumer_properties),
    ];
    let of_table = |(table, properties): (&str, &BTreeMap<String, String>)| {
        let problems = check_properties(properties);
        problems.into_iter().map(move |problem| format!("{table}: {problem}")).collect::<Vec<_>>()
    };
    tables.into_iter().flat_map(of_table).collect()
}

/// Properties that librdkafka knows for one kind of client only: in the common table they reach that kind alone.
fn fits(kind: Kind, name: &str) -> bool {
    const CONSUMER_ONLY: &[&str] = &[
        "fetch.",
        "queued.",
        "max.partition.fetch.bytes",
        "max.poll.interval.ms",
        "session.timeout.ms",
        "heartbeat.interval.ms",
        "coordinator.query.interval.ms",
        "consume.callback.max.messages",
    ];
    const PRODUCER_ONLY: &[&str] = &[
        "queue.buffering.",
        "linger.ms",
        "batch.",
        "compression.",
        "partitioner",
        "sticky.partitioning.linger.ms",
        "request.timeout.ms",
        "produce.offset.report",
    ];
    let others: &[&[&str]] = match kind {
        Kind::Producer => &[CONSUMER_ONLY],
        Kind::Consumer => &[PRODUCER_ONLY],
        Kind::Admin => &[CONSUMER_ONLY, PRODUCER_ONLY],
    };
    !others.iter().any(|other| other.iter().any(|start| name.starts_with(start)))
}

/// What the user set for one kind of client.
fn of_user(spec: &ClusterSpec, kind: Kind) -> impl Iterator<Item = (&String, &String)> {
    let own = match kind {
        Kind::Producer => Some(&spec.producer_properties),
        Kind::Consumer => Some(&spec.consumer_properties),
        Kind::Admin => None,
    };
    spec.properties.iter().filter(move |(name, _)| fits(kind, name)).chain(own.into_iter().flatten())
}

/// Settings of every client of a cluster: weir's defaults, the user's properties, then what the guarantee needs.
pub(crate) fn client_settings(spec: &ClusterSpec, kind: Kind, client_id: &str) -> Settings {
    let mut settings = Settings::default();
    settings
        .set("client.id", client_id)
        // Else it becomes the transaction timeout less 100 ms, and a lost answer costs that long.
        .set("socket.timeout.ms", 10_000)
        // The default of 10 s costs about 6 s after a broker came back.
        .set("reconnect.backoff.max.ms", 500)
        .set("log_level", 6);
    match kind {
        Kind::Producer => settings
            .set("linger.ms", 5)
            .set("compression.codec", "lz4")
            .set("partitioner", "murmur2_random")
            // The kilobytes bound it; the default of 100,000 records would come first.
            .set("queue.buffering.max.messages", 1_000_000),
        Kind::Consumer => settings
            // The default of a second stalls a consumer whose queue was full.
            .set("fetch.queue.backoff.ms", 5)
            .set("fetch.wait.max.ms", 100)
            .set("fetch.min.bytes", 1),
        Kind::Admin => &mut settings,
    };
    for (name, value) in of_user(spec, kind) {
        settings.set(name, value);
    }
    settings.set("bootstrap.servers", &spec.brokers);
    if kind == Kind::Admin {
        settings.set("allow.auto.create.topics", false);
    } else if kind == Kind::Consumer {
        settings
            .set("isolation.level", "read_committed")
            .set("enable.auto.commit", false)
            .set("enable.auto.offset.store", false)
            .set("auto.offset.reset", "error")
            .set("enable.partition.eof", true)
            .set("check.crcs", true)
            .set("allow.auto.create.topics", false);
    } else {
        settings.set("enable.idempotence", true).set("delivery.report.only.error", true);
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, value: &str) -> Vec<String> {
        check_properties(&BTreeMap::from([(name.to_owned(), value.to_owned())]))
    }

    #[test]
    fn a_property_that_would_break_the_guarantee_is_refused_with_the_reason() {
        for (name, _) in RESERVED {
            let problems = check(name, "x");
            assert!(problems[0].contains("cannot be set"), "{problems:?}");
        }
    }

    #[test]
    fn a_java_name_is_answered_with_ours() {
        assert!(check("sasl.jaas.config", "x")[0].contains("sasl.username"));
        assert!(check("max.poll.records", "5")[0].contains("batch_rows_max"));
    }

    #[test]
    fn any_other_property_of_librdkafka_passes_and_an_unknown_one_is_named() {
        assert!(check("security.protocol", "sasl_ssl").is_empty());
        assert!(check("linger.ms", "20").is_empty());
        assert!(check("linger.mss", "20")[0].contains("linger.mss"));
    }

    #[test]
    fn a_problem_never_prints_a_secret() {
        let problems = check("sasl.passwordd", "hush");
        assert!(!problems[0].contains("hush"), "{problems:?}");
        assert!(!is_secret("linger.ms") && is_secret("ssl.key.password"));
    }

    #[test]
    fn a_common_property_reaches_only_the_clients_that_know_it() {
        let mut spec = ClusterSpec { brokers: "b:1".to_owned(), ..ClusterSpec::default() };
        spec.properties.insert("linger.ms".to_owned(), "50".to_owned());
        let consumer = client_settings(&spec, Kind::Consumer, "c");
        assert!(!consumer.0.contains_key("linger.ms"));
        assert_eq!(client_settings(&spec, Kind::Producer, "p").0["linger.ms"], "50");
        assert_eq!(consumer.0["isolation.level"], "read_committed");
    }
}
