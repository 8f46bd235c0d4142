//! `[sink.NAME]`.

use super::pipeline::{cluster_name, resolve};
use super::section::Section;
use super::source::FORMATS;
use std::path::Path;
use weir_protocol::plan::{SinkKind, SinkSpec, SinkTimestamp};

const KINDS: &[(&str, Kind)] = &[
    ("kafka", Kind::Kafka),
    ("files", Kind::Files),
    ("stdout", Kind::Stdout),
    ("blackhole", Kind::Blackhole),
];

const TIMESTAMPS: &[(&str, SinkTimestamp)] =
    &[("record", SinkTimestamp::Record), ("produce_time", SinkTimestamp::ProduceTime)];

#[derive(Clone, Copy)]
enum Kind {
    Kafka,
    Files,
    Stdout,
    Blackhole,
}

/// Reads a sink; `None` where its kind is not known, which is reported.
pub fn read(name: String, section: Section<'_>, only: Option<&str>, directory: &Path) -> Option<SinkSpec> {
    section.requires("kind");
    if section.node("kind").is_none() {
        section.problem("kind", "is missing: \"kafka\", \"files\", \"stdout\" or \"blackhole\"");
    }
    let kind = match section.choice("kind", KINDS)? {
        Kind::Kafka => SinkKind::Kafka {
            cluster: cluster_name(&section, only),
            topic: section.required_text("topic", "the topic to write to"),
            timestamp: section.choice("timestamp", TIMESTAMPS).unwrap_or_default(),
            headers: section.boolean("headers", true),
        },
        Kind::Files => {
            let directory_text = section.required_text("directory", "where the files are put");
            SinkKind::Files {
                directory: resolve(directory, &directory_text),
                format: section.choice("format", FORMATS).unwrap_or_default(),
            }
        }
        Kind::Stdout => SinkKind::Stdout { format: section.choice("format", FORMATS).unwrap_or_default() },
        Kind::Blackhole => SinkKind::Blackhole,
    };
    let inputs = section.texts("input");
    section.finish();
    Some(SinkSpec { name, inputs, kind })
}
