//! `cargo xtask soak`: a pipeline with state under load, random faults and swaps, judged all the time.

use crate::broker::jars;
use crate::checkout::Checkout;
use crate::prerequisites::{self, For};
use crate::step::Steps;
use crate::stop::Stop;
use crate::{guests, run, weir_binary};
use std::process::Command;

/// How long, and which faults.
#[derive(clap::Args)]
pub struct Options {
    /// Arguments of the soak program: --minutes N, --swaps N, --modules N, --seed S; --help tells all of them.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Builds weir and the operators, and hands over to the soak program, which has a broker of its own to kill.
pub fn run(checkout: &Checkout, options: &Options) -> Result<(), Stop> {
    let mut steps = Steps::new(5);
    steps.next("checking the machine");
    prerequisites::ensure(checkout, For::HostAndBroker)?;
    let home = jars::home_if_usable(checkout)?;
    let home =
        home.ok_or_else(|| Stop::failed("a soak kills its broker, which needs Java and Kafka's jars here"))?;
    steps.next("building the guests (a few minutes the first time)");
    guests::build(checkout, guests::OPERATORS)?;
    guests::build(checkout, guests::SWAPPED)?;
    steps.next(weir_binary::STEP);
    let weir = weir_binary::build_for_tests(checkout)?;
    steps.next("building the soak, and what makes modules for it");
    // With the whole workspace selected, as weir is built: with `-p soak` librdkafka would be compiled a second time.
    let mut cargo = run::cargo(checkout);
    cargo.args(["build", "--workspace", "--bin", "soak", "--features", "weir/kill-points"]);
    run::visibly(&mut cargo, "the soak does not build")?;
    // Alone, for the opposite reason: its manifest tells.
    let mut cargo = run::cargo(checkout);
    cargo.args(["build", "--package", "modules", "--features", "wasm-smith"]);
    run::visibly(&mut cargo, "the generator of modules does not build")?;
    let built = checkout.target().join("debug");
    let mut soak = Command::new(built.join("soak"));
    soak.args(&options.arguments)
        .env("WEIR_TEST_BIN", weir)
        .env("WEIR_TEST_GUESTS", checkout.guests())
        .env("WEIR_TEST_MODULES", built.join("modules"))
        .env("WEIR_TEST_KAFKA_HOME", home);
    steps.next("soak");
    run::as_last(&mut soak)
}
