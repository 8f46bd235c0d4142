//! `cargo xtask demo`: from a fresh checkout to records that pass through an operator.

use crate::broker;
use crate::checkout::Checkout;
use crate::prerequisites::{self, For};
use crate::step::Steps;
use crate::stop::Stop;
use crate::{guests, run, weir_binary};
use std::process::Command;

/// How the demo is shown.
#[derive(clap::Args)]
pub struct Options {
    /// Start a Kafka broker for the demo and stop it afterwards.
    #[arg(long)]
    kafka: bool,
    /// Arguments of `weir demo`.
    #[arg(last = true)]
    arguments: Vec<String>,
}

/// Builds what is missing and runs `weir demo`.
pub fn run(checkout: &Checkout, options: &Options) -> Result<(), Stop> {
    let mut steps = Steps::new(if options.kafka { 5 } else { 4 });
    steps.next("checking the machine");
    prerequisites::ensure(checkout, if options.kafka { For::HostAndBroker } else { For::Host })?;
    steps.next("building the operator, in three versions (a few minutes the first time)");
    guests::build(checkout, guests::OF_THE_DEMO)?;
    steps.next(weir_binary::STEP);
    let weir = weir_binary::build(checkout)?;
    let mut demo = Command::new(weir);
    demo.arg("demo");
    let broker = if options.kafka {
        steps.next("starting Kafka (about 10 seconds)");
        let broker = broker::for_chore(checkout)?;
        demo.args(["--kafka", broker.address()]);
        Some(broker)
    } else {
        None
    };
    steps.next("weir demo");
    let ended = run::as_last(demo.args(&options.arguments));
    drop(broker);
    ended
}
