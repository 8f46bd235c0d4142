//! `bench swap`: what a swap under load costs beside an ordinary checkpoint and beside stop, change and start; how soon a
//! bad version has taken itself back; uploads; many idle pipelines in one host.
//!
//! - [`arguments`]: the command line; [`server`]: `weir serve` and a client; [`clock`]: times of three programs
//! - [`load`]: the input, never empty while something is measured; [`job`]: the pipeline that is measured
//! - [`swaps`], [`rollbacks`], [`restarts`]: what is done to it; [`decided`], [`appended`]: what it left, read afterwards
//! - [`windows`]: the longest time without a record, per checkpoint: pure
//! - [`uploads`], [`python`]: from the upload to a version that can be used; [`idle`]: many pipelines that do nothing
//! - [`memory`]: memory of a process; [`spread`]: medians; [`report`]: the tables

mod appended;
mod arguments;
mod clock;
mod decided;
mod idle;
mod job;
mod load;
mod memory;
mod python;
mod report;
mod restarts;
mod rollbacks;
mod server;
mod spread;
mod swaps;
mod uploads;
mod windows;

use crate::failure::Failure;
use crate::scratch::Scratch;
use crate::topics::Topics;
use arguments::{Asked, Part};

/// The word on the command line that asks for this bench.
pub const COMMAND: &str = "swap";

/// Partitions of the topics of the pipeline that is measured: each subtask has two.
const PARTITIONS: i32 = 4;

/// Where everything happens. Files go when it is dropped.
struct Place {
    topics: Topics,
    /// In every name that is used.
    id: String,
    scratch: Scratch,
}

/// Measures what the command line asks for.
pub fn perform(arguments: &[String]) -> Result<(), Failure> {
    let arguments = match arguments::read(arguments)? {
        Asked::Help => {
            print!("{}", arguments::HELP);
            return Ok(());
        }
        Asked::Bench(arguments) => *arguments,
    };
    let id = format!("weir-bench-swap-{}", std::process::id());
    let place =
        Place { topics: Topics::connect(&arguments.brokers, PARTITIONS)?, scratch: Scratch::make(&id)?, id };
    report::print_head(&arguments);
    if arguments.parts.iter().any(|part| part.is_under_load()) {
        report::print_load(&job::measure(&place, &arguments)?);
    }
    if arguments.parts.contains(&Part::Uploads) {
        report::print_uploads(&uploads::measure(&place, &arguments)?);
    }
    if arguments.parts.contains(&Part::Idle) {
        report::print_idle(&idle::measure(&place, &arguments)?);
    }
    Ok(())
}
