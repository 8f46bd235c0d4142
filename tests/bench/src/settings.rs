//! weir's Kafka settings, for the floors: what is compared is the host, not how well Kafka was tuned.
//!
//! They stand in `host/kafka/src/properties.rs`, `host/protocol/src/plan/spec.rs` and in the defaults of a pipeline file; a test holds both together.

use rdkafka::ClientConfig;

/// weir's producer, without what names it.
pub const PRODUCER: &[(&str, &str)] = &[
    ("linger.ms", "5"),
    ("compression.codec", "lz4"),
    ("partitioner", "murmur2_random"),
    ("queue.buffering.max.messages", "1000000"),
    ("enable.idempotence", "true"),
    ("delivery.report.only.error", "true"),
];

/// weir's consumer, without what names it.
pub const CONSUMER: &[(&str, &str)] = &[
    ("fetch.queue.backoff.ms", "5"),
    ("fetch.wait.max.ms", "100"),
    ("fetch.min.bytes", "1"),
    ("isolation.level", "read_committed"),
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    ("auto.offset.reset", "error"),
    ("enable.partition.eof", "true"),
    ("check.crcs", "true"),
    ("allow.auto.create.topics", "false"),
];

/// Of both.
const CLIENT: &[(&str, &str)] = &[("socket.timeout.ms", "10000"), ("reconnect.backoff.max.ms", "500")];

/// Rows of one fetch: `batch_rows_max` of an operator's default limits.
pub const FETCH_ROWS_MAX: usize = 4096;
/// Half of the default of `inflight_bytes_max`: so much waits in front of the operators, and as much behind them.
const HALF_INFLIGHT_KIB: usize = 32 << 10;

/// A producer as weir's.
pub fn producer(brokers: &str) -> ClientConfig {
    let mut config = config(brokers, PRODUCER);
    config.set("queue.buffering.max.kbytes", HALF_INFLIGHT_KIB.to_string());
    config
}

/// One of `readers` consumers as weir's.
pub fn consumer(brokers: &str, group: &str, readers: usize) -> ClientConfig {
    let mut config = config(brokers, CONSUMER);
    config
        .set("group.id", group)
        .set("queued.max.messages.kbytes", (HALF_INFLIGHT_KIB / readers).to_string());
    config
}

fn config(brokers: &str, settings: &[(&str, &str)]) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers);
    for (name, value) in CLIENT.iter().chain(settings) {
        config.set(*name, *value);
    }
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_floors_settings_are_weirs() {
        let host = concat!(env!("CARGO_MANIFEST_DIR"), "/../../host");
        let source = |file: &str| std::fs::read_to_string(format!("{host}/{file}")).expect(file);
        // Rust's numbers may have underscores.
        let plain = |text: &str| text.replace('_', "");
        let weir = plain(&source("kafka/src/properties.rs"));
        for (name, value) in CLIENT.iter().chain(PRODUCER).chain(CONSUMER) {
            let forms = [format!("(\"{name}\", {value})"), format!("(\"{name}\", \"{value}\")")];
            assert!(forms.iter().any(|form| weir.contains(&plain(form))), "{name} is not {value} in weir");
        }
        let limits = source("protocol/src/plan/spec.rs");
        assert!(limits.contains(&format!("batch_rows_max: {FETCH_ROWS_MAX},")));
        let pipeline = source("weir/src/pipeline_file/pipeline.rs");
        assert!(pipeline.contains("\"inflight_bytes_max\").unwrap_or(64 << 20)"));
    }
}
