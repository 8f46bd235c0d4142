//! `bench`: weir beside native floors, on one broker, over one input; and `bench state`, a keyed pipeline beside one
//! without state; and `bench swap`, the server.
//!
//! One command measures everything side by side, because numbers of two days or two machines say nothing.
//!
//! - [`arguments`]: the command line; [`plan`]: which runs it asks for
//! - [`fill`]: the input; [`topics`]: topics and how far they are
//! - [`floor`]: what a native program without WebAssembly needs for the same work, run as a process of its own
//! - [`weir`]: the pipeline files; [`settings`]: weir's Kafka settings, for the floors
//! - [`run`]: one measured run; [`process`], [`broker`], [`progress`]: what is looked at meanwhile
//! - [`check`]: every record once, read as a consumer of committed data reads it
//! - [`report`]: the table, the ratios and the JSON file
//! - [`state`]: the bench of keyed state: `bench state`
//! - [`swap`]: the bench of the server, its swaps and many pipelines: `bench swap`
//! - [`large_state`]: state that is filled fast, for both

mod arguments;
mod broker;
mod check;
mod failure;
mod fill;
mod floor;
mod large_state;
mod outcome;
mod plan;
mod process;
mod progress;
mod reader;
mod report;
mod run;
mod scratch;
mod settings;
mod state;
mod swap;
mod topics;
mod weir;

use arguments::{Arguments, Asked};
use failure::Failure;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match perform(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("bench: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn perform(arguments: &[String]) -> Result<(), Failure> {
    if let [first, rest @ ..] = arguments
        && first == floor::COMMAND
    {
        return floor::perform(&floor::Order::from_arguments(rest)?);
    }
    if let [first, rest @ ..] = arguments
        && first == state::COMMAND
    {
        return state::perform(rest);
    }
    if let [first, rest @ ..] = arguments
        && first == swap::COMMAND
    {
        return swap::perform(rest);
    }
    match arguments::read(arguments)? {
        Asked::Help => {
            print!("{}", arguments::HELP);
            Ok(())
        }
        Asked::Bench(arguments) => bench(&arguments),
    }
}

/// Fills the input, measures every run, reports.
fn bench(arguments: &Arguments) -> Result<(), Failure> {
    let place = plan::Place::prepare(arguments)?;
    let filled = fill::fill(&place, arguments)?;
    eprintln!("bench: {} records in {:.1} s: {}", arguments.records, filled.as_secs_f64(), place.input);
    let mut outcomes = Vec::new();
    let runs = plan::runs(arguments);
    for (index, asked) in runs.iter().enumerate() {
        eprint!("bench: run {} of {}: {asked} ... ", index + 1, runs.len());
        let outcome = run::run(&place, arguments, asked, index).inspect_err(|_| eprintln!())?;
        eprintln!("{:.0} records/s", outcome.records_per_second());
        outcomes.push(outcome);
    }
    report::print(arguments, &outcomes);
    if let Some(file) = &arguments.json {
        report::write(file, arguments, &outcomes)?;
    }
    Ok(())
}
