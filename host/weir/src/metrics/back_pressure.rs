//! Where back-pressure begins, read as people read Flink's job graph: behind the last step that is back-pressured stands
//! the one that all the others wait for.

use crate::rates::SubtaskRates;
use weir_protocol::plan::{Plan, Stage};

/// Milliseconds of a second from which on a subtask counts as back-pressured: Flink's bound between "OK" and "LOW".
const BACK_PRESSURED_MS: u64 = 100;

/// What a stage runs: `source.orders`, `operator.count`, `sink.out`.
pub fn steps(plan: &Plan, stage: &Stage) -> Vec<String> {
    let sources = stage.sources.iter().map(|index| format!("source.{}", plan.spec.sources[*index].name));
    let operators =
        stage.operators.iter().map(|index| format!("operator.{}", plan.spec.operators[*index].name));
    let sinks = stage.sinks.iter().map(|index| format!("sink.{}", plan.spec.sinks[*index].name));
    sources.chain(operators).chain(sinks).collect()
}

/// Every operator and sink that something can wait for, and whether something does. `rates` are those of the subtasks, over all
/// stages.
///
/// A stage is back-pressured where one of its subtasks waited for a tenth of the time. It waits for the busiest of the stages
/// that it sends to; where none of them is busy for half of the time, or there is none, for its own sinks. A stage that
/// is waited for and waits itself is not where it begins.
pub fn origins(plan: &Plan, rates: &[SubtaskRates]) -> Vec<(String, bool)> {
    let mut next = 0;
    let stages: Vec<(u64, u64)> = plan
        .stages
        .iter()
        .map(|stage| {
            let own = rates.iter().skip(next).take(stage.parallelism);
            next += stage.parallelism;
            own.fold((0, 0), |(busy, waits), of| (busy.max(of.busy_ms), waits.max(of.back_pressured_ms)))
        })
        .collect();
    let waits = |stage: usize| stages[stage].1 >= BACK_PRESSURED_MS;
    let (mut operators, mut sinks) =
        (vec![false; plan.spec.operators.len()], vec![false; plan.spec.sinks.len()]);
    for (_, stage) in (0..).zip(&plan.stages).filter(|(index, _)| waits(*index)) {
        let sends_to = stage.exchanges_out.iter().map(|exchange| &plan.exchanges[*exchange]);
        if sends_to.clone().any(|exchange| waits(exchange.to_stage)) {
            continue;
        }
        let busiest = sends_to.max_by_key(|exchange| stages[exchange.to_stage].0);
        match busiest.filter(|exchange| stage.sinks.is_empty() || stages[exchange.to_stage].0 >= 500) {
            Some(exchange) => operators[exchange.to.0] = true,
            None => stage.sinks.iter().for_each(|sink| sinks[*sink] = true),
        }
    }
    let operators =
        plan.spec.operators.iter().zip(operators).map(|(of, is)| (format!("operator.{}", of.name), is));
    let sinks = plan.spec.sinks.iter().zip(sinks).map(|(of, is)| (format!("sink.{}", of.name), is));
    operators.chain(sinks).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline_file::PipelineFile;
    use weir_protocol::state::{OperatorShape, OutputPort, StateDeclaration};

    /// A source, an operator beside it, a keyed one behind an exchange, and its sink, each stage with two subtasks.
    fn plan() -> Plan {
        let text = "name = \"p\"\nparallelism = 2\n[source.made]\nkind = \"generator\"\n\
            [operator.look]\ninput = \"made\"\ncomponent = \"x.wasm\"\n\
            [operator.count]\ninput = \"look\"\ncomponent = \"x.wasm\"\n\
            [sink.out]\nkind = \"blackhole\"\ninput = \"count\"\n";
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("p.toml");
        std::fs::write(&path, text).unwrap();
        let file = PipelineFile::read(&path, &[]).unwrap();
        let out = OutputPort { name: "out".to_owned(), keeps_key: false };
        let look = OperatorShape { inputs: vec!["in".to_owned()], outputs: vec![out], ..Default::default() };
        let kind = weir_protocol::state::StateKind::Value;
        let states = vec![StateDeclaration { name: "n".to_owned(), kind, version: 1, ttl_seconds: 0 }];
        let count = OperatorShape { states, ..look.clone() };
        Plan::check(file.spec, &[Some(look), Some(count)]).unwrap()
    }

    fn rates(busy_ms: u64, back_pressured_ms: u64) -> SubtaskRates {
        SubtaskRates { busy_ms, back_pressured_ms, ..SubtaskRates::default() }
    }

    #[test]
    fn pressure_begins_behind_the_last_stage_that_waits() {
        let plan = plan();
        assert_eq!(plan.stages.len(), 2, "{:?}", plan.stages);
        let origin = |rates: &[SubtaskRates]| -> Vec<String> {
            origins(&plan, rates).into_iter().filter(|(_, is)| *is).map(|(step, _)| step).collect()
        };
        assert_eq!(
            origin(&[rates(400, 50), rates(9, 99), rates(900, 0), rates(0, 0)]),
            [""; 0],
            "nobody waits long enough"
        );
        assert_eq!(origin(&[rates(100, 0), rates(100, 800), rates(990, 0), rates(0, 0)]), ["operator.count"]);
        assert_eq!(origin(&[rates(100, 800), rates(100, 0), rates(0, 0), rates(300, 600)]), ["sink.out"]);
        assert_eq!(origin(&[]), [""; 0], "before the first rates");
        let steps: Vec<String> = origins(&plan, &[]).into_iter().map(|(step, _)| step).collect();
        assert_eq!(steps, ["operator.look", "operator.count", "sink.out"]);
    }
}
