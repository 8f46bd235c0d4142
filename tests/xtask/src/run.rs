//! Running other programs: cargo with a clean environment, probes, and exit codes that pass through.

use crate::checkout::Checkout;
use crate::stop::{CODE_FAILED, Stop};
use std::env;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How often a child with a deadline is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// The cargo that runs this program, in the checkout, building to the checkout's target directory.
///
/// `cargo run` tells its child about the package xtask. Those variables would reach build scripts further down and
/// make them run again, so they are taken away.
pub fn cargo(checkout: &Checkout) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command.current_dir(checkout.root()).env("CARGO_TARGET_DIR", checkout.target());
    command
}

/// Runs a program that talks to the terminal itself; its failure becomes a [`Stop`] with this explanation.
pub fn visibly(command: &mut Command, failure: &str) -> Result<(), Stop> {
    let status = status(command)?;
    if status.success() {
        return Ok(());
    }
    Err(Stop { message: failure.to_owned(), code: code(status) })
}

/// Runs the program that is the point of the chore: its words are the last, and its code is ours.
pub fn as_last(command: &mut Command) -> Result<(), Stop> {
    let status = status(command)?;
    if status.success() { Ok(()) } else { Err(Stop::silent(code(status))) }
}

fn status(command: &mut Command) -> Result<ExitStatus, Stop> {
    command.status().map_err(|error| cannot_start(command, &error))
}

fn cannot_start(command: &Command, error: &std::io::Error) -> Stop {
    Stop::failed(format!("cannot start {}: {error}", command.get_program().display()))
}

fn code(status: ExitStatus) -> u8 {
    status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(CODE_FAILED)
}

/// What a program prints (stdout, then stderr) if it succeeds; `None` if it fails or does not exist.
pub fn output(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| {
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.push_str(&String::from_utf8_lossy(&output.stderr));
        text
    })
}

/// Whether a program succeeds, quietly, before the deadline; past it the program is killed.
pub fn succeeds(command: &mut Command, deadline: Duration) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let Ok(mut child) = quiet.spawn() else { return false };
    let begun = Instant::now();
    while begun.elapsed() < deadline {
        match child.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) => sleep(POLL_INTERVAL),
            Err(_) => return false,
        }
    }
    // A program that ended in this very moment cannot be killed, and need not be.
    let _ = child.kill();
    let _ = child.wait();
    false
}

/// Where a program is on the search path.
pub fn on_path(program: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join(program)).find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::{on_path, succeeds};
    use std::process::Command;
    use std::time::{Duration, Instant};

    #[test]
    fn a_program_past_its_deadline_has_not_succeeded() {
        let begun = Instant::now();
        assert!(!succeeds(Command::new("sleep").arg("30"), Duration::from_millis(100)));
        assert!(begun.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn a_program_that_does_not_exist_is_not_on_the_path() {
        assert!(on_path("sh").is_some());
        assert!(on_path("no-such-program-of-weir").is_none());
    }
}
