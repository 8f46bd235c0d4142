//! The sentences that a pipeline file is answered with.

use super::*;
use std::time::Duration;
use weir_protocol::connector::StartPolicy;
use weir_protocol::plan::{Guarantee, OnError, Plan, SinkKind, SourceKind};

struct Fixed;

impl Surroundings for Fixed {
    fn variable(&self, name: &str) -> Option<String> {
        match name {
            "BROKERS" => Some("broker:9092".to_owned()),
            "PASSWORD" => Some("geheim".to_owned()),
            _ => None,
        }
    }

    fn file(&self, _: &str) -> Result<String, String> {
        Err("not found".to_owned())
    }
}

fn parse(text: &str, overrides: &[&str]) -> Result<PipelineFile, Vec<String>> {
    let overrides: Vec<String> = overrides.iter().map(|&text| text.to_owned()).collect();
    let parsed = PipelineFile::parse("p.toml", text.to_owned(), &overrides, &Fixed, Path::new("/dir"));
    parsed.0.map_err(|bad| bad.lines)
}

const SMALL: &str = r#"name = "orders"
[source.in]
kind = "generator"
[operator.prefix]
input = "in"
component = "prefix.wasm"
[sink.out]
kind = "stdout"
input = "prefix"
"#;

/// Every section in every kind, so that every key is asked for.
const EVERY_KIND: &str = r#"name = "all"
[kafka.main]
brokers = "localhost:9092"
[source.a]
kind = "kafka"
topic = "t"
start = { timestamp = "2026-01-01T00:00:00Z" }
[source.b]
kind = "generator"
[source.c]
kind = "files"
path = "in.jsonl"
[operator.o]
input = ["a", "b", "c"]
component = "o.wasm"
on_error = { dead_letter = "dead" }
[sink.out]
kind = "kafka"
topic = "out"
input = "o"
[sink.dead]
kind = "files"
directory = "dead"
[sink.more]
kind = "stdout"
input = "o"
[sink.none]
kind = "blackhole"
input = "o"
"#;

fn problems(text: &str) -> Vec<String> {
    match parse(text, &[]) {
        Ok(file) => {
            let found = Plan::check(file.spec.clone(), &[]).expect_err("the file has problems");
            file.locate(&found).lines
        }
        Err(lines) => lines,
    }
}

#[test]
fn the_example_of_the_manual_is_read_as_it_says() {
    let text = r#"
name = "orders"
guarantee = "exactly_once"
parallelism = 2
[checkpoint]
interval = "1s"
[kafka.main]
brokers = "${env:BROKERS}"
transaction_timeout = "auto"
[kafka.main.properties]
"security.protocol" = "plaintext"
socket.keepalive.enable = true
[source.orders]
kind = "kafka"
topics = ["source_topic"]
start = "committed_or_latest"
[operator.prefix]
input = "orders"
component = "../prefix.wasm"
config = { prefix = "processed_", times = 3 }
on_error = { dead_letter = "dead" }
limits = { memory = "64MiB", call = "2s" }
[sink.out]
kind = "kafka"
input = "prefix"
topic = "sink_topic"
[sink.dead]
kind = "kafka"
topic = "orders.dead"
"#;
    let spec = parse(text, &[]).unwrap().spec;
    assert_eq!((spec.guarantee, spec.parallelism), (Guarantee::ExactlyOnce, 2));
    assert_eq!(spec.checkpoint.interval, Duration::from_secs(1));
    let cluster = &spec.clusters["main"];
    assert_eq!((cluster.brokers.as_str(), cluster.transaction_timeout), ("broker:9092", None));
    assert_eq!(cluster.properties["security.protocol"], "plaintext");
    assert_eq!(cluster.properties["socket.keepalive.enable"], "true");
    let SourceKind::Kafka { cluster, topics, start } = &spec.sources[0].kind else { panic!() };
    assert_eq!((cluster.as_str(), topics.as_slice()), ("main", ["source_topic".to_owned()].as_slice()));
    assert_eq!(*start, StartPolicy::CommittedOrLatest);
    let operator = &spec.operators[0];
    assert_eq!(operator.component, "/dir/../prefix.wasm");
    assert_eq!(operator.config["times"], "3");
    assert_eq!(operator.on_error, OnError::DeadLetter("dead".to_owned()));
    assert_eq!((operator.limits.memory_bytes, operator.limits.memory_recycle_bytes), (64 << 20, 32 << 20));
    assert!(
        matches!(&spec.sinks[1].kind, SinkKind::Kafka { topic, headers: true, .. } if topic == "orders.dead")
    );
}

#[test]
fn an_unknown_key_is_named_with_its_place_and_the_nearest_known_one() {
    let text = format!("paralelism = 2\n{SMALL}[checkpoint]\nintervall = \"5s\"\n");
    assert_eq!(
        problems(&text),
        [
            "p.toml:1:1: paralelism: there is no such key; did you mean parallelism?",
            "p.toml:12:1: checkpoint.intervall: there is no such key; did you mean interval?",
        ]
    );
}

#[test]
fn a_key_that_is_like_no_other_is_answered_with_all_of_them() {
    let line = &problems(&format!("{SMALL}[restart]\ncolour = 1\n"))[0];
    assert_eq!(
        line,
        "p.toml:11:1: restart.colour: there is no such key; there are: initial_backoff, max_backoff, reset_after, attempts"
    );
}

#[test]
fn a_wrong_type_says_what_was_expected_and_what_was_found() {
    let text = format!("parallelism = \"two\"\n{SMALL}[checkpoint]\ninterval = 5\ntimeout = \"soon\"\n");
    assert_eq!(
        problems(&text),
        [
            "p.toml:1:1: parallelism: expected a whole number, found \"two\"",
            "p.toml:12:1: checkpoint.interval: expected a duration with its unit, such as \"5s\", \"200ms\" or \"10m\", found 5",
            "p.toml:13:1: checkpoint.timeout: expected a duration with its unit, such as \"5s\", \"200ms\" or \"10m\", found \"soon\"",
        ]
    );
}

#[test]
fn a_missing_environment_variable_is_a_problem_with_its_place() {
    let text = format!("{SMALL}[kafka.main]\nbrokers = \"${{env:NOWHERE}}\"\n");
    assert_eq!(
        problems(&text),
        [
            "p.toml:11:1: kafka.main.brokers: the environment variable NOWHERE is not set; set it, or write ${env:NOWHERE:-default}"
        ]
    );
}

#[test]
fn what_was_filled_in_is_never_shown() {
    let text = SMALL.replace("\"in\"", "\"${env:PASSWORD}\"");
    let lines = problems(&text);
    assert!(lines.iter().any(|line| line.contains("${env:PASSWORD}")), "{lines:?}");
    assert!(lines.iter().all(|line| !line.contains("geheim")), "{lines:?}");
    let lines = problems(&format!("stop_timeout = \"${{env:PASSWORD}}\"\n{SMALL}"));
    assert!(lines[0].ends_with("found \"${env:PASSWORD}\""), "{lines:?}");
}

#[test]
fn a_number_may_be_filled_in() {
    let spec = parse(&format!("parallelism = \"${{env:N:-3}}\"\n{SMALL}"), &[]).unwrap().spec;
    assert_eq!(spec.parallelism, 3);
}

#[test]
fn problems_of_the_graph_have_a_place_too() {
    let text = SMALL.replace("input = \"in\"", "input = \"inn\"");
    let lines = problems(&text);
    assert!(
        lines.contains(
            &"p.toml:5:1: operator.prefix.input: there is no source or operator \"inn\"; there are: in, prefix"
                .to_owned()
        ),
        "{lines:?}"
    );
}

#[test]
fn names_of_flink_and_connect_are_answered_with_those_of_weir() {
    let text = format!(
        "execution.checkpointing.interval = \"5s\"\nexecution.checkpointing.mode = \"EXACTLY_ONCE\"\n\"tasks.max\" = 2\n{SMALL}"
    )
    .replace("kind = \"stdout\"", "kind = \"stdout\"\n\"sink.delivery-guarantee\" = \"exactly-once\"");
    assert_eq!(
        problems(&text),
        [
            "p.toml:1:25: execution.checkpointing.interval: weir calls this checkpoint.interval",
            "p.toml:2:25: execution.checkpointing.mode: weir calls this guarantee (\"exactly_once\" or \"at_least_once\")",
            "p.toml:3:1: tasks.max: weir calls this parallelism",
            "p.toml:12:1: sink.out.sink.delivery-guarantee: weir calls this guarantee, which is one for the whole pipeline",
        ]
    );
}

#[test]
fn broken_toml_is_told_with_its_place() {
    let lines = problems("name = \"orders\"\nparallelism = = 2\n");
    assert!(lines[0].starts_with("p.toml:2:"), "{lines:?}");
}

#[test]
fn an_override_replaces_a_key_or_adds_one() {
    let file =
        parse(SMALL, &["checkpoint.interval=1s", "parallelism=4", "operator.prefix.config.prefix=007"]);
    let spec = file.unwrap().spec;
    assert_eq!((spec.checkpoint.interval, spec.parallelism), (Duration::from_secs(1), 4));
    assert_eq!(spec.operators[0].config["prefix"], "007");
    let lines = parse(SMALL, &["checkpoint.intervall=1s", "parallelism=many"]).unwrap_err();
    assert_eq!(
        lines,
        [
            "--set checkpoint.intervall: checkpoint.intervall: there is no such key; did you mean interval?",
            "--set parallelism: parallelism: expected a whole number, found \"many\"",
        ]
    );
}

#[test]
fn a_start_time_can_be_given_in_three_ways() {
    let start = |line: &str| {
        let text = format!(
            "name = \"a\"\n[kafka.k]\nbrokers = \"b:1\"\n[source.in]\nkind = \"kafka\"\ntopic = \"t\"\n{line}\n[sink.out]\nkind = \"stdout\"\ninput = \"in\"\n"
        );
        parse(&text, &[]).map(|file| match file.spec.sources[0].kind {
            SourceKind::Kafka { start, .. } => start,
            _ => panic!("not Kafka"),
        })
    };
    let expected = Ok(StartPolicy::Timestamp(1_700_000_000_000));
    assert_eq!(start("start = \"timestamp\"\nstart_timestamp = 1700000000000"), expected);
    assert_eq!(start("start = { timestamp = \"2023-11-14T22:13:20Z\" }"), expected);
    assert_eq!(start("start = { timestamp = 2023-11-14T22:13:20Z }"), expected);
    let line = &start("start = \"timestamp\"").unwrap_err()[0];
    assert!(line.contains("source.in.start_timestamp: is missing"), "{line}");
    let line = &start("start = \"begin\"").unwrap_err()[0];
    assert!(line.contains("expected \"committed_or_earliest\" or"), "{line}");
}

#[test]
fn a_cluster_must_be_named_where_there_are_several() {
    let text = EVERY_KIND.replace("[source.a]", "[kafka.other]\nbrokers = \"b:1\"\n[source.a]");
    let lines = problems(&text);
    assert!(lines[0].contains("source.a.cluster: is missing"), "{lines:?}");
    assert!(lines[1].contains("sink.out.cluster: is missing"), "{lines:?}");
}

#[test]
fn every_known_key_is_described_in_the_manual() {
    let manual = include_str!("../../../../docs/PIPELINE.md");
    let (parsed, report) =
        PipelineFile::parse("p.toml", EVERY_KIND.to_owned(), &[], &Fixed, Path::new("/dir"));
    parsed.unwrap();
    let missing: Vec<String> =
        report.known_keys().into_iter().filter(|key| !manual.contains(&format!("`{key}`"))).collect();
    assert!(missing.is_empty(), "not in docs/PIPELINE.md: {missing:?}");
}

#[test]
fn a_typo_and_a_broken_graph_are_told_in_the_same_breath() {
    let text = SMALL
        .replace("name = \"orders\"", "name = \"orders\"\nparalelism = 2")
        .replace("kind = \"stdout\"\ninput = \"prefix\"", "kind = \"stdout\"\ninput = \"prefx\"");
    let lines = parse(&text, &[]).unwrap_err();
    assert_eq!(lines.len(), 2, "{lines:#?}");
    assert!(lines[0].contains("did you mean parallelism?"), "{lines:#?}");
    assert!(lines[1].contains("there is no source or operator \"prefx\""), "{lines:#?}");
}
