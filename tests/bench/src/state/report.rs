//! The tables, what each row costs above the row without state, and the JSON file.

use super::arguments::Arguments;
use super::pipeline::Kind;
use super::recovery::{Recovery, Start};
use super::row::Outcome;
use super::told::Spread;
use crate::failure::Failure;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// Threads of a row that are printed.
const THREADS_PRINTED: usize = 6;

/// The row of another kind over the same input in the same round.
fn beside<'a>(rows: &'a [Outcome], row: &Outcome, kind: Kind) -> Option<&'a Outcome> {
    rows.iter().find(|other| other.keys == row.keys && other.repeat == row.repeat && other.kind == kind)
}

/// CPU per record above the row without state.
fn above_prefix(rows: &[Outcome], row: &Outcome) -> Option<f64> {
    Some(row.cpu_us - beside(rows, row, Kind::Prefix)?.cpu_us)
}

/// CPU per record of the way through the exchange.
fn of_the_exchange(rows: &[Outcome], row: &Outcome) -> Option<f64> {
    let exchanged = (row.kind == Kind::Exchange).then_some(row)?;
    Some(exchanged.cpu_us - beside(rows, row, Kind::CoPartitioned)?.cpu_us)
}

/// Prints what runs over inputs of many keys have shown.
pub fn print_rows(arguments: &Arguments, rows: &[Outcome]) {
    println!();
    println!(
        "{} records of {} bytes, checkpoints every {:?}, state_memory_max {} MiB; every output was read back",
        arguments.records,
        12 + arguments.value_bytes,
        arguments.interval,
        arguments.memory_bytes >> 20
    );
    println!();
    println!(
        "{:12} {:22} {:>7} {:>8} {:>7} {:>8} {:>9} {:>6} {:>7} {:>4} {:>9} {:>20} {:>20} {:>9}",
        "",
        "",
        "CPU us",
        "2nd half",
        "above",
        "exchange",
        "",
        "memory",
        "broker",
        "",
        "KiB per",
        "pause ms",
        "to decision ms",
        "longest"
    );
    println!(
        "{:12} {:22} {:>7} {:>8} {:>7} {:>8} {:>9} {:>6} {:>7} {:>4} {:>9} {:>20} {:>20} {:>9}",
        "keys",
        "run",
        "/record",
        "/record",
        "prefix",
        "us",
        "records/s",
        "MiB",
        "CPU us",
        "ckpt",
        "ckpt",
        "p50/p99/max",
        "p50/p99/max",
        "pause ms"
    );
    for row in rows {
        println!(
            "{:12} {:22} {:>7.3} {:>8} {:>7} {:>8} {:>9.0} {:>6} {:>7} {:>4} {:>9} {:>20} {:>20} {:>9.1}",
            row.keys,
            row.kind.name(),
            row.cpu_us,
            or_dash(row.second_half_cpu_us, 3),
            or_dash(above_prefix(rows, row), 3),
            or_dash(of_the_exchange(rows, row), 3),
            row.records_per_second,
            row.memory_peak_bytes >> 20,
            or_dash(row.broker_cpu_us, 3),
            row.told.checkpoints,
            row.told.bytes_per_checkpoint() >> 10,
            milliseconds(row.told.barrier_pause),
            milliseconds(row.told.decision),
            row.told.longest_pause_us as f64 / 1e3,
        );
    }
    print_threads(rows);
}

fn print_threads(rows: &[Outcome]) {
    println!();
    println!("CPU us per record by thread");
    for row in rows {
        let threads: Vec<String> = row.threads.iter().take(THREADS_PRINTED).map(thread).collect();
        println!("{:12} {:22} {}", row.keys, row.kind.name(), threads.join("  "));
    }
}

fn thread((name, cpu_us): &(String, f64)) -> String {
    format!("{name} {cpu_us:.3}")
}

fn or_dash(number: Option<f64>, digits: usize) -> String {
    number.map_or_else(|| "-".to_owned(), |number| format!("{number:.digits$}"))
}

fn milliseconds(Spread { p50_us, p99_us, max_us }: Spread) -> String {
    let [p50, p99, max] = [p50_us, p99_us, max_us].map(|micros| micros as f64 / 1e3);
    format!("{p50:.1}/{p99:.1}/{max:.1}")
}

fn by_thread(start: &Start) -> String {
    let thread = |(name, cpu): &(String, Duration)| format!("{name} {:.2}", cpu.as_secs_f64());
    start.threads.iter().take(THREADS_PRINTED).map(thread).collect::<Vec<_>>().join("  ")
}

/// Prints how soon weir was back.
pub fn print_recoveries(recoveries: &[Recovery]) {
    if recoveries.is_empty() {
        return;
    }
    println!();
    println!(
        "{:>9} {:>8} {:31} {:>11} {:>13} {:>14} {:>6}  CPU s by thread",
        "state MiB", "keys", "start", "restored ms", "state ready s", "first record s", "CPU s"
    );
    for recovery in recoveries {
        for start in &recovery.starts {
            println!(
                "{:>9} {:>8} {:31} {:>11} {:>13} {:>14.2} {:>6}  {}",
                recovery.state_bytes >> 20,
                recovery.keys,
                start.what,
                start.restored_ms.map_or_else(|| "-".to_owned(), |ms| ms.to_string()),
                or_dash(start.ready_ms.map(|ms| ms as f64 / 1e3), 2),
                start.first.as_secs_f64(),
                or_dash(start.cpu.map(|cpu| cpu.as_secs_f64()), 2),
                by_thread(start),
            );
        }
    }
}

/// Writes all numbers. Format: `{version, records, …, rows: […], recoveries: […]}`; units stand in the names.
pub fn write(
    file: &Path,
    arguments: &Arguments,
    rows: &[Outcome],
    recoveries: &[Recovery],
) -> Result<(), Failure> {
    let document = json!({
        "version": 1,
        "records": arguments.records,
        "value_bytes": arguments.value_bytes,
        "interval_ms": arguments.interval.as_millis() as u64,
        "state_memory_max_bytes": arguments.memory_bytes,
        "cores": std::thread::available_parallelism().map(usize::from).ok(),
        "rows": rows.iter().map(|outcome| row(rows, outcome)).collect::<Vec<_>>(),
        "recoveries": recoveries.iter().map(recovery).collect::<Vec<_>>(),
    });
    fs::write(file, format!("{document:#}\n")).map_err(Failure::of(file.display()))
}

fn row(rows: &[Outcome], row: &Outcome) -> Value {
    let spread = |spread: Spread| json!({ "p50": spread.p50_us, "p99": spread.p99_us, "max": spread.max_us });
    json!({
        "keys": row.keys,
        "run": row.kind.name(),
        "repeat": row.repeat,
        "cpu_us_per_record": row.cpu_us,
        "second_half_cpu_us_per_record": row.second_half_cpu_us,
        "cpu_us_above_prefix": above_prefix(rows, row),
        "cpu_us_of_the_exchange": of_the_exchange(rows, row),
        "records_per_second": row.records_per_second,
        "memory_peak_bytes": row.memory_peak_bytes,
        "broker_cpu_us_per_record": row.broker_cpu_us,
        "checkpoints": row.told.checkpoints,
        "state_bytes_per_checkpoint": row.told.bytes_per_checkpoint(),
        "barrier_pause_us": spread(row.told.barrier_pause),
        "decision_us": spread(row.told.decision),
        "longest_pause_us": row.told.longest_pause_us,
        "threads_cpu_us_per_record": row.threads.iter().cloned().collect::<BTreeMap<_, _>>(),
    })
}

fn recovery(recovery: &Recovery) -> Value {
    let seconds = |(name, cpu): &(String, Duration)| (name.clone(), cpu.as_secs_f64());
    let start = |start: &Start| {
        json!({
            "start": start.what,
            "first_record_s": start.first.as_secs_f64(),
            "cpu_s": start.cpu.map(|cpu| cpu.as_secs_f64()),
            "threads_cpu_s": start.threads.iter().map(seconds).collect::<BTreeMap<_, _>>(),
            "state_ready_ms": start.ready_ms,
            "restored_ms": start.restored_ms,
        })
    };
    json!({
        "state_bytes": recovery.state_bytes,
        "keys": recovery.keys,
        "starts": recovery.starts.iter().map(start).collect::<Vec<_>>(),
    })
}
