//! Our own binary as a child process with limits of memory, processor time and wall time, for components that nobody
//! trusts yet.

use serde::de::DeserializeOwned;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use weir_control::host::{Reason, Refused};

/// Private memory: compiling a component of 18 MB takes less than half of it.
const MEMORY_BYTES_MAX: u64 = 2 << 30;
/// Processor time, over all threads.
const CPU_SECONDS_MAX: u64 = 120;
/// From the start of the process to its end: twice the processor time, for a machine that is busy with pipelines.
const WALL_TIME_MAX: Duration = Duration::from_secs(240);
/// Bytes of an answer, and of what is logged.
const ANSWER_BYTES_MAX: u64 = 64 << 20;
/// How often the process is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);
/// What a process ends with when our own code says that its input is at fault.
const EXIT_CONFIGURATION: i32 = 2;

/// What a child process said.
pub struct Answer<T> {
    /// Its answer.
    pub value: T,
    /// Lines of standard error.
    pub said: Vec<String>,
}

/// Runs `weir child WORK`.
pub fn run<T: DeserializeOwned>(
    work: &str,
    component: &Path,
    compiled: &Path,
    input: &str,
) -> Result<Answer<T>, Refused> {
    let mut child = start(work, component, compiled).map_err(|error| {
        refused(Reason::Unavailable, format!("the process that looks at components does not start: {error}"))
    })?;
    // A child that reads slowly or not at all must not keep us from its deadline.
    let mut stdin = child.stdin.take();
    let input = input.to_owned();
    let writer = std::thread::spawn(move || {
        if let Some(stdin) = &mut stdin {
            // A child that ended early has said why.
            let _ = stdin.write_all(input.as_bytes());
        }
    });
    let (answer, said) = (collect(child.stdout.take()), collect(child.stderr.take()));
    let status = wait(&mut child);
    let _ = writer.join();
    let (answer, said) = (text(answer), text(said));
    let status = status?;
    let lines: Vec<String> = said.lines().map(str::to_owned).collect();
    if status.success() {
        return match serde_json::from_str(&answer) {
            Ok(value) => Ok(Answer { value, said: lines }),
            Err(error) => Err(refused(Reason::Unavailable, format!("the answer cannot be read: {error}"))),
        };
    }
    Err(failed(status, &lines))
}

fn start(work: &str, component: &Path, compiled: &Path) -> std::io::Result<Child> {
    // Also where the file of this process was replaced: the same version looks at components as runs them.
    Command::new("/proc/self/exe")
        .args(["child", work])
        .arg(component)
        .arg("--compiled")
        .arg(compiled)
        .args(["--memory-bytes-max", &MEMORY_BYTES_MAX.to_string()])
        .args(["--cpu-seconds-max", &CPU_SECONDS_MAX.to_string()])
        // Nothing of the host's surroundings is the component's business.
        .env_clear()
        .current_dir(PathBuf::from("/"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
}

fn collect(stream: Option<impl Read + Send + 'static>) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(stream) = stream {
            // What cannot be read is as if it was not said; the exit code tells.
            let _ = stream.take(ANSWER_BYTES_MAX).read_to_end(&mut bytes);
        }
        bytes
    })
}

fn text(collected: JoinHandle<Vec<u8>>) -> String {
    String::from_utf8_lossy(&collected.join().unwrap_or_default()).into_owned()
}

fn wait(child: &mut Child) -> Result<ExitStatus, Refused> {
    let begun = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status),
            Ok(None) if begun.elapsed() < WALL_TIME_MAX => std::thread::sleep(LOOK_INTERVAL),
            Ok(None) => {
                // It is ours, and past its deadline.
                let _ = child.kill();
                let _ = child.wait();
                return Err(refused(
                    Reason::LimitExceeded,
                    format!("looking at the component took longer than {WALL_TIME_MAX:?}"),
                ));
            }
            Err(error) => return Err(refused(Reason::Unavailable, format!("the process is lost: {error}"))),
        }
    }
}

fn failed(status: ExitStatus, said: &[String]) -> Refused {
    let last = said.iter().rev().find_map(|line| line.strip_prefix("weir: error: "));
    if let Some(line) = last {
        let reason = if status.code() == Some(EXIT_CONFIGURATION) {
            Reason::InvalidComponent
        } else {
            Reason::Unavailable
        };
        return refused(reason, line.to_owned());
    }
    let how = match status.signal() {
        Some(signal) => format!("signal {signal}"),
        None => format!("exit code {}", status.code().unwrap_or(-1)),
    };
    refused(
        Reason::LimitExceeded,
        format!(
            "the process that looked at the component ended with {how}: it may use {} MiB of memory and {CPU_SECONDS_MAX} s of processor time",
            MEMORY_BYTES_MAX >> 20
        ),
    )
}

fn refused(reason: Reason, message: String) -> Refused {
    Refused { reason, message, hint: None, problems: vec![] }
}
