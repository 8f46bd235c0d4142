//! Builds the operator in the current directory and finds what cargo made.

use crate::failure::Failure;
use std::path::PathBuf;
use std::process::{Command, Stdio};

const TARGET: &str = "wasm32-unknown-unknown";

/// Runs cargo, whose messages go to standard error, and answers with the path of the component.
pub fn build() -> Result<PathBuf, Failure> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--release", "--target", TARGET, "--message-format=json-render-diagnostics"])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| Failure::failed(format!("cargo cannot be run: {error}")))?;
    if !output.status.success() {
        return Err(Failure::failed(format!(
            "the operator does not build; if the target is missing: rustup target add {TARGET}"
        )));
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    messages.lines().filter_map(component).next_back().ok_or_else(|| {
        Failure::failed("cargo made no .wasm file: the library needs crate-type = [\"cdylib\"] in Cargo.toml")
    })
}

/// The component that a message of cargo names.
fn component(message: &str) -> Option<PathBuf> {
    let message: serde_json::Value = serde_json::from_str(message).ok()?;
    if message.get("reason")?.as_str()? != "compiler-artifact" {
        return None;
    }
    let names = message.get("filenames")?.as_array()?.iter().filter_map(serde_json::Value::as_str);
    names.filter(|name| name.ends_with(".wasm")).map(PathBuf::from).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_component_is_found_among_the_messages_of_cargo() {
        let artefact = r#"{"reason":"compiler-artifact","filenames":["/t/libx.rlib","/t/x.wasm"]}"#;
        assert_eq!(component(artefact), Some(PathBuf::from("/t/x.wasm")));
        assert_eq!(component(r#"{"reason":"build-finished","success":true}"#), None);
        assert_eq!(component("not JSON"), None);
    }
}
