//! What becomes of each state and timer when a document is applied.

use crate::prepared_pipeline::PreparedPipeline;
use std::collections::BTreeMap;
use weir_control::host::StateFate;
use weir_protocol::compatibility::{self, RunningOperator, StateChange};
use weir_protocol::manifest::{Manifest, OperatorState};
use weir_protocol::plan::Problem;
use weir_protocol::state::OperatorShape;
use weir_runtime::keyed_start;

/// Compared with the newest decided checkpoint, or with the declarations of what is applied where there is none.
pub fn fates(
    manifest: Option<&Manifest>,
    old: Option<&PreparedPipeline>,
    new: &PreparedPipeline,
) -> (Vec<StateFate>, Vec<String>) {
    let before: BTreeMap<String, OperatorState> = match (manifest.and_then(|m| m.keyed.as_ref()), old) {
        (Some(keyed), _) => keyed.operators.clone(),
        (None, Some(old)) => keyed_start::declared(&old.plan),
        (None, None) => BTreeMap::new(),
    };
    compared(&before, &compatibility::running(&new.plan), &new.plan.spec.drop_operators)
}

/// Operator by operator, so that what is wrong with one hides nothing of the others.
fn compared(
    before: &BTreeMap<String, OperatorState>,
    running: &[RunningOperator<'_>],
    drop_operators: &[String],
) -> (Vec<StateFate>, Vec<String>) {
    let (mut fates, mut refusals) = (Vec::new(), Vec::new());
    let mut refuse = |problems: &[Problem]| {
        refusals.extend(problems.iter().map(|Problem { path, message }| format!("{path}: {message}")));
    };
    for operator in running {
        let left: BTreeMap<_, _> =
            before.get_key_value(operator.name).map(|(k, v)| (k.clone(), v.clone())).into_iter().collect();
        match compatibility::compare(&left, &[*operator], drop_operators) {
            Ok(changes) => {
                let of = changes.iter().flat_map(|change| of_operator(operator.name, operator.shape, change));
                fates.extend(of);
            }
            Err(problems) => {
                refuse(&problems);
                // Each of these messages quotes the state or the timer first.
                fates.extend(problems.iter().map(|problem| {
                    let name = problem.message.split('"').nth(1).unwrap_or_default();
                    fate(operator.name, name, "refused", Some(problem.message.clone()))
                }));
            }
        }
    }
    for (name, left) in before.iter().filter(|(name, _)| !running.iter().any(|now| now.name == *name)) {
        let alone = BTreeMap::from([(name.clone(), left.clone())]);
        let problems = compatibility::compare(&alone, &[], drop_operators).err().unwrap_or_default();
        refuse(&problems);
        let detail = problems.first().map(|problem| problem.message.clone());
        let word = if detail.is_some() { "refused" } else { "dropped" };
        let states = left.states.iter().map(|state| &state.name);
        let names = states.chain(left.timers.iter().map(|timer| &timer.name));
        fates.extend(names.map(|state| fate(name, state, word, detail.clone())));
    }
    (fates, refusals)
}

fn fate(operator: &str, state: &str, fate: &str, detail: Option<String>) -> StateFate {
    StateFate { operator: operator.to_owned(), state: state.to_owned(), fate: fate.to_owned(), detail }
}

/// What becomes of the states and timers of one operator.
pub fn of_operator(operator: &str, shape: &OperatorShape, change: &StateChange) -> Vec<StateFate> {
    let fate = |state: &str, word: &str, detail: Option<String>| fate(operator, state, word, detail);
    let declared = shape
        .states
        .iter()
        .map(|state| state.name.as_str())
        .chain(shape.timers.iter().map(|timer| timer.name.as_str()));
    let mut fates: Vec<StateFate> = declared
        .map(|name| {
            let migrated = change.migrate.iter().find(|migrate| migrate.state == name);
            match migrated {
                Some(migrate) => {
                    let detail = format!("from version {}", migrate.from_version);
                    fate(name, "migrated", Some(detail))
                }
                None if change.new.iter().any(|new| new == name) => fate(name, "new", None),
                None => fate(name, "kept", None),
            }
        })
        .collect();
    let dropped = change.drop_states.iter().chain(&change.drop_timers);
    fates.extend(dropped.map(|name| fate(name, "dropped", None)));
    fates
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_protocol::state::{StateDeclaration, StateKind, TimerClock, TimerDeclaration};

    fn gone() -> BTreeMap<String, OperatorState> {
        let state = |name: &str| StateDeclaration {
            name: name.to_owned(),
            kind: StateKind::Value,
            version: 1,
            ttl_seconds: 0,
        };
        let timers = vec![TimerDeclaration { name: "end".to_owned(), clock: TimerClock::EventTime }];
        BTreeMap::from([(
            "total".to_owned(),
            OperatorState { states: vec![state("sum"), state("last")], timers },
        )])
    }

    fn told(drop_operators: &[String]) -> (Vec<String>, Vec<String>) {
        let (fates, refusals) = compared(&gone(), &[], drop_operators);
        let line = |fate: &StateFate| format!("{}.{} {}", fate.operator, fate.state, fate.fate);
        (fates.iter().map(line).collect(), refusals)
    }

    #[test]
    fn what_an_operator_that_is_gone_kept_is_listed_by_name() {
        let (fates, refusals) = told(&[]);
        assert_eq!(fates, ["total.sum refused", "total.last refused", "total.end refused"]);
        assert!(matches!(&refusals[..], [one] if one.starts_with("operator.total: ")), "{refusals:?}");
        let (fates, refusals) = told(&["total".to_owned()]);
        assert_eq!(fates, ["total.sum dropped", "total.last dropped", "total.end dropped"]);
        assert!(refusals.is_empty(), "{refusals:?}");
    }
}
