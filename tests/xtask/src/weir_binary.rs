//! Builds the binary weir for demo and tests.

use crate::checkout::{Checkout, copy_if_changed};
use crate::run;
use crate::stop::Stop;
use std::path::PathBuf;

/// What the step is called; the time is that of two cores with nothing compiled yet.
pub const STEP: &str = "building weir (about 10 minutes the first time)";

/// Builds `target/debug/weir` as a user runs it.
pub fn build(checkout: &Checkout) -> Result<PathBuf, Stop> {
    compile(checkout, &[])
}

/// Builds weir with the points at which tests kill it, and keeps it apart from the one above.
pub fn build_for_tests(checkout: &Checkout) -> Result<PathBuf, Stop> {
    let built = compile(checkout, &["--features", "weir/kill-points"])?;
    let kept = checkout.target().join("test-bin/weir");
    copy_if_changed(&built, &kept)?;
    Ok(kept)
}

fn compile(checkout: &Checkout, features: &[&str]) -> Result<PathBuf, Stop> {
    // The whole workspace is selected although one binary is built: with `-p weir` cargo would unify the features of
    // shared dependencies differently than `cargo test --workspace` does, and compile wasmtime a second time.
    let mut cargo = run::cargo(checkout);
    cargo.args(["build", "--workspace", "--bin", "weir"]).args(features);
    run::visibly(&mut cargo, "weir does not build")?;
    Ok(checkout.target().join("debug/weir"))
}
