//! What a plan refuses, and the graph that it becomes.

use super::*;
use crate::connector::StartPolicy;
use std::collections::BTreeMap;
use std::time::Duration;

fn source(name: &str) -> SourceSpec {
    let kind = SourceKind::Kafka {
        cluster: "main".to_owned(),
        topics: vec![name.to_owned()],
        start: StartPolicy::CommittedOrEarliest,
    };
    SourceSpec { name: name.to_owned(), kind }
}

fn operator(name: &str, inputs: &[&str]) -> OperatorSpec {
    OperatorSpec {
        name: name.to_owned(),
        inputs: inputs.iter().map(|input| (*input).to_owned()).collect(),
        component: "x.wasm".to_owned(),
        config: BTreeMap::new(),
        on_error: OnError::Fail,
        breaker: BreakerSpec::default(),
        limits: OperatorLimits::default(),
        keeps_key: false,
    }
}

fn sink(name: &str, inputs: &[&str]) -> SinkSpec {
    let kind = SinkKind::Kafka {
        cluster: "main".to_owned(),
        topic: name.to_owned(),
        timestamp: SinkTimestamp::Record,
        headers: true,
    };
    SinkSpec { name: name.to_owned(), inputs: inputs.iter().map(|input| (*input).to_owned()).collect(), kind }
}

fn spec() -> PipelineSpec {
    let cluster = ClusterSpec { brokers: "localhost:9092".to_owned(), ..ClusterSpec::default() };
    PipelineSpec {
        name: "orders".to_owned(),
        guarantee: Guarantee::ExactlyOnce,
        parallelism: 1,
        id_prefix: "weir.".to_owned(),
        checkpoint: CheckpointSpec::default(),
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

fn one_port() -> Vec<Option<Ports>> {
    vec![Some(vec!["out".to_owned()])]
}

/// Checks a changed specification and returns the paths and messages of its problems.
fn problems(change: impl Fn(&mut PipelineSpec)) -> Vec<String> {
    let mut changed = spec();
    change(&mut changed);
    let ports = vec![Some(vec!["out".to_owned()]); changed.operators.len()];
    Plan::check(changed, &ports).err().unwrap_or_default().iter().map(ToString::to_string).collect()
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
    assert_eq!(plan.from_source, [[Downstream::Operator(0)]]);
    assert_eq!(plan.from_operator, [[[Downstream::Sink(0)]]]);
    assert_eq!(plan.order, [0]);
}

#[test]
fn all_problems_are_reported_at_once() {
    let found = problems(|spec| {
        spec.parallelism = 0;
        spec.operators[0].inputs = vec!["nowhere".to_owned()];
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
        spec.operators[0].inputs = vec!["im".to_owned()];
    });
}

#[test]
fn an_operator_with_several_ports_needs_one_named() {
    let ports = [Some(vec!["large".to_owned(), "small".to_owned()])];
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
    let ports = vec![Some(vec!["out".to_owned()]); 3];
    assert_eq!(Plan::check(diamond, &ports).unwrap().order, [1, 2, 0]);
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
    refused("operator.prefix.limits", "search", |spec| {
        spec.operators[0].limits.search = Duration::from_secs(1)
    });
}
