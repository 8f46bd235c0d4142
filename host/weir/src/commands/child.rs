//! `weir child`: work on a component that nobody trusts yet, in a process of its own. Not for people.
//!
//! The process limits itself before it reads the first byte, so a hostile or huge component can hurt nothing else. Its
//! answer is one line of JSON on standard output; what the operator logs goes to standard error.

use super::test::{Tried, try_lines};
use crate::failure::{Exit, Failure};
use crate::serve::inspected::inspected;
use rustix::process::{Resource, Rlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};
use serde_json::json;
use std::io::Read;
use std::path::{Path, PathBuf};
use weir_control::host::OperatorTest;
use weir_wasm::{Engine, Prepared};

/// Work in a child process.
#[derive(Debug, clap::Subcommand)]
pub enum ChildCommand {
    /// Validate and compile a component, and say what it is
    Inspect(Options),
    /// Run sample records through a component
    Test(Options),
}

/// What is worked on, and within which limits.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The component
    component: PathBuf,
    /// Where compiled components are kept
    #[arg(long, value_name = "DIR")]
    compiled: PathBuf,
    /// Private memory of this process
    #[arg(long, value_name = "BYTES")]
    memory_bytes_max: u64,
    /// Processor time of this process
    #[arg(long, value_name = "SECONDS")]
    cpu_seconds_max: u64,
}

/// Does it. A component that is no good is a failure of configuration.
pub fn run(command: &ChildCommand) -> Result<Exit, Failure> {
    match command {
        ChildCommand::Inspect(options) => {
            let prepared = prepare(options)?;
            println!("{}", json!(inspected(&prepared)));
        }
        ChildCommand::Test(options) => {
            let mut text = String::new();
            std::io::stdin()
                .read_to_string(&mut text)
                .map_err(|error| Failure::failed(format!("standard input: {error}")))?;
            let asked: OperatorTest = serde_json::from_str(&text)
                .map_err(|error| Failure::configuration(format!("the test: {error}")))?;
            let prepared = prepare(options)?;
            let problems = prepared.check_config(&asked.config);
            if !problems.is_empty() {
                return Err(Failure::configuration(problems.join("; ")));
            }
            let lines: String = asked.input.iter().map(|line| format!("{line}\n")).collect();
            let Tried { output, rejections } = try_lines(&prepared, &lines, asked.config)?;
            println!(
                "{}",
                json!({"output": output, "rejections": rejections, "cpu_us": cpu_us(), "memory_bytes": peak_memory_bytes()})
            );
        }
    }
    Ok(Exit::Done)
}

fn prepare(options: &Options) -> Result<Prepared, Failure> {
    limit(options)?;
    let bytes = read(&options.component)?;
    let engine =
        Engine::new(Some(options.compiled.clone())).map_err(|error| Failure::failed(error.to_string()))?;
    engine.load(&bytes).map_err(|error| Failure::configuration(error.to_string()))
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| Failure::failed(format!("{}: {error}", path.display())))
}

/// Address space is not limited: the engine reserves much more of it than it ever uses.
fn limit(options: &Options) -> Result<(), Failure> {
    let limits = [
        (Resource::Data, options.memory_bytes_max),
        (Resource::Cpu, options.cpu_seconds_max),
        // A core file of a hostile component is of no use to anybody.
        (Resource::Core, 0),
    ];
    for (resource, most) in limits {
        setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })
            .map_err(|error| Failure::failed(format!("limits of the process cannot be set: {error}")))?;
    }
    Ok(())
}

fn cpu_us() -> u64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec.unsigned_abs() * 1_000_000 + time.tv_nsec.unsigned_abs() / 1000
}

/// `VmHWM` of this process; 0 where it cannot be read.
fn peak_memory_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    kilobytes.map_or(0, |kilobytes| kilobytes * 1024)
}
