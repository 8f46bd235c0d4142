//! Calls of an operator with state and timers, made and ended as a task makes and ends them.

use crate::guests::{CONTEXT, PLAIN, failed, keyed, limits, load, options, refusal};
use crate::state_double::{Disk, StateDouble};
use std::sync::{Arc, Mutex};
use weir_protocol::batch::Batch;
use weir_protocol::connector::{CallContext, CallError, CallFailure, FailureKind, Operator};
use weir_protocol::output::Output;
use weir_protocol::slots::{SlotNumbering, Slots};
use weir_protocol::state::{OperatorShape, SharedState};
use weir_wasm::WasmOperator;

/// What `keyed.wat` does with a batch, by `now`.
const EXCHANGE_COUNT: i64 = 1;
const PUT_AND_APPEND: i64 = 2;
const SCAN_SEEN: i64 = 3;
const SCAN_LOG: i64 = 4;
const GET_SEEN: i64 = 5;
const CLEAR_SEEN: i64 = 6;
const CLEAR_LOG: i64 = 7;
const SET_FLUSH: i64 = 8;
const DELETE_FLUSH: i64 = 9;
const SLOT_OUT_OF_RANGE: i64 = 10;
const UNKNOWN_STATE: i64 = 11;
const PUT_AND_TRAP: i64 = 12;
const PUT_AND_ERR: i64 = 13;

struct Task {
    operator: WasmOperator,
    shape: OperatorShape,
    state: SharedState,
    disk: Arc<Disk>,
    numbering: SlotNumbering,
}

impl Task {
    fn new() -> Task {
        let prepared = load(&keyed(PLAIN));
        let (shape, disk) = (prepared.description().shape(), Arc::new(Disk::default()));
        let double = StateDouble::new(shape.clone(), disk.clone());
        let state: SharedState = Arc::new(Mutex::new(Box::new(double)));
        let (mut options, _) = options(limits());
        options.state = Some(state.clone());
        let operator = prepared.operator(options).unwrap();
        Task { operator, shape, state, disk, numbering: SlotNumbering::default() }
    }

    fn act(
        &mut self,
        batch: &Batch,
        call: impl FnOnce(&mut WasmOperator, &Slots) -> Result<Output, CallError>,
    ) -> Result<Output, CallFailure> {
        let mut slots = Slots::default();
        self.numbering.assign(&batch.keys, &mut slots);
        self.state.lock().unwrap().begin_call(&batch.keys, &slots, 0);
        let answer = call(&mut self.operator, &slots).map_err(failed);
        let mut state = self.state.lock().unwrap();
        if answer.is_ok() {
            state.commit_call().unwrap()
        } else {
            state.discard_call().unwrap()
        }
        answer
    }

    /// Has the guest do `what`, and returns the values that it emitted, `-` for none.
    fn call(&mut self, what: i64, rows: &[(&str, &str)]) -> Result<Vec<String>, CallFailure> {
        let batch = batch(rows);
        let context = CallContext { now_ms: what, port: 1, ..CONTEXT };
        let output = self.act(&batch, |operator, slots| operator.call(&batch, slots, context))?;
        Ok(values(&output.apply(batch)))
    }

    fn fire(&mut self, now_ms: i64, rows: &[(&str, &str)]) -> Result<Output, CallFailure> {
        let mut fired = batch(rows);
        fired.values = Default::default();
        let context = CallContext { now_ms, ..CONTEXT };
        self.act(&fired, |operator, slots| operator.on_timers("flush", &fired, slots, context))
    }
}

/// Keys and values; the time of row `i` is `i`.
fn batch(rows: &[(&str, &str)]) -> Batch {
    let mut batch = Batch::default();
    for (time, (key, value)) in rows.iter().enumerate() {
        batch.push(time as i64, Some(key.as_bytes()), Some(value.as_bytes()), None);
    }
    batch
}

fn values(batch: &Batch) -> Vec<String> {
    let text = |value: &[u8]| String::from_utf8(value.to_vec()).unwrap();
    (0..batch.rows).map(|row| batch.values.get(row).map_or("-".into(), text)).collect()
}

#[test]
fn a_value_is_read_back_by_the_next_call_with_its_key() {
    let mut task = Task::new();
    let nothing_yet = task.call(EXCHANGE_COUNT, &[("b", "1"), ("a", "2"), ("b", "3")]).unwrap();
    assert_eq!(nothing_yet, ["-", "-", "-"]);
    assert_eq!(task.call(EXCHANGE_COUNT, &[("a", "4"), ("b", "5")]).unwrap(), ["2", "3"]);
    // State is not in the instance.
    task.operator.reset();
    assert_eq!(task.call(EXCHANGE_COUNT, &[("b", "6"), ("c", "7")]).unwrap(), ["5", "-"]);
}

#[test]
fn maps_and_lists_are_read_scanned_and_cleared() {
    let mut task = Task::new();
    task.call(PUT_AND_APPEND, &[("a", "y"), ("b", "z"), ("a", "x"), ("a", "x")]).unwrap();
    assert_eq!(task.call(GET_SEEN, &[("a", "x"), ("b", "x")]).unwrap(), ["x", "-"]);
    assert_eq!(task.call(SCAN_SEEN, &[("b", ""), ("a", "")]).unwrap(), ["z", "x", "y"]);
    assert_eq!(task.call(SCAN_LOG, &[("a", ""), ("b", "")]).unwrap(), ["y", "x", "x", "z"]);
    task.call(CLEAR_SEEN, &[("a", "")]).unwrap();
    task.call(CLEAR_LOG, &[("b", "")]).unwrap();
    assert_eq!(task.call(SCAN_SEEN, &[("a", ""), ("b", "")]).unwrap(), ["z"]);
    assert_eq!(task.call(SCAN_LOG, &[("a", ""), ("b", "")]).unwrap(), ["y", "x", "x"]);
}

#[test]
fn timers_are_set_and_deleted_under_the_rows_keys() {
    let mut task = Task::new();
    task.call(SET_FLUSH, &[("b", ""), ("a", ""), ("b", "")]).unwrap();
    let timer = |key: &str, time| (key.to_owned(), time);
    assert_eq!(task.disk.timers(&task.shape), [timer("a", 1), timer("b", 0), timer("b", 2)]);
    task.call(DELETE_FLUSH, &[("b", "")]).unwrap();
    assert_eq!(task.disk.timers(&task.shape), [timer("a", 1), timer("b", 2)]);
}

#[test]
fn fired_timers_reach_the_state_of_their_keys() {
    let mut task = Task::new();
    task.call(EXCHANGE_COUNT, &[("a", "1"), ("b", "2")]).unwrap();
    let output = task.fire(0, &[("b", ""), ("c", ""), ("a", "")]).unwrap();
    let next = output.apply(batch(&[("b", ""), ("c", ""), ("a", "")]));
    assert_eq!(values(&next), ["2", "-", "1"]);
    assert_eq!((next.keys.bytes(2), next.timestamp(2)), (b"a".as_slice(), 2));
    assert!(task.fire(0, &[]).unwrap().is_empty());
}

#[test]
fn what_comes_of_a_timer_must_have_a_value() {
    let failure = Task::new().fire(1, &[("a", "")]).unwrap_err();
    assert_eq!(failure.kind, FailureKind::BadOutput);
    assert!(failure.message.contains("values: absent, but the source rows are timers"), "{failure}");
}

#[test]
fn a_failed_call_leaves_its_writes_to_the_task_which_discards_them() {
    let mut task = Task::new();
    task.call(EXCHANGE_COUNT, &[("a", "1")]).unwrap();
    assert_eq!(task.call(PUT_AND_TRAP, &[("a", "2")]).unwrap_err().kind, FailureKind::Trap);
    assert_eq!(task.call(PUT_AND_ERR, &[("a", "3")]).unwrap_err().kind, FailureKind::Error);
    assert_eq!(task.call(EXCHANGE_COUNT, &[("a", "4")]).unwrap(), ["1"]);
}

#[test]
fn misuse_and_a_broken_database_trap_with_the_functions_name() {
    let mut task = Task::new();
    let message = |task: &mut Task, what| {
        let failure = task.call(what, &[("a", "1")]).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Trap);
        failure.message
    };
    assert_eq!(message(&mut task, SLOT_OUT_OF_RANGE), "value-state.put-many: slot 7 of 1");
    let unknown = message(&mut task, UNKNOWN_STATE);
    assert_eq!(unknown, "value-state.put-many: no value state \"out\" is declared");
    assert_eq!(task.call(EXCHANGE_COUNT, &[("a", "1")]).unwrap(), ["-"]);
    task.disk.fill();
    assert_eq!(message(&mut task, EXCHANGE_COUNT), "value-state.get-many: the disk is full");
}

const READS: &str =
    "(call $value_get (i32.const 2060) (i32.const 5) (i32.const 2330) (i32.const 4) (i32.const 3000))";

#[test]
fn state_is_out_of_reach_in_describe_and_open() {
    let describing = refusal(&keyed(&format!("(func $in_describe {READS}) (func $open)")));
    let rule = "state and timers can be used only in process and on-timers";
    assert!(
        describing.contains(&format!("value-state.get-many was called in describe; {rule}")),
        "{describing}"
    );
    let prepared = load(&keyed(&format!("(func $in_describe) (func $open {READS})")));
    let opening = prepared.operator(options(limits()).0).err().unwrap().to_string();
    let expected =
        format!("operator guest refused to open: trap: value-state.get-many was called in open; {rule}");
    assert_eq!(opening, expected);
}

#[test]
fn an_operator_that_is_given_no_state_traps_when_it_asks_for_some() {
    let mut operator = load(&keyed(PLAIN)).operator(options(limits()).0).unwrap();
    let context = CallContext { now_ms: EXCHANGE_COUNT, ..CONTEXT };
    let failure = operator.call(&batch(&[("a", "1")]), &Slots::default(), context).unwrap_err();
    let expected = "value-state.get-many was called, but the operator declares no state and no timer";
    assert_eq!(failed(failure).message, expected);
}
