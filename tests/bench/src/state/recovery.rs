//! From the start of a process to the first record that readers of committed data see, with much state to come back to.
//!
//! The state is `count_by_key` over long keys: its bytes are what counts here, and long keys fill it fast.

use super::arguments::Arguments;
use super::first_committed::FirstCommitted;
use super::pipeline::{Kind, Pipeline};
use super::threads::Threads;
use super::{Place, told};
use crate::failure::Failure;
use crate::fill::Filling;
use crate::large_state::{self, KEY_BYTES, VALUE_BYTES};
use crate::process::MeasuredProcess;
use crate::run::watch;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

/// Records that come in each second while a process starts, and for two seconds before.
const RECORDS_PER_SECOND: u64 = 50_000;
/// How often some of them are written.
const FEEDS_PER_SECOND: u64 = 5;
/// How long a process may take until its first record is committed.
const FIRST_MAX: Duration = Duration::from_secs(300);

/// One start.
#[derive(Debug)]
pub struct Start {
    /// What was done.
    pub what: &'static str,
    /// From the start of the process to the first record that is newly committed.
    pub first: Duration,
    /// What the process had used of the processors until then: what a busy machine does not change.
    pub cpu: Option<Duration>,
    /// Of that, by thread.
    pub threads: Vec<(String, Duration)>,
    /// From the start of the process until the last subtask had its state.
    pub ready_ms: Option<u64>,
    /// How long the slowest subtask took to restore its state.
    pub restored_ms: Option<u64>,
}

/// Starts with a state of one size.
#[derive(Debug)]
pub struct Recovery {
    /// Bytes of the checkpoint at first.
    pub state_bytes: u64,
    /// Keys.
    pub keys: u64,
    /// One after the other, with the data of the one before.
    pub starts: Vec<Start>,
}

/// Fills a state and starts with it: after a graceful end, after `kill -9`, and at another parallelism.
pub fn measure(
    place: &Place,
    arguments: &Arguments,
    asked_bytes: u64,
    index: usize,
) -> Result<Recovery, Failure> {
    let (input, output) = (format!("{}-r{index}-in", place.id), format!("{}-r{index}-out", place.id));
    place.topics.create(&input)?;
    place.topics.create(&output)?;
    let measured = steps(place, arguments, asked_bytes, &input, &output);
    place.topics.delete(&input);
    place.topics.delete(&output);
    measured
}

fn steps(
    place: &Place,
    arguments: &Arguments,
    asked_bytes: u64,
    input: &str,
    output: &str,
) -> Result<Recovery, Failure> {
    let keys = large_state::keys_of(asked_bytes);
    let folder = place.scratch.path().join(output);
    fs::create_dir_all(&folder).map_err(Failure::of(folder.display()))?;
    let pipeline =
        Pipeline { name: output, input, output, kind: Kind::Exchange, parallelism: Some(2), folder: &folder };
    eprint!("bench: {keys} keys of {KEY_BYTES} bytes ... ");
    let write_key = |number: u64, key: &mut Vec<u8>| large_state::write_key(number, keys, key);
    let filling = |numbers| Filling {
        brokers: &arguments.brokers,
        topic: input,
        numbers,
        value_bytes: VALUE_BYTES,
        write_key: &write_key,
    };
    filling((0, keys)).write()?;
    let log = folder.join("log-fill");
    let mut command = pipeline.command(arguments)?;
    let mut process = MeasuredProcess::start(command.arg("--until-end"), &log)?;
    let seen = watch(&place.topics, keys, output, &mut process, |_| ())?;
    process.succeeded(seen.ended)?;
    let state_bytes = large_state::largest_checkpoint(&pipeline.data_directory().join("pipelines"));
    eprintln!("{} MiB of state", state_bytes >> 20);
    let mut written = keys;
    let mut starts = Vec::new();
    let steps = [
        ("start after an end", 2),
        ("start after kill -9", 2),
        ("again", 2),
        ("rescale 2 to 4", 4),
        ("start after kill -9, 4 subtasks", 4),
    ];
    for (what, parallelism) in steps {
        let waiting = written + 2 * RECORDS_PER_SECOND;
        filling((written, waiting)).write()?;
        let pipeline = Pipeline { parallelism: Some(parallelism), ..pipeline.clone() };
        let (start, fed) =
            fed(waiting, |numbers| filling(numbers).write(), || start(place, arguments, &pipeline, what))?;
        written = fed;
        eprintln!("bench: {what}: first committed record after {:.2} s", start.first.as_secs_f64());
        starts.push(start);
    }
    fs::remove_dir_all(&folder).map_err(Failure::of(folder.display()))?;
    Ok(Recovery { state_bytes, keys, starts })
}

/// Writes records in a steady stream while something is done. Returns also the number behind the last one.
fn fed<T>(
    from: u64,
    write: impl Fn((u64, u64)) -> Result<(), Failure> + Sync,
    done: impl FnOnce() -> Result<T, Failure>,
) -> Result<(T, u64), Failure> {
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        let feeder = scope.spawn(|| {
            let (begun, mut number) = (Instant::now(), from);
            while !ended.load(Ordering::Relaxed) {
                let due = from + (begun.elapsed().as_secs_f64() * RECORDS_PER_SECOND as f64) as u64;
                write((number, due))?;
                number = due;
                thread::sleep(Duration::from_millis(1000 / FEEDS_PER_SECOND));
            }
            Ok::<u64, Failure>(number)
        });
        let done = done();
        ended.store(true, Ordering::Relaxed);
        let fed = feeder.join().expect("writing does not panic")?;
        Ok((done?, fed))
    })
}

/// Starts weir, waits for the first committed record, and kills weir in the middle of its work.
fn start(
    place: &Place,
    arguments: &Arguments,
    pipeline: &Pipeline<'_>,
    what: &'static str,
) -> Result<Start, Failure> {
    let log = pipeline.folder.join("log");
    let mut command = pipeline.command(arguments)?;
    let first = FirstCommitted::after_now(place, arguments, pipeline.output)?;
    let mut process = MeasuredProcess::start(&mut command, &log)?;
    let (started, started_at) = (process.started, SystemTime::now());
    let at = first.wait(FIRST_MAX, || process.ended().map(|_| process.failure("weir has ended")))?;
    let (cpu, mut threads) = (process.cpu(), Threads::default());
    threads.look(process.pid());
    let restored = told::restored(&log, started_at);
    Ok(Start {
        what,
        first: at - started,
        cpu,
        threads: threads.by_name(),
        ready_ms: restored.map(|restored| restored.ready_ms),
        restored_ms: restored.map(|restored| restored.took_ms),
    })
}
