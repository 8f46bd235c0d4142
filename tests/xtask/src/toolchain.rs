//! Which compiler builds the guests. Found by trying, never remembered: a machine changes between two chores.

use crate::checkout::Checkout;
use crate::debian::{self, Need};
use crate::run;
use crate::stop::Stop;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The target of every guest.
pub const TARGET: &str = "wasm32-unknown-unknown";
/// Where Debian puts its compiler.
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
/// How long rustup may try to download the target's standard library (about 20 MB).
const RUSTUP_DEADLINE: Duration = Duration::from_secs(180);

const DEBIAN: Need = Need {
    what: "the Rust target wasm32-unknown-unknown (rustup target add wasm32-unknown-unknown)",
    packages: "rustc-web libstd-rust-web-dev rust-web-src",
};

/// A compiler that can build guests.
#[derive(Debug, PartialEq, Eq)]
pub enum Toolchain {
    /// The active toolchain has the target.
    Installed,
    /// Debian's compiler, which builds the standard library from its own sources, and the active toolchain's linker.
    Debian {
        /// The linker of the active toolchain.
        linker: PathBuf,
    },
}

impl Toolchain {
    /// Finds a toolchain; if need be rustup downloads the target, or Debian's packages are installed.
    pub fn find(checkout: &Checkout) -> Result<Toolchain, Stop> {
        if target_is_installed(checkout) {
            return Ok(Toolchain::Installed);
        }
        let mut rustup = Command::new("rustup");
        rustup.args(["target", "add", TARGET]).current_dir(checkout.root());
        if run::succeeds(&mut rustup, RUSTUP_DEADLINE) && target_is_installed(checkout) {
            return Ok(Toolchain::Installed);
        }
        let needed = env!("CARGO_PKG_RUST_VERSION");
        if !debian_can_build(needed) {
            debian::provide(&[DEBIAN])?;
        }
        if !debian_can_build(needed) {
            let hint = "rustup cannot download the target and Debian's compiler is older than";
            return Err(Stop::machine(format!("{hint} {needed}: run rustup target add {TARGET}")));
        }
        Ok(Toolchain::Debian { linker: linker(checkout)? })
    }

    /// Makes a `cargo build` of guests use this toolchain.
    pub fn apply(&self, cargo: &mut Command) {
        cargo.envs(self.environment());
        if let Toolchain::Debian { .. } = self {
            cargo.args(["-Z", "build-std=std,panic_abort"]);
        }
    }

    /// The variables by which cargo uses it.
    pub fn environment(&self) -> Vec<(&'static str, PathBuf)> {
        match self {
            Toolchain::Installed => Vec::new(),
            Toolchain::Debian { linker } => vec![
                ("RUSTC", DEBIAN_RUSTC.into()),
                // Cargo asks for it before it accepts `-Z build-std`; the guests themselves use no unstable feature.
                ("RUSTC_BOOTSTRAP", "1".into()),
                ("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker.clone()),
            ],
        }
    }
}

fn active_rustc(checkout: &Checkout) -> Command {
    let mut rustc = Command::new("rustc");
    rustc.current_dir(checkout.root());
    rustc
}

fn target_is_installed(checkout: &Checkout) -> bool {
    run::output(active_rustc(checkout).args(["--print", "target-libdir", "--target", TARGET]))
        .is_some_and(|folder| Path::new(folder.trim()).is_dir())
}

fn debian_can_build(needed: &str) -> bool {
    let Some(version) = run::output(Command::new(DEBIAN_RUSTC).arg("--version")) else { return false };
    let Some(sysroot) = run::output(Command::new(DEBIAN_RUSTC).args(["--print", "sysroot"])) else {
        return false;
    };
    let sources = Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/std/Cargo.toml");
    is_new_enough(&version, needed) && sources.is_file()
}

/// Whether `rustc 1.96.0 (…)` is at least `1.95`.
fn is_new_enough(version: &str, needed: &str) -> bool {
    let version = version.split_whitespace().nth(1).unwrap_or_default();
    match (numbers(version), numbers(needed)) {
        (Some(version), Some(needed)) => version >= needed,
        _ => false,
    }
}

fn numbers(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn linker(checkout: &Checkout) -> Result<PathBuf, Stop> {
    let about = run::output(active_rustc(checkout).arg("-vV")).unwrap_or_default();
    let host = about.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default();
    let sysroot = run::output(active_rustc(checkout).args(["--print", "sysroot"])).unwrap_or_default();
    let linker = Path::new(sysroot.trim()).join(format!("lib/rustlib/{host}/bin/rust-lld"));
    if linker.is_file() {
        return Ok(linker);
    }
    let ours = run::on_path("wasm-ld");
    ours.ok_or_else(|| Stop::machine("no linker for WebAssembly: neither rust-lld nor wasm-ld (package lld)"))
}

#[cfg(test)]
mod tests {
    use super::{Toolchain, is_new_enough};
    use std::process::Command;

    #[test]
    fn an_old_debian_compiler_is_not_used() {
        assert!(is_new_enough("rustc 1.96.0 (ac68faa20 2026-05-25) (built from a source tarball)", "1.95"));
        assert!(is_new_enough("rustc 1.95.0 (59807616e 2026-04-14)", "1.95"));
        assert!(is_new_enough("rustc 2.0.0", "1.95"));
        assert!(!is_new_enough("rustc 1.85.0 (4d91de4e4 2025-02-17)", "1.95"));
        assert!(!is_new_enough("", "1.95"));
    }

    #[test]
    fn an_installed_target_needs_nothing_special() {
        let mut cargo = Command::new("cargo");
        Toolchain::Installed.apply(&mut cargo);
        assert_eq!(cargo.get_args().count() + cargo.get_envs().count(), 0);
    }

    #[test]
    fn the_debian_compiler_builds_its_own_standard_library() {
        let mut cargo = Command::new("cargo");
        Toolchain::Debian { linker: "/lld".into() }.apply(&mut cargo);
        assert!(cargo.get_args().any(|argument| argument == "build-std=std,panic_abort"));
        assert!(cargo.get_envs().any(|(name, _)| name == "RUSTC_BOOTSTRAP"));
    }
}
