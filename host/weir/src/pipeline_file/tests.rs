//! The sentences that a pipeline file is answered with.

use super::*;
use std::time::Duration;
use weir_protocol::connector::StartPolicy;
use weir_protocol::plan::{
    Guarantee, InputSpec, NullKey, OnError, Plan, SinkKind, SourceKind, TimestampMissing, TimestampSpec,
    WatermarkStrategy,
};

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
timestamp = { field = "ts" }
watermarks = { bounded_out_of_orderness = "5s" }
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
            "p.toml:12:1: checkpoint.interval: expected a duration with its unit, such as \"5s\", \"200ms\" or \"10m\", of at most 100 years, found 5",
            "p.toml:13:1: checkpoint.timeout: expected a duration with its unit, such as \"5s\", \"200ms\" or \"10m\", of at most 100 years, found \"soon\"",
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
fn event_time_of_a_source_is_read_in_all_of_its_forms() {
    let time = |lines: &str| {
        let text = SMALL.replace("kind = \"generator\"", &format!("kind = \"generator\"\n{lines}"));
        parse(&text, &[]).map(|file| file.spec.sources[0].time.clone())
    };
    let unset = time("").unwrap();
    assert_eq!((unset.timestamp, unset.watermarks), (TimestampSpec::Record, WatermarkStrategy::None));
    assert_eq!((unset.idleness, unset.max_timestamp_skew), (None, None));
    let set = time("watermarks = { bounded_out_of_orderness = \"5s\" }\nidleness = \"1m\"\ntimestamp = { field = \"ts\" }\ntimestamp_missing = \"record\"\nmax_timestamp_skew = \"1h\"").unwrap();
    assert_eq!(set.watermarks, WatermarkStrategy::BoundedOutOfOrderness(Duration::from_secs(5)));
    assert_eq!(
        (set.idleness, set.max_timestamp_skew),
        (Some(Duration::from_secs(60)), Some(Duration::from_secs(3600)))
    );
    let field = TimestampSpec::JsonField { field: "ts".to_owned(), missing: TimestampMissing::Record };
    assert_eq!(set.timestamp, field);
    assert_eq!(
        time("watermarks = \"monotonous\"\ntimestamp = \"record\"").unwrap().watermarks,
        WatermarkStrategy::Monotonous
    );
    for (lines, words) in [
        ("watermarks = \"bounded\"", "source.in.watermarks: expected \"none\", \"monotonous\" or {"),
        ("watermarks = {}", "source.in.watermarks.bounded_out_of_orderness: is missing"),
        ("watermarks = { bounded_out_of_order = \"5s\" }", "did you mean bounded_out_of_orderness?"),
        (
            "timestamp = \"ts\"",
            "source.in.timestamp: expected \"record\" or { field = \"NAME\" }, found \"ts\"",
        ),
        ("timestamp_missing = \"fail\"", "source.in.timestamp_missing: goes with timestamp = {"),
        ("idlenes = \"1m\"", "did you mean idleness?"),
        ("idleness = \"0s\"\ncolour = 1", "source.in.colour: there is no such key"),
    ] {
        let found = time(lines).unwrap_err();
        assert!(found.iter().any(|line| line.contains(words)), "{lines}: {found:#?}");
    }
}

#[test]
fn an_operator_with_several_input_ports_has_a_table_of_them() {
    let text = SMALL.replace("input = \"in\"", "input = { left = \"in\", right = [\"in\", \"more\"] }\nparallelism = 2\nnull_key = \"group\"\ndrop_state = [\"old\"]");
    let operator = parse(&text, &[]).unwrap().spec.operators.remove(0);
    let input = |port: &str, from: &str| InputSpec { from: from.to_owned(), port: Some(port.to_owned()) };
    assert_eq!(operator.inputs, [input("left", "in"), input("right", "in"), input("right", "more")]);
    assert_eq!((operator.parallelism, operator.null_key), (Some(2), NullKey::Group));
    assert_eq!(operator.drop_state, ["old"]);
    let wrong = SMALL.replace("input = \"in\"", "input = { left = \"in\", right = 5 }\nnull_key = \"drop\"");
    let lines = problems(&wrong);
    assert!(
        lines[0].contains("operator.prefix.input.right: expected a string or a list of strings, found 5"),
        "{lines:#?}"
    );
    assert!(lines[1].contains("operator.prefix.null_key: expected \"reject\" or \"group\""), "{lines:#?}");
}

#[test]
fn an_input_that_does_not_exist_is_told_with_the_place_of_its_port() {
    let text = SMALL.replace("input = \"in\"", "input = { left = \"inn\" }");
    let lines = problems(&text);
    assert!(
        lines.iter().any(|line| line
            .starts_with("p.toml:5:1: operator.prefix.input: there is no source or operator \"inn\"")),
        "{lines:#?}"
    );
}

#[test]
fn keys_of_state_and_savepoints_are_read() {
    let text = format!(
        "max_parallelism = 128\nco_partitioned = true\nstate_memory_max = \"1GiB\"\nchannel_bytes_max = \"2MiB\"\ndrop_operators = \"old\"\n{SMALL}[savepoint]\nevery = \"1h\"\ndir = \"points\"\nkeep = 5\n[operator.prefix.limits]\nstate_page_bytes_max = \"2MiB\"\nstate_writes = \"1MiB\"\ntimer_rounds_max = 7\n"
    );
    let spec = parse(&text, &[]).unwrap().spec;
    assert_eq!((spec.max_parallelism, spec.co_partitioned), (Some(128), true));
    assert_eq!((spec.state_memory_max, spec.channel_bytes_max), (Some(1 << 30), 2 << 20));
    assert_eq!(spec.drop_operators, ["old"]);
    assert_eq!((spec.savepoint.every, spec.savepoint.keep), (Some(Duration::from_secs(3600)), 5));
    assert_eq!(spec.savepoint.dir.as_deref(), Some("/dir/points"));
    let limits = &spec.operators[0].limits;
    assert_eq!(
        (limits.state_page_bytes_max, limits.state_writes_bytes, limits.timer_rounds_max),
        (2 << 20, 1 << 20, 7)
    );
    let unset = parse(SMALL, &[]).unwrap().spec;
    assert_eq!(
        (unset.max_parallelism, unset.state_memory_max, unset.channel_bytes_max),
        (None, None, 1 << 20)
    );
    assert_eq!((unset.savepoint.every, unset.savepoint.dir, unset.savepoint.keep), (None, None, 3));
    assert_eq!(unset.checkpoint.retain, 3);
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
