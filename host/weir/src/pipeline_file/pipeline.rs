//! The top of the file: everything outside of sources, operators and sinks.

use super::accepted::Accepted;
use super::document::Value;
use super::section::Section;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use weir_protocol::plan::{CheckpointSpec, ClusterSpec, Guarantee, PipelineSpec, RestartSpec, SavepointSpec};

/// Reads the whole file. Relative paths are relative to `directory`.
pub fn read(top: Section<'_>, directory: &Path) -> PipelineSpec {
    let clusters: BTreeMap<String, ClusterSpec> =
        top.sections("kafka").into_iter().map(|(name, section)| (name, cluster(section))).collect();
    let default_cluster = match clusters.len() {
        1 => clusters.keys().next().cloned(),
        _ => None,
    };
    let cluster = default_cluster.as_deref();
    let sources = top.sections("source").into_iter();
    let operators = top.sections("operator").into_iter();
    let sinks = top.sections("sink").into_iter();
    let spec = PipelineSpec {
        name: top.required_text("name", "the pipeline's name, part of its ids and paths"),
        guarantee: guarantee(&top),
        parallelism: top.number("parallelism").unwrap_or(1),
        max_parallelism: top.number("max_parallelism"),
        co_partitioned: top.boolean("co_partitioned", false),
        state_memory_max: top.byte_size("state_memory_max"),
        channel_bytes_max: top.byte_size("channel_bytes_max").unwrap_or(1 << 20),
        id_prefix: top.text("id_prefix").unwrap_or_else(|| "weir.".to_owned()),
        drop_operators: top.texts("drop_operators"),
        checkpoint: checkpoint(top.section("checkpoint")),
        savepoint: savepoint(top.section("savepoint"), directory),
        restart: restart(top.section("restart")),
        stop_timeout: top.duration("stop_timeout").unwrap_or(Duration::from_secs(20)),
        inflight_bytes_max: top.byte_size("inflight_bytes_max").unwrap_or(64 << 20),
        sink_buffer_bytes_max: top.byte_size("sink_buffer_bytes_max").unwrap_or(16 << 20),
        partition_discovery_interval: top
            .duration("partition_discovery_interval")
            .unwrap_or(Duration::from_secs(60)),
        sources: sources.filter_map(|(name, s)| super::source::read(name, s, cluster, directory)).collect(),
        operators: operators.map(|(name, section)| super::operator::read(name, section, directory)).collect(),
        sinks: sinks.filter_map(|(name, s)| super::sink::read(name, s, cluster, directory)).collect(),
        clusters,
    };
    top.finish();
    spec
}

fn guarantee(top: &Section<'_>) -> Guarantee {
    let choices = [
        ("exactly_once", Guarantee::ExactlyOnce),
        ("at_least_once", Guarantee::AtLeastOnce),
        ("at_most_once", Guarantee::AtMostOnce),
    ];
    top.choice("guarantee", &choices).unwrap_or_default()
}

fn checkpoint(section: Section<'_>) -> CheckpointSpec {
    let default = CheckpointSpec::default();
    let spec = CheckpointSpec {
        interval: section.duration("interval").unwrap_or(default.interval),
        timeout: section.duration("timeout").unwrap_or(default.timeout),
        min_pause: section.duration("min_pause").unwrap_or(default.min_pause),
        tolerable_failures: section.number("tolerable_failures").unwrap_or(default.tolerable_failures),
        max_concurrent: section.number("max_concurrent").unwrap_or(default.max_concurrent),
        retain: section.number("retain").unwrap_or(default.retain),
    };
    section.finish();
    spec
}

fn savepoint(section: Section<'_>, directory: &Path) -> SavepointSpec {
    let default = SavepointSpec::default();
    let spec = SavepointSpec {
        every: section.duration("every"),
        dir: section.text("dir").map(|path| resolve(directory, &path)),
        keep: section.number("keep").unwrap_or(default.keep),
    };
    section.finish();
    spec
}

fn restart(section: Section<'_>) -> RestartSpec {
    let default = RestartSpec::default();
    let spec = RestartSpec {
        initial_backoff: section.duration("initial_backoff").unwrap_or(default.initial_backoff),
        max_backoff: section.duration("max_backoff").unwrap_or(default.max_backoff),
        reset_after: section.duration("reset_after").unwrap_or(default.reset_after),
        attempts: section.number("attempts"),
    };
    section.finish();
    spec
}

fn cluster(section: Section<'_>) -> ClusterSpec {
    let automatic = section
        .node("transaction_timeout")
        .is_some_and(|node| matches!(&node.value, Value::Text { text, .. } if text == "auto"));
    section.accepts_words("transaction_timeout", &["auto"]);
    section.accepts("transaction_timeout", Accepted::Duration);
    let transaction_timeout = if automatic { None } else { section.duration("transaction_timeout") };
    let spec = ClusterSpec {
        brokers: section.required_text("brokers", "host:port, several with commas"),
        group: section.text("group"),
        transaction_timeout,
        properties: section.text_map("properties"),
        producer_properties: section.text_map("producer_properties"),
        consumer_properties: section.text_map("consumer_properties"),
    };
    section.finish();
    spec
}

/// The cluster of a source or sink: the one that it names, or the only one.
pub fn cluster_name(section: &Section<'_>, only: Option<&str>) -> String {
    match (section.text("cluster"), only) {
        (Some(name), _) => name,
        (None, Some(only)) => only.to_owned(),
        (None, None) => {
            section.problem("cluster", "is missing: the NAME of a section [kafka.NAME], which may be left out where there is just one");
            String::new()
        }
    }
}

/// A path of the file as a path of the process.
pub fn resolve(directory: &Path, path: &str) -> String {
    directory.join(path).to_string_lossy().into_owned()
}
