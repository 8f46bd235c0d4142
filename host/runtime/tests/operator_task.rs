//! The error policies, carried out by an operator task around an operator that fails on purpose.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use weir_protocol::batch::{Batch, headers};
use weir_protocol::connector::{CallContext, CallError, CallFailure, ErrorKind, FailureKind, Operator};
use weir_protocol::error_policy::names;
use weir_protocol::output::{Output, Rejection};
use weir_protocol::plan::{BreakerSpec, InputSpec, NullKey, OnError, OperatorLimits, OperatorSpec};
use weir_protocol::slots::Slots;
use weir_runtime::clock::ManualClock;
use weir_runtime::meters::Meters;
use weir_runtime::operator_task::{Handled, Moment, OperatorTask, OperatorTaskOptions};

/// Repeats each value; traps where a value is `trap`, rejects where it is `reject`, sends `b…` to port 1.
#[derive(Default)]
struct Moody;

impl Operator for Moody {
    fn call(&mut self, input: &Batch, _: &Slots, _: CallContext) -> Result<Output, CallError> {
        let mut output = Output::default();
        for row in 0..input.rows {
            match input.values.bytes(row) {
                b"trap" => {
                    let message = "unreachable".to_owned();
                    return Err(CallFailure { kind: FailureKind::Trap, message }.into());
                }
                b"reject" => output.rejections.push(Rejection { row: row as u32, reason: "no".to_owned() }),
                value => {
                    output.count += 1;
                    output.rows.extend_from_slice(&(row as u32).to_le_bytes());
                    output.ports.push(u8::from(value.starts_with(b"b")));
                    output.values.push(Some(value));
                }
            }
        }
        Ok(output)
    }

    fn on_timers(&mut self, timer: &str, _: &Batch, _: &Slots, _: CallContext) -> Result<Output, CallError> {
        unreachable!("an operator without timers was called for {timer}")
    }

    fn reset(&mut self) {}
}

const MOMENT: Moment = Moment { port: 0, now_ms: 0, watermark_ms: i64::MIN };

fn task(on_error: OnError, record_bytes_max: Option<usize>) -> (OperatorTask, Arc<Meters>) {
    let meters = Arc::new(Meters::new(1, 1));
    let spec = OperatorSpec {
        name: "moody".to_owned(),
        inputs: vec![InputSpec::from("in")],
        component: String::new(),
        config: BTreeMap::new(),
        on_error,
        breaker: BreakerSpec { share: 0.9, over: Duration::from_secs(60), rows_min: 100 },
        limits: OperatorLimits::default(),
        keeps_key: false,
        parallelism: None,
        null_key: NullKey::Reject,
        drop_state: vec![],
    };
    let options = OperatorTaskOptions {
        pipeline: "weir.p".to_owned(),
        index: 0,
        spec,
        digest: "ab12".to_owned(),
        input_ports: vec!["in".to_owned()],
        ports: 2,
        record_bytes_max: vec![record_bytes_max, None],
        dead_letter_bytes_max: None,
        clock: Arc::new(ManualClock::default()),
        meters: meters.clone(),
    };
    (OperatorTask::new(Box::new(Moody), None, options), meters)
}

fn input(values: &[&str]) -> Batch {
    let topic: Arc<str> = "orders".into();
    let mut batch = Batch::default();
    for (row, value) in values.iter().enumerate() {
        batch.push(row as i64, Some(b"k"), Some(value.as_bytes()), None);
        batch.origins.push(&topic, 2, 100 + row as i64);
    }
    batch
}

fn values(batch: &Batch) -> Vec<String> {
    (0..batch.rows).map(|row| String::from_utf8_lossy(batch.values.bytes(row)).into_owned()).collect()
}

fn dead_letters(handled: &Handled) -> Vec<BTreeMap<String, String>> {
    let letters = handled.dead_letters.as_ref().expect("dead letters");
    let entry = |row| headers(letters.headers.bytes(row)).map(|header| header.expect("the layout"));
    let text = |value: Option<&[u8]>| String::from_utf8_lossy(value.unwrap_or_default()).into_owned();
    (0..letters.rows)
        .map(|row| entry(row).map(|(name, value)| (name.to_owned(), text(value))).collect())
        .collect()
}

fn to_dead() -> OnError {
    OnError::DeadLetter("dead".to_owned())
}

#[test]
fn poison_and_rejected_rows_become_dead_letters_and_the_others_keep_their_order() {
    let (mut task, meters) = task(to_dead(), None);
    let handled = task.handle(input(&["a1", "trap", "b1", "reject", "a2", "b2", "trap"]), MOMENT).unwrap();
    assert_eq!(
        handled.outputs.iter().map(|(port, batch)| (*port, values(batch))).collect::<Vec<_>>(),
        [(0, vec!["a1".to_owned(), "a2".to_owned()]), (1, vec!["b1".to_owned(), "b2".to_owned()]),]
    );
    let letters = dead_letters(&handled);
    let offsets: Vec<&str> = letters.iter().map(|letter| letter[names::OFFSET].as_str()).collect();
    assert_eq!(offsets, ["101", "103", "106"]);
    let kinds: Vec<&str> = letters.iter().map(|letter| letter[names::KIND].as_str()).collect();
    assert_eq!(kinds, ["trap", "rejection", "trap"]);
    assert_eq!(letters[0][names::TOPIC], "orders");
    assert_eq!(meters.operators[0].dead_letters.get(), 3);
}

#[test]
fn fail_names_topic_partition_and_offset_and_is_final() {
    let (mut task, _) = task(OnError::Fail, None);
    let error = task.handle(input(&["a", "a", "trap"]), MOMENT).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Permanent);
    assert!(error.message.contains("topic orders, partition 2, offset 102"), "{}", error.message);
}

#[test]
fn skip_leaves_the_row_out_and_counts_it() {
    let (mut task, meters) = task(OnError::Skip, None);
    let handled = task.handle(input(&["a", "reject", "trap"]), MOMENT).unwrap();
    assert_eq!(values(&handled.outputs[0].1), ["a"]);
    assert!(handled.dead_letters.is_none());
    assert_eq!(meters.operators[0].skipped.get(), 2);
}

#[test]
fn an_output_record_that_no_sink_takes_is_a_record_error() {
    let (mut task, _) = task(to_dead(), Some(20));
    let large = format!("a{}", "x".repeat(40));
    let handled = task.handle(input(&["a", &large, "a2"]), MOMENT).unwrap();
    assert_eq!(values(&handled.outputs[0].1), ["a", "a2"]);
    assert_eq!(dead_letters(&handled)[0][names::KIND], "too_large");
}

#[test]
fn if_every_row_of_the_first_batches_fails_the_pipeline_stops() {
    let (mut task, _) = task(OnError::Skip, None);
    task.handle(input(&["trap"]), MOMENT).unwrap();
    task.handle(input(&["trap"]), MOMENT).unwrap();
    let error = task.handle(input(&["trap"]), MOMENT).unwrap_err();
    assert!(error.message.contains("every row of the first 3 batches"), "{}", error.message);
}
