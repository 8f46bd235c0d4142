//! The table, the ratios and the JSON file.

use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::outcome::Outcome;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// Two runs that differ only in who processes: weir, and the floor beside it.
struct Pair<'a> {
    weir: &'a Outcome,
    floor: &'a Outcome,
}

impl Pair<'_> {
    fn cpu(&self) -> f64 {
        self.weir.cpu_us / self.floor.cpu_us
    }

    fn second_half_cpu(&self) -> Option<f64> {
        Some(self.weir.second_half_cpu_us? / self.floor.second_half_cpu_us?)
    }

    fn records_per_second(&self) -> f64 {
        self.weir.records_per_second() / self.floor.records_per_second()
    }
}

fn pairs(outcomes: &[Outcome]) -> Vec<Pair<'_>> {
    let beside = |weir: &Outcome, floor: &Outcome| {
        floor.asked.variant == weir.asked.variant.floor()
            && floor.asked.interval == weir.asked.interval
            && floor.asked.subtasks == weir.asked.subtasks
    };
    let measured = outcomes.iter().filter(|outcome| !outcome.asked.variant.is_floor());
    measured
        .filter_map(|weir| {
            let floor = outcomes.iter().find(|floor| beside(weir, floor))?;
            Some(Pair { weir, floor })
        })
        .collect()
}

/// Prints what was measured.
pub fn print(arguments: &Arguments, outcomes: &[Outcome]) {
    println!();
    println!(
        "{} records of {} bytes, {} partitions; every output was read back: each record once",
        arguments.records,
        crate::fill::KEY_BYTES + arguments.value_bytes,
        arguments.partitions
    );
    println!();
    println!(
        "{:13} {:>8} {:>8} {:>10} {:>10} {:>11} {:>9} {:>8} {:>10} {:>9}",
        "", "", "", "CPU", "2nd half", "", "start-up", "memory", "broker CPU", "longest"
    );
    println!(
        "{:13} {:>8} {:>8} {:>10} {:>10} {:>11} {:>9} {:>8} {:>10} {:>9}",
        "run",
        "interval",
        "subtasks",
        "us/record",
        "us/record",
        "records/s",
        "s",
        "MiB",
        "us/record",
        "pause ms"
    );
    for outcome in outcomes {
        println!(
            "{:13} {:>8} {:>8} {:>10.3} {:>10} {:>11.0} {:>9.2} {:>8} {:>10} {:>9}",
            outcome.asked.variant.name(),
            format!("{:?}", outcome.asked.interval),
            outcome.asked.subtasks,
            outcome.cpu_us,
            or_dash(outcome.second_half_cpu_us, 3),
            outcome.records_per_second(),
            outcome.start_up.as_secs_f64(),
            outcome.memory_peak_bytes >> 20,
            or_dash(outcome.broker_cpu_us, 3),
            or_dash(outcome.longest_pause.map(|pause| pause.as_secs_f64() * 1e3), 1),
        );
    }
    print_ratios(&pairs(outcomes));
}

fn print_ratios(pairs: &[Pair<'_>]) {
    if pairs.is_empty() {
        return;
    }
    println!();
    println!(
        "{:26} {:>8} {:>8} {:>10} {:>10} {:>11}",
        "ratio", "interval", "subtasks", "CPU", "2nd half", "records/s"
    );
    for pair in pairs {
        let (weir, floor) = (&pair.weir.asked, &pair.floor.asked);
        println!(
            "{:26} {:>8} {:>8} {:>10.2} {:>10} {:>11.2}",
            format!("{} / {}", weir.variant.name(), floor.variant.name()),
            format!("{:?}", weir.interval),
            weir.subtasks,
            pair.cpu(),
            or_dash(pair.second_half_cpu(), 2),
            pair.records_per_second(),
        );
    }
}

fn or_dash(number: Option<f64>, digits: usize) -> String {
    number.map_or_else(|| "-".to_owned(), |number| format!("{number:.digits$}"))
}

/// Writes all numbers. Format: `{version, records, …, runs: […], ratios: […]}`; times carry their unit in the name.
pub fn write(file: &Path, arguments: &Arguments, outcomes: &[Outcome]) -> Result<(), Failure> {
    let pairs = pairs(outcomes);
    let document = json!({
        "version": 1,
        "records": arguments.records,
        "key_bytes": crate::fill::KEY_BYTES,
        "value_bytes": arguments.value_bytes,
        "partitions": arguments.partitions,
        "cores": std::thread::available_parallelism().map(usize::from).ok(),
        "runs": outcomes.iter().map(run).collect::<Vec<_>>(),
        "ratios": pairs.iter().map(ratio).collect::<Vec<_>>(),
    });
    fs::write(file, format!("{document:#}\n")).map_err(Failure::of(file.display()))
}

fn run(outcome: &Outcome) -> Value {
    json!({
        "run": outcome.asked.variant.name(),
        "interval_ms": outcome.asked.interval.as_millis() as u64,
        "subtasks": outcome.asked.subtasks,
        "cpu_s": outcome.cpu.as_secs_f64(),
        "cpu_us_per_record": outcome.cpu_us,
        "second_half_cpu_us_per_record": outcome.second_half_cpu_us,
        "records_per_second": outcome.records_per_second(),
        "whole_s": outcome.whole.as_secs_f64(),
        "start_up_s": outcome.start_up.as_secs_f64(),
        "memory_peak_bytes": outcome.memory_peak_bytes,
        "broker_cpu_us_per_record": outcome.broker_cpu_us,
        "longest_pause_us": outcome.longest_pause.map(|pause| pause.as_micros() as u64),
    })
}

fn ratio(pair: &Pair<'_>) -> Value {
    json!({
        "run": pair.weir.asked.variant.name(),
        "floor": pair.floor.asked.variant.name(),
        "interval_ms": pair.weir.asked.interval.as_millis() as u64,
        "subtasks": pair.weir.asked.subtasks,
        "cpu": pair.cpu(),
        "second_half_cpu": pair.second_half_cpu(),
        "records_per_second": pair.records_per_second(),
    })
}
