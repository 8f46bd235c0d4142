//! Event time of a `[source.NAME]`: where timestamps come from, and how watermarks follow.

use super::document::Value;
use super::section::Section;
use weir_protocol::plan::{TimeSpec, TimestampMissing, TimestampSpec, WatermarkStrategy};

const MISSING: &[(&str, TimestampMissing)] =
    &[("fail", TimestampMissing::Fail), ("record", TimestampMissing::Record)];

/// Reads the keys of a source that are about time.
pub fn read(section: &Section<'_>) -> TimeSpec {
    TimeSpec {
        timestamp: timestamp(section),
        watermarks: watermarks(section),
        idleness: section.duration("idleness"),
        max_timestamp_skew: section.duration("max_timestamp_skew"),
    }
}

fn is_table(section: &Section<'_>, key: &'static str) -> bool {
    section.node(key).is_some_and(|node| matches!(node.value, Value::Table(_)))
}

fn timestamp(section: &Section<'_>) -> TimestampSpec {
    let missing = section.choice("timestamp_missing", MISSING);
    section.accepts_words("timestamp", &["record"]);
    if is_table(section, "timestamp") {
        let inner = section.section("timestamp");
        let field = inner.required_text("field", "the top-level field of the JSON value that holds the time");
        inner.finish();
        return TimestampSpec::JsonField { field, missing: missing.unwrap_or_default() };
    }
    if missing.is_some() {
        section.problem("timestamp_missing", "goes with timestamp = { field = \"NAME\" } only");
    }
    match section.node("timestamp").map(|node| &node.value) {
        None => {}
        Some(Value::Text { text, .. }) if text == "record" => {}
        Some(other) => section.problem(
            "timestamp",
            format!("expected \"record\" or {{ field = \"NAME\" }}, found {}", other.shown()),
        ),
    }
    TimestampSpec::Record
}

fn watermarks(section: &Section<'_>) -> WatermarkStrategy {
    section.accepts_words("watermarks", &["none", "monotonous"]);
    if is_table(section, "watermarks") {
        let inner = section.section("watermarks");
        let bound = inner.duration("bounded_out_of_orderness");
        if inner.node("bounded_out_of_orderness").is_none() {
            inner.problem("bounded_out_of_orderness", "is missing: how late a record may be, such as \"5s\"");
        }
        inner.finish();
        return bound.map_or(WatermarkStrategy::None, WatermarkStrategy::BoundedOutOfOrderness);
    }
    match section.node("watermarks").map(|node| &node.value) {
        None => WatermarkStrategy::None,
        Some(Value::Text { text, .. }) if text == "none" => WatermarkStrategy::None,
        Some(Value::Text { text, .. }) if text == "monotonous" => WatermarkStrategy::Monotonous,
        Some(other) => {
            let expected = "\"none\", \"monotonous\" or { bounded_out_of_orderness = \"5s\" }";
            section.problem("watermarks", format!("expected {expected}, found {}", other.shown()));
            WatermarkStrategy::None
        }
    }
}
