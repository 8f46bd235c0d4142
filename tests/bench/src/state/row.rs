//! One measured run over an input that is there: a fresh output, a process, and a check of every record.

use super::arguments::Arguments;
use super::keys::Keys;
use super::pipeline::{Kind, Pipeline};
use super::threads::Threads;
use super::told::Told;
use super::{Place, expected};
use crate::failure::Failure;
use crate::process::{MeasuredProcess, cpu_of};
use crate::run::watch;
use std::fs;
use std::time::Duration;

/// What a run has shown.
#[derive(Debug)]
pub struct Outcome {
    /// The keys, by name.
    pub keys: String,
    /// What ran.
    pub kind: Kind,
    /// Which of the runs that are the same.
    pub repeat: usize,
    /// User and system time of the process per record, in microseconds.
    pub cpu_us: f64,
    /// The same per record of the second half, where all keys are known.
    pub second_half_cpu_us: Option<f64>,
    /// From the first record out to the last.
    pub records_per_second: f64,
    /// The most memory that was resident.
    pub memory_peak_bytes: u64,
    /// The broker's CPU time per record in microseconds.
    pub broker_cpu_us: Option<f64>,
    /// What weir said at its end.
    pub told: Told,
    /// CPU time per record by thread, in microseconds.
    pub threads: Vec<(String, f64)>,
}

/// Runs and checks.
pub fn measure(
    place: &Place,
    arguments: &Arguments,
    keys: &Keys,
    input: &str,
    kind: Kind,
    repeat: usize,
) -> Result<Outcome, Failure> {
    let output = format!("{}-{}-{}-{repeat}", place.id, keys.name(), kind.name());
    place.topics.create(&output)?;
    let measured = run(place, arguments, keys, &output, input, kind, repeat).and_then(|outcome| {
        expected::check(place, arguments, keys, kind, &output)?;
        Ok(outcome)
    });
    place.topics.delete(&output);
    measured
}

fn run(
    place: &Place,
    arguments: &Arguments,
    keys: &Keys,
    output: &str,
    input: &str,
    kind: Kind,
    repeat: usize,
) -> Result<Outcome, Failure> {
    let folder = place.scratch.path().join(output);
    fs::create_dir_all(&folder).map_err(Failure::of(folder.display()))?;
    let log = folder.join("log");
    let pipeline = Pipeline { name: output, input, output, kind, parallelism: None, folder: &folder };
    let mut command = pipeline.command(arguments)?;
    let broker_cpu = || place.broker.and_then(cpu_of);
    let broker_before = broker_cpu();
    let mut threads = Threads::default();
    let mut process = MeasuredProcess::start(command.arg("--until-end"), &log)?;
    let look = |process: &MeasuredProcess| threads.look(process.pid());
    let seen = watch(&place.topics, arguments.records, output, &mut process, look)?;
    let broker = broker_before.zip(broker_cpu()).map(|(before, after)| after.saturating_sub(before));
    process.succeeded(seen.ended)?;
    let per_record = |cpu: Duration| cpu.as_secs_f64() * 1e6 / arguments.records as f64;
    let of_the_whole = arguments.records as f64 / seen.whole.as_secs_f64();
    let outcome = Outcome {
        keys: keys.name(),
        kind,
        repeat,
        cpu_us: per_record(seen.ended.cpu),
        second_half_cpu_us: seen.progress.second_half_us(seen.ended.cpu),
        records_per_second: seen.progress.records_per_second().unwrap_or(of_the_whole),
        memory_peak_bytes: seen.memory_peak_bytes,
        broker_cpu_us: broker.map(per_record),
        told: Told::read(&log).ok_or_else(|| process.failure("weir's last line is missing"))?,
        threads: threads.by_name().into_iter().map(|(name, cpu)| (name, per_record(cpu))).collect(),
    };
    // Checkpoints of many keys are large: they go before the next run.
    fs::remove_dir_all(&folder).map_err(Failure::of(folder.display()))?;
    Ok(outcome)
}
