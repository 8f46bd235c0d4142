//! Calls that fail: each kind by its name, and a fresh instance afterwards.

use crate::guests::{CONTEXT, batch, call, limits, mapper, start, whole_mapper};
use std::time::Duration;
use weir_protocol::connector::{CallContext, CallError, FailureKind, Operator};
use weir_protocol::plan::OperatorLimits;
use weir_protocol::slots::Slots;

fn fails(bytes: &[u8], kind: FailureKind, part: &str) {
    let (mut operator, _) = start(bytes, limits());
    for _ in 0..2 {
        let failure = call(&mut operator, 2).unwrap_err();
        assert_eq!(failure.kind, kind, "{failure}");
        assert!(failure.message.contains(part), "{failure}");
    }
}

#[test]
fn an_endless_loop_is_interrupted() {
    // 200ms of CPU time, or 2s by the wall where the machine is busy.
    fails(&mapper("endless"), FailureKind::Timeout, "the call took more than 2");
}

#[test]
fn a_search_after_a_timeout_may_give_a_call_less_time_than_its_limit() {
    let (mut operator, _) = start(&mapper("endless"), OperatorLimits::default());
    let context = CallContext { time: Some(Duration::from_millis(30)), ..CONTEXT };
    let failure = operator.call(&batch(1), &Slots::default(), context).unwrap_err();
    // 30ms of CPU time, or 300ms by the wall where the machine is busy; the operator's own limit is 5s.
    assert!(failure.to_string().contains("the call took more than 30"), "{failure}");
}

#[test]
fn memory_over_the_limit_is_refused() {
    fails(&mapper("memory_hog"), FailureKind::Memory, "its limit is 33554432");
}

#[test]
fn a_trap_is_named() {
    fails(&mapper("unreachable"), FailureKind::Trap, "wasm `unreachable` instruction executed");
}

#[test]
fn a_deep_recursion_ends_in_a_trap() {
    fails(&mapper("deep_recursion"), FailureKind::Trap, "call stack exhausted");
}

#[test]
fn a_guest_without_memory_for_its_arguments_fails_the_call() {
    fails(&whole_mapper("realloc_trap"), FailureKind::Trap, "unreachable");
    fails(&whole_mapper("realloc_lies"), FailureKind::Trap, "");
}

#[test]
fn a_bad_column_is_named() {
    fails(&mapper("bad_offsets"), FailureKind::BadOutput, "values");
}

#[test]
fn a_list_larger_than_the_memory_is_refused() {
    fails(&mapper("huge_list"), FailureKind::Trap, "out of bounds");
}

#[test]
fn the_same_bytes_in_many_columns_count_many_times() {
    fails(&mapper("aliased_columns"), FailureKind::OutputLimit, "output limit");
    fails(&mapper("many_rejections"), FailureKind::OutputLimit, "output limit");
}

#[test]
fn an_err_is_the_guests_own_words() {
    fails(&mapper("error"), FailureKind::Error, "no good");
}

#[test]
fn a_bad_metric_traps() {
    fails(&mapper("bad_metric"), FailureKind::Trap, "metric rows: added NaN");
}

#[test]
fn after_a_failed_call_the_next_runs_in_a_fresh_instance() {
    let (mut operator, _) = start(&mapper("once"), limits());
    assert!(call(&mut operator, 1).is_ok());
    assert!(call(&mut operator, 1).is_err());
    assert!(call(&mut operator, 1).is_ok());
    operator.reset();
    assert!(call(&mut operator, 1).is_ok());
}

#[test]
fn an_output_over_its_limit_fails_the_call() {
    let (mut operator, _) = start(&mapper("bad_offsets"), OperatorLimits { output_bytes: 10, ..limits() });
    let failure = call(&mut operator, 1).unwrap_err();
    assert_eq!(failure.to_string(), "output_limit: the call returned 11 bytes, its limit is 10");
}

#[test]
fn an_operator_whose_memory_cannot_be_had_is_broken() {
    let bytes = mapper("identity");
    let (options, _) = crate::guests::options(OperatorLimits { memory_bytes: 1 << 16, ..limits() });
    let refusal = crate::guests::load(&bytes).operator(options).err().unwrap().to_string();
    assert!(refusal.contains("wanted 131072 bytes of memory, its limit is 65536"), "{refusal}");
}

#[test]
fn operators_run_on_several_threads_at_once() {
    let prepared = crate::guests::load(&mapper("endless"));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let (options, _) = crate::guests::options(limits());
                let mut operator = prepared.operator(options).unwrap();
                let error = operator.call(&batch(1), &Slots::default(), CONTEXT).unwrap_err();
                assert!(matches!(error, CallError::Failed(failure) if failure.kind == FailureKind::Timeout));
            });
        }
    });
}
