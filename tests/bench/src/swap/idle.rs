//! Many stateless pipelines in one host that have nothing to do: what each costs, beside a `weir run` of its own.

use super::Place;
use super::arguments::Arguments;
use super::memory::{self, Memory};
use super::server::{Server, wait};
use crate::failure::Failure;
use crate::process::MeasuredProcess;
use crate::state::threads::Threads;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

/// How long after the last start is waited: connections are made, caches are filled.
const SETTLING_TIME: Duration = Duration::from_secs(15);

/// What was measured.
pub struct Idle {
    /// How many pipelines.
    pub pipelines: usize,
    /// How long they were watched.
    pub watched: Duration,
    /// The server without a pipeline.
    pub before: Usage,
    /// With all of them.
    pub with: Usage,
    /// CPU by thread with all of them, as a share of one core.
    pub threads: Vec<(String, f64)>,
    /// From the first apply until all were running.
    pub started: Duration,
    /// One pipeline as a process of its own.
    pub alone: Usage,
    /// The broker's CPU without and with them, as a share of one core.
    pub broker: Option<(f64, f64)>,
}

/// What a process uses.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    /// Memory.
    pub memory: Memory,
    /// CPU as a share of one core.
    pub cpu: f64,
}

/// Deploys them, and watches.
pub fn measure(place: &Place, arguments: &Arguments) -> Result<Idle, Failure> {
    let (input, output) = (format!("{}-idle-in", place.id), format!("{}-idle-out", place.id));
    place.topics.create(&input)?;
    place.topics.create(&output)?;
    let measured = steps(place, arguments, &input, &output);
    place.topics.delete(&input);
    place.topics.delete(&output);
    measured
}

fn steps(place: &Place, arguments: &Arguments, input: &str, output: &str) -> Result<Idle, Failure> {
    let folder = place.scratch.path().join("idle");
    let server = Server::start(arguments, &folder)?;
    let component = server.upload("prefix", &arguments.guest("prefix")?)?;
    let broker = crate::broker::find(&arguments.brokers);
    let (before, broker_before) =
        watch(&server.process, broker, arguments.idle_time, &mut Threads::default())?;
    let begun = Instant::now();
    let names: Vec<String> = (0..arguments.pipelines).map(|number| format!("idle-{number}")).collect();
    for name in &names {
        server.apply(name, &document(name, arguments, input, output, &component))?;
    }
    for name in &names {
        server.await_actual(name, "running")?;
    }
    let started = begun.elapsed();
    thread::sleep(SETTLING_TIME);
    let (mut threads_before, mut threads) = (Threads::default(), Threads::default());
    threads_before.look(server.process.pid());
    let (with, broker_with) = watch(&server.process, broker, arguments.idle_time, &mut threads)?;
    let threads = threads.since(&threads_before);
    let share =
        |(name, spent): (String, Duration)| (name, spent.as_secs_f64() / arguments.idle_time.as_secs_f64());
    drop(server);
    Ok(Idle {
        pipelines: arguments.pipelines,
        watched: arguments.idle_time,
        before,
        with,
        threads: threads.into_iter().map(share).collect(),
        started,
        alone: alone(arguments, input, output, &folder)?,
        broker: broker_before.zip(broker_with),
    })
}

/// What a process uses while it is watched, and the broker's share of a core.
fn watch(
    process: &MeasuredProcess,
    broker: Option<i32>,
    time: Duration,
    threads: &mut Threads,
) -> Result<(Usage, Option<f64>), Failure> {
    let broker_cpu = || broker.and_then(crate::process::cpu_of);
    let cpu = || process.cpu().ok_or_else(|| process.failure("the process has ended"));
    let (begun, before, broker_before) = (Instant::now(), cpu()?, broker_cpu());
    thread::sleep(time);
    let share = |before: Duration, after: Duration| {
        after.saturating_sub(before).as_secs_f64() / begun.elapsed().as_secs_f64()
    };
    let used = Usage { memory: memory::of(process.pid())?, cpu: share(before, cpu()?) };
    threads.look(process.pid());
    Ok((used, broker_before.zip(broker_cpu()).map(|(before, after)| share(before, after))))
}

/// `weir run` with the same pipeline.
fn alone(arguments: &Arguments, input: &str, output: &str, folder: &Path) -> Result<Usage, Failure> {
    let (file, component) = (folder.join("alone.toml"), arguments.guests.join("prefix.wasm"));
    let component = fs::canonicalize(&component).map_err(Failure::of(component.display()))?;
    let text = document("alone", arguments, input, output, &component.display().to_string());
    fs::write(&file, text).map_err(Failure::of(file.display()))?;
    let mut command = Command::new(&arguments.weir);
    command.arg("run").arg(&file).arg("--data-dir").arg(folder.join("alone")).env_remove("RUST_LOG");
    let log = folder.join("alone.log");
    let mut process = MeasuredProcess::start(&mut command, &log)?;
    wait("weir run to begin", || {
        if process.ended().is_some() {
            return Err(process.failure("weir run has ended"));
        }
        Ok(fs::read_to_string(&log).is_ok_and(|said| said.contains("starting")).then_some(()))
    })?;
    thread::sleep(SETTLING_TIME);
    Ok(watch(&process, None, arguments.idle_time, &mut Threads::default())?.0)
}

fn document(name: &str, arguments: &Arguments, input: &str, output: &str, component: &str) -> String {
    let brokers = &arguments.brokers;
    format!(
        r#"name = "{name}"

[kafka.main]
brokers = "{brokers}"

[source.input]
kind = "kafka"
topics = ["{input}"]

[operator.prefix]
input = "input"
component = "{component}"
config = {{ prefix = "processed_" }}

[sink.output]
kind = "kafka"
input = "prefix"
topic = "{output}"
"#
    )
}
