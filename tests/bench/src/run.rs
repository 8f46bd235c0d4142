//! One measured run: a fresh output, a process, looks at both, and a check of every record.

use crate::arguments::Arguments;
use crate::check;
use crate::failure::Failure;
use crate::floor::{Order, Produce};
use crate::outcome::Outcome;
use crate::plan::{AskedRun, Place, Variant};
use crate::process::{Ended, MeasuredProcess, cpu_of};
use crate::progress::Progress;
use crate::topics::Topics;
use crate::weir;
use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

/// How often the output is looked at before its first record: how exact start-up times are.
const LOOK_PAUSE_BEFORE_FIRST: Duration = Duration::from_millis(10);
/// How often afterwards: a look costs the broker a request.
const LOOK_PAUSE: Duration = Duration::from_millis(50);
/// How long a run may take beside its records.
const RUN_TIME_BASE: Duration = Duration::from_secs(120);
/// Slower than this is not measured.
const RECORDS_PER_SECOND_MIN: u64 = 20_000;

/// Runs and checks.
pub fn run(place: &Place, arguments: &Arguments, asked: &AskedRun, index: usize) -> Result<Outcome, Failure> {
    let output = format!("{}-out-{index}", place.id);
    place.topics.create(&output)?;
    let outcome = measure(place, arguments, asked, &output).and_then(|outcome| {
        check::check(place, arguments, &output)?;
        Ok(outcome)
    });
    place.topics.delete(&output);
    outcome
}

fn measure(place: &Place, arguments: &Arguments, asked: &AskedRun, output: &str) -> Result<Outcome, Failure> {
    let folder = place.scratch.path().join(output);
    fs::create_dir_all(&folder).map_err(Failure::of(folder.display()))?;
    let log = folder.join("log");
    let mut command = command(place, arguments, asked, output, &folder)?;
    let broker_cpu = || place.broker.and_then(cpu_of);
    let broker_before = broker_cpu();
    let mut process = MeasuredProcess::start(&mut command, &log)?;
    let seen = watch(&place.topics, arguments.records, output, &mut process, |_| ())?;
    let broker = broker_before.zip(broker_cpu()).map(|(before, after)| after.saturating_sub(before));
    process.succeeded(seen.ended)?;
    let per_record = |cpu: Duration| cpu.as_secs_f64() * 1e6 / arguments.records as f64;
    let first = seen.progress.first().ok_or_else(|| process.failure("nothing was written"))?;
    Ok(Outcome {
        asked: *asked,
        cpu: seen.ended.cpu,
        cpu_us: per_record(seen.ended.cpu),
        second_half_cpu_us: seen.progress.second_half_us(seen.ended.cpu),
        rate: seen.progress.records_per_second(),
        whole: seen.whole,
        records: arguments.records,
        start_up: first.duration_since(process.started),
        memory_peak_bytes: seen.memory_peak_bytes,
        broker_cpu_us: broker.map(per_record),
        longest_pause: weir::longest_pause(&log),
    })
}

/// What was seen of a process until its end.
pub struct Seen {
    /// What it wrote.
    pub progress: Progress,
    /// The most memory that was resident.
    pub memory_peak_bytes: u64,
    /// Its end.
    pub ended: Ended,
    /// From its start to its end.
    pub whole: Duration,
}

/// Looks at a process that writes so many records to a topic until it ends. Each look at the living process is told.
pub fn watch(
    topics: &Topics,
    records: u64,
    output: &str,
    process: &mut MeasuredProcess,
    mut look: impl FnMut(&MeasuredProcess),
) -> Result<Seen, Failure> {
    let seconds = records / RECORDS_PER_SECOND_MIN;
    let deadline = process.started + RUN_TIME_BASE + Duration::from_secs(seconds);
    let mut progress = Progress::of(records);
    let mut memory_peak_bytes = 0;
    loop {
        // The end first: what is written is then seen once more behind it.
        let ended = process.ended();
        let whole = process.started.elapsed();
        if ended.is_none() {
            memory_peak_bytes = process.memory_peak_bytes().unwrap_or(0).max(memory_peak_bytes);
            look(process);
        }
        progress.see(topics.written(output)?, || process.cpu());
        if let Some(ended) = ended {
            return Ok(Seen { progress, memory_peak_bytes, ended, whole });
        }
        if Instant::now() > deadline {
            return Err(process.failure(&format!("not finished {:?} after the start", whole)));
        }
        thread::sleep(if progress.has_begun() { LOOK_PAUSE } else { LOOK_PAUSE_BEFORE_FIRST });
    }
}

fn command(
    place: &Place,
    arguments: &Arguments,
    asked: &AskedRun,
    output: &str,
    folder: &Path,
) -> Result<Command, Failure> {
    let produce = match asked.variant {
        Variant::FloorRecord => Produce::Each,
        Variant::FloorBatch => Produce::Together,
        Variant::Weir | Variant::WeirBatch => {
            return weir::command(arguments, asked, &place.input, output, folder);
        }
    };
    let order = Order {
        produce,
        brokers: arguments.brokers.clone(),
        input: place.input.clone(),
        output: output.to_owned(),
        interval: asked.interval,
        threads: asked.subtasks,
    };
    let mut command = Command::new(env::current_exe().map_err(Failure::of("the bench's own file"))?);
    command.args(order.arguments());
    Ok(command)
}
