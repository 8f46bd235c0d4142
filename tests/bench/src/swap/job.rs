//! The pipeline that is measured: `count_by_key` with much state, in two subtasks, under the highest steady load.

use super::arguments::{Arguments, Part};
use super::clock::{self, UnixMs};
use super::load::Load;
use super::rollbacks::Rollback;
use super::server::{Server, wait};
use super::swaps::Swap;
use super::windows::Append;
use super::{Place, appended, decided, restarts, rollbacks, swaps};
use crate::failure::Failure;
use crate::large_state;
use restarts::Restart;
use std::thread;
use std::time::{Duration, Instant};

/// Its name.
const NAME: &str = "measured";
/// The operator that is swapped, in the pipeline.
pub const OPERATOR: &str = "count";
/// The operator in the registry.
const REGISTERED: &str = "count";
/// Its subtasks.
const SUBTASKS: usize = 2;
/// Checkpoints until the load is steady.
const SETTLING_CHECKPOINTS: u64 = 3;
/// So many times the records that are read at the rate are written: it is higher where nobody fills beside it.
const LOAD_MARGIN: f64 = 2.0;
/// How long the rate is looked at.
const RATE_TIME: Duration = Duration::from_secs(3);
/// Records that are there before the rate is known.
const RECORDS_FOR_RATE: u64 = 2_000_000;

/// The pipeline, its input and its server.
pub struct Job<'a> {
    /// The command line.
    pub arguments: &'a Arguments,
    /// The server.
    pub server: Server,
    /// Its name.
    pub name: &'static str,
    /// `name@version` of the version that runs at first.
    pub old: String,
    /// Of one that behaves.
    pub next: String,
    /// Of one that traps.
    pub traps: String,
    load: Load<'a>,
    output: String,
    /// Records per second, the most that was seen.
    rate: f64,
}

/// All that was measured.
pub struct Outcome {
    /// Bytes of a checkpoint.
    pub state_bytes: u64,
    /// Its keys.
    pub keys: u64,
    /// Records per second.
    pub rate: f64,
    /// What weir said.
    pub told: decided::Told,
    /// What the broker appended, per subtask.
    pub appended: Vec<Vec<Append>>,
    /// Swaps.
    pub swaps: Vec<Swap>,
    /// Rollbacks.
    pub rollbacks: Vec<Rollback>,
    /// Stops, changes and starts.
    pub restarts: Vec<Restart>,
}

/// Fills the state, does everything that is asked for, and reads what it left.
pub fn measure(place: &Place, arguments: &Arguments) -> Result<Outcome, Failure> {
    let output = format!("{}-out", place.id);
    place.topics.create_with(&output, &[appended::BROKER_TIME])?;
    let mut job = Job::start(place, arguments, output)?;
    let measured = job.all_parts(place);
    place.topics.delete(&job.load.topic);
    place.topics.delete(&job.output);
    measured
}

/// A part that fails takes nothing away from the others.
fn told<T>(measured: Result<Vec<T>, Failure>) -> Vec<T> {
    measured.unwrap_or_else(|failure| {
        eprintln!("bench: {failure}");
        Vec::new()
    })
}

impl<'a> Job<'a> {
    fn start(place: &Place, arguments: &'a Arguments, output: String) -> Result<Job<'a>, Failure> {
        let load = Load::fill(place, arguments)?;
        eprintln!("bench: {} keys are written", load.keys);
        let server = Server::start(arguments, &place.scratch.path().join("load"))?;
        let upload = |guest: &str| server.upload(REGISTERED, &arguments.guest(guest)?);
        let (old, next) = (upload("count_by_key")?, upload("measured_next")?);
        let traps = upload("measured_traps")?;
        let job = Job { arguments, server, name: NAME, old, next, traps, load, output, rate: 0.0 };
        job.server.apply(NAME, &job.document(&job.old))?;
        Ok(job)
    }

    fn all_parts(&mut self, place: &Place) -> Result<Outcome, Failure> {
        let keys = self.load.keys;
        wait("all keys to be read", || Ok((self.number("records_in")? >= keys).then_some(())))?;
        self.steady(0)?;
        let state_bytes = large_state::largest_checkpoint(&self.server.data.join("pipelines"));
        eprintln!("bench: {} MiB of state, {:.0} records/s", state_bytes >> 20, self.rate);
        let (repeat, parts) = (self.arguments.repeat, &self.arguments.parts);
        let count = |part: Part, times: usize| if parts.contains(&part) { times } else { 0 };
        let (times, half) = (count(Part::Swaps, repeat), repeat.div_ceil(2));
        let swaps = told(swaps::measure(self, times));
        let restarts = told(restarts::measure(self, count(Part::Restarts, half)));
        let rollbacks = told(rollbacks::measure(self, count(Part::Rollbacks, half)));
        told(self.stop().map(|()| Vec::<()>::new()));
        Ok(Outcome {
            state_bytes,
            keys,
            rate: self.rate,
            told: decided::read(&self.server.log, NAME)?,
            appended: appended::read(&place.topics, &self.arguments.brokers, &self.output, SUBTASKS)?,
            swaps,
            rollbacks,
            restarts,
        })
    }

    /// The pipeline file with a version of the operator.
    pub fn document(&self, version: &str) -> String {
        let (interval_ms, brokers) = (self.arguments.interval.as_millis(), &self.arguments.brokers);
        let (input, output) = (&self.load.topic, &self.output);
        format!(
            r#"name = "{NAME}"
parallelism = {SUBTASKS}
co_partitioned = true

[checkpoint]
interval = "{interval_ms}ms"

[kafka.main]
brokers = "{brokers}"

[source.input]
kind = "kafka"
topics = ["{input}"]

[operator.{OPERATOR}]
input = "input"
component = "{version}"

[sink.output]
kind = "kafka"
input = "{OPERATOR}"
topic = "{output}"
"#
        )
    }

    fn number(&self, name: &str) -> Result<u64, Failure> {
        Ok(self.server.status(NAME)?["running"][name].as_u64().unwrap_or(0))
    }

    /// Waits for so many decided checkpoints more.
    pub fn checkpoints(&self, more: u64) -> Result<(), Failure> {
        let wanted = self.number("checkpoints")? + more;
        wait("checkpoints", || Ok((self.number("checkpoints")? >= wanted).then_some(())))
    }

    /// Sees to it that the source does not run dry for so many seconds, and returns when the load is steady.
    pub fn steady(&mut self, seconds: u64) -> Result<UnixMs, Failure> {
        if self.rate == 0.0 {
            self.rate = self.look_at_rate()?;
        }
        let settling = self.seconds_of(2 * SETTLING_CHECKPOINTS as u32);
        let needed = (self.rate * LOAD_MARGIN * (seconds + settling) as f64) as u64;
        let waiting = self.number("lag")?;
        if waiting < needed {
            // A pipeline that reads faster than anybody writes would never have enough in front of it.
            self.stop()?;
            self.load.add(needed - waiting)?;
            self.server.post(&format!("/v1/pipelines/{NAME}/start"), &serde_json::json!({}))?;
            self.server.await_actual(NAME, "running")?;
        }
        let (before, begun) = (self.number("records_in")?, Instant::now());
        self.checkpoints(SETTLING_CHECKPOINTS)?;
        let read = self.number("records_in")? - before;
        self.rate = self.rate.max(read as f64 / begun.elapsed().as_secs_f64());
        Ok(clock::now())
    }

    /// Records per second, looked at once with enough of them waiting.
    fn look_at_rate(&mut self) -> Result<f64, Failure> {
        let mut records = RECORDS_FOR_RATE;
        loop {
            self.load.add(records)?;
            let (before, begun) = (self.number("records_in")?, Instant::now());
            thread::sleep(RATE_TIME);
            let read = self.number("records_in")? - before;
            let rate = read as f64 / begun.elapsed().as_secs_f64();
            if self.number("lag")? > 0 {
                return Ok(rate);
            }
            records *= 2;
        }
    }

    /// The time, if there were records all the while; none where the source ran dry: then nothing was measured, and more
    /// is written the next time.
    pub fn was_steady(&mut self) -> Result<Option<UnixMs>, Failure> {
        // Unknown for a moment behind a start: then it has not come to the end either.
        if self.server.status(NAME)?["running"]["lag"].as_u64() != Some(0) {
            return Ok(Some(clock::now()));
        }
        eprintln!("bench: the source ran dry: what was measured does not count");
        self.rate *= 2.0;
        Ok(None)
    }

    /// Intervals in whole seconds, at least one.
    pub fn seconds_of(&self, intervals: u32) -> u64 {
        (self.arguments.interval * intervals).as_secs().max(1)
    }

    /// Seconds in which so many records pass.
    pub fn seconds_for(&self, records: u64) -> u64 {
        (records as f64 / self.rate.max(1.0)) as u64 + 1
    }

    /// Stops the pipeline, gracefully.
    pub fn stop(&self) -> Result<(), Failure> {
        self.server.post(&format!("/v1/pipelines/{NAME}/stop"), &serde_json::json!({}))?;
        self.server.await_actual(NAME, "stopped")
    }

    /// Asks for a swap; returns when it was asked for, when it was accepted, and its id.
    pub fn swap(&self, body: &serde_json::Value) -> Result<(UnixMs, UnixMs, String), Failure> {
        let path = format!("/v1/pipelines/{NAME}/operators/{OPERATOR}/swap");
        let asked = clock::now();
        let swap = self.server.post(&path, body)?;
        let id = swap["id"].as_str().unwrap_or_default().to_owned();
        Ok((asked, clock::now(), id))
    }
}
