//! `[source.NAME]`.

use super::accepted::Accepted;
use super::document::Value;
use super::pipeline::{cluster_name, resolve};
use super::section::Section;
use super::units;
use std::path::Path;
use weir_protocol::connector::StartPolicy;
use weir_protocol::plan::{FileFormat, SourceKind, SourceSpec};

const KINDS: &[(&str, Kind)] =
    &[("kafka", Kind::Kafka), ("generator", Kind::Generator), ("files", Kind::Files)];

/// Each partition has its place in memory and in every manifest.
const GENERATOR_PARTITIONS_MAX: u32 = 10_000;
/// A value is in memory as a whole.
const GENERATOR_VALUE_BYTES_MAX: usize = 16 << 20;

/// The words of the key `format`.
pub const FORMATS: &[(&str, FileFormat)] = &[("json", FileFormat::JsonLines), ("raw", FileFormat::RawLines)];

#[derive(Clone, Copy)]
enum Kind {
    Kafka,
    Generator,
    Files,
}

/// Reads a source; `None` where its kind is not known, which is reported.
pub fn read(name: String, section: Section<'_>, only: Option<&str>, directory: &Path) -> Option<SourceSpec> {
    section.requires("kind");
    if section.node("kind").is_none() {
        section.problem("kind", "is missing: \"kafka\", \"generator\" or \"files\"");
    }
    let kind = match section.choice("kind", KINDS)? {
        Kind::Kafka => SourceKind::Kafka {
            cluster: cluster_name(&section, only),
            topics: one_or_several(&section, "topic", "topics"),
            start: start(&section),
        },
        Kind::Generator => SourceKind::Generator {
            seed: section.number("seed").unwrap_or(1),
            rate: section.number("rate"),
            count: section.number("count"),
            partitions: section.number("partitions").unwrap_or(1),
            keys: section.number("keys").unwrap_or(1000),
            value_bytes: section.byte_size("value_bytes").unwrap_or(0),
        },
        Kind::Files => SourceKind::Files {
            paths: one_or_several(&section, "path", "paths")
                .iter()
                .map(|path| resolve(directory, path))
                .collect(),
            format: section.choice("format", FORMATS).unwrap_or_default(),
        },
    };
    if let SourceKind::Generator { partitions, value_bytes, .. } = &kind {
        if !(1..=GENERATOR_PARTITIONS_MAX).contains(partitions) {
            section.problem("partitions", format!("expected 1 to {GENERATOR_PARTITIONS_MAX}"));
        }
        if *value_bytes > GENERATOR_VALUE_BYTES_MAX {
            section.problem("value_bytes", "expected at most 16MiB");
        }
    }
    if matches!(&kind, SourceKind::Files { paths, .. } if paths.is_empty()) {
        section.problem("paths", "is missing: the files to read");
    }
    let time = super::event_time::read(&section);
    section.finish();
    Some(SourceSpec { name, kind, time })
}

fn one_or_several(section: &Section<'_>, one: &'static str, several: &'static str) -> Vec<String> {
    let (single, list) = (section.texts(one), section.texts(several));
    if !single.is_empty() && !list.is_empty() {
        section.problem(one, format!("{one} and {several} mean the same; keep {several}"));
    }
    if list.is_empty() { single } else { list }
}

fn start(section: &Section<'_>) -> StartPolicy {
    section.accepts("start_timestamp", Accepted::Time);
    let given = section.node("start_timestamp").map(|node| &node.value);
    let table = section.node("start").filter(|node| matches!(node.value, Value::Table(_)));
    if table.is_some() {
        let inner = section.section("start");
        inner.accepts("timestamp", Accepted::Time);
        let node = inner.node("timestamp").map(|node| &node.value);
        let policy = node.map(|value| timestamp(&inner, "timestamp", value));
        if policy.is_none() {
            inner.problem("timestamp", "is missing");
        }
        inner.finish();
        return policy.unwrap_or(StartPolicy::CommittedOrEarliest);
    }
    let choices = [
        ("committed_or_earliest", Some(StartPolicy::CommittedOrEarliest)),
        ("committed_or_latest", Some(StartPolicy::CommittedOrLatest)),
        ("earliest", Some(StartPolicy::Earliest)),
        ("latest", Some(StartPolicy::Latest)),
        ("timestamp", None),
    ];
    match (section.choice("start", &choices), given) {
        (Some(None), Some(value)) => timestamp(section, "start_timestamp", value),
        (Some(None), None) => {
            section.problem("start_timestamp", "is missing: the time for start = \"timestamp\"");
            StartPolicy::CommittedOrEarliest
        }
        (Some(Some(policy)), None) => policy,
        (None, None) => StartPolicy::CommittedOrEarliest,
        (_, Some(_)) => {
            section.problem("start_timestamp", "goes with start = \"timestamp\" only");
            StartPolicy::CommittedOrEarliest
        }
    }
}

fn timestamp(section: &Section<'_>, key: &str, value: &Value) -> StartPolicy {
    let text = value.scalar_text().unwrap_or_default();
    match units::timestamp_ms(&text) {
        Some(milliseconds) => StartPolicy::Timestamp(milliseconds),
        None => {
            let expected = "a time such as \"2026-01-31T12:00:00Z\", or milliseconds since 1970";
            section.problem(key, format!("expected {expected}, found {}", value.shown()));
            StartPolicy::CommittedOrEarliest
        }
    }
}
