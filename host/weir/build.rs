//! Embeds the operator of `weir demo` where it was built before: `cargo xtask guests count_by_key` builds it.

use std::path::{Path, PathBuf};

fn main() -> std::io::Result<()> {
    let manifest = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").ok_or(std::io::ErrorKind::NotFound)?);
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or(std::io::ErrorKind::NotFound)?);
    let guest = manifest.join("../../target/guests/count_by_key.wasm");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={}", guest.display());
    std::fs::write(out.join("demo_component.rs"), expression(&guest, &out)?)
}

/// The value of the constant: the component's bytes, or nothing.
fn expression(guest: &Path, out: &Path) -> std::io::Result<String> {
    if !guest.exists() {
        return Ok("None".to_owned());
    }
    // A copy, so that the binary does not depend on a file that another build replaces meanwhile.
    let copy = out.join("count_by_key.wasm");
    std::fs::copy(guest, &copy)?;
    Ok(format!("Some(include_bytes!({:?}))", copy.display().to_string()))
}
