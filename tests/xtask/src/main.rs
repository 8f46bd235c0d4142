//! The command line of `cargo xtask`: which chores there are. Each chore is the file of its name.

mod bench;
mod broker;
mod checkout;
mod debian;
mod demo;
mod guests;
mod kafka;
mod prerequisites;
mod python;
mod run;
mod sim;
mod soak;
mod step;
mod stop;
mod test;
mod toolchain;
mod weir_binary;

use checkout::Checkout;
use clap::{Parser, Subcommand};
use std::process::ExitCode;
use stop::Stop;

/// Chores of weir.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Build weir and show it at work.
    Demo(demo::Options),
    /// Run all tests against a real broker; arguments go to `cargo test`.
    Test(test::Options),
    /// Check seeds of the simulation; no broker is needed.
    Sim(sim::Options),
    /// Run a pipeline with state under load and random faults; arguments go to the soak program.
    Soak(soak::Options),
    /// Build for release and measure; arguments go to the bench program.
    Bench(bench::Options),
    /// Start, stop or show a real Apache Kafka.
    Kafka(kafka::Options),
    /// Build the guests to target/guests/NAME.wasm.
    Guests(guests::Options),
    /// Check for, and where it may, install what the machine lacks.
    Prerequisites,
}

fn perform(chore: Chore) -> Result<(), Stop> {
    let checkout = Checkout::find()?;
    match chore {
        Chore::Demo(options) => demo::run(&checkout, &options),
        Chore::Test(options) => test::run(&checkout, &options),
        Chore::Sim(options) => sim::run(&checkout, &options),
        Chore::Soak(options) => soak::run(&checkout, &options),
        Chore::Bench(options) => bench::run(&checkout, &options),
        Chore::Kafka(options) => kafka::run(&checkout, &options),
        Chore::Guests(options) => guests::run(&checkout, &options),
        Chore::Prerequisites => prerequisites::run(&checkout),
    }
}

fn main() -> ExitCode {
    // The code is returned, not passed to `exit`, so that a broker owned by the chore is stopped first.
    match perform(Cli::parse().chore) {
        Ok(()) => ExitCode::SUCCESS,
        Err(stop) => {
            if !stop.message.is_empty() {
                eprintln!("{}", stop.message);
            }
            ExitCode::from(stop.code)
        }
    }
}
