//! A pipeline in a process of its own that is killed in the middle, again and again, and started again.

use super::{log, weir};
use crate::failure::Failure;
use rustix::process::{Pid, Signal, kill_process};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};
use weir_protocol::epoch::CheckpointId;

/// How often it is looked whether the checkpoint number has moved on.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);
/// Checkpoints of each life before it is killed.
const CHECKPOINTS_BEFORE_KILL: u64 = 2;
/// A pipeline that decides nothing for this long is stuck.
const STUCK_AFTER: Duration = Duration::from_secs(120);

/// How often it died, and how long each recovery took.
#[derive(Debug, Default)]
pub struct Recoveries {
    /// Deaths by SIGKILL, by the demo or by the watcher.
    pub kills: u32,
    times: Vec<Duration>,
}

impl Recoveries {
    /// The middle one.
    pub fn median(&self) -> Option<Duration> {
        let mut times = self.times.clone();
        times.sort();
        times.get(times.len() / 2).copied()
    }

    /// The longest one.
    pub fn longest(&self) -> Option<Duration> {
        self.times.iter().max().copied()
    }
}

/// How a life of the process ended.
enum Ended {
    Finished,
    Killed,
}

/// The run.
pub struct KilledRun {
    directory: PathBuf,
    pipeline: &'static str,
    kills_left: u32,
    recoveries: Recoveries,
    died: Option<Instant>,
}

impl KilledRun {
    /// A run of `<pipeline>.toml` in the demo's directory.
    pub fn new(directory: &Path, pipeline: &'static str, kills: u32) -> KilledRun {
        let recoveries = Recoveries::default();
        KilledRun { directory: directory.to_owned(), pipeline, kills_left: kills, recoveries, died: None }
    }

    /// Until the pipeline comes to its end.
    pub fn until_finished(mut self) -> Result<Recoveries, Failure> {
        loop {
            let child = weir(&self.directory, self.pipeline, &["--until-end"])?;
            if let Ended::Finished = self.live(child, &mut || false)? {
                return Ok(self.recoveries);
            }
        }
    }

    /// While another process feeds it, and then until its end.
    pub fn until_fed(mut self, feeder: &mut Child) -> Result<Recoveries, Failure> {
        let mut fed = None;
        while fed.is_none() || self.kills_left > 0 {
            let child = weir(&self.directory, self.pipeline, &[])?;
            let mut enough = || {
                fed = fed.or(feeder.try_wait().ok().flatten());
                fed.is_some()
            };
            if let Ended::Finished = self.live(child, &mut enough)? {
                break;
            }
        }
        if !feeder.wait().is_ok_and(|status| status.success()) {
            let log = log(&self.directory, "fill");
            return Err(Failure::failed(format!("the input could not be written; see {log}")));
        }
        self.kills_left = 0;
        self.until_finished()
    }

    /// One life: until it ends by itself, is killed, or `enough` asks it to stop.
    fn live(&mut self, mut child: Child, enough: &mut dyn FnMut() -> bool) -> Result<Ended, Failure> {
        println!("running as process {}: kill -9 it if you like", child.id());
        let before = self.decided();
        let (mut first, mut moved): (Option<CheckpointId>, _) = (None, Instant::now());
        let (mut last, mut stopping) = (before.clone(), false);
        loop {
            if let Ok(Some(status)) = child.try_wait() {
                return self.ended(status);
            }
            let now = self.decided();
            if now != last {
                (last, moved) = (now.clone(), Instant::now());
            }
            let new_life =
                now.filter(|id| before.as_ref().is_none_or(|old| old.incarnation != id.incarnation));
            if let Some(id) = &new_life
                && first.is_none()
            {
                self.recoveries.times.extend(self.died.take().map(|died| died.elapsed()));
                first = Some(id.clone());
            }
            let lived =
                first.as_ref().zip(new_life.as_ref()).map_or(0, |(first, id)| id.epoch.0 - first.epoch.0);
            if self.kills_left > 0 && lived >= CHECKPOINTS_BEFORE_KILL {
                self.kills_left -= 1;
                println!(
                    "kill -9 {} behind checkpoint {}",
                    child.id(),
                    first.map_or(0, |first| first.epoch.0 + lived)
                );
                child.kill().map_err(|error| Failure::failed(format!("kill: {error}")))?;
                let status = child.wait().map_err(|error| Failure::failed(format!("wait: {error}")))?;
                return self.ended(status);
            }
            // Once: a second signal would stop it without a last checkpoint.
            if !stopping && self.kills_left == 0 && lived > 0 && enough() {
                stopping = true;
                stop(&child);
            }
            if moved.elapsed() > STUCK_AFTER {
                let _ = child.kill();
                return Err(self.failed("it does not go on"));
            }
            std::thread::sleep(LOOK_INTERVAL);
        }
    }

    fn ended(&mut self, status: ExitStatus) -> Result<Ended, Failure> {
        if status.success() {
            return Ok(Ended::Finished);
        }
        if status.signal().is_some() {
            self.recoveries.kills += 1;
            self.died = Some(Instant::now());
            return Ok(Ended::Killed);
        }
        Err(self.failed(&format!("it ended with {status}")))
    }

    fn failed(&self, why: &str) -> Failure {
        let path = log(&self.directory, self.pipeline);
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let last = text.lines().last().unwrap_or("nothing was logged");
        Failure::failed(format!("{why}: {last} (all of it is in {path})"))
    }

    /// The last decision that the data directory tells of.
    fn decided(&self) -> Option<CheckpointId> {
        let pipelines = self.directory.join(format!("data-{}/pipelines", self.pipeline));
        let pipeline = std::fs::read_dir(pipelines).ok()?.next()?.ok()?.path();
        let hint = std::fs::read_to_string(pipeline.join("LAST_COMMITTED")).ok()?;
        CheckpointId::parse(hint.split_whitespace().next()?)
    }
}

/// Asks for a graceful stop.
fn stop(child: &Child) {
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        // It may have ended meanwhile.
        let _ = kill_process(pid, Signal::TERM);
    }
}
