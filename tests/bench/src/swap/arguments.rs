//! The command line of `bench swap`, and the environment that `cargo xtask bench` sets.

use crate::arguments::{duration, list, number};
use crate::failure::Failure;
use std::env;
use std::path::PathBuf;
use std::time::Duration;

/// What `--help` prints.
pub const HELP: &str = "\
Measures the server: swaps of an operator with much state under the highest steady load, beside ordinary checkpoints of
the same run and beside stop, change and start of the same pipeline.

Usage: cargo xtask bench swap [OPTIONS]

  --parts LIST       of swaps, rollbacks, restarts, uploads, idle [all]
  --state SIZE       bytes of state, such as 100M, 1G [1G]
  --memory SIZE      memory for the state of the server, such as 512M [512M]
  --interval TIME    checkpoint interval [2s]
  --repeat N         swaps; half as many rollbacks and restarts [6]
  --pipelines N      idle pipelines in one host [50]
  --idle-time TIME   how long they are watched [60s]
  --quick            10M of state, 2 swaps, 5 pipelines for 10 s

swaps      to another version and back, each after some ordinary checkpoints
rollbacks  to a version that traps at the last record of each half million
restarts   stop, another version in the document, start
uploads    a component of 20 KB, and one of 18 MB (Python, made with componentize-py from PyPI)
idle       stateless pipelines from an empty topic to another

Environment: see cargo xtask bench -- --help; WEIR_BENCH_WIT is the folder of the contract
";

/// What the command line asks for.
pub enum Asked {
    /// The help text.
    Help,
    /// Measurements.
    Bench(Box<Arguments>),
}

/// What a bench consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Swaps to a version that behaves.
    Swaps,
    /// Swaps to one that takes itself back.
    Rollbacks,
    /// Stop, change and start.
    Restarts,
    /// Uploads.
    Uploads,
    /// Many pipelines that do nothing.
    Idle,
}

impl Part {
    const ALL: &[(&str, Part)] = &[
        ("swaps", Part::Swaps),
        ("rollbacks", Part::Rollbacks),
        ("restarts", Part::Restarts),
        ("uploads", Part::Uploads),
        ("idle", Part::Idle),
    ];

    fn named(name: &str) -> Result<Part, Failure> {
        let found = Part::ALL.iter().find(|(known, _)| *known == name);
        found
            .map(|(_, part)| *part)
            .ok_or_else(|| Failure::new(format!("--parts: {name:?} is no part; see --help")))
    }

    /// True where it needs the pipeline under load.
    pub fn is_under_load(self) -> bool {
        matches!(self, Part::Swaps | Part::Rollbacks | Part::Restarts)
    }
}

/// What is measured, and with what.
#[derive(Debug, Clone)]
pub struct Arguments {
    /// Which parts.
    pub parts: Vec<Part>,
    /// Bytes of state.
    pub state_bytes: u64,
    /// Memory for it.
    pub memory_bytes: u64,
    /// The checkpoint interval.
    pub interval: Duration,
    /// How many swaps.
    pub repeat: usize,
    /// How many idle pipelines.
    pub pipelines: usize,
    /// How long they are watched.
    pub idle_time: Duration,
    /// `host:port` of the broker.
    pub brokers: String,
    /// The weir binary.
    pub weir: PathBuf,
    /// The folder of the guests.
    pub guests: PathBuf,
    /// The folder of the contract.
    pub wit: PathBuf,
}

/// Reads the command line and the environment.
pub fn read(arguments: &[String]) -> Result<Asked, Failure> {
    let from_environment = |name: &str| env::var(name).unwrap_or_default();
    let mut read = Arguments {
        parts: Part::ALL.iter().map(|(_, part)| *part).collect(),
        state_bytes: 1 << 30,
        memory_bytes: 512 << 20,
        interval: Duration::from_secs(2),
        repeat: 6,
        pipelines: 50,
        idle_time: Duration::from_secs(60),
        brokers: from_environment("WEIR_BENCH_KAFKA"),
        weir: from_environment("WEIR_BENCH_BIN").into(),
        guests: from_environment("WEIR_BENCH_GUESTS").into(),
        wit: from_environment("WEIR_BENCH_WIT").into(),
    };
    let mut arguments = arguments.iter();
    while let Some(name) = arguments.next() {
        match name.as_str() {
            "--help" | "-h" => return Ok(Asked::Help),
            "--quick" => read.quick(),
            _ => {
                let (name, value) = match name.split_once('=') {
                    Some((name, value)) => (name, Some(value)),
                    None => (name.as_str(), arguments.next().map(String::as_str)),
                };
                let value = value.ok_or_else(|| Failure::new(format!("{name} needs a value; see --help")))?;
                read.set(name, value)?;
            }
        }
    }
    if read.brokers.is_empty() {
        return Err(Failure::new("WEIR_BENCH_KAFKA is not set; run `cargo xtask bench swap`"));
    }
    Ok(Asked::Bench(Box::new(read)))
}

impl Arguments {
    fn quick(&mut self) {
        self.state_bytes = 10 << 20;
        self.repeat = 2;
        self.pipelines = 5;
        self.idle_time = Duration::from_secs(10);
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), Failure> {
        match name {
            "--parts" => self.parts = list(value, Part::named)?,
            "--state" => self.state_bytes = size(name, value)?,
            "--memory" => self.memory_bytes = size(name, value)?,
            "--interval" => self.interval = duration(value)?,
            "--repeat" => self.repeat = number(name, value)?,
            "--pipelines" => self.pipelines = number(name, value)?,
            "--idle-time" => self.idle_time = duration(value)?,
            _ => return Err(Failure::new(format!("{name} is not an option; see --help"))),
        }
        Ok(())
    }

    /// A guest that was built.
    pub fn guest(&self, name: &str) -> Result<Vec<u8>, Failure> {
        let file = self.guests.join(format!("{name}.wasm"));
        std::fs::read(&file).map_err(Failure::of(format!("WEIR_BENCH_GUESTS: {}", file.display())))
    }
}

/// A size such as 100M or 1G.
fn size(name: &str, text: &str) -> Result<u64, Failure> {
    let (digits, shift) = match (text.strip_suffix('M'), text.strip_suffix('G')) {
        (Some(digits), _) => (digits, 20),
        (_, Some(digits)) => (digits, 30),
        _ => (text, 0),
    };
    Ok(number::<u64>(name, digits)? << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_has_a_unit_or_is_bytes() {
        assert_eq!(size("--state", "100M").unwrap(), 100 << 20);
        assert_eq!(size("--state", "1G").unwrap(), 1 << 30);
        assert_eq!(size("--state", "7").unwrap(), 7);
        assert!(size("--state", "1X").is_err());
    }

    #[test]
    fn parts_are_named() {
        assert_eq!(list("swaps,idle", Part::named).unwrap(), [Part::Swaps, Part::Idle]);
        assert!(
            Part::named("swap").is_err() && Part::Restarts.is_under_load() && !Part::Idle.is_under_load()
        );
    }
}
