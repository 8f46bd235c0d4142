//! `cargo xtask soak`: a pipeline with state under load, faults in an order that a seed decides, and an independent
//! reader that compares the output with a model all the time.
//!
//! A life is one of `weir run` or of `weir serve`; both go on from the same decisions. `faults` says what can happen to the
//! first, `swaps` what is asked of the second, `modules` and `uploads` bother it with bytes that are no operators; `lives`
//! makes all of it happen on the disk and with the binaries of `stage`, `summary` counts. Broker, load, model and reader are those of the integration tests.

mod client;
mod faults;
/// What the integration tests stand on, as it is.
#[path = "../../it/tests/it/harness/mod.rs"]
#[allow(dead_code, missing_docs)]
mod harness;
mod lives;
mod modules;
mod stage;
mod summary;
mod swaps;
mod uploads;

use clap::Parser;
use harness::moments::Moments;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long, and which faults.
#[derive(Debug, Parser)]
#[command(name = "soak")]
struct Options {
    /// How long faults go on.
    #[arg(long, default_value_t = 3)]
    minutes: u64,
    /// Decides kinds and moments of all faults; a new one if none is given. The broker and the host have a will of their
    /// own, so a seed repeats the faults, not the run.
    #[arg(long)]
    seed: Option<u64>,
    /// Go on until so many swaps have come to an end, beyond the minutes if need be; 4 for each minute unless given. 0, and
    /// no modules: no life of the server.
    #[arg(long)]
    swaps: Option<u64>,
    /// Go on until so many generated modules were uploaded to the server beside the running pipeline; 40 for each minute
    /// unless given.
    #[arg(long)]
    modules: Option<u64>,
    /// Records for each of the three partitions of both topics, at most 100 times in a second.
    #[arg(long, default_value_t = 1)]
    burst: u64,
    /// Keep the broker alive.
    #[arg(long)]
    no_broker_kills: bool,
    /// Another version of weir, whose lives take turns with those of the one under test.
    #[arg(long, value_name = "PATH")]
    weir_other: Option<PathBuf>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    if let Some(failed) = stage::enter() {
        return failed;
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seed = options.seed.unwrap_or(now.as_millis() as u64).max(1);
    let swaps = options.swaps.unwrap_or(options.minutes * 4);
    let modules = options.modules.unwrap_or(options.minutes * 40);
    println!("seed {seed}, {} minutes, {swaps} swaps, {modules} modules", options.minutes);
    let time = Duration::from_secs(options.minutes * 60);
    let (moments, modules) = (Moments::new(seed), modules::Modules::new(seed, modules));
    let binaries = stage::Binaries::new(options.weir_other);
    let mut soak =
        lives::Soak::begin(moments, options.burst, !options.no_broker_kills, swaps, modules, binaries);
    let went_well = soak.run(time) && soak.drain();
    let summary = soak.end();
    println!("{summary}");
    if went_well && summary.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
