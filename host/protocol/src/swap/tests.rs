//! The rules of a swap, event by event, and for any order of events.

use super::*;
use crate::connector::FailureKind;
use proptest::prelude::*;
use std::collections::BTreeMap;

const N: Epoch = Epoch(7);

fn rules() -> Rules {
    Rules { probation_time: Some(Duration::from_secs(3)), probation_records: 100, ..Rules::default() }
}

fn tally(rows: u64) -> Tally {
    Tally { rows, calls: rows / 10, output_rows: rows, busy_ns: rows * 1000, ..Tally::default() }
}

fn counts(during: Tally) -> Counts {
    Counts { before: tally(10_000), during }
}

fn trapped() -> Tally {
    Tally { failures: BTreeMap::from([(FailureKind::Trap, 1)]), ..tally(10) }
}

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn barrier(epoch: Epoch) -> Event {
    Event::Barrier { epoch, last: false }
}

/// A swap whose barrier N is sent.
fn switching() -> Swap {
    let mut swap = Swap::new(rules());
    assert_eq!(swap.step(at(0), Event::Prepared), [Action::NotePrepared, Action::Force]);
    assert_eq!(swap.step(at(1), barrier(N)), [Action::Command(N), Action::Hold]);
    swap
}

/// A swap whose N is decided at 2 seconds.
fn on_probation() -> Swap {
    let mut swap = switching();
    assert_eq!(swap.step(at(2), Event::Decided(N)), [Action::NoteProbation(N)]);
    swap
}

#[test]
fn a_healthy_version_is_complete_when_its_first_epoch_is_decided() {
    let mut swap = on_probation();
    assert_eq!(swap.step(at(5), Event::Tick(counts(tally(100)))), [Action::Release]);
    assert_eq!(swap.step(at(5), barrier(N.next())), []);
    assert_eq!(swap.step(at(6), Event::Deciding(N.next(), counts(tally(120)))), []);
    assert_eq!(swap.step(at(6), Event::Decided(N.next())), [Action::Complete(N.next())]);
    assert!(swap.is_over());
}

#[test]
fn probation_lasts_its_time_and_sees_its_records() {
    let mut swap = on_probation();
    assert_eq!(swap.step(at(4), Event::Tick(counts(tally(1000)))), [], "too short");
    let mut swap = on_probation();
    assert_eq!(swap.step(at(10_000), Event::Tick(counts(tally(99)))), [], "too few: an idle stream waits");
    assert_eq!(swap.step(at(10_001), Event::Tick(counts(tally(100)))), [Action::Release]);
}

#[test]
fn the_end_of_the_input_ends_the_wait_for_records() {
    let mut swap = on_probation();
    assert_eq!(swap.step(at(2), Event::InputEnded), []);
    assert_eq!(swap.step(at(2), Event::Tick(counts(tally(3)))), [Action::Release]);
}

#[test]
fn bad_is_bad_at_once() {
    let mut swap = on_probation();
    let actions = swap.step(at(2), Event::Tick(counts(trapped())));
    assert!(matches!(&actions[..], [Action::RollBack(why)] if why.contains("trap")), "{actions:?}");
}

#[test]
fn what_is_found_before_the_decision_is_the_end_of_it() {
    let mut swap = on_probation();
    swap.step(at(5), Event::Tick(counts(tally(100))));
    swap.step(at(5), barrier(N.next()));
    let actions = swap.step(at(6), Event::Deciding(N.next(), counts(trapped())));
    assert!(matches!(&actions[..], [Action::RollBack(_)]), "{actions:?}");
}

#[test]
fn an_ageing_transaction_ends_probation_with_what_was_seen() {
    let mut swap = on_probation();
    assert_eq!(swap.step(at(3), barrier(N.next())), [], "nobody has released it");
    assert_eq!(swap.step(at(3), Event::Deciding(N.next(), counts(tally(1)))), []);
    assert_eq!(swap.step(at(3), Event::Decided(N.next())), [Action::Complete(N.next())]);
}

#[test]
fn a_swap_is_cancelled_before_it_is_handed_over_and_not_behind() {
    for prepared in [false, true] {
        let mut swap = Swap::new(rules());
        if prepared {
            swap.step(at(0), Event::Prepared);
        }
        assert!(swap.can_be_cancelled());
        assert_eq!(swap.step(at(1), Event::Cancelled), [Action::Abandon("cancelled".to_owned())]);
    }
    let mut swap = switching();
    assert!(!swap.can_be_cancelled());
    assert_eq!(swap.step(at(1), Event::Cancelled), []);
}

#[test]
fn a_barrier_before_everything_is_prepared_is_an_ordinary_one() {
    let mut swap = Swap::new(rules());
    assert_eq!(swap.step(at(0), barrier(N)), []);
    assert_eq!(swap.step(at(1), Event::Prepared), [Action::NotePrepared, Action::Force]);
    assert_eq!(swap.step(at(1), Event::Decided(N)), []);
    assert_eq!(swap.step(at(1), barrier(N.next())), [Action::Command(N.next()), Action::Hold]);
}

#[test]
fn there_is_no_swap_at_the_last_barrier() {
    let mut swap = Swap::new(rules());
    swap.step(at(0), Event::Prepared);
    let actions = swap.step(at(1), Event::Barrier { epoch: N, last: true });
    assert!(matches!(&actions[..], [Action::Abandon(_)]), "{actions:?}");
}

#[test]
fn a_stop_in_probation_decides_nothing_of_it() {
    let actions = on_probation().step(at(3), Event::StopAsked);
    assert!(matches!(&actions[..], [Action::Interrupt(_)]), "{actions:?}");
    let mut swap = switching();
    assert_eq!(swap.step(at(1), Event::StopAsked), [], "N is decided first");
    let actions = swap.step(at(2), Event::Decided(N));
    assert!(matches!(&actions[..], [Action::NoteProbation(N), Action::Interrupt(_)]), "{actions:?}");
}

#[test]
fn a_stop_behind_the_barrier_of_probation_waits_for_its_end() {
    let mut swap = on_probation();
    swap.step(at(5), Event::Tick(counts(tally(100))));
    swap.step(at(5), barrier(N.next()));
    assert_eq!(swap.step(at(5), Event::StopAsked), []);
    swap.step(at(6), Event::Deciding(N.next(), counts(tally(100))));
    assert_eq!(swap.step(at(6), Event::Decided(N.next())), [Action::Complete(N.next())]);
}

#[test]
fn an_incarnation_that_ends_rolls_back_what_failed_and_interrupts_the_rest() {
    let failed = |mut swap: Swap, during| swap.step(at(3), Event::Failed("disk".to_owned(), counts(during)));
    let stopped = Tally { stopped: Some("cannot run".to_owned()), ..Tally::default() };
    for swap in [switching(), on_probation()] {
        assert_eq!(failed(swap.clone(), tally(5)), [Action::Interrupt("disk".to_owned())]);
        assert_eq!(failed(swap, stopped.clone()), [Action::RollBack("cannot run".to_owned())]);
    }
    let before = failed(Swap::new(rules()), Tally::default());
    assert!(matches!(&before[..], [Action::Abandon(_)]), "{before:?}");
}

#[test]
fn an_incarnation_that_ends_while_it_decides_leaves_a_doubt() {
    let mut swap = on_probation();
    swap.step(at(3), barrier(N.next()));
    swap.step(at(3), Event::Deciding(N.next(), counts(tally(100))));
    let actions = swap.step(at(4), Event::Failed("no answer".to_owned(), counts(tally(100))));
    assert_eq!(actions, [Action::Doubt("no answer".to_owned())]);
}

fn bad(rules: &Rules, before: &Tally, during: &Tally, judged: Judged) -> Option<String> {
    match judge(rules, before, during, judged) {
        Health::Good => None,
        Health::Bad(why) => Some(why),
    }
}

#[test]
fn each_kind_of_failed_call_that_the_old_version_did_not_have_is_bad() {
    for kind in FailureKind::ALL {
        let failed = |count| Tally { failures: BTreeMap::from([(kind, count)]), ..tally(1000) };
        assert!(bad(&rules(), &tally(1000), &failed(1), Judged::Early).is_some(), "{kind:?}");
        assert_eq!(bad(&rules(), &failed(1), &failed(50), Judged::Early), None, "{kind:?}");
    }
}

#[test]
fn more_than_a_point_more_rejections_are_bad() {
    let rejected = |rows, rejected| Tally { rejected, ..tally(rows) };
    let before = rejected(1000, 20);
    assert_eq!(bad(&rules(), &before, &rejected(1000, 30), Judged::AtEnd), None);
    assert!(bad(&rules(), &before, &rejected(1000, 31), Judged::AtEnd).is_some());
    // 1 of the first 10 is no verdict while 90 are to come, and is one when no more will.
    assert_eq!(bad(&rules(), &before, &rejected(10, 1), Judged::Early), None);
    assert!(bad(&rules(), &before, &rejected(10, 1), Judged::AtEnd).is_some());
    assert!(bad(&rules(), &before, &rejected(10, 4), Judged::Early).is_some());
}

#[test]
fn five_times_slower_is_bad_where_there_are_rows_enough_to_say_so() {
    let slow = |rows| Tally { busy_ns: rows * 5001, ..tally(rows) };
    assert!(bad(&rules(), &tally(1000), &slow(1000), Judged::Early).is_some());
    assert_eq!(bad(&rules(), &tally(1000), &slow(COMPARABLE_ROWS_MIN - 1), Judged::AtEnd), None);
    assert_eq!(bad(&rules(), &tally(COMPARABLE_ROWS_MIN - 1), &slow(1000), Judged::AtEnd), None);
    // The stream has become a trickle: a row costs more, a call does not.
    let trickle = Tally { calls: 1000, ..slow(1000) };
    assert_eq!(bad(&rules(), &tally(1000), &trickle, Judged::AtEnd), None);
}

#[test]
fn another_share_of_output_is_bad_only_where_it_is_asked_for() {
    let silent = Tally { output_rows: 0, ..tally(1000) };
    assert_eq!(bad(&rules(), &tally(1000), &silent, Judged::AtEnd), None);
    let asked = Rules { output_share_change_max: Some(0.5), ..rules() };
    assert!(bad(&asked, &tally(1000), &silent, Judged::AtEnd).is_some());
}

#[test]
fn probation_is_three_intervals_and_at_most_half_a_transaction() {
    let time = |asked, timeout: Option<u64>| {
        let rules = Rules { probation_time: asked, ..Rules::default() };
        rules.check(at(5), timeout.map(at)).map(|rules| rules.probation_time)
    };
    assert_eq!(time(None, None), Ok(Some(at(15))));
    assert_eq!(time(None, Some(20)), Ok(Some(at(10))));
    assert_eq!(time(Some(at(10)), Some(20)), Ok(Some(at(10))));
    let refused = time(Some(at(11)), Some(20)).unwrap_err();
    assert!(
        refused.contains("probation.time = 11s is longer than half of transaction_timeout = 20s"),
        "{refused}"
    );
    assert_eq!(time(Some(PROBATION_TIME_MAX), None), Ok(Some(at(450))));
    let refused = time(Some(at(36_000)), None).unwrap_err();
    assert!(refused.contains("probation.time = 36000s is too long"), "{refused}");
    assert!(refused.contains("ask for at most 450s"), "{refused}");
    let rare = Rules::default().check(at(3600), None).map(|rules| rules.probation_time);
    assert_eq!(rare, Ok(Some(PROBATION_TIME_MAX)), "of three intervals of an hour");
    assert!(Rules { slowdown_max: f64::NAN, ..Rules::default() }.check(at(5), None).is_err());
}

/// What the coordinator tells in an order that is possible, as numbers.
fn events() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(0..9u8, 0..60)
}

proptest! {
    /// SW1 to SW5 for whatever order the world finds.
    #[test]
    fn any_order_of_events_keeps_the_invariants(numbers in events()) {
        let (mut swap, mut actions) = (Swap::new(rules()), Vec::new());
        let (mut running, mut sent, mut prepared, mut judged) = (N, false, false, None);
        for (second, number) in numbers.into_iter().enumerate() {
            let healthy = counts(tally(second as u64 * 10));
            let event = match number {
                0 if !prepared => { prepared = true; Event::Prepared }
                1 => Event::Cancelled,
                2 if !sent => { sent = true; barrier(running) }
                3 if sent => {
                    // As the coordinator does: what is on probation is judged, then decided.
                    let deciding = Event::Deciding(running, healthy.clone());
                    if matches!(swap.state, State::Probation { .. }) {
                        actions.extend(swap.step(at(second as u64), deciding));
                        judged = Some(running);
                    }
                    if swap.is_over() { break; }
                    let decided = running;
                    (running, sent) = (running.next(), false);
                    Event::Decided(decided)
                }
                4 => Event::Tick(counts(trapped())),
                5 => Event::Failed("disk".to_owned(), healthy),
                6 => Event::StopAsked,
                7 => Event::InputEnded,
                _ => Event::Tick(healthy),
            };
            actions.extend(swap.step(at(second as u64), event));
            if swap.is_over() { break; }
        }
        let is_end = |action: &Action| matches!(action, Action::Complete(_) | Action::RollBack(_) | Action::Interrupt(_) | Action::Abandon(_) | Action::Doubt(_));
        let ends = actions.iter().filter(|action| is_end(action)).count();
        prop_assert_eq!(ends, usize::from(swap.is_over()), "SW1: {:?}", &actions);
        if let Some(Action::Complete(epoch)) = actions.last() {
            prop_assert_eq!(Some(*epoch), judged, "SW2");
        }
        let commanded = actions.iter().position(|action| matches!(action, Action::Command(_)));
        let held = actions.iter().position(|action| *action == Action::Hold);
        prop_assert_eq!(commanded.map(|at| at + 1), held, "SW4");
        if matches!(actions.last(), Some(Action::Abandon(_))) {
            prop_assert_eq!(commanded, None, "SW3: abandoned behind the hand-over");
        }
    }
}

mod fits {
    use super::super::{Fit, fit};
    use crate::connector::StartPolicy;
    use crate::plan::*;
    use crate::state::{OperatorShape, OutputPort, StateDeclaration, StateKind};
    use std::collections::BTreeMap;
    use std::time::Duration;

    fn state(name: &str, version: u32) -> StateDeclaration {
        StateDeclaration { name: name.to_owned(), kind: StateKind::Value, version, ttl_seconds: 0 }
    }

    fn shape(states: Vec<StateDeclaration>) -> OperatorShape {
        let outputs = vec![OutputPort { name: "out".to_owned(), keeps_key: true }];
        OperatorShape {
            inputs: vec!["in".to_owned()],
            outputs,
            states,
            migrates: true,
            ..OperatorShape::default()
        }
    }

    /// A plan of one operator, changed before it is checked.
    fn plan(shape: OperatorShape, change: impl FnOnce(&mut PipelineSpec)) -> Plan {
        let cluster = || "main".to_owned();
        let kind = SourceKind::Kafka {
            cluster: cluster(),
            topics: vec!["in".to_owned()],
            start: StartPolicy::Earliest,
        };
        let operator = OperatorSpec {
            name: "count".to_owned(),
            inputs: vec![InputSpec::from("in")],
            component: "count@1".to_owned(),
            config: BTreeMap::new(),
            on_error: OnError::Skip,
            breaker: BreakerSpec::default(),
            limits: OperatorLimits::default(),
            keeps_key: false,
            parallelism: None,
            null_key: NullKey::Reject,
            drop_state: vec![],
        };
        let out = SinkKind::Kafka {
            cluster: cluster(),
            topic: "out".to_owned(),
            timestamp: SinkTimestamp::Record,
            headers: true,
        };
        let brokers = ClusterSpec { brokers: "localhost:9092".to_owned(), ..ClusterSpec::default() };
        let mut spec = PipelineSpec {
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
            clusters: BTreeMap::from([(cluster(), brokers)]),
            sources: vec![SourceSpec { name: "in".to_owned(), kind, time: TimeSpec::default() }],
            operators: vec![operator],
            sinks: vec![SinkSpec { name: "out".to_owned(), inputs: vec!["count".to_owned()], kind: out }],
        };
        change(&mut spec);
        Plan::check(spec, &[Some(shape)]).unwrap()
    }

    fn old() -> Plan {
        plan(shape(vec![state("a", 1)]), |_| {})
    }

    fn changed(change: impl FnOnce(&mut PipelineSpec)) -> Result<Fit, String> {
        fit(&old(), &plan(shape(vec![state("a", 1)]), change), 0)
    }

    fn declared(states: Vec<StateDeclaration>) -> Result<Fit, String> {
        fit(&old(), &plan(shape(states), |_| {}), 0)
    }

    #[test]
    fn the_same_declarations_go_on_with_the_state_as_it_is() {
        let newer = changed(|spec| {
            let operator = &mut spec.operators[0];
            operator.component = "count@2".to_owned();
            operator.config.insert("k".to_owned(), "v".to_owned());
            operator.limits.call = Duration::from_secs(1);
        });
        assert_eq!(newer, Ok(Fit::SameState));
    }

    #[test]
    fn a_new_state_a_raised_version_and_another_ttl_open_it_anew() {
        let Ok(Fit::Reopened(change)) = declared(vec![state("b", 1), state("a", 1)]) else { panic!("new") };
        assert_eq!(change.new, ["b"]);
        let Ok(Fit::Reopened(change)) = declared(vec![state("a", 2)]) else { panic!("raised") };
        assert_eq!(change.migrate.len(), 1);
        let kept_for_a_day = StateDeclaration { ttl_seconds: 86_400, ..state("a", 1) };
        assert!(matches!(declared(vec![kept_for_a_day]), Ok(Fit::Reopened(_))));
    }

    #[test]
    fn state_that_does_not_fit_is_refused() {
        let refused = declared(vec![state("b", 1)]).unwrap_err();
        assert!(refused.contains("drop_state"), "{refused}");
        let let_go =
            plan(shape(vec![state("b", 1)]), |spec| spec.operators[0].drop_state = vec!["a".to_owned()]);
        let Ok(Fit::Reopened(change)) = fit(&old(), &let_go, 0) else { panic!("dropped") };
        assert_eq!(change.drop_states, ["a"]);
    }

    #[test]
    fn ports_keys_and_surroundings_are_no_matter_of_a_swap() {
        let of = |shape: OperatorShape| fit(&old(), &plan(shape, |_| {}), 0).unwrap_err();
        let mut loses_keys = shape(vec![state("a", 1)]);
        loses_keys.outputs[0].keeps_key = false;
        let mut renamed = shape(vec![state("a", 1)]);
        renamed.outputs[0].name = "other".to_owned();
        let refusals = [
            of(loses_keys),
            of(renamed),
            of(shape(vec![])),
            changed(|spec| spec.operators[0].null_key = NullKey::Group).unwrap_err(),
            changed(|spec| spec.checkpoint.interval = Duration::from_secs(9)).unwrap_err(),
            changed(|spec| spec.parallelism = 2).unwrap_err(),
        ];
        for refused in refusals {
            assert!(refused.contains("apply the change with a restart"), "{refused}");
        }
        assert!(fit(&old(), &old(), 1).is_err());
    }
}
