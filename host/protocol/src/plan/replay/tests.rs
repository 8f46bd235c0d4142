//! What the plan of a replay looks like, and what cannot be replayed.

use super::super::tests::{operator, sink, source, spec};
use super::*;

fn lettered(name: &str, input: &str, target: &str) -> OperatorSpec {
    OperatorSpec { on_error: OnError::DeadLetter(target.to_owned()), ..operator(name, &[input]) }
}

fn two_operators() -> PipelineSpec {
    PipelineSpec {
        sources: vec![source("orders")],
        operators: vec![lettered("parse", "orders", "dead"), lettered("count", "parse", "dead")],
        sinks: vec![sink("out", &["count"]), sink("dead", &[])],
        ..spec()
    }
}

fn plan(spec: PipelineSpec) -> Plan {
    let shapes = vec![None; spec.operators.len()];
    Plan::check(spec, &shapes).unwrap()
}

fn refused(spec: PipelineSpec) -> String {
    let problems = plan(spec).with_replay(&Selection::default()).unwrap_err();
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

#[test]
fn letters_enter_the_operators_that_write_them_and_the_rest_goes_back_to_the_sink() {
    let plan = plan(two_operators());
    assert!(!plan.is_replay());
    let replay = plan.with_replay(&Selection::default()).unwrap();
    assert!(replay.is_replay());
    let router = replay.spec.operators.iter().position(OperatorSpec::is_router).unwrap();
    assert_eq!(replay.from_source[1], [Downstream::Operator(router, 0)]);
    let ways = &replay.from_operator[router];
    let dead = replay.spec.sinks.iter().position(|sink| sink.name == "dead").unwrap();
    assert_eq!(ways[usize::from(STAYS)], [Downstream::Sink(dead)]);
    assert_eq!(ways[1], [Downstream::Operator(0, 1)]);
    assert_eq!(ways[2], [Downstream::Operator(1, 1)]);
    let SourceKind::DeadLetters { decides, replay, .. } = &replay.spec.sources[1].kind else { panic!() };
    assert!(decides, "the letters are in the cluster that decides");
    let names: Vec<&str> = replay.targets.iter().map(|target| target.operator.as_str()).collect();
    assert_eq!(names, ["parse", "count"]);
}

#[test]
fn letters_in_another_cluster_than_the_deciding_one_have_their_positions_in_the_manifest() {
    let mut spec = two_operators();
    spec.guarantee = Guarantee::AtLeastOnce;
    spec.clusters.insert("other".to_owned(), spec.clusters["main"].clone());
    let SinkKind::Kafka { cluster, .. } = &mut spec.sinks[1].kind else { panic!() };
    *cluster = "other".to_owned();
    let replay = plan(spec).with_replay(&Selection::default()).unwrap();
    assert!(!replay.decides("letters:dead") && replay.decides("orders"));
}

#[test]
fn what_cannot_be_replayed_says_why() {
    let mut without = two_operators();
    without.operators.iter_mut().for_each(|operator| operator.on_error = OnError::Skip);
    without.sinks.pop();
    assert!(refused(without).contains("there are no dead letters"));
    let mut bare = two_operators();
    let SinkKind::Kafka { headers, .. } = &mut bare.sinks[1].kind else { panic!() };
    *headers = false;
    assert!(refused(bare).starts_with("sink.dead: headers = false"));
    let mut once = two_operators();
    once.guarantee = Guarantee::AtMostOnce;
    assert!(refused(once).starts_with("guarantee: \"at_most_once\""));
    let mut stdout = two_operators();
    stdout.sinks[1].kind = SinkKind::Stdout { format: FileFormat::JsonLines };
    assert!(refused(stdout).contains("cannot be read again"));
    let nobody = Selection { operators: vec!["nobody".to_owned()], ..Selection::default() };
    let problems = plan(two_operators()).with_replay(&nobody).unwrap_err();
    assert_eq!(
        problems[0].to_string(),
        "operator.nobody: the pipeline has no such operator; it has parse, count"
    );
}

#[test]
fn a_pipeline_file_cannot_use_the_names_of_a_replay() {
    for name in ["letters:dead", "replay:dead"] {
        let mut spec = two_operators();
        spec.operators[0].name = name.to_owned();
        assert!(Plan::check(spec, &[None, None]).is_err(), "{name}");
    }
}
