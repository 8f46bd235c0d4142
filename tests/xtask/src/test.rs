//! `cargo xtask test`: every test of the workspace, against a real broker and real components.

use crate::broker::{self, jars};
use crate::checkout::Checkout;
use crate::prerequisites::{self, For};
use crate::step::Steps;
use crate::stop::Stop;
use crate::toolchain::Toolchain;
use crate::{guests, python, run, weir_binary};

/// Which tests.
#[derive(clap::Args)]
pub struct Options {
    /// Passed on to `cargo test`: filters, `-p NAME`, or `-- --nocapture`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Builds what the tests use, starts a broker unless there is one, and hands over to `cargo test`.
pub fn run(checkout: &Checkout, options: &Options) -> Result<(), Stop> {
    let mut steps = Steps::new(5);
    steps.next("checking the machine");
    prerequisites::ensure(checkout, For::Tests)?;
    let schemathesis = python::ensure(checkout, &python::SCHEMATHESIS)?;
    let confluent_kafka = python::ensure(checkout, &python::CONFLUENT_KAFKA)?;
    steps.next("building the guests (a few minutes the first time)");
    guests::build(checkout, guests::ALL)?;
    steps.next(weir_binary::STEP);
    let weir = weir_binary::build_for_tests(checkout)?;
    steps.next("starting Kafka (about 10 seconds)");
    let broker = broker::for_chore(checkout)?;
    let mut cargo = run::cargo(checkout);
    cargo.arg("test").args(selection(&options.arguments)).args(&options.arguments);
    cargo.env("WEIR_TEST_KAFKA", broker.address());
    cargo.env("WEIR_TEST_BIN", weir).env("WEIR_TEST_GUESTS", checkout.guests());
    // A test builds an operator as its author would, by a cargo that weir calls.
    for (variable, value) in Toolchain::find(checkout)?.environment() {
        cargo.env(format!("WEIR_TEST_GUEST_{variable}"), value);
        cargo.env("WEIR_TEST_GUEST_CARGO_UNSTABLE_BUILD_STD", "std,panic_abort");
    }
    cargo.env("WEIR_TEST_SCHEMATHESIS", schemathesis).env("WEIR_TEST_CONFLUENT_KAFKA", confluent_kafka);
    // Most tests wait most of the time: for a broker, a checkpoint, a process that is to end.
    if std::env::var_os("RUST_TEST_THREADS").is_none() {
        let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        cargo.env("RUST_TEST_THREADS", (2 * cores).to_string());
    }
    // Tests that kill or cut off a broker start their own, and can do so only where there are Java and the jars.
    if let Some(home) = jars::home_if_usable(checkout)? {
        cargo.env("WEIR_TEST_KAFKA_HOME", home);
    }
    steps.next("cargo test");
    run::as_last(&mut cargo)
}

/// The whole workspace unless the caller chose packages. The feature spares a second compilation of our own crates.
fn selection(arguments: &[String]) -> &'static [&'static str] {
    let own = arguments.iter().take_while(|argument| *argument != "--");
    let chosen = |argument: &String| {
        argument.starts_with("-p") || argument == "--package" || argument.starts_with("--package=")
    };
    if own.into_iter().any(chosen) { &[] } else { &["--workspace", "--features", "weir/kill-points"] }
}

#[cfg(test)]
mod tests {
    use super::selection;

    fn selected(arguments: &[&str]) -> bool {
        let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        selection(&arguments).contains(&"--workspace")
    }

    #[test]
    fn the_whole_workspace_is_tested_unless_a_package_is_chosen() {
        assert!(selected(&[]));
        assert!(selected(&["kill", "--", "-p"]));
        assert!(!selected(&["-p", "it"]));
        assert!(!selected(&["--package=it"]));
    }
}
