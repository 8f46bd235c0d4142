//! `cargo xtask sim`: many seeds of the simulation. Needs neither a broker nor guests.

use crate::checkout::Checkout;
use crate::prerequisites::{self, For};
use crate::run;
use crate::stop::Stop;

/// Which seeds.
#[derive(clap::Args)]
pub struct Options {
    /// How many seeds to check.
    #[arg(long, default_value_t = 1000)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Print what happened, whether or not a promise is broken.
    #[arg(long)]
    show: bool,
}

/// Builds the simulation and runs it.
pub fn run(checkout: &Checkout, options: &Options) -> Result<(), Stop> {
    prerequisites::ensure(checkout, For::Host)?;
    let mut cargo = run::cargo(checkout);
    cargo.args(["run", "--quiet", "--package", "sim", "--"]);
    cargo.arg("--seeds").arg(options.seeds.to_string()).arg("--from").arg(options.from.to_string());
    cargo.args(options.show.then_some("--show"));
    run::as_last(&mut cargo)
}
