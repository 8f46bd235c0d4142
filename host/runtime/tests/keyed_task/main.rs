//! A keyed operator's task: what of a call takes effect, and what leaves no trace.

#![expect(clippy::unwrap_used, reason = "the operator and the state that the tests bring are tests too")]

mod state;
mod timers;

use state::{Contents, CountState, Key, Shared};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use weir_protocol::batch::{Batch, Column, headers, read_u32};
use weir_protocol::connector::*;
use weir_protocol::error_policy::names;
use weir_protocol::key_group::{GroupOrder, KeyGroups, murmur2};
use weir_protocol::output::{Output, Rejection};
use weir_protocol::plan::{BreakerSpec, InputSpec, NullKey, OnError, OperatorLimits, OperatorSpec};
use weir_protocol::slots::Slots;
use weir_protocol::state::{OperatorShape, SharedState, TimerClock, TimerDeclaration};
use weir_protocol::watermark::Watermark;
use weir_runtime::clock::ManualClock;
use weir_runtime::keyed_calls::{KeyedCalls, KeyedCallsOptions};
use weir_runtime::meters::Meters;
use weir_runtime::operator_task::{Handled, Moment, OperatorTask, OperatorTaskOptions};
use weir_runtime::timer_rounds::{Firing, TimerRounds};

/// Counts the rows of each key, and repeats a row's value. `trap` traps, `reject` rejects, `large` becomes large, and
/// `early 5` or `other 5` set that timer. What a timer does when it fires is told by its key: `poison` traps, `endless`
/// uses all the time that it is given, `later` sets itself a millisecond later, `daily` a day, `same` at the same time,
/// `earlier` a millisecond before, `swap` the other timer at the same time, `now` itself at the present.
struct Counter(SharedState, Arc<ManualClock>);

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

fn trap<T>() -> Result<T, CallError> {
    Err(CallFailure { kind: FailureKind::Trap, message: "unreachable".to_owned() }.into())
}

impl Operator for Counter {
    fn call(&mut self, input: &Batch, slots: &Slots, _: CallContext) -> Result<Output, CallError> {
        let mut state = self.0.lock().unwrap();
        let mut output = Output::default();
        for row in 0..input.rows {
            let slot = &slots.rows[row * 4..row * 4 + 4];
            let mut text = String::from_utf8(input.values.bytes(row).to_vec()).unwrap();
            if text == "reject" {
                output.rejections.push(Rejection { row: row as u32, reason: "no".to_owned() });
                continue;
            }
            let before = state.value_get_many("count", slot).unwrap();
            let count = if before.is_null(0) { 0 } else { read_u32(before.bytes(0), 0) };
            let mut after = Column::default();
            after.push(Some(&(count + 1).to_le_bytes()));
            state.value_put_many("count", slot, (&after).into()).unwrap();
            if text == "trap" {
                return trap();
            }
            if text == "large" {
                text = "x".repeat(100);
            } else if let Some((timer, time)) = text.split_once(' ') {
                let time: i64 = time.parse().unwrap();
                state.timer_register_many(timer, slot, &time.to_le_bytes()).unwrap();
            }
            output.count += 1;
            output.rows.extend_from_slice(&(row as u32).to_le_bytes());
            output.values.push(Some(text.as_bytes()));
        }
        Ok(output)
    }

    fn on_timers(
        &mut self,
        timer: &str,
        fired: &Batch,
        slots: &Slots,
        context: CallContext,
    ) -> Result<Output, CallError> {
        let mut output = Output { count: fired.rows as u32, ..Output::default() };
        for row in 0..fired.rows {
            let (key, time) = (fired.keys.bytes(row), fired.timestamp(row));
            let (next, at) = match key {
                b"poison" => return trap(),
                b"endless" => {
                    self.1.advance(context.time.unwrap_or(OperatorLimits::default().call));
                    let message = "endless".to_owned();
                    return Err(CallFailure { kind: FailureKind::Timeout, message }.into());
                }
                b"later" => (timer, Some(time + 1)),
                b"daily" => (timer, Some(time + DAY_MS)),
                b"same" => (timer, Some(time)),
                b"earlier" => (timer, Some(time - 1)),
                b"swap" => (if timer == "early" { "other" } else { "early" }, Some(time)),
                b"now" => (timer, Some(context.now_ms)),
                _ => (timer, None),
            };
            if let Some(at) = at {
                let slot = &slots.rows[row * 4..row * 4 + 4];
                let mut state = self.0.lock().unwrap();
                state.timer_register_many(next, slot, &at.to_le_bytes()).unwrap();
            }
            let text = format!("{timer} {time} {}", String::from_utf8_lossy(key));
            output.values.push(Some(text.as_bytes()));
        }
        Ok(output)
    }

    fn reset(&mut self) {}
}

fn shape(clock: TimerClock) -> OperatorShape {
    let timer = |name: &str| TimerDeclaration { name: name.to_owned(), clock };
    OperatorShape { timers: vec![timer("early"), timer("other")], ..OperatorShape::default() }
}

/// A task with what a test looks at.
struct Bench {
    task: OperatorTask,
    contents: Shared,
    meters: Arc<Meters>,
}

/// What differs from test to test.
struct Setting {
    on_error: OnError,
    null_key: NullKey,
    groups: KeyGroups,
    ordinals: std::ops::Range<u32>,
    timer_rounds_max: u32,
    search: Duration,
    batch_rows_max: usize,
}

impl Default for Setting {
    fn default() -> Setting {
        Setting {
            on_error: OnError::DeadLetter("dead".to_owned()),
            null_key: NullKey::Reject,
            groups: KeyGroups::plain(128),
            ordinals: 0..128,
            timer_rounds_max: 10,
            search: OperatorLimits::default().search,
            batch_rows_max: OperatorLimits::default().batch_rows_max,
        }
    }
}

impl Bench {
    fn new(setting: Setting) -> Bench {
        let meters = Arc::new(Meters::new(1, 1));
        let clock = Arc::new(ManualClock::default());
        let spec = OperatorSpec {
            name: "count".to_owned(),
            inputs: vec![InputSpec::from("in")],
            component: String::new(),
            config: BTreeMap::new(),
            on_error: setting.on_error,
            breaker: BreakerSpec { share: 0.9, over: Duration::from_secs(60), rows_min: 100 },
            limits: OperatorLimits {
                timer_rounds_max: setting.timer_rounds_max,
                search: setting.search,
                batch_rows_max: setting.batch_rows_max,
                ..OperatorLimits::default()
            },
            keeps_key: false,
            parallelism: None,
            null_key: setting.null_key,
            drop_state: vec![],
        };
        let options = OperatorTaskOptions {
            pipeline: "weir.p".to_owned(),
            index: 0,
            spec,
            digest: "ab12".to_owned(),
            input_ports: vec!["in".to_owned()],
            ports: 1,
            record_bytes_max: vec![Some(50)],
            dead_letter_bytes_max: None,
            clock: clock.clone(),
            meters: meters.clone(),
        };
        let contents = Shared::default();
        let state: SharedState = Arc::new(Mutex::new(Box::new(CountState::new(contents.clone()))));
        let keyed = KeyedCalls::new(KeyedCallsOptions {
            operator: "count".to_owned(),
            state: state.clone(),
            groups: setting.groups,
            ordinals: setting.ordinals,
            null_key: setting.null_key,
        });
        Bench {
            task: OperatorTask::new(Box::new(Counter(state, clock)), Some(keyed), options),
            contents,
            meters,
        }
    }

    fn handle(&mut self, rows: &[(Option<&str>, &str)]) -> Result<Handled, ConnectorError> {
        self.task.handle(input(rows), MOMENT)
    }

    /// Fires all that is due, and returns what came of it.
    fn fire_until(&mut self, until_ms: i64) -> Result<Vec<Handled>, ConnectorError> {
        let mut rounds = TimerRounds::new([0].into_iter());
        rounds.advance(0, Watermark::At(until_ms));
        let mut all = Vec::new();
        loop {
            match rounds.next_step() {
                Some(Firing::Fire { until_ms, .. }) => {
                    all.extend(rounds.fire(
                        &mut self.task,
                        &shape(TimerClock::EventTime),
                        until_ms,
                        MOMENT,
                    )?);
                }
                Some(Firing::PassOn { watermark, .. }) => {
                    assert_eq!(watermark, Watermark::At(until_ms));
                    return Ok(all);
                }
                None => panic!("the watermark was not passed on"),
            }
        }
    }

    fn counts(&self) -> Vec<(String, u32)> {
        let contents: Contents = self.contents.lock().unwrap().clone();
        let name =
            |key: &Key| key.as_ref().map_or("none".to_owned(), |k| String::from_utf8(k.clone()).unwrap());
        contents.counts.iter().map(|(key, count)| (name(key), read_u32(count, 0))).collect()
    }
}

const MOMENT: Moment = Moment { port: 0, now_ms: 0, watermark_ms: i64::MIN };

fn input(rows: &[(Option<&str>, &str)]) -> Batch {
    let topic: Arc<str> = "orders".into();
    let mut batch = Batch::default();
    for (row, (key, value)) in rows.iter().enumerate() {
        batch.push(row as i64, key.map(str::as_bytes), Some(value.as_bytes()), None);
        batch.origins.push(&topic, 2, 100 + row as i64);
    }
    batch
}

fn values(handled: &Handled) -> Vec<String> {
    let text = |batch: &Batch, row| String::from_utf8_lossy(batch.values.bytes(row)).into_owned();
    let batches = handled.outputs.iter().map(|(_, batch)| batch);
    batches.flat_map(|batch| (0..batch.rows).map(|row| text(batch, row)).collect::<Vec<_>>()).collect()
}

/// Offset (or none) and kind of each dead letter.
fn dead_letters(handled: &Handled) -> Vec<(Option<String>, String)> {
    let letters = handled.dead_letters.as_ref().expect("dead letters");
    let all = |row: usize| -> BTreeMap<String, String> {
        let text = |value: Option<&[u8]>| String::from_utf8_lossy(value.unwrap_or_default()).into_owned();
        let entries = headers(letters.headers.bytes(row)).map(|header| header.expect("the layout"));
        entries.map(|(name, value)| (name.to_owned(), text(value))).collect()
    };
    let letter = |row| (all(row).get(names::OFFSET).cloned(), all(row)[names::KIND].clone());
    (0..letters.rows).map(letter).collect()
}

fn at(offset: &str, kind: &str) -> (Option<String>, String) {
    (Some(offset.to_owned()), kind.to_owned())
}

fn counted(counts: &[(&str, u32)]) -> Vec<(String, u32)> {
    counts.iter().map(|(key, count)| ((*key).to_owned(), *count)).collect()
}

#[test]
fn a_call_that_fails_leaves_nothing_in_the_state() {
    let mut bench = Bench::new(Setting { on_error: OnError::Skip, ..Setting::default() });
    bench.handle(&[(Some("a"), "trap")]).unwrap();
    assert_eq!(bench.counts(), counted(&[]));
    assert_eq!(bench.meters.operators[0].skipped.get(), 1);
}

#[test]
fn a_search_for_a_poison_row_makes_exactly_the_good_rows_part_of_the_state() {
    let mut bench = Bench::new(Setting::default());
    let rows =
        [("a", "1"), ("b", "2"), ("a", "trap"), ("a", "3"), ("c", "reject"), ("b", "4"), ("b", "trap")];
    let handled = bench.handle(&rows.map(|(key, value)| (Some(key), value))).unwrap();
    assert_eq!(values(&handled), ["1", "2", "3", "4"]);
    assert_eq!(dead_letters(&handled), [at("102", "trap"), at("104", "rejection"), at("106", "trap")]);
    assert_eq!(bench.counts(), counted(&[("a", 2), ("b", 2)]));
}

#[test]
fn a_row_whose_output_no_sink_takes_leaves_no_trace_in_the_state() {
    let mut bench = Bench::new(Setting::default());
    let rows = [("a", "1"), ("a", "large"), ("b", "large"), ("a", "2"), ("c", "reject")];
    let handled = bench.handle(&rows.map(|(key, value)| (Some(key), value))).unwrap();
    assert_eq!(values(&handled), ["1", "2"]);
    let expected = [at("101", "too_large"), at("102", "too_large"), at("104", "rejection")];
    assert_eq!(dead_letters(&handled), expected);
    assert_eq!(bench.counts(), counted(&[("a", 2)]));
    let handled = bench.handle(&[(Some("d"), "large")]).unwrap();
    assert_eq!(dead_letters(&handled), [at("100", "too_large")]);
    assert_eq!(bench.counts(), counted(&[("a", 2)]));
}

#[test]
fn a_poison_row_and_one_that_is_too_large_in_one_batch_are_both_found() {
    let mut bench = Bench::new(Setting::default());
    let rows = [("a", "1"), ("a", "large"), ("a", "trap"), ("a", "2")];
    let handled = bench.handle(&rows.map(|(key, value)| (Some(key), value))).unwrap();
    assert_eq!(values(&handled), ["1", "2"]);
    assert_eq!(dead_letters(&handled), [at("101", "too_large"), at("102", "trap")]);
    assert_eq!(bench.counts(), counted(&[("a", 2)]));
}

#[test]
fn a_record_without_a_key_is_a_record_error_unless_such_records_share_a_group() {
    let rows = [(Some("a"), "1"), (None, "2"), (None, "3")];
    let mut bench = Bench::new(Setting::default());
    let handled = bench.handle(&rows).unwrap();
    assert_eq!(values(&handled), ["1"]);
    assert_eq!(dead_letters(&handled), [at("101", "null_key"), at("102", "null_key")]);
    assert_eq!(bench.counts(), counted(&[("a", 1)]));
    assert_eq!(bench.meters.operators[0].rows.get(), 3, "each row is counted once");

    let mut bench = Bench::new(Setting { null_key: NullKey::Group, ..Setting::default() });
    let handled = bench.handle(&rows).unwrap();
    assert_eq!(values(&handled), ["1", "2", "3"]);
    assert_eq!(bench.counts(), counted(&[("none", 2), ("a", 1)]));
}

#[test]
fn a_key_of_another_subtask_stops_the_pipeline_and_leaves_no_trace() {
    let groups = KeyGroups::plain(128);
    let ordinal = groups.ordinal(murmur2(b"a"));
    let mut bench = Bench::new(Setting { ordinals: ordinal + 1..128, ..Setting::default() });
    let error = bench.handle(&[(Some("a"), "1")]).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Permanent);
    assert!(error.message.contains("topic orders, partition 2, offset 100"), "{}", error.message);
    assert_eq!(bench.counts(), counted(&[]));
}

#[test]
fn a_key_in_the_wrong_partition_of_a_co_partitioned_topic_is_refused_with_its_place() {
    let groups = KeyGroups { max_parallelism: 128, order: GroupOrder::CoPartitioned { partitions: 4 } };
    let key_of = |wanted: u32| {
        let keys = (0..100).map(|number| format!("key-{number}"));
        keys.into_iter().find(|key| groups.group(murmur2(key.as_bytes())) % 4 == wanted).unwrap()
    };
    let (right, wrong) = (key_of(2), key_of(3));
    let mut bench = Bench::new(Setting { groups, ..Setting::default() });
    bench.handle(&[(Some(&right), "1")]).unwrap();
    let error = bench.handle(&[(Some(&right), "2"), (Some(&wrong), "3")]).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused);
    assert!(error.message.contains("topic orders, partition 2, offset 101"), "{}", error.message);
    assert!(error.message.contains("belongs to partition 3 of 4"), "{}", error.message);
    assert_eq!(bench.counts(), counted(&[(&right, 1)]));
}
