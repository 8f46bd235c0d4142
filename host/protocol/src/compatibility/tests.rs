//! Every row of the table in `docs/STATE.md`, as a sentence.

use super::*;
use crate::state::{StateKind, TimerDeclaration};
use proptest::prelude::*;

fn state(name: &str, kind: StateKind, version: u32) -> StateDeclaration {
    StateDeclaration { name: name.to_owned(), kind, version, ttl_seconds: 0 }
}

fn timer(name: &str, clock: TimerClock) -> TimerDeclaration {
    TimerDeclaration { name: name.to_owned(), clock }
}

fn left(states: &[StateDeclaration], timers: &[TimerDeclaration]) -> OperatorState {
    OperatorState { states: states.to_vec(), timers: timers.to_vec() }
}

fn shape(states: &[StateDeclaration], timers: &[TimerDeclaration]) -> OperatorShape {
    OperatorShape { states: states.to_vec(), timers: timers.to_vec(), ..OperatorShape::default() }
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Compares one operator, `sum`.
fn change(left: OperatorState, shape: &OperatorShape, drop: &[&str]) -> Result<StateChange, Vec<Problem>> {
    let drop_state = names(drop);
    let operator = RunningOperator { name: "sum", shape, drop_state: &drop_state };
    let checkpoint = BTreeMap::from([("sum".to_owned(), left)]);
    compare(&checkpoint, &[operator], &[]).map(|mut changes| changes.remove(0))
}

#[track_caller]
fn refused(found: Result<StateChange, Vec<Problem>>, path: &str, words: &str) {
    let problems = found.unwrap_err();
    assert_eq!(problems.len(), 1, "{problems:#?}");
    assert_eq!(problems[0].path, path);
    assert!(problems[0].message.contains(words), "{problems:#?}");
    assert!(!problems[0].message.contains('\n'), "{problems:#?}");
}

fn count(version: u32) -> StateDeclaration {
    state("count", StateKind::Value, version)
}

#[test]
fn what_is_declared_as_before_is_kept() {
    let flush = timer("flush", TimerClock::EventTime);
    let same = (left(&[count(1)], std::slice::from_ref(&flush)), shape(&[count(1)], &[flush]));
    assert_eq!(change(same.0, &same.1, &[]), Ok(StateChange::default()));
}

#[test]
fn a_new_state_and_a_new_timer_begin_empty() {
    let now = shape(&[count(1)], &[timer("flush", TimerClock::EventTime)]);
    let expected = StateChange { new: names(&["count", "flush"]), ..StateChange::default() };
    assert_eq!(change(OperatorState::default(), &now, &[]), Ok(expected));
}

#[test]
fn a_removed_state_is_refused_unless_drop_state_names_it() {
    let now = shape(&[], &[]);
    refused(change(left(&[count(1)], &[]), &now, &[]), "operator.sum.component", "drop_state = [\"count\"]");
    let expected = StateChange { drop_states: names(&["count"]), ..StateChange::default() };
    assert_eq!(change(left(&[count(1)], &[]), &now, &["count"]), Ok(expected));
}

#[test]
fn a_removed_timer_is_refused_unless_drop_state_names_it() {
    let (before, now) = (left(&[], &[timer("flush", TimerClock::EventTime)]), shape(&[], &[]));
    refused(change(before.clone(), &now, &[]), "operator.sum.component", "holds timer \"flush\"");
    let expected = StateChange { drop_timers: names(&["flush"]), ..StateChange::default() };
    assert_eq!(change(before, &now, &["flush"]), Ok(expected));
}

#[test]
fn a_timer_can_go_whose_name_a_state_has() {
    let before = left(&[count(1)], &[timer("count", TimerClock::EventTime)]);
    let expected = StateChange { drop_timers: names(&["count"]), ..StateChange::default() };
    assert_eq!(change(before, &shape(&[count(1)], &[]), &["count"]), Ok(expected));
}

#[test]
fn a_name_in_drop_state_that_nothing_has_is_needless_for_the_drop_may_have_happened() {
    let expected = StateChange { needless: names(&["old"]), ..StateChange::default() };
    assert_eq!(change(left(&[count(1)], &[]), &shape(&[count(1)], &[]), &["old"]), Ok(expected));
}

#[test]
fn a_typo_in_drop_state_drops_nothing() {
    let found = change(left(&[count(1)], &[]), &shape(&[], &[]), &["cuont"]);
    refused(found, "operator.sum.component", "drop_state = [\"count\"]");
}

#[test]
fn drop_state_does_not_name_what_is_declared() {
    let found = change(left(&[count(1)], &[]), &shape(&[count(1)], &[]), &["count"]);
    refused(found, "operator.sum.drop_state", "at every start");
}

#[test]
fn a_changed_kind_is_refused() {
    let now = shape(&[state("count", StateKind::Map, 1)], &[]);
    refused(
        change(left(&[count(1)], &[]), &now, &[]),
        "operator.sum.component",
        "is a value in the checkpoint and a map",
    );
}

#[test]
fn a_lowered_version_is_refused() {
    let found = change(left(&[count(3)], &[]), &shape(&[count(2)], &[]), &[]);
    refused(
        found,
        "operator.sum.component",
        "version 3 in the checkpoint and this component reads version 2",
    );
}

#[test]
fn a_raised_version_is_migrated_by_a_component_that_can() {
    let mut now = shape(&[count(5)], &[]);
    refused(change(left(&[count(3)], &[]), &now, &[]), "operator.sum.component", "exports no migration");
    now.migrates = true;
    let migrate = vec![MigrateState { state: "count".to_owned(), from_version: 3 }];
    assert_eq!(
        change(left(&[count(3)], &[]), &now, &[]).unwrap(),
        StateChange { migrate, ..StateChange::default() }
    );
}

#[test]
fn a_changed_ttl_is_judged_when_an_entry_is_read() {
    let now = StateDeclaration { ttl_seconds: 60, ..count(1) };
    assert_eq!(change(left(&[count(1)], &[]), &shape(&[now], &[]), &[]), Ok(StateChange::default()));
}

#[test]
fn a_timer_that_goes_by_another_clock_is_refused() {
    let before = left(&[], &[timer("flush", TimerClock::EventTime)]);
    let now = shape(&[], &[timer("flush", TimerClock::ProcessingTime)]);
    refused(
        change(before, &now, &[]),
        "operator.sum.component",
        "by event time in the checkpoint and by processing time",
    );
}

#[test]
fn an_operator_that_is_gone_is_refused_unless_drop_operators_names_it() {
    let checkpoint = BTreeMap::from([("sum".to_owned(), left(&[count(1)], &[]))]);
    let problems = compare(&checkpoint, &[], &[]).unwrap_err();
    assert_eq!(problems[0].path, "operator.sum");
    assert!(problems[0].message.contains("(count)"), "{problems:?}");
    assert!(problems[0].message.contains("drop_operators = [\"sum\"]"), "{problems:?}");
    assert_eq!(compare(&checkpoint, &[], &names(&["sum", "gone long ago"])), Ok(vec![]));
}

#[test]
fn an_operator_that_is_gone_and_kept_nothing_is_not_missed() {
    let checkpoint = BTreeMap::from([("sum".to_owned(), OperatorState::default())]);
    assert_eq!(compare(&checkpoint, &[], &[]), Ok(vec![]));
}

#[test]
fn all_problems_are_told_at_once() {
    let before = left(
        &[count(1), state("seen", StateKind::Value, 2), state("old", StateKind::List, 1)],
        &[timer("flush", TimerClock::EventTime)],
    );
    let now = shape(&[state("count", StateKind::Map, 1), state("seen", StateKind::Value, 1)], &[]);
    assert_eq!(change(before, &now, &["seen"]).unwrap_err().len(), 5);
}

fn declarations() -> impl Strategy<Value = Vec<StateDeclaration>> {
    let kinds = prop_oneof![Just(StateKind::Value), Just(StateKind::Map)];
    let one = (kinds, 0u32..3);
    prop::collection::btree_map("[a-d]", one, 0..4)
        .prop_map(|all| all.into_iter().map(|(name, (kind, version))| state(&name, kind, version)).collect())
}

proptest! {
    #[test]
    fn c1_no_state_goes_unless_it_is_named_and_what_was_accepted_is_accepted_again(
        before in declarations(), now in declarations(), migrates in any::<bool>(),
        drop in prop::collection::vec("[a-d]", 0..3)
    ) {
        let drop: Vec<&str> = drop.iter().map(String::as_str).collect();
        let now = OperatorShape { migrates, ..shape(&now, &[]) };
        if let Ok(accepted) = change(left(&before, &[]), &now, &drop) {
            for state in &before {
                let kept = now.states.iter().any(|n| n.name == state.name && n.kind == state.kind);
                let dropped = accepted.drop_states.contains(&state.name);
                prop_assert!(kept != dropped);
                prop_assert!(!dropped || drop.contains(&state.name.as_str()));
            }
            // C2: the next start finds what this one declared.
            let again = change(left(&now.states, &[]), &now, &drop).unwrap();
            prop_assert!(again.migrate.is_empty() && again.drop_states.is_empty() && again.new.is_empty());
        }
    }
}
