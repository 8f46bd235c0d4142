//! What a component may do with the state that an earlier one left in the checkpoint.
//!
//! The checkpoint says what was declared when it was taken ([`OperatorState`]); the running components say what they
//! declare now. Both are compared before anything is opened, and all problems are told at once. The table is in
//! `docs/STATE.md`; every row of it is a test below.
//!
//! Invariants, by id:
//!
//! - **C1** No state goes unless the pipeline file names it.
//! - **C2** Comparing again gives the same answer, also after a crash and after the first checkpoint behind a drop: a
//!   name in `drop_state` that nothing has is needless, not wrong.

use crate::manifest::OperatorState;
use crate::plan::{Plan, Problem};
use crate::state::{MigrateState, OperatorShape, StateDeclaration, TimerClock};
use std::collections::BTreeMap;

/// An operator as it is about to run.
#[derive(Debug, Clone, Copy)]
pub struct RunningOperator<'a> {
    /// Its name in the pipeline.
    pub name: &'a str,
    /// What its component declares.
    pub shape: &'a OperatorShape,
    /// `drop_state` of the pipeline file: states and timers that may go.
    pub drop_state: &'a [String],
}

/// What is done with the state of one operator before its first record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StateChange {
    /// States whose entries are rewritten.
    pub migrate: Vec<MigrateState>,
    /// States that go.
    pub drop_states: Vec<String>,
    /// Timers that go.
    pub drop_timers: Vec<String>,
    /// States and timers that begin empty.
    pub new: Vec<String>,
    /// Names in `drop_state` that neither the checkpoint nor the component has: worth a line in the log.
    pub needless: Vec<String>,
}

/// The operators of a plan, in its order.
pub fn running(plan: &Plan) -> Vec<RunningOperator<'_>> {
    let operators = plan.spec.operators.iter().zip(&plan.shapes);
    operators
        .map(|(spec, shape)| RunningOperator { name: &spec.name, shape, drop_state: &spec.drop_state })
        .collect()
}

/// Compares what a checkpoint holds with what is about to run. `drop_operators` names operators that are gone and
/// whose state may go. Returns a change for each running operator, in their order, or everything that is in the way.
pub fn compare(
    checkpoint: &BTreeMap<String, OperatorState>,
    running: &[RunningOperator<'_>],
    drop_operators: &[String],
) -> Result<Vec<StateChange>, Vec<Problem>> {
    let mut problems = Vec::new();
    let nothing = OperatorState::default();
    let changes = running
        .iter()
        .map(|operator| {
            let left = checkpoint.get(operator.name).unwrap_or(&nothing);
            compare_operator(left, *operator, &mut problems)
        })
        .collect();
    for (name, left) in checkpoint {
        let kept = !(left.states.is_empty() && left.timers.is_empty());
        if kept && !drop_operators.contains(name) && !running.iter().any(|operator| operator.name == name) {
            problems.push(gone(name, left));
        }
    }
    if problems.is_empty() { Ok(changes) } else { Err(problems) }
}

fn gone(name: &str, left: &OperatorState) -> Problem {
    let states = left.states.iter().map(|state| state.name.as_str());
    let names: Vec<&str> = states.chain(left.timers.iter().map(|timer| timer.name.as_str())).collect();
    Problem {
        path: format!("operator.{name}"),
        message: format!(
            "the checkpoint holds what this operator keeps ({}), and the pipeline has no such operator; give it its section back, or let its state go with drop_operators = [{name:?}] at the top of the file",
            names.join(", ")
        ),
    }
}

/// What one operator's comparison has found so far.
struct Comparison<'a, 'p> {
    operator: RunningOperator<'a>,
    change: StateChange,
    problems: &'p mut Vec<Problem>,
}

fn compare_operator(
    left: &OperatorState,
    operator: RunningOperator<'_>,
    problems: &mut Vec<Problem>,
) -> StateChange {
    let mut comparison = Comparison { operator, change: StateChange::default(), problems };
    comparison.states(&left.states);
    comparison.timers(left);
    comparison.names();
    comparison.change
}

impl Comparison<'_, '_> {
    fn problem(&mut self, key: &str, message: String) {
        let path = format!("operator.{}.{key}", self.operator.name);
        self.problems.push(Problem { path, message });
    }

    fn may_go(&self, name: &str) -> bool {
        self.operator.drop_state.iter().any(|dropped| dropped == name)
    }

    fn states(&mut self, left: &[StateDeclaration]) {
        let shape = self.operator.shape;
        for before in left {
            match shape.states.iter().find(|now| now.name == before.name) {
                Some(now) => self.state(before, now),
                None if self.may_go(&before.name) => self.change.drop_states.push(before.name.clone()),
                None => self.removed("state", &before.name),
            }
        }
        let is_new = |now: &&StateDeclaration| !left.iter().any(|before| before.name == now.name);
        self.change.new.extend(shape.states.iter().filter(is_new).map(|now| now.name.clone()));
    }

    /// A state that both have. Its TTL may change: it is judged when an entry is read.
    fn state(&mut self, before: &StateDeclaration, now: &StateDeclaration) {
        let name = &now.name;
        if before.kind != now.kind {
            let (was, is) = (before.kind.name(), now.kind.name());
            return self.problem("component", format!("state {name:?} is a {was} in the checkpoint and a {is} in this component; give the new one another name, and the old one a place in drop_state"));
        }
        if now.version < before.version {
            return self.problem("component", format!("state {name:?} has version {} in the checkpoint and this component reads version {}; run the component that wrote it, or a newer one", before.version, now.version));
        }
        if now.version == before.version {
            return;
        }
        if self.operator.shape.migrates {
            let migrate = MigrateState { state: name.clone(), from_version: before.version };
            return self.change.migrate.push(migrate);
        }
        self.problem("component", format!("state {name:?} has version {} in the checkpoint and version {} in this component, which exports no migration; build it with one, or leave the version where the encoding is the same", before.version, now.version));
    }

    fn timers(&mut self, left: &OperatorState) {
        let shape = self.operator.shape;
        for before in &left.timers {
            match shape.timers.iter().find(|now| now.name == before.name) {
                Some(now) if now.clock == before.clock => {}
                Some(now) => {
                    let (was, is) = (clock(before.clock), clock(now.clock));
                    let name = &before.name;
                    self.problem("component", format!("timer {name:?} goes by {was} in the checkpoint and by {is} in this component, and its times mean another thing then; give the new one another name, and the old one a place in drop_state"));
                }
                None if self.may_go(&before.name) => self.change.drop_timers.push(before.name.clone()),
                None => self.removed("timer", &before.name),
            }
        }
        let new = shape.timers.iter().filter(|now| !left.timers.iter().any(|t| t.name == now.name));
        self.change.new.extend(new.map(|now| now.name.clone()));
    }

    fn removed(&mut self, what: &str, name: &str) {
        self.problem("component", format!("the checkpoint holds {what} {name:?}, and this component does not declare it; run a component that does, or let it go with drop_state = [{name:?}]"));
    }

    /// C2, and the one thing that `drop_state` cannot mean.
    fn names(&mut self) {
        let shape = self.operator.shape;
        for name in self.operator.drop_state {
            let dropped = self.change.drop_states.contains(name) || self.change.drop_timers.contains(name);
            if dropped {
                continue;
            }
            if shape.declares(name) {
                self.problem("drop_state", drops_what_is_declared(name));
            } else {
                self.change.needless.push(name.clone());
            }
        }
    }
}

/// What is wrong with a name in `drop_state` that the component declares: told without any checkpoint, too.
pub(crate) fn drops_what_is_declared(name: &str) -> String {
    format!("this component declares {name:?}: drop_state would empty it at every start; remove the name")
}

fn clock(clock: TimerClock) -> &'static str {
    match clock {
        TimerClock::EventTime => "event time",
        TimerClock::ProcessingTime => "processing time",
    }
}

#[cfg(test)]
mod tests;
