//! The binary: the command line, the pipeline file, logging and signals, and which adapter implements which seam.
//!
//! - [`commands`]: one file per command
//! - [`pipeline_file`]: TOML in, a plan or all of its problems out
//! - [`pipeline_place`]: where checkpoints and savepoints are, for commands beside a running host
//! - [`component_store`], [`savepoint_schedule`]: what a run keeps for savepoints, and when it takes them
//! - [`components`]: the operators of a plan, compiled and checked
//! - [`connectors`]: the one list of adapters
//! - [`dead_letters`]: what is in the sinks of dead letters, and which of it a replay would take
//! - [`serve`]: what the control plane asks of this host
//! - [`state_lines`]: entries of keyed state as people read them
//! - [`metrics`]: probes and metrics, and the list of all there are; [`rates`], [`sampling`], [`memory`]: what they read
//! - [`logging`], [`status`], [`signals`]: what a person sees and says while a pipeline runs
//! - `kill_points`: with the feature of that name, where a test ends the process

mod called;
mod commands;
mod component_store;
mod components;
mod connectors;
mod dead_letters;
mod explained;
mod failure;
mod guest_voice;
#[cfg(test)]
mod help_texts;
#[cfg(feature = "kill-points")]
mod kill_points;
mod logging;
mod memory;
mod metrics;
mod offsets;
mod online;
mod pipeline_file;
mod pipeline_place;
mod prepared_pipeline;
mod rates;
#[cfg(test)]
mod refusal_texts;
mod sampling;
mod savepoint_schedule;
mod serve;
mod signals;
mod state_lines;
mod status;

use clap::Parser;

/// A stream host whose operators are WebAssembly components: exactly once, through any crash.
#[derive(Debug, Parser)]
#[command(name = "weir", version, disable_help_subcommand = true, arg_required_else_help = true)]
struct CommandLine {
    #[command(subcommand)]
    command: commands::Command,
}

fn main() {
    #[cfg(feature = "kill-points")]
    kill_points::install();
    let command_line = match CommandLine::try_parse() {
        Ok(command_line) => command_line,
        Err(error) => failure::leave(answer_usage(&error)),
    };
    match command_line.command.perform() {
        Ok(exit) => exit.leave(),
        Err(failure) => {
            failure.print();
            failure.exit.leave()
        }
    }
}

/// Help goes to standard output and is no error; everything else is, in the form of all our errors.
fn answer_usage(error: &clap::Error) -> i32 {
    if !error.use_stderr() || error.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    {
        // A closed pipe is no reason to fail.
        let _ = error.print();
    } else {
        let text = error.render().to_string();
        eprint!("weir: {}", text.trim_start());
    }
    error.exit_code()
}
