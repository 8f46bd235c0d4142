//! `cargo xtask guests`: builds operators and hostile guests to core modules in `target/guests`.

use crate::checkout::{Checkout, copy_if_changed};
use crate::run;
use crate::stop::Stop;
use crate::toolchain::{TARGET, Toolchain};
use std::path::PathBuf;

/// The guests that the demo needs, and that the host embeds: three versions of one operator.
pub const OF_THE_DEMO: &[&str] = &["count_by_key", "demo_version_2", "demo_version_3"];
/// The operators that ship with weir.
pub const OPERATORS: &[&str] =
    &["prefix", "filter_json", "route", "count_by_key", "dedup", "tumbling_sum", "join", "avro"];
/// Versions that the soak swaps in.
pub const SWAPPED: &[&str] = &["swap_good", "swap_traps", "swap_rejects", "swap_slow", "swap_breaks_state"];
/// Everything that the tests need.
pub const ALL: &[&str] = &[
    "prefix",
    "filter_json",
    "route",
    "count_by_key",
    "dedup",
    "tumbling_sum",
    "join",
    "avro",
    "demo_version_2",
    "demo_version_3",
    "hostile-guests",
    "hostile_describe_endless",
    "hostile_describe_traps",
    "hostile_keyed",
    "count_by_key_2",
    "swap_good",
    "swap_traps",
    "swap_rejects",
    "swap_slow",
    "swap_breaks_state",
    "measured_next",
    "measured_traps",
];
/// What `cargo xtask bench` needs.
pub const OF_THE_BENCH: &[&str] = &["prefix", "count_by_key", "measured_next", "measured_traps"];
/// Guests that are another package with a feature: guest, package, feature.
const VARIANTS: &[(&str, &str, &str)] = &[
    ("demo_version_2", "demo_versions", "version_2"),
    ("demo_version_3", "demo_versions", "version_3"),
    ("hostile_describe_endless", "hostile-guests", "describe_endless"),
    ("hostile_describe_traps", "hostile-guests", "describe_traps"),
    ("hostile_keyed", "hostile-guests", "keyed"),
    ("count_by_key_2", "hostile-guests", "migrating"),
    ("swap_good", "hostile-guests", "swap_good"),
    ("swap_traps", "hostile-guests", "swap_traps"),
    ("swap_rejects", "hostile-guests", "swap_rejects"),
    ("swap_slow", "hostile-guests", "swap_slow"),
    ("swap_breaks_state", "hostile-guests", "swap_breaks_state"),
    ("measured_next", "hostile-guests", "measured_next"),
    ("measured_traps", "hostile-guests", "measured_traps"),
];
/// The profile of the root manifest that makes guests small.
const PROFILE: &str = "guest";

/// Which guests.
#[derive(clap::Args)]
pub struct Options {
    /// Package names, or demo_version_2, hostile_describe_endless, hostile_keyed, count_by_key_2, swap_good and the like; all if none is given.
    names: Vec<String>,
}

/// Builds the guests that were asked for and prints where they are.
pub fn run(checkout: &Checkout, options: &Options) -> Result<(), Stop> {
    let asked: Vec<&str> = options.names.iter().map(String::as_str).collect();
    for guest in build(checkout, if asked.is_empty() { ALL } else { &asked })? {
        println!("{}", guest.display());
    }
    Ok(())
}

/// Builds guests and copies those that changed to the folder of guests: plain packages in one cargo call, then each
/// variant in its own, because its file has the name of the package's.
pub fn build(checkout: &Checkout, names: &[&str]) -> Result<Vec<PathBuf>, Stop> {
    let toolchain = Toolchain::find(checkout)?;
    let is_variant = |name: &str| VARIANTS.iter().find(|(variant, ..)| *variant == name);
    let plain: Vec<&str> = names.iter().copied().filter(|name| is_variant(name).is_none()).collect();
    let mut guests = Vec::new();
    if !plain.is_empty() {
        let packages: Vec<&str> = plain.iter().flat_map(|name| ["-p", name]).collect();
        compile(checkout, &toolchain, &packages)?;
        for name in plain {
            guests.push(keep(checkout, name, name)?);
        }
    }
    for (variant, package, feature) in names.iter().filter_map(|name| is_variant(name)) {
        compile(checkout, &toolchain, &["-p", package, "--features", feature])?;
        guests.push(keep(checkout, package, variant)?);
    }
    Ok(guests)
}

/// Guests have a build folder of their own, or a build of the host would wait for the lock of its own prerequisite.
fn built(checkout: &Checkout) -> PathBuf {
    checkout.target().join("guest-build")
}

fn compile(checkout: &Checkout, toolchain: &Toolchain, selection: &[&str]) -> Result<(), Stop> {
    let mut cargo = run::cargo(checkout);
    cargo.args(["build", "--profile", PROFILE, "--target", TARGET, "--target-dir"]).arg(built(checkout));
    cargo.args(selection);
    toolchain.apply(&mut cargo);
    run::visibly(&mut cargo, "the guests do not build")
}

fn keep(checkout: &Checkout, package: &str, guest: &str) -> Result<PathBuf, Stop> {
    let kept = checkout.guests().join(file_name(guest));
    copy_if_changed(&built(checkout).join(TARGET).join(PROFILE).join(file_name(package)), &kept)?;
    Ok(kept)
}

fn file_name(package: &str) -> String {
    format!("{}.wasm", package.replace('-', "_"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_variant_is_built_for_the_tests() {
        assert!(super::VARIANTS.iter().all(|(variant, ..)| super::ALL.contains(variant)));
    }

    #[test]
    fn what_the_host_embeds_is_built_for_the_tests_too() {
        assert!(super::OF_THE_DEMO.iter().all(|guest| super::ALL.contains(guest)));
    }

    #[test]
    fn a_guest_is_named_as_rust_names_its_library() {
        assert_eq!(super::file_name("hostile-guests"), "hostile_guests.wasm");
        assert_eq!(super::file_name("filter_json"), "filter_json.wasm");
    }
}
