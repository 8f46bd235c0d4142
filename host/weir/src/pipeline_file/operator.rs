//! `[operator.NAME]`.

use super::document::Value;
use super::pipeline::resolve;
use super::section::Section;
use std::path::Path;
use weir_protocol::plan::{BreakerSpec, InputSpec, NullKey, OnError, OperatorLimits, OperatorSpec};

const NULL_KEYS: &[(&str, NullKey)] = &[("reject", NullKey::Reject), ("group", NullKey::Group)];

/// Reads an operator.
pub fn read(name: String, section: Section<'_>, directory: &Path) -> OperatorSpec {
    let component = section.required_text("component", "the path to a WebAssembly component");
    let spec = OperatorSpec {
        inputs: inputs(&section),
        component: if component.is_empty() { component } else { resolve(directory, &component) },
        config: section.text_map("config"),
        on_error: on_error(&section),
        breaker: breaker(section.section("breaker")),
        limits: limits(section.section("limits")),
        keeps_key: section.boolean("keeps_key", false),
        parallelism: section.number("parallelism"),
        null_key: section.choice("null_key", NULL_KEYS).unwrap_or_default(),
        drop_state: section.texts("drop_state"),
        name,
    };
    section.finish();
    spec
}

/// A string or a list for an operator with one input port, else a table of ports.
fn inputs(section: &Section<'_>) -> Vec<InputSpec> {
    if section.node("input").is_some_and(|node| matches!(node.value, Value::Table(_))) {
        let ports = section.named_texts("input", "PORT");
        let feeds = |(port, texts): (String, Vec<String>)| {
            texts.into_iter().map(move |from| InputSpec { from, port: Some(port.clone()) })
        };
        return ports.into_iter().flat_map(feeds).collect();
    }
    section.texts("input").into_iter().map(InputSpec::from).collect()
}

fn on_error(section: &Section<'_>) -> OnError {
    section.accepts_words("on_error", &["fail", "skip"]);
    let Some(node) = section.node("on_error") else { return OnError::Fail };
    match &node.value {
        Value::Text { text, .. } if text == "fail" => OnError::Fail,
        Value::Text { text, .. } if text == "skip" => OnError::Skip,
        Value::Table(_) => {
            let inner = section.section("on_error");
            let sink = inner.required_text("dead_letter", "the NAME of a section [sink.NAME]");
            inner.finish();
            OnError::DeadLetter(sink)
        }
        other => {
            let found = other.shown();
            section.problem(
                "on_error",
                format!("expected \"fail\", \"skip\" or {{ dead_letter = \"SINK\" }}, found {found}"),
            );
            OnError::Fail
        }
    }
}

fn breaker(section: Section<'_>) -> BreakerSpec {
    let default = BreakerSpec::default();
    let spec = BreakerSpec {
        share: section.fraction("share").unwrap_or(default.share),
        over: section.duration("over").unwrap_or(default.over),
        rows_min: section.number("rows_min").unwrap_or(default.rows_min),
    };
    section.finish();
    spec
}

fn limits(section: Section<'_>) -> OperatorLimits {
    let default = OperatorLimits::default();
    let memory_bytes = section.byte_size("memory").unwrap_or(default.memory_bytes);
    let spec = OperatorLimits {
        memory_bytes,
        // Above the limit it could never be reached; a smaller limit moves it down.
        memory_recycle_bytes: section
            .byte_size("memory_recycle")
            .unwrap_or(default.memory_recycle_bytes.min(memory_bytes / 2)),
        call: section.duration("call").unwrap_or(default.call),
        output_bytes: section.byte_size("output").unwrap_or(default.output_bytes),
        batch_rows_max: section.number("batch_rows_max").unwrap_or(default.batch_rows_max),
        batch_bytes_max: section.byte_size("batch_bytes_max").unwrap_or(default.batch_bytes_max),
        state_page_bytes_max: section
            .byte_size("state_page_bytes_max")
            .unwrap_or(default.state_page_bytes_max),
        state_reads_bytes: section.byte_size("state_reads").unwrap_or(default.state_reads_bytes),
        state_writes_bytes: section.byte_size("state_writes").unwrap_or(default.state_writes_bytes),
        timer_rounds_max: section.number("timer_rounds_max").unwrap_or(default.timer_rounds_max),
        search: section.duration("search").unwrap_or(default.search),
        log_line_bytes_max: section.byte_size("log_line_bytes_max").unwrap_or(default.log_line_bytes_max),
        log_lines_per_second_max: section
            .number("log_lines_per_second_max")
            .unwrap_or(default.log_lines_per_second_max),
    };
    section.finish();
    spec
}
