//! A keyed count that misuses state and timers. The configuration key `behaviour` says how, and a value that contains
//! `poison` says when; every other batch is counted, and each record becomes the number of its key so far, as text.
//!
//! Written against the contract alone. The operator declares the states `count` (value), `entries` (map), `log` (list)
//! and the event-time timer `again`. `count`, the default, never misbehaves. The others, at a batch with a poisoned
//! value:
//!
//! | name | what it does |
//! |---|---|
//! | `trap_after_write` | counts, writes the counts, and panics |
//! | `err_after_write` | the same, and returns an error |
//! | `reject_after_write` | refuses the poisoned rows and counts the others |
//! | `loop_after_write` | writes, and never returns |
//! | `slot_out_of_range` | reads a slot that the batch does not have |
//! | `slots_cut_off` | reads slots of three bytes |
//! | `unknown_state`, `wrong_kind`, `unknown_timer` | uses a name that is not declared, or not as what it is |
//! | `columns_of_unequal_length` | puts two values for one slot |
//! | `offsets_go_down` | puts a column whose offsets go down |
//! | `scan_without_end` | scans the same map again and again |
//! | `put_flood` | puts 1 GB into a map, 1 MB at a time |
//! | `append_flood` | appends 1 GB to a list, 1 MB at a time |
//! | `get_flood` | asks for a value of 1 MB a million times over, in one question |
//! | `timer_flood` | sets 100 million timers, 10000 at a time |
//! | `timers_without_end` | sets a timer at time 0, which sets itself again whenever it fires |
//! | `timer_trap` | sets a timer at time 0; `on-timers` panics |
//! | `timer_without_value` | the same; `on-timers` emits the timer without a value |
//!
//! `state_in_open` reads state before the first batch.

use weir_sdk::bindings::processing::{
    Description, Guest, InputPort, OutputPort, StateDeclaration, StateKind, TimerClock, TimerDeclaration,
};
use weir_sdk::bindings::processor::weir::operator::{list_state, map_state, timers, value_state};
use weir_sdk::{Batch, Column, Output, Rejection};

use crate::behaviour::endless_loop;

const COUNT: &str = "count";
const ENTRIES: &str = "entries";
const LOG: &str = "log";
const AGAIN: &str = "again";
const MEGABYTE: usize = 1 << 20;

/// The guest that the feature `keyed` chooses.
pub struct ThisOperator;

impl Guest for ThisOperator {
    fn describe() -> Description {
        let state =
            |name: &str, kind| StateDeclaration { name: name.into(), kind, version: 1, ttl_seconds: 0 };
        Description {
            inputs: vec![InputPort { name: "in".into() }],
            outputs: vec![OutputPort { name: "out".into(), keeps_key: true }],
            states: vec![
                state(COUNT, StateKind::Value),
                state(ENTRIES, StateKind::Map),
                state(LOG, StateKind::List),
            ],
            timers: vec![TimerDeclaration { name: AGAIN.into(), clock: TimerClock::EventTime }],
            config: vec![weir_sdk::bindings::processing::ConfigKey {
                name: "behaviour".into(),
                required: false,
                default: "count".into(),
                description: "how it misbehaves at a value that contains poison".into(),
            }],
        }
    }

    fn open() -> Result<(), String> {
        if behaviour() == "state_in_open" {
            value_state::get_many(COUNT, &slots(&[0]));
        }
        Ok(())
    }

    fn process(batch: Batch) -> Result<Output, String> {
        let poisoned: Vec<u32> = (0..batch.count).filter(|row| is_poisoned(&batch, *row)).collect();
        if poisoned.is_empty() {
            return Ok(count(&batch, &[]));
        }
        let slot = slots(&[u32_at(&batch.slots, poisoned[0] as usize)]);
        match behaviour().as_str() {
            "count" => Ok(count(&batch, &[])),
            "reject_after_write" => Ok(count(&batch, &poisoned)),
            "trap_after_write" => {
                count(&batch, &[]);
                panic!("row {} is poisoned", poisoned[0])
            }
            "err_after_write" => {
                count(&batch, &[]);
                Err(format!("row {} is poisoned", poisoned[0]))
            }
            "loop_after_write" => {
                count(&batch, &[]);
                endless_loop()
            }
            "timers_without_end" | "timer_trap" | "timer_without_value" => {
                timers::register_many(AGAIN, &slot, &0i64.to_le_bytes());
                Ok(count(&batch, &[]))
            }
            behaviour => misuse(behaviour, &batch, &slot),
        }
    }

    fn on_timers(timer: String, fired: Batch) -> Result<Output, String> {
        match behaviour().as_str() {
            "timer_trap" => panic!("this guest panics at every timer"),
            "timer_without_value" => Ok(Output { count: fired.count, ..Output::default() }),
            _ => {
                timers::register_many(&timer, &fired.slots, &fired.timestamps);
                Ok(Output::default())
            }
        }
    }
}

#[cfg(target_arch = "wasm32")]
weir_sdk::bindings::processor::export_processor!(ThisOperator with_types_in weir_sdk::bindings::processor);

fn behaviour() -> String {
    weir_sdk::config("behaviour").unwrap_or_default()
}

fn is_poisoned(batch: &Batch, row: u32) -> bool {
    let value = batch.record(row as usize).value().unwrap_or_default();
    value.windows(6).any(|window| window == b"poison")
}

/// What the host must end.
fn misuse(behaviour: &str, batch: &Batch, slot: &[u8]) -> Result<Output, String> {
    let one = column(&[b"1"]);
    match behaviour {
        "slot_out_of_range" => drop(value_state::get_many(COUNT, &slots(&[batch.slot_count]))),
        "slots_cut_off" => drop(value_state::get_many(COUNT, &slot[..3])),
        "unknown_state" => drop(value_state::get_many("sum", slot)),
        "wrong_kind" => drop(value_state::get_many(ENTRIES, slot)),
        "unknown_timer" => timers::register_many("never", slot, &[0; 8]),
        "columns_of_unequal_length" => value_state::put_many(COUNT, slot, &column(&[b"1", b"2"])),
        "offsets_go_down" => {
            let offsets = slots(&[0, 2, 1]);
            let crooked = Column { offsets, data: b"1".to_vec(), nulls: Vec::new() };
            value_state::put_many(COUNT, &[slot, slot].concat(), &crooked);
        }
        "scan_without_end" => {
            map_state::put_many(ENTRIES, slot, &one, &one);
            loop {
                map_state::scan(ENTRIES, slot, &Column::default(), &Column::default(), 0);
            }
        }
        "put_flood" => {
            let value = column(&[&vec![b'x'; MEGABYTE]]);
            for entry in 0..1024u32 {
                map_state::put_many(ENTRIES, slot, &column(&[&entry.to_be_bytes()]), &value);
            }
        }
        "append_flood" => {
            let value = column(&[&vec![b'x'; MEGABYTE]]);
            (0..1024).for_each(|_| list_state::append_many(LOG, slot, &value));
        }
        "get_flood" => {
            value_state::put_many(COUNT, slot, &column(&[&vec![b'x'; MEGABYTE]]));
            value_state::get_many(COUNT, &slot.repeat(1_000_000));
        }
        "timer_flood" => {
            let slots = slot.repeat(10_000);
            for first in (0..100_000_000i64).step_by(10_000) {
                let times: Vec<u8> = (first..first + 10_000).flat_map(i64::to_le_bytes).collect();
                timers::register_many(AGAIN, &slots, &times);
            }
        }
        unknown => return Err(format!("there is no behaviour \"{unknown}\"")),
    }
    Err(format!("the host let {behaviour} pass"))
}

/// Counts the rows of each key and emits the counts, without the rows in `refused` (in order).
fn count(batch: &Batch, refused: &[u32]) -> Output {
    let all: Vec<u8> = slots(&(0..batch.slot_count).collect::<Vec<u32>>());
    let before = value_state::get_many(COUNT, &all);
    let mut counts: Vec<u64> =
        (0..batch.slot_count as usize).map(|slot| before.get(slot).map_or(0, u64_of)).collect();
    let (mut rows, mut offsets, mut data) = (Vec::new(), vec![0], Vec::new());
    for row in (0..batch.count).filter(|row| refused.binary_search(row).is_err()) {
        let count = &mut counts[u32_at(&batch.slots, row as usize) as usize];
        *count += 1;
        write_decimal(*count, &mut data);
        offsets.push(data.len() as u32);
        rows.push(row);
    }
    let numbers: Vec<[u8; 8]> = counts.iter().map(|count| count.to_le_bytes()).collect();
    let offsets_of_counts: Vec<u32> = (0..=batch.slot_count).map(|slot| slot * 8).collect();
    let after = Column { offsets: slots(&offsets_of_counts), data: numbers.concat(), nulls: Vec::new() };
    value_state::put_many(COUNT, &all, &after);
    Output {
        count: rows.len() as u32,
        rows: if refused.is_empty() { Vec::new() } else { slots(&rows) },
        values: Column { offsets: slots(&offsets), data, nulls: Vec::new() },
        rejections: refused.iter().map(|row| Rejection::new(*row as usize, "poisoned")).collect(),
        ..Output::default()
    }
}

fn write_decimal(number: u64, to: &mut Vec<u8>) {
    let (mut digits, mut at, mut rest) = ([0; 20], 20, number);
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    to.extend_from_slice(&digits[at..]);
}

/// Packed numbers.
fn slots(numbers: &[u32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

fn column(entries: &[&[u8]]) -> Column {
    let mut offsets = vec![0];
    offsets.extend(entries.iter().scan(0, |end, entry| {
        *end += entry.len() as u32;
        Some(*end)
    }));
    Column { offsets: slots(&offsets), data: entries.concat(), nulls: Vec::new() }
}

fn u32_at(bytes: &[u8], index: usize) -> u32 {
    let at = index * 4;
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// A count as it is stored; what is no count counts from 0.
fn u64_of(bytes: &[u8]) -> u64 {
    bytes.try_into().map_or(0, u64::from_le_bytes)
}
