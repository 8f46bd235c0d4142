//! What was uploaded: tells a component from a core module from anything else, and wraps core modules.

use crate::contract;
use crate::metadata_names;
use crate::one_line::one_line;
use std::borrow::Cow;
use wit_component::ComponentEncoder;

/// Bytes that cannot be made an operator, and what to do about it. One line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotAnOperator(pub String);

const ERROR_CHARS_MAX: usize = 500;
const PACKAGE_CHARS_MAX: usize = 100;
const MAGIC: &[u8] = b"\0asm";
const MODULE_VERSION: &[u8] = &[1, 0, 0, 0];
const COMPONENT_VERSION: &[u8] = &[0x0d, 0, 1, 0];
const HOW_TO_BUILD: &str = "build a component, or a core module with the metadata that wit-bindgen embeds";

/// Returns the bytes of a component: those given, or the wrapped core module.
pub fn to_component(bytes: &[u8]) -> Result<Cow<'_, [u8]>, NotAnOperator> {
    let refuse = |found: String| Err(NotAnOperator(found));
    if bytes.is_empty() {
        return refuse(format!("the file is empty; {HOW_TO_BUILD}"));
    }
    if !bytes.starts_with(MAGIC) {
        return refuse(describe_foreign(bytes));
    }
    match bytes.get(4..8) {
        Some(COMPONENT_VERSION) => Ok(bytes.into()),
        Some(MODULE_VERSION) => wrap(bytes).map(Into::into),
        Some(version) => refuse(format!(
            "is WebAssembly of an unknown version {version:02x?}; expected a component or a core module"
        )),
        None => refuse(format!("is WebAssembly cut off after {} bytes; copy the file again", bytes.len())),
    }
}

fn describe_foreign(bytes: &[u8]) -> String {
    let head = &bytes[..bytes.len().min(16)];
    match std::str::from_utf8(&bytes[..bytes.len().min(4096)]) {
        // The cut may fall into a character, which is no reason to call text binary.
        Ok(text) => describe_text(text),
        Err(error) if error.valid_up_to() + 4 > 4096 => {
            describe_text(std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default())
        }
        Err(_) => format!("is not WebAssembly: starts with {head:02x?}; {HOW_TO_BUILD}"),
    }
}

fn describe_text(text: &str) -> String {
    let line = one_line(text.trim_start().lines().next().unwrap_or_default(), 40);
    if text.trim_start().starts_with("(module") || text.trim_start().starts_with("(component") {
        return format!(
            "is WebAssembly text, not binary: starts with {line:?}; convert it with wasm-tools parse"
        );
    }
    format!("is text, not WebAssembly: starts with {line:?}; {HOW_TO_BUILD}")
}

fn wrap(module: &[u8]) -> Result<Vec<u8>, NotAnOperator> {
    // First of all, because the decoder of metadata trusts the lengths that a module states.
    wasmtime::Module::validate(&wasmtime::Engine::default(), module)
        .map_err(|error| NotAnOperator(sentence("is damaged WebAssembly: ", &error)))?;
    if let Some(package) = metadata_names::foreign_package(module) {
        let package = one_line(&package, PACKAGE_CHARS_MAX);
        return Err(NotAnOperator(format!(
            "is a core module whose metadata speaks of the package {package}; expected weir:operator in one version, WASI and the package of its world: it is damaged, or made for another host"
        )));
    }
    let decoded = wit_component::metadata::decode(module)
        .map_err(|error| NotAnOperator(sentence("is damaged WebAssembly: ", &error)))?;
    if decoded.0.is_none() {
        return Err(NotAnOperator(format!("is a core module without component metadata; {HOW_TO_BUILD}")));
    }
    // The encoder drops an adapter that the module does not ask for.
    ComponentEncoder::default()
        .validate(true)
        .module(module)
        .and_then(|encoder| encoder.adapter(contract::PREVIEW1, contract::preview1_adapter()))
        .and_then(|mut encoder| encoder.encode())
        .map_err(|error| NotAnOperator(sentence("is a core module that cannot be wrapped: ", &error)))
}

/// An opening, and the sentences of an error from the outside in, as one line.
pub fn sentence(opening: &str, error: &impl std::fmt::Display) -> String {
    format!("{opening}{}", one_line(&format!("{error:#}"), ERROR_CHARS_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(bytes: &[u8]) -> String {
        to_component(bytes).unwrap_err().0
    }

    #[test]
    fn what_is_no_component_is_named() {
        assert!(refusal(b"").starts_with("the file is empty"));
        assert!(
            refusal(b"\x7fELF\x02\x01\xff\xfe").starts_with("is not WebAssembly: starts with [7f, 45, 4c")
        );
        assert!(refusal(b"#!/bin/sh\necho").contains("is text, not WebAssembly: starts with \"#!/bin/sh\""));
        assert!(refusal(b" (module)").contains("wasm-tools parse"));
        assert!(refusal(b"\0asm\x01").contains("cut off after 5 bytes"));
        assert!(refusal(b"\0asm\x07\0\0\0").contains("unknown version"));
        let plain = wat::parse_str("(module)").unwrap();
        assert!(refusal(&plain).starts_with("is a core module without component metadata"));
        let mut damaged = plain;
        damaged.extend_from_slice(&[1, 200, 3, 4]);
        assert!(refusal(&damaged).starts_with("is damaged WebAssembly"));
    }

    #[test]
    fn a_module_that_is_cut_off_anywhere_is_refused_and_never_a_panic() {
        let mut module = wat::parse_str("(module (func (export \"f\")) (memory 1))").unwrap();
        contract::embed_world(&mut module, "mapper").unwrap();
        for length in 0..module.len() {
            assert!(to_component(&module[..length]).is_err(), "cut at {length}");
        }
    }

    #[test]
    fn a_module_that_lacks_the_exports_of_its_world_is_refused_in_one_line() {
        let mut module = wat::parse_str("(module)").unwrap();
        contract::embed_world(&mut module, "mapper").unwrap();
        let refusal = refusal(&module);
        assert!(refusal.starts_with("is a core module that cannot be wrapped: "), "{refusal}");
        assert!(!refusal.contains('\n'));
    }
}
