//! `cargo xtask soak`: a pipeline with state under load and random faults, judged all the time.

use crate::broker::jars;
use crate::checkout::Checkout;
use crate::prerequisites::{self, For};
use crate::step::Steps;
use crate::stop::Stop;
use crate::{guests, run, weir_binary};

/// How long, and which faults.
#[derive(clap::Args)]
pub struct Options {
    /// Arguments of the soak program: --minutes N, --seed S; --help tells all of them.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Builds weir and the operators, and hands over to the soak program, which has a broker of its own to kill.
pub fn run(checkout: &Checkout, options: &Options) -> Result<(), Stop> {
    let mut steps = Steps::new(4);
    steps.next("checking the machine");
    prerequisites::ensure(checkout, For::HostAndBroker)?;
    let home = jars::home_if_usable(checkout)?;
    let home =
        home.ok_or_else(|| Stop::failed("a soak kills its broker, which needs Java and Kafka's jars here"))?;
    steps.next("building the guests (a few minutes the first time)");
    guests::build(checkout, guests::OPERATORS)?;
    steps.next(weir_binary::STEP);
    let weir = weir_binary::build_for_tests(checkout)?;
    let mut cargo = run::cargo(checkout);
    cargo.args(["run", "--quiet", "--package", "soak", "--"]).args(&options.arguments);
    cargo
        .env("WEIR_TEST_BIN", weir)
        .env("WEIR_TEST_GUESTS", checkout.guests())
        .env("WEIR_TEST_KAFKA_HOME", home);
    steps.next("soak");
    run::as_last(&mut cargo)
}
