//! Names that Flink, Kafka Connect and the Kafka clients have for things, and weir's answer to them.

/// Each foreign name (in lower case) and what to write instead. A name that ends in `*` is a beginning.
const FOREIGN: &[(&str, &str)] = &[
    ("execution.checkpointing.interval", "checkpoint.interval"),
    ("execution.checkpointing.timeout", "checkpoint.timeout"),
    ("execution.checkpointing.min-pause", "checkpoint.min_pause"),
    ("execution.checkpointing.max-concurrent-checkpoints", "checkpoint.max_concurrent"),
    ("execution.checkpointing.tolerable-failed-checkpoints", "checkpoint.tolerable_failures"),
    ("execution.checkpointing.mode", "guarantee (\"exactly_once\" or \"at_least_once\")"),
    ("execution.checkpointing.num-retained", "checkpoint.retain"),
    ("execution.checkpointing.dir", "the command line's --data-dir"),
    ("execution.checkpointing.savepoint-dir", "savepoint.dir"),
    ("execution.checkpointing.unaligned*", "nothing: barriers are aligned"),
    (
        "execution.checkpointing.incremental",
        "nothing: a checkpoint shares its unchanged files with the one before",
    ),
    ("execution.checkpointing.*", "a key of [checkpoint]"),
    ("state.checkpoints.dir", "the command line's --data-dir"),
    ("state.checkpoints.num-retained", "checkpoint.retain"),
    ("state.savepoints.dir", "savepoint.dir"),
    (
        "execution.state-recovery.ignore-unclaimed-state",
        "drop_state of the [operator.NAME] section, or drop_operators",
    ),
    (
        "execution.savepoint.ignore-unclaimed-state",
        "drop_state of the [operator.NAME] section, or drop_operators",
    ),
    ("state.backend.rocksdb.memory.managed", "state_memory_max"),
    ("state.backend.rocksdb.memory.fixed-per-slot", "state_memory_max, which is for all subtasks together"),
    ("state.backend.rocksdb.memory.fixed-per-tm", "state_memory_max"),
    ("state.backend.rocksdb.memory.*", "state_memory_max; weir divides it itself"),
    ("state.backend*", "nothing: weir has one way to keep state; its memory is state_memory_max"),
    ("taskmanager.memory.managed.size", "state_memory_max"),
    ("taskmanager.memory.managed.*", "state_memory_max"),
    ("taskmanager.memory.network.*", "channel_bytes_max"),
    ("table.exec.state.ttl", "the TTL that the operator's component declares for each state"),
    ("table.exec.source.idle-timeout", "idleness of the [source.NAME] section"),
    ("source.idle-timeout", "idleness"),
    ("scan.watermark.idle-timeout", "idleness"),
    ("scan.watermark.*", "watermarks"),
    ("watermark*", "watermarks"),
    ("rowtime*", "timestamp = { field = \"NAME\" }"),
    ("pipeline.auto-watermark-interval", "nothing: watermarks follow every batch"),
    ("log.message.timestamp.type", "timestamp"),
    ("timestamp.extractor", "timestamp = { field = \"NAME\" } of the [source.NAME] section"),
    ("default.timestamp.extractor", "timestamp = { field = \"NAME\" } of the [source.NAME] section"),
    ("max.task.idle.ms", "idleness of the [source.NAME] section"),
    ("statestore.cache.max.bytes", "state_memory_max"),
    ("cache.max.bytes.buffering", "state_memory_max"),
    ("parallelism.default", "parallelism"),
    ("pipeline.name", "name"),
    ("pipeline.max-parallelism", "max_parallelism"),
    ("restart-strategy.exponential-delay.initial-backoff", "restart.initial_backoff"),
    ("restart-strategy.exponential-delay.max-backoff", "restart.max_backoff"),
    ("restart-strategy.exponential-delay.reset-backoff-threshold", "restart.reset_after"),
    ("restart-strategy.exponential-delay.attempts-before-reset-backoff", "restart.attempts"),
    ("restart-strategy.fixed-delay.attempts", "restart.attempts"),
    ("restart-strategy.fixed-delay.delay", "restart.initial_backoff"),
    ("restart-strategy*", "the section [restart]"),
    ("transaction.timeout.ms", "kafka.NAME.transaction_timeout"),
    ("properties.transaction.timeout.ms", "kafka.NAME.transaction_timeout"),
    ("sink.delivery-guarantee", "guarantee, which is one for the whole pipeline"),
    ("sink.semantic", "guarantee, which is one for the whole pipeline"),
    ("sink.transactional-id-prefix", "id_prefix"),
    ("transactional.id", "id_prefix; weir makes the ids itself"),
    ("transactional.id.prefix", "id_prefix"),
    ("sink.parallelism", "parallelism"),
    ("scan.parallelism", "parallelism"),
    ("scan.startup.mode", "start of the [source.NAME] section"),
    ("scan.startup.timestamp-millis", "start = { timestamp = … } of the [source.NAME] section"),
    ("scan.topic-partition-discovery.interval", "partition_discovery_interval"),
    ("partition.discovery.interval.ms", "partition_discovery_interval"),
    ("properties.bootstrap.servers", "kafka.NAME.brokers"),
    ("bootstrap.servers", "kafka.NAME.brokers"),
    ("metadata.broker.list", "kafka.NAME.brokers"),
    ("properties.group.id", "kafka.NAME.group"),
    ("group.id", "kafka.NAME.group"),
    ("auto.offset.reset", "start of the [source.NAME] section"),
    ("properties.auto.offset.reset", "start of the [source.NAME] section"),
    ("enable.auto.commit", "nothing: offsets are part of the transaction"),
    ("isolation.level", "nothing: sources read committed records"),
    ("properties.*", "[kafka.NAME.properties]"),
    ("connector", "kind"),
    ("connector.class", "kind"),
    ("topic-pattern", "topics, each by name"),
    ("topics.regex", "topics, each by name"),
    ("tasks.max", "parallelism"),
    ("offset.flush.interval.ms", "checkpoint.interval"),
    ("offset.flush.timeout.ms", "checkpoint.timeout"),
    ("exactly.once.source.support", "guarantee"),
    ("transaction.boundary.interval.ms", "checkpoint.interval"),
    ("errors.tolerance", "on_error of the [operator.NAME] section (\"skip\" or { dead_letter = \"SINK\" })"),
    ("errors.deadletterqueue.topic.name", "on_error = { dead_letter = \"SINK\" } and a section [sink.SINK]"),
    ("errors.deadletterqueue.*", "on_error = { dead_letter = \"SINK\" } and a section [sink.SINK]"),
    ("errors.retry.timeout", "the section [restart]"),
    ("application.id", "name"),
    ("num.stream.threads", "parallelism"),
    ("processing.guarantee", "guarantee"),
    ("commit.interval.ms", "checkpoint.interval"),
    ("state.dir", "the command line's --data-dir"),
];

/// What weir calls the thing with this foreign name.
pub fn answer(path: &str) -> Option<&'static str> {
    let path = path.to_ascii_lowercase();
    let fits = |name: &str| match name.strip_suffix('*') {
        Some(beginning) => path.starts_with(beginning),
        None => path == name,
    };
    FOREIGN.iter().find(|(name, _)| fits(name)).map(|(_, answer)| *answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exact_name_goes_before_a_beginning() {
        assert_eq!(answer("restart-strategy.fixed-delay.attempts"), Some("restart.attempts"));
        assert_eq!(answer("restart-strategy.type"), Some("the section [restart]"));
        assert_eq!(answer("properties.bootstrap.servers"), Some("kafka.NAME.brokers"));
        assert_eq!(answer("properties.linger.ms"), Some("[kafka.NAME.properties]"));
        assert_eq!(answer("pipeline.max-parallelism"), Some("max_parallelism"));
        assert_eq!(answer("state.backend.rocksdb.memory.managed"), Some("state_memory_max"));
        assert!(answer("table.exec.state.ttl").is_some_and(|answer| answer.contains("component declares")));
        assert_eq!(answer("state.savepoints.dir"), Some("savepoint.dir"));
        assert_eq!(answer("interval"), None);
    }
}
