//! Where a plan is cut into stages, and what crosses the cuts.

use super::tests::{keyed, mapper, operator, shape, sink, source, spec};
use super::*;
use proptest::prelude::*;

/// Operators with their inputs and shapes, between the source `in` and one sink for all that nobody else reads.
fn plan(operators: Vec<(OperatorSpec, OperatorShape)>, change: impl Fn(&mut PipelineSpec)) -> Plan {
    let mut changed = spec();
    let (operators, shapes): (Vec<_>, Vec<_>) = operators.into_iter().unzip();
    let read = |name: &str| operators.iter().flat_map(|o| &o.inputs).any(|input| input.from == name);
    let last = operators.iter().map(|o| o.name.clone()).filter(|name| !read(name));
    changed.sinks = vec![SinkSpec { inputs: last.collect(), ..sink("out", &[]) }];
    changed.operators = operators;
    change(&mut changed);
    let shapes: Vec<_> = shapes.into_iter().map(Some).collect();
    Plan::check(changed, &shapes).expect("a valid plan")
}

fn distributions(plan: &Plan) -> Vec<Distribution> {
    plan.exchanges.iter().map(|exchange| exchange.distribution).collect()
}

fn keyed_that_keeps_keys() -> OperatorShape {
    let mut shape = keyed();
    shape.outputs[0].keeps_key = true;
    shape
}

fn one_keyed(change: impl Fn(&mut PipelineSpec)) -> Plan {
    plan(vec![(operator("count", &["in"]), keyed())], change)
}

#[test]
fn a_keyed_operator_of_one_subtask_needs_no_exchange() {
    let plan = one_keyed(|_| {});
    assert_eq!((plan.exchanges.len(), plan.stages.len(), plan.tasks()), (0, 1, 1));
    assert_eq!((plan.stages[0].sinks.as_slice(), plan.is_keyed()), ([0].as_slice(), true));
}

#[test]
fn rows_go_to_the_owner_of_their_key_where_there_are_several_subtasks() {
    let plan = one_keyed(|spec| spec.parallelism = 2);
    let exchange = plan.exchanges[0];
    assert_eq!(distributions(&plan), [Distribution::ByKey]);
    assert_eq!((exchange.from, exchange.to), (Upstream::Source(0), (0, 0)));
    assert_eq!((exchange.from_stage, exchange.to_stage), (0, 1));
    assert_eq!(plan.from_source, [[Downstream::Exchange(0)]]);
    assert_eq!(plan.inputs[0][0].exchange, Some(0));
    assert_eq!(
        (plan.stages[0].exchanges_out.as_slice(), plan.stages[1].exchanges_in.as_slice()),
        ([0].as_slice(), [0].as_slice())
    );
    assert_eq!((plan.stages[0].sinks.len(), plan.stages[1].sinks.len(), plan.tasks()), (0, 1, 4));
    assert_eq!(plan.stage_of(0), 1);
}

#[test]
fn a_co_partitioned_pipeline_needs_no_exchange() {
    let plan = one_keyed(|spec| (spec.parallelism, spec.co_partitioned) = (3, true));
    assert_eq!((plan.exchanges.len(), plan.tasks()), (0, 3));
}

#[test]
fn a_co_partitioned_pipeline_exchanges_behind_a_change_of_key() {
    let operators = vec![(operator("rekey", &["in"]), mapper()), (operator("count", &["rekey"]), keyed())];
    let changed = plan(operators.clone(), |spec| (spec.parallelism, spec.co_partitioned) = (2, true));
    assert_eq!(distributions(&changed), [Distribution::ByKey]);
    let promised = plan(operators, |spec| {
        (spec.parallelism, spec.co_partitioned) = (2, true);
        spec.operators[0].keeps_key = true;
    });
    assert_eq!(distributions(&promised), []);
}

#[test]
fn keyed_operators_that_keep_keys_follow_one_another_without_an_exchange() {
    let two = |first: OperatorShape| {
        let operators = vec![(operator("a", &["in"]), first), (operator("b", &["a"]), keyed())];
        plan(operators, |spec| spec.parallelism = 2)
    };
    assert_eq!(distributions(&two(keyed_that_keeps_keys())), [Distribution::ByKey]);
    assert_eq!(distributions(&two(keyed())), [Distribution::ByKey, Distribution::ByKey]);
}

#[test]
fn a_key_that_is_kept_by_several_steps_is_where_it_was() {
    let mapper_between = vec![
        (operator("a", &["in"]), keyed_that_keeps_keys()),
        (OperatorSpec { keeps_key: true, ..operator("between", &["a"]) }, mapper()),
        (operator("b", &["between"]), keyed()),
    ];
    assert_eq!(distributions(&plan(mapper_between, |spec| spec.parallelism = 2)), [Distribution::ByKey]);
}

#[test]
fn an_edge_that_skips_a_level_goes_forward_to_the_same_subtask() {
    // The source feeds `both` twice: through a keyed operator, and past it.
    let operators = vec![
        (operator("count", &["in"]), keyed_that_keeps_keys()),
        (operator("both", &["count", "in"]), mapper()),
    ];
    let plan = plan(operators, |spec| spec.parallelism = 2);
    assert_eq!(distributions(&plan), [Distribution::ByKey, Distribution::Forward]);
    assert_eq!(plan.exchanges[1].to, (1, 1));
    assert_eq!(plan.from_source[0], [Downstream::Exchange(0), Downstream::Exchange(1)]);
    assert_eq!(plan.stages.len(), 2);
}

#[test]
fn another_parallelism_is_reached_in_turn() {
    let operators = vec![
        (OperatorSpec { parallelism: Some(3), ..operator("wide", &["in"]) }, mapper()),
        (operator("narrow", &["wide"]), mapper()),
    ];
    let plan = plan(operators, |_| {});
    assert_eq!(distributions(&plan), [Distribution::RoundRobin, Distribution::RoundRobin]);
    assert_eq!(plan.stages.iter().map(|stage| stage.parallelism).collect::<Vec<_>>(), [1, 3, 1]);
    assert_eq!(plan.tasks(), 5);
}

#[test]
fn dead_letters_are_written_where_their_operator_runs() {
    let letters = |spec: &mut PipelineSpec| {
        spec.parallelism = 2;
        spec.sinks.push(sink("dead", &[]));
        spec.operators[0].on_error = OnError::DeadLetter("dead".to_owned());
    };
    assert_eq!(one_keyed(letters).stages[1].sinks, [0, 1]);
}

/// A random graph: per operator its inputs (an index below its own is an operator, else the source), its kind, and its
/// parallelism.
fn operators() -> impl Strategy<Value = Vec<(OperatorSpec, OperatorShape)>> {
    let one = (prop::collection::vec(0usize..8, 1..4), 0usize..3, prop::option::of(1usize..4), any::<bool>());
    prop::collection::vec(one, 1..8).prop_map(|all| {
        let build =
            |(index, (inputs, kind, parallelism, keeps_key)): (usize, (Vec<usize>, usize, _, bool))| {
                let from = |input: &usize| if *input < index { format!("o{input}") } else { "in".to_owned() };
                let names: Vec<String> = inputs.iter().map(from).collect();
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                let spec = OperatorSpec { parallelism, keeps_key, ..operator(&format!("o{index}"), &names) };
                let shape = match kind {
                    0 => mapper(),
                    1 => keyed(),
                    _ => OperatorShape { states: keyed().states, ..shape(&["in"], &["out"]) },
                };
                (spec, shape)
            };
        all.into_iter().enumerate().map(build).collect()
    })
}

/// True where rows of the source and operator arrive at the owner of their key.
fn by_owner(plan: &Plan, operator: usize, input: usize) -> bool {
    let at = plan.inputs[operator][input];
    let own = plan.stages[plan.stage_of(operator)].parallelism;
    if own == 1 {
        return true;
    }
    match at.exchange.map(|exchange| plan.exchanges[exchange].distribution) {
        Some(Distribution::ByKey) => true,
        Some(Distribution::RoundRobin) => false,
        Some(Distribution::Forward) | None => match at.from {
            Upstream::Source(_) => plan.spec.co_partitioned,
            Upstream::Operator(from, _) => {
                plan.spec.operators[from].keeps_key
                    && (0..plan.inputs[from].len()).all(|input| by_owner(plan, from, input))
            }
        },
    }
}

proptest! {
    #[test]
    fn exchanges_lead_from_one_stage_to_a_later_one_and_every_vertex_is_in_one_stage(
        operators in operators(), parallelism in 1usize..4, co in any::<bool>()
    ) {
        let reads_source = operators.iter().any(|(spec, _)| spec.inputs.iter().any(|i| i.from == "in"));
        prop_assume!(reads_source);
        let plan = plan(operators, |spec| {
            (spec.parallelism, spec.co_partitioned) = (parallelism, co);
        });
        for exchange in &plan.exchanges {
            prop_assert!(exchange.from_stage < exchange.to_stage, "{exchange:?} of {:#?}", plan.stages);
        }
        let mut seen = vec![0; plan.spec.operators.len()];
        for stage in &plan.stages {
            for operator in &stage.operators {
                seen[*operator] += 1;
                let own = plan.spec.operators[*operator].parallelism.unwrap_or(parallelism);
                prop_assert_eq!(stage.parallelism, own);
            }
        }
        prop_assert!(seen.iter().all(|count| *count == 1), "{:?}", seen);
        prop_assert_eq!(plan.stages.iter().filter(|stage| stage.sources == [0]).count(), 1);
        for (operator, inputs) in plan.inputs.iter().enumerate() {
            for (index, input) in inputs.iter().enumerate() {
                let from = match input.from {
                    Upstream::Source(_) => 0,
                    Upstream::Operator(from, _) => plan.stage_of(from),
                };
                // Without an exchange both run in one stage, and the rows come from the call before.
                match input.exchange {
                    None => prop_assert_eq!(from, plan.stage_of(operator)),
                    Some(exchange) => prop_assert_eq!(plan.exchanges[exchange].to, (operator, index)),
                }
                if plan.shapes[operator].is_keyed() {
                    prop_assert!(by_owner(&plan, operator, index), "{:?} of {:#?}", input, plan.exchanges);
                }
            }
        }
    }

    #[test]
    fn a_second_source_changes_nothing_of_that(parallelism in 1usize..4, keyed_first in any::<bool>()) {
        let first = if keyed_first { keyed() } else { mapper() };
        let mut changed = spec();
        changed.parallelism = parallelism;
        changed.sources.push(source("second"));
        changed.operators = vec![operator("a", &["in"]), operator("b", &["a", "second"])];
        changed.sinks = vec![sink("out", &["b"])];
        let plan = Plan::check(changed, &[Some(first), Some(keyed())]).unwrap();
        prop_assert!(plan.exchanges.iter().all(|e| e.from_stage < e.to_stage));
        let sources: Vec<usize> = plan.stages.iter().flat_map(|stage| stage.sources.clone()).collect();
        prop_assert_eq!(sources, [0, 1]);
    }
}
