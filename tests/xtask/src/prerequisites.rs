//! `cargo xtask prerequisites`: what a build and a broker need from the machine, found by looking, not by asking dpkg.

use crate::broker;
use crate::checkout::Checkout;
use crate::debian::{self, Need};
use crate::python;
use crate::run;
use crate::stop::Stop;
use crate::toolchain::Toolchain;
use std::path::Path;
use std::process::Command;

/// What the machine is needed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum For {
    /// Compiling the host with its native parts.
    Host,
    /// The same, and a Kafka broker.
    HostAndBroker,
    /// The same, and what the lines of the manual use, which a test runs, and Python.
    Tests,
}

impl For {
    fn needs_broker(self) -> bool {
        self != For::Host
    }
}

/// A native part of the host, and how to see that it is there.
struct Native {
    need: Need,
    probe: Probe,
}

enum Probe {
    /// One of these programs is on the search path.
    Program(&'static [&'static str]),
    /// pkg-config knows the library, or, before pkg-config is there, the header is in its usual place.
    Library(&'static str, &'static str),
}

const fn program(what: &'static str, packages: &'static str, names: &'static [&'static str]) -> Native {
    Native { need: Need { what, packages }, probe: Probe::Program(names) }
}

const fn library(
    what: &'static str,
    packages: &'static str,
    module: &'static str,
    header: &'static str,
) -> Native {
    Native { need: Need { what, packages }, probe: Probe::Library(module, header) }
}

/// librdkafka's build script and its libraries, and RocksDB's; wasmtime needs nothing.
const NATIVE: &[Native] = &[
    program("a C compiler", "build-essential", &["cc", "gcc", "clang"]),
    program("a C++ compiler", "build-essential", &["c++", "g++", "clang++"]),
    program("make", "build-essential", &["make", "gmake"]),
    program("pkg-config", "pkg-config", &["pkg-config"]),
    // RocksDB's bindings are made by bindgen, which loads libclang; its own headers come with clang.
    program("clang and libclang", "clang libclang-dev", &["clang"]),
    library("zlib headers", "zlib1g-dev", "zlib", "/usr/include/zlib.h"),
    library("OpenSSL headers", "libssl-dev", "openssl", "/usr/include/openssl/ssl.h"),
    library("zstd headers", "libzstd-dev", "libzstd", "/usr/include/zstd.h"),
];

/// What the lines of the manual call, and what gives them a network of their own.
const OF_THE_MANUAL: &[Native] =
    &[program("curl", "curl", &["curl"]), program("jq", "jq", &["jq"]), program("ip", "iproute2", &["ip"])];

/// Checks everything that any chore needs, and installs it where that is allowed.
pub fn run(checkout: &Checkout) -> Result<(), Stop> {
    ensure(checkout, For::Tests)?;
    Toolchain::find(checkout)?;
    eprintln!("this machine has what weir needs");
    Ok(())
}

/// Sees to it that the machine has what this purpose needs, or stops with what to do.
pub fn ensure(checkout: &Checkout, purpose: For) -> Result<(), Stop> {
    let of_the_manual = if purpose == For::Tests { OF_THE_MANUAL } else { &[] };
    let mut needs: Vec<Need> = NATIVE
        .iter()
        .chain(of_the_manual)
        .filter(|native| !present(&native.probe))
        .map(|native| native.need)
        .collect();
    if purpose.needs_broker() {
        // Said now, not after the ten minutes of a build.
        broker::check_external(checkout)?;
        needs.extend(broker::needs(checkout));
    }
    if purpose == For::Tests {
        needs.extend(python::needs());
    }
    debian::provide(&needs)?;
    if purpose.needs_broker() && !broker::needs(checkout).is_empty() {
        return Err(Stop::machine(
            "the installed Java is older than 17: install a newer one and set JAVA_HOME",
        ));
    }
    if purpose == For::Tests && !python::needs().is_empty() {
        return Err(Stop::machine(
            "the installed Python is older than 3.10: put a newer python3 on the path",
        ));
    }
    Ok(())
}

fn present(probe: &Probe) -> bool {
    match probe {
        Probe::Program(names) => names.iter().any(|name| run::on_path(name).is_some()),
        Probe::Library(module, header) => {
            let known = Command::new("pkg-config").args(["--exists", module]).status();
            known.is_ok_and(|status| status.success()) || Path::new(header).is_file()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Probe, present};

    #[test]
    fn a_program_is_present_when_one_of_its_names_is_found() {
        assert!(present(&Probe::Program(&["no-such-program-of-weir", "sh"])));
        assert!(!present(&Probe::Program(&["no-such-program-of-weir"])));
    }

    #[test]
    fn a_library_nobody_knows_is_missing() {
        assert!(!present(&Probe::Library("no-such-library-of-weir", "/no/such/header.h")));
    }
}
