//! `cargo xtask bench`: a release build, a real broker, and the measurements.

use crate::broker;
use crate::checkout::Checkout;
use crate::prerequisites::{self, For};
use crate::step::Steps;
use crate::stop::Stop;
use crate::{guests, run};
use std::process::Command;

/// What is measured.
#[derive(clap::Args)]
pub struct Options {
    /// Arguments of the bench program; `state` in front of others measures keyed state, `swap` the server; --help tells all of them.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Builds for release, starts a broker unless there is one, and runs the bench program.
pub fn run(checkout: &Checkout, options: &Options) -> Result<(), Stop> {
    let mut steps = Steps::new(5);
    steps.next("checking the machine");
    prerequisites::ensure(checkout, For::HostAndBroker)?;
    steps.next("building the operators (a few minutes the first time)");
    guests::build(checkout, guests::OF_THE_BENCH)?;
    steps.next("building weir for release (about 15 minutes the first time)");
    let mut cargo = run::cargo(checkout);
    cargo.args(["build", "--release", "-p", "weir", "-p", "bench"]);
    run::visibly(&mut cargo, "weir does not build for release")?;
    steps.next("starting Kafka (about 10 seconds)");
    let broker = broker::for_chore(checkout)?;
    let release = checkout.target().join("release");
    let mut bench = Command::new(release.join("bench"));
    bench.env("WEIR_BENCH_KAFKA", broker.address());
    bench.env("WEIR_BENCH_BIN", release.join("weir")).env("WEIR_BENCH_GUESTS", checkout.guests());
    bench.env("WEIR_BENCH_WIT", checkout.root().join("wit"));
    steps.next("bench");
    run::as_last(bench.args(&options.arguments))
}
