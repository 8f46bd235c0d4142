//! What a plan refuses, and the graph that it becomes.

use super::*;
use crate::connector::StartPolicy;
use crate::state::{OutputPort, StateDeclaration, StateKind, TimerClock, TimerDeclaration};
use std::collections::BTreeMap;
use std::time::Duration;

pub(super) fn source(name: &str) -> SourceSpec {
    let kind = SourceKind::Kafka {
        cluster: "main".to_owned(),
        topics: vec![name.to_owned()],
        start: StartPolicy::CommittedOrEarliest,
    };
    SourceSpec { name: name.to_owned(), kind, time: TimeSpec::default() }
}

pub(super) fn operator(name: &str, inputs: &[&str]) -> OperatorSpec {
    OperatorSpec {
        name: name.to_owned(),
        inputs: inputs.iter().map(|input| InputSpec::from(*input)).collect(),
        component: "x.wasm".to_owned(),
        config: BTreeMap::new(),
        on_error: OnError::Fail,
        breaker: BreakerSpec::default(),
        limits: OperatorLimits::default(),
        keeps_key: false,
        parallelism: None,
        null_key: NullKey::Reject,
        drop_state: vec![],
    }
}

pub(super) fn sink(name: &str, inputs: &[&str]) -> SinkSpec {
    let kind = SinkKind::Kafka {
        cluster: "main".to_owned(),
        topic: name.to_owned(),
        timestamp: SinkTimestamp::Record,
        headers: true,
    };
    SinkSpec { name: name.to_owned(), inputs: inputs.iter().map(|input| (*input).to_owned()).collect(), kind }
}

pub(super) fn spec() -> PipelineSpec {
    let cluster = ClusterSpec { brokers: "localhost:9092".to_owned(), ..ClusterSpec::default() };
    PipelineSpec {
        name: "orders".to_owned(),
        guarantee: Guarantee::ExactlyOnce,
        parallelism: 1,
        max_parallelism: None,
        co_partitioned: false,
        state_memory_max: None,
        channel_bytes_max: 1 << 20,
        id_prefix: "weir.".to_owned(),
        drop_operators: vec![],
        checkpoint: CheckpointSpec::default(),
        savepoint: SavepointSpec::default(),
        restart: RestartSpec::default(),
        stop_timeout: Duration::from_secs(20),
        inflight_bytes_max: 1 << 20,
        sink_buffer_bytes_max: 1 << 20,
        partition_discovery_interval: Duration::from_secs(60),
        clusters: BTreeMap::from([("main".to_owned(), cluster)]),
        sources: vec![source("in")],
        operators: vec![operator("prefix", &["in"])],
        sinks: vec![sink("out", &["prefix"])],
    }
}

/// What an operator is: its input and output ports.
pub(super) fn shape(inputs: &[&str], outputs: &[&str]) -> OperatorShape {
    let port = |name: &&str| OutputPort { name: (*name).to_owned(), keeps_key: false };
    OperatorShape {
        inputs: inputs.iter().map(|name| (*name).to_owned()).collect(),
        outputs: outputs.iter().map(port).collect(),
        ..OperatorShape::default()
    }
}

pub(super) fn mapper() -> OperatorShape {
    shape(&["in"], &["out"])
}

/// Keeps a value per key.
pub(super) fn keyed() -> OperatorShape {
    let count =
        StateDeclaration { name: "count".to_owned(), kind: StateKind::Value, version: 1, ttl_seconds: 0 };
    OperatorShape { states: vec![count], ..mapper() }
}

fn one_port() -> Vec<Option<OperatorShape>> {
    vec![Some(mapper())]
}

/// Checks a changed specification and returns the paths and messages of its problems.
fn problems(change: impl Fn(&mut PipelineSpec)) -> Vec<String> {
    let mut changed = spec();
    change(&mut changed);
    let shapes = vec![Some(mapper()); changed.operators.len()];
    Plan::check(changed, &shapes).err().unwrap_or_default().iter().map(ToString::to_string).collect()
}

#[track_caller]
fn refused(path: &str, words: &str, change: impl Fn(&mut PipelineSpec)) {
    let found = problems(change);
    assert!(
        found.iter().any(|p| p.starts_with(path) && p.contains(words)),
        "{path} {words:?} not in {found:#?}"
    );
}

#[test]
fn a_valid_plan_becomes_a_graph() {
    let plan = Plan::check(spec(), &one_port()).unwrap();
    assert_eq!(plan.from_source, [[Downstream::Operator(0, 0)]]);
    assert_eq!(plan.from_operator, [[[Downstream::Sink(0)]]]);
    assert_eq!(plan.order, [0]);
}

#[test]
fn all_problems_are_reported_at_once() {
    let found = problems(|spec| {
        spec.parallelism = 0;
        spec.operators[0].inputs = vec![InputSpec::from("nowhere")];
        spec.checkpoint.max_concurrent = 2;
    });
    assert!(found.len() >= 3, "{found:#?}");
}

#[test]
fn names_are_checked_and_share_one_space() {
    refused("name", "expected 1 to 100", |spec| spec.name = "a b".to_owned());
    refused("sink.in", "used twice", |spec| spec.sinks[0].name = "in".to_owned());
}

#[test]
fn an_input_that_does_not_exist_is_answered_with_those_that_do() {
    refused("operator.prefix.input", "there are: in, prefix", |spec| {
        spec.operators[0].inputs = vec![InputSpec::from("im")];
    });
}

#[test]
fn an_operator_with_several_ports_needs_one_named() {
    let ports = [Some(shape(&["in"], &["large", "small"]))];
    let found = Plan::check(spec(), &ports).unwrap_err();
    assert!(found[0].message.contains("prefix.large, prefix.small"), "{found:?}");
    let mut named = spec();
    named.sinks[0].inputs = vec!["prefix.small".to_owned()];
    let plan = Plan::check(named, &ports).unwrap();
    assert_eq!(plan.from_operator[0], [vec![], vec![Downstream::Sink(0)]]);
}

#[test]
fn a_port_that_does_not_exist_is_answered_with_those_that_do() {
    refused("sink.out.input", "there are: prefix.out", |spec| {
        spec.sinks[0].inputs = vec!["prefix.big".to_owned()]
    });
}

#[test]
fn a_circle_is_refused() {
    refused("operator.b.input", "no circles", |spec| {
        spec.operators.push(operator("a", &["b"]));
        spec.operators.push(operator("b", &["a"]));
    });
}

#[test]
fn operators_run_behind_their_inputs_whatever_the_order_of_the_file() {
    let mut diamond = spec();
    diamond.sources.push(source("second"));
    diamond.operators =
        vec![operator("join", &["a", "b"]), operator("a", &["in"]), operator("b", &["second"])];
    diamond.sinks[0].inputs = vec!["join".to_owned()];
    let shapes = vec![Some(mapper()); 3];
    assert_eq!(Plan::check(diamond, &shapes).unwrap().order, [1, 2, 0]);
}

#[test]
fn a_dead_letter_needs_its_sink_and_a_sink_without_input_needs_a_dead_letter() {
    refused("operator.prefix.on_error", "[sink.dead]", |spec| {
        spec.operators[0].on_error = OnError::DeadLetter("dead".to_owned());
    });
    refused("sink.dead", "nothing writes to it", |spec| spec.sinks.push(sink("dead", &[])));
}

#[test]
fn a_source_that_nobody_reads_is_refused() {
    refused("source.more", "nothing reads it", |spec| spec.sources.push(source("more")));
}

#[test]
fn a_cluster_must_exist_and_have_brokers() {
    refused("sink.out.cluster", "[kafka.other]", |spec| {
        if let SinkKind::Kafka { cluster, .. } = &mut spec.sinks[0].kind {
            *cluster = "other".to_owned();
        }
    });
    refused("kafka.main.brokers", "host:port", |spec| {
        spec.clusters.entry("main".to_owned()).or_default().brokers.clear();
    });
}

#[test]
fn brokers_have_a_host_and_a_port() {
    for wrong in ["localhost", "localhost:99999", ":9092", "a:1,b"] {
        refused("kafka.main.brokers", "host:port", |spec| {
            spec.clusters.entry("main".to_owned()).or_default().brokers = wrong.to_owned();
        });
    }
    let right = |spec: &mut PipelineSpec| {
        spec.clusters.entry("main".to_owned()).or_default().brokers = "a:1, [::1]:9092".to_owned();
    };
    assert!(problems(right).is_empty());
}

#[test]
fn a_pipeline_does_not_read_what_it_writes() {
    refused("sink.out.topic", "source in reads topic in", |spec| spec.sinks[0].kind = sink("in", &[]).kind);
}

#[test]
fn a_topic_is_read_once() {
    refused("source.again.topics", "read twice", |spec| {
        spec.sources.push(SourceSpec { name: "again".to_owned(), ..source("in") });
    });
}

#[test]
fn timeouts_are_checked_against_one_another() {
    refused("kafka.main.transaction_timeout", "0.8", |spec| {
        spec.clusters.entry("main".to_owned()).or_default().transaction_timeout =
            Some(Duration::from_secs(60));
    });
    refused("checkpoint.interval", "200ms", |spec| spec.checkpoint.interval = Duration::from_millis(100));
    refused("checkpoint.max_concurrent", "one transaction", |spec| spec.checkpoint.max_concurrent = 2);
    refused("checkpoint.retain", "at least 2", |spec| spec.checkpoint.retain = 1);
}

#[test]
fn exactly_once_lives_in_one_cluster() {
    let two = |spec: &mut PipelineSpec| {
        let cluster = ClusterSpec { brokers: "other:9092".to_owned(), ..ClusterSpec::default() };
        spec.clusters.insert("other".to_owned(), cluster);
        let mut more = sink("more", &["prefix"]);
        if let SinkKind::Kafka { cluster, .. } = &mut more.kind {
            *cluster = "other".to_owned();
        }
        spec.sinks.push(more);
    };
    refused("guarantee", "main, other", two);
    let relaxed = problems(|spec| {
        two(spec);
        spec.guarantee = Guarantee::AtLeastOnce;
    });
    assert!(relaxed.is_empty(), "{relaxed:?}");
}

#[test]
fn at_most_once_has_no_files_sink() {
    refused("sink.out", "publishes at a checkpoint", |spec| {
        spec.guarantee = Guarantee::AtMostOnce;
        spec.sinks[0].kind = SinkKind::Files { directory: "d".to_owned(), format: FileFormat::JsonLines };
    });
}

#[test]
fn limits_are_checked() {
    refused("operator.prefix.breaker.share", "at most 1", |spec| spec.operators[0].breaker.share = 1.5);
    refused("operator.prefix.limits.batch_rows_max", "1 to", |spec| {
        spec.operators[0].limits.batch_rows_max = 0
    });
    refused("operator.prefix.limits.state_page_bytes_max", "1B to", |spec| {
        spec.operators[0].limits.state_page_bytes_max = 0
    });
    refused("operator.prefix.limits.state_reads", "1B to", |spec| {
        spec.operators[0].limits.state_reads_bytes = 0
    });
    refused("operator.prefix.limits.state_writes", "1B to", |spec| {
        spec.operators[0].limits.state_writes_bytes = 0
    });
    refused("operator.prefix.limits.timer_rounds_max", "at least 1", |spec| {
        spec.operators[0].limits.timer_rounds_max = 0
    });
    refused("channel_bytes_max", "at least 1B", |spec| spec.channel_bytes_max = 0);
    refused("state_memory_max", "8MiB", |spec| spec.state_memory_max = Some(1));
    refused("operator.prefix.limits", "search", |spec| {
        spec.operators[0].limits.search = Duration::from_secs(1)
    });
}

/// An operator with two inputs, and what feeds them.
fn join(inputs: &[(&str, &str)]) -> Result<Plan, Vec<Problem>> {
    let mut changed = spec();
    changed.sources.push(source("second"));
    changed.operators[0].inputs = inputs
        .iter()
        .map(|(port, from)| InputSpec {
            from: (*from).to_owned(),
            port: (!port.is_empty()).then(|| (*port).to_owned()),
        })
        .collect();
    Plan::check(changed, &[Some(shape(&["left", "right"], &["out"]))])
}

#[track_caller]
fn join_refused(inputs: &[(&str, &str)], path: &str, words: &str) {
    let found = join(inputs).unwrap_err();
    assert!(found.iter().any(|p| p.path == path && p.message.contains(words)), "{found:#?}");
}

#[test]
fn inputs_feed_the_ports_that_they_name_and_a_port_may_have_several() {
    let plan = join(&[("right", "in"), ("left", "second"), ("left", "in")]).unwrap();
    let fed: Vec<(Upstream, u32)> = plan.inputs[0].iter().map(|input| (input.from, input.port)).collect();
    assert_eq!(fed, [(Upstream::Source(0), 1), (Upstream::Source(1), 0), (Upstream::Source(0), 0)]);
    assert_eq!(plan.from_source[0], [Downstream::Operator(0, 0), Downstream::Operator(0, 2)]);
}

#[test]
fn several_input_ports_are_named() {
    join_refused(&[("", "in"), ("", "second")], "operator.prefix.input", "with left, right");
}

#[test]
fn an_input_port_that_does_not_exist_is_answered_with_those_that_do() {
    let words = "no input port \"middle\"; there are: left, right";
    join_refused(&[("left", "in"), ("middle", "second")], "operator.prefix.input", words);
}

#[test]
fn an_input_port_that_nothing_feeds_is_refused() {
    join_refused(&[("left", "in"), ("left", "second")], "operator.prefix.input.right", "nothing feeds");
}

#[test]
fn key_groups_fit_two_bytes_and_every_subtask_has_one() {
    for wrong in [0, 32_769] {
        refused("max_parallelism", "expected 1 to 32768", |spec| spec.max_parallelism = Some(wrong));
    }
    let mut narrow = spec();
    (narrow.max_parallelism, narrow.parallelism) = (Some(2), 3);
    let found = Plan::check(narrow, &[Some(keyed())]).unwrap_err();
    assert!(found[0].to_string().contains("operator.prefix.parallelism: 3: more than the 2 key groups"));
}

#[test]
fn what_keeps_state_has_checkpoints() {
    let relaxed = PipelineSpec { guarantee: Guarantee::AtMostOnce, ..spec() };
    let found = Plan::check(relaxed, &[Some(keyed())]).unwrap_err();
    assert!(found[0].message.contains("operator prefix keeps state"), "{found:?}");
}

#[test]
fn only_kafka_topics_are_co_partitioned() {
    refused("co_partitioned", "only Kafka topics", |spec| {
        spec.co_partitioned = true;
        spec.sources[0].kind =
            SourceKind::Files { paths: vec!["a".to_owned()], format: FileFormat::JsonLines };
    });
}

#[test]
fn an_operator_that_is_dropped_is_not_in_the_file() {
    refused("drop_operators", "there is a section [operator.prefix]", |spec| {
        spec.drop_operators = vec!["prefix".to_owned()];
    });
}

#[test]
fn what_the_component_declares_is_not_dropped() {
    let count =
        StateDeclaration { name: "count".to_owned(), kind: StateKind::Value, version: 1, ttl_seconds: 0 };
    let flush = TimerDeclaration { name: "flush".to_owned(), clock: TimerClock::EventTime };
    let shape = OperatorShape { states: vec![count], timers: vec![flush], ..mapper() };
    let check = |names: &[&str]| {
        let mut changed = spec();
        changed.operators[0].drop_state = names.iter().map(|name| (*name).to_owned()).collect();
        Plan::check(changed, &[Some(shape.clone())])
    };
    assert!(check(&["old"]).is_ok(), "what is gone may be named for ever");
    for name in ["count", "flush"] {
        let problems = check(&["old", name]).unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert_eq!(problems[0].path, "operator.prefix.drop_state");
        assert!(problems[0].message.contains("this component declares"), "{problems:?}");
    }
}

#[test]
fn a_parallelism_is_judged_once_and_where_it_is_set() {
    let mut changed = spec();
    changed.parallelism = 0;
    let problems = Plan::check(changed, &[Some(mapper())]).unwrap_err();
    assert_eq!(problems.iter().map(|problem| problem.path.as_str()).collect::<Vec<_>>(), ["parallelism"]);
    refused("operator.prefix.parallelism", "1 to 256", |spec| spec.operators[0].parallelism = Some(0));
}

#[test]
fn savepoints_are_copies_of_checkpoints() {
    refused("savepoint.every", "checkpoint.interval", |spec| {
        spec.savepoint.every = Some(Duration::from_secs(1));
    });
    refused("savepoint.keep", "at least 1", |spec| spec.savepoint.keep = 0);
}

#[test]
fn times_of_a_source_are_checked() {
    refused("source.in.idleness", "more than 0", |spec| {
        spec.sources[0].time.idleness = Some(Duration::ZERO);
    });
    refused("source.in.timestamp.field", "name of a field", |spec| {
        spec.sources[0].time.timestamp =
            TimestampSpec::JsonField { field: String::new(), missing: TimestampMissing::Fail };
    });
}

#[test]
fn event_time_timers_behind_a_source_that_never_ends_and_has_no_watermarks_are_worth_a_line() {
    let timer = |clock| {
        let flush = TimerDeclaration { name: "flush".to_owned(), clock };
        Some(OperatorShape { timers: vec![flush], ..mapper() })
    };
    let advice = |change: &dyn Fn(&mut PipelineSpec), clock| {
        let mut changed = spec();
        changed.operators.push(operator("sum", &["prefix"]));
        changed.sinks[0].inputs = vec!["sum".to_owned()];
        change(&mut changed);
        Plan::check(changed, &[Some(mapper()), timer(clock)]).unwrap().advice()
    };
    let found = advice(&|_| {}, TimerClock::EventTime);
    assert_eq!(found[0].path, "source.in.watermarks");
    assert!(found[0].message.contains("timers of operator sum never fire"), "{found:?}");
    assert_eq!(advice(&|_| {}, TimerClock::ProcessingTime), []);
    let monotonous = |spec: &mut PipelineSpec| {
        spec.sources[0].time.watermarks = WatermarkStrategy::Monotonous;
    };
    assert_eq!(advice(&monotonous, TimerClock::EventTime), []);
    let files = |spec: &mut PipelineSpec| {
        spec.sources[0].kind =
            SourceKind::Files { paths: vec!["a".to_owned()], format: FileFormat::JsonLines };
    };
    assert_eq!(advice(&files, TimerClock::EventTime), []);
}
