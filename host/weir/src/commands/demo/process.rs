//! This very program in a process of its own, which does not outlive the value that stands for it.

use crate::failure::Failure;
use rustix::process::{Pid, Signal, kill_process};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long a graceful stop may take.
const STOP_TIME_MAX: Duration = Duration::from_secs(20);
/// How often it is looked at a process.
pub const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// A child process. Its standard error is added to a log.
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts weir with these arguments; the log is `<name>.log`.
    pub fn start(
        directory: &Path,
        name: &str,
        arguments: &[&str],
        output: Stdio,
    ) -> Result<Process, Failure> {
        let cannot = |error: std::io::Error| Failure::failed(format!("weir cannot start itself: {error}"));
        let log = directory.join(format!("{name}.log"));
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&log).map_err(cannot)?;
        let child = Command::new(std::env::current_exe().map_err(cannot)?)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(file)
            .spawn()
            .map_err(cannot)?;
        Ok(Process { child, log })
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it prints, where that is piped; once.
    pub fn output(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// How it has ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// `kill -9`, and waits until it is gone.
    pub fn kill(&mut self) {
        // Both fail only where it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn terminate(&self) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // It may have ended meanwhile.
            let _ = kill_process(pid, Signal::TERM);
        }
    }

    /// Stops it gracefully.
    pub fn stop(&mut self, otherwise: &str) -> Result<(), Failure> {
        self.terminate();
        let asked = Instant::now();
        while self.ended().is_none() {
            if asked.elapsed() > STOP_TIME_MAX {
                return Err(self.failed(otherwise));
            }
            std::thread::sleep(LOOK_INTERVAL);
        }
        Ok(())
    }

    /// The failure of a process that has not done what it should: its last words, and where all of them are.
    pub fn failed(&self, why: &str) -> Failure {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let last = text.lines().last().unwrap_or("nothing was logged");
        Failure::failed(format!("{why}: {last} (all of it is in {})", self.log.display()))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
