//! Embeds the operator of `weir demo` in its versions where they were built before: `cargo xtask demo` builds them (or
//! `cargo xtask guests` with the names below).

use std::path::{Path, PathBuf};

/// Versions 1, 2 and 3.
const GUESTS: [&str; 3] = ["count_by_key", "demo_version_2", "demo_version_3"];

fn main() -> std::io::Result<()> {
    let manifest = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").ok_or(std::io::ErrorKind::NotFound)?);
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or(std::io::ErrorKind::NotFound)?);
    let guests = GUESTS.map(|guest| manifest.join("../../target/guests").join(format!("{guest}.wasm")));
    println!("cargo::rerun-if-changed=build.rs");
    for guest in &guests {
        println!("cargo::rerun-if-changed={}", guest.display());
    }
    std::fs::write(out.join("demo_versions.rs"), expression(&guests, &out)?)
}

/// The value of the constant: the bytes of each version, or nothing where one is missing.
fn expression(guests: &[PathBuf], out: &Path) -> std::io::Result<String> {
    if !guests.iter().all(|guest| guest.exists()) {
        return Ok("None".to_owned());
    }
    let mut versions = Vec::new();
    for (guest, name) in guests.iter().zip(GUESTS) {
        // A copy, so that the binary does not depend on a file that another build replaces meanwhile.
        let copy = out.join(name).with_extension("wasm");
        std::fs::copy(guest, &copy)?;
        versions.push(format!("include_bytes!({:?}) as &[u8]", copy.display().to_string()));
    }
    Ok(format!("Some([{}])", versions.join(", ")))
}
