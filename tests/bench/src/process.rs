//! A child process, what it uses, and its end. It is killed when nobody waits for it any more.

use crate::failure::Failure;
use std::fs::{self, File};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How many of the log's last lines are shown when a process fails.
const LOG_LINES_SHOWN: usize = 20;

/// A measured process.
pub struct MeasuredProcess {
    pid: i32,
    /// When it was started.
    pub started: Instant,
    log: PathBuf,
    ended: Option<Ended>,
}

/// How a process ended.
#[derive(Debug, Clone, Copy)]
pub struct Ended {
    status: ExitStatus,
    /// User and system time of all of its threads.
    pub cpu: Duration,
}

impl MeasuredProcess {
    /// Starts a command; what it says goes to a file.
    pub fn start(command: &mut Command, log: &Path) -> Result<MeasuredProcess, Failure> {
        let file = File::create(log).map_err(Failure::of(log.display()))?;
        let copy = file.try_clone().map_err(Failure::of(log.display()))?;
        command.stdin(Stdio::null()).stdout(copy).stderr(file);
        // SAFETY: between fork and exec only a system call is made.
        unsafe {
            command.pre_exec(|| {
                // Should the bench be killed, its children go too.
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                Ok(())
            });
        }
        let started = Instant::now();
        let child = command.spawn().map_err(Failure::of(command.get_program().display()))?;
        let pid = i32::try_from(child.id()).expect("Linux's process ids fit");
        Ok(MeasuredProcess { pid, started, log: log.to_owned(), ended: None })
    }

    /// Its process id.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// CPU so far.
    pub fn cpu(&self) -> Option<Duration> {
        cpu_of(self.pid)
    }

    /// The most memory that was resident so far, in bytes; none once the process has ended. `ru_maxrss` would be at
    /// least that of the bench, of which the process was a copy at first.
    pub fn memory_peak_bytes(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib << 10)
    }

    /// How it ended, once it has. Only then is the process id given back to the system.
    pub fn ended(&mut self) -> Option<Ended> {
        self.ended = self.ended.or_else(|| self.wait(libc::WNOHANG));
        self.ended
    }

    /// A failure with the end of the log, unless the process ended well.
    pub fn succeeded(&self, ended: Ended) -> Result<(), Failure> {
        if ended.status.success() { Ok(()) } else { Err(self.failure(&ended.status.to_string())) }
    }

    /// A failure with the end of the log.
    pub fn failure(&self, what: &str) -> Failure {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let shown = &lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..];
        Failure::new(format!("{what}; the last lines of its log:\n{}", shown.join("\n")))
    }

    fn wait(&self, options: i32) -> Option<Ended> {
        let mut status = 0;
        // SAFETY: all zero is a valid value of this plain structure.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        // SAFETY: the pointers are valid for the call; the child is ours and not yet waited for.
        let pid = unsafe { libc::wait4(self.pid, &mut status, options, &mut usage) };
        let time = |time: libc::timeval| {
            Duration::from_secs(time.tv_sec as u64) + Duration::from_micros(time.tv_usec as u64)
        };
        let cpu = time(usage.ru_utime) + time(usage.ru_stime);
        (pid == self.pid).then(|| Ended { status: ExitStatus::from_raw(status), cpu })
    }
}

impl Drop for MeasuredProcess {
    fn drop(&mut self) {
        if self.ended.is_none() {
            // SAFETY: the child was not waited for, so the id is still its own.
            unsafe { libc::kill(self.pid, libc::SIGKILL) };
            self.wait(0);
        }
    }
}

/// User and system time of all threads of a process.
pub fn cpu_of(pid: i32) -> Option<Duration> {
    let mut clock: libc::clockid_t = 0;
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointers are valid for the calls.
    let read = unsafe {
        libc::clock_getcpuclockid(pid, &mut clock) == 0 && libc::clock_gettime(clock, &mut time) == 0
    };
    read.then(|| Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_of_a_process_is_known_and_grows() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let before = cpu_of(pid).unwrap();
        while cpu_of(pid).unwrap() == before {}
    }

    #[test]
    fn a_process_that_fails_is_told_with_the_end_of_its_log() {
        let log = std::env::temp_dir().join(format!("weir-bench-log-{}", std::process::id()));
        let mut command = Command::new("sh");
        let mut process = MeasuredProcess::start(command.args(["-c", "echo why >&2; exit 3"]), &log).unwrap();
        let ended = loop {
            if let Some(ended) = process.ended() {
                break ended;
            }
            std::thread::yield_now();
        };
        assert!(process.succeeded(ended).unwrap_err().to_string().ends_with("why"));
        fs::remove_file(log).unwrap();
    }
}
