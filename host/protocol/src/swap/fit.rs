//! May a version take the place of another in a running pipeline? Everything around it must stay as it is.

use crate::compatibility::{RunningOperator, StateChange, compare};
use crate::manifest::OperatorState;
use crate::plan::{OperatorSpec, Plan};
use std::collections::BTreeMap;

/// How the new version takes over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fit {
    /// It declares the same state and timers: they go on as they are.
    SameState,
    /// Its declarations differ and are compatible: the state is opened anew at the barrier, with these changes.
    Reopened(StateChange),
}

/// Compares two plans that differ in the version of one operator. The error says what is in the way, and what to do.
pub fn fit(old: &Plan, new: &Plan, operator: usize) -> Result<Fit, String> {
    let Some(spec) = old.spec.operators.get(operator) else {
        return Err("there is no such operator".to_owned());
    };
    let name = &spec.name;
    let refused = |what: &str| {
        Err(format!(
            "operator {name}: {what}; that cannot be swapped into a running pipeline: apply the change with a restart"
        ))
    };
    let (Some(was), Some(is)) = (old.shapes.get(operator), new.shapes.get(operator)) else {
        return refused("the pipeline's operators differ");
    };
    if was.inputs != is.inputs {
        return refused(&format!("its input ports were {:?} and are {:?}", was.inputs, is.inputs));
    }
    if was.outputs != is.outputs {
        let ports = |shape: &crate::state::OperatorShape| {
            let ports = shape.outputs.iter().map(|port| match port.keeps_key {
                true => format!("{} (keeps-key)", port.name),
                false => port.name.clone(),
            });
            ports.collect::<Vec<_>>().join(", ")
        };
        return refused(&format!("its output ports were {} and are {}", ports(was), ports(is)));
    }
    match (was.is_keyed(), is.is_keyed()) {
        (true, false) => return refused("it kept state or timers and does so no more"),
        (false, true) => return refused("it keeps state or timers and did not before"),
        _ => {}
    }
    if !same_surroundings(old, new, operator) {
        return refused("more than its version, configuration, limits or error policy differs");
    }
    state(old, new, operator)
}

/// Everything but what belongs to the version, and to its task alone.
fn same_surroundings(old: &Plan, new: &Plan, operator: usize) -> bool {
    let mut expected = old.clone();
    let (Some(was), Some(is)) = (expected.spec.operators.get(operator), new.spec.operators.get(operator))
    else {
        return false;
    };
    let OperatorSpec { component, config, on_error, breaker, limits, drop_state, .. } = is.clone();
    expected.spec.operators[operator] =
        OperatorSpec { component, config, on_error, breaker, limits, drop_state, ..was.clone() };
    expected.shapes[operator] = new.shapes[operator].clone();
    expected == *new
}

fn state(old: &Plan, new: &Plan, operator: usize) -> Result<Fit, String> {
    let (was, is, spec) = (&old.shapes[operator], &new.shapes[operator], &new.spec.operators[operator]);
    let left = OperatorState { states: was.states.clone(), timers: was.timers.clone() };
    let held = BTreeMap::from([(spec.name.clone(), left)]);
    let running = RunningOperator { name: &spec.name, shape: is, drop_state: &spec.drop_state };
    let changes = compare(&held, &[running], &[]).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        format!("the new version does not fit the state: {}", lines.join("; "))
    })?;
    if was.states == is.states && was.timers == is.timers {
        return Ok(Fit::SameState);
    }
    Ok(Fit::Reopened(changes.into_iter().next().unwrap_or_default()))
}
