//! Which packages the metadata of a core module speaks of, read before anything decodes it.
//!
//! The decoder of `wit-component` orders packages by their dependencies and never comes back from a circle of them. One
//! changed letter makes such a circle: an interface of `weir:operator` becomes one of another package, which uses
//! `weir:operator`, which uses it. An operator needs no package but the contract's, WASI's and its world's own, so any
//! other is refused here.

/// The package of the contract.
const CONTRACT: &str = "weir:operator";
/// The namespace of WASI.
const WASI: &str = "wasi:";
/// Custom sections whose names begin so hold metadata.
const METADATA: &[u8] = b"component-type";
/// The id of a custom section.
const CUSTOM: u8 = 0;
/// The first bytes of a module, behind which its sections begin.
const HEAD_BYTES: usize = 8;

/// A package that an operator does not need, if the metadata of a valid module has one. The contract is needed in one
/// version.
pub fn foreign_package(module: &[u8]) -> Option<String> {
    metadata(module).into_iter().find_map(|section| {
        let packages = packages(section);
        // The world is described last.
        let own = packages.last()?.clone();
        let is_contract = |package: &String| package.split('@').next() == Some(CONTRACT);
        let mut contract = is_contract(&own).then(|| own.clone());
        packages.into_iter().filter(|package| *package != own && !package.starts_with(WASI)).find(|package| {
            !is_contract(package) || *contract.get_or_insert_with(|| package.clone()) != *package
        })
    })
}

/// The content of each section of metadata.
fn metadata(module: &[u8]) -> Vec<&[u8]> {
    let (mut rest, mut found) = (module.get(HEAD_BYTES..).unwrap_or_default(), Vec::new());
    while let Some((id, after)) = rest.split_first() {
        let Some((length, after)) = number(after) else { break };
        let Some((section, after)) = after.split_at_checked(length) else { break };
        rest = after;
        let Some((name_length, named)) = number(section).filter(|_| *id == CUSTOM) else { continue };
        if let Some((name, content)) = named.split_at_checked(name_length)
            && name.starts_with(METADATA)
        {
            found.push(content);
        }
    }
    found
}

/// A number in LEB128, and what follows it.
fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0_u64;
    for (index, byte) in bytes.iter().enumerate().take(5) {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((usize::try_from(value).ok()?, &bytes[index + 1..]));
        }
    }
    None
}

/// `namespace:package@version` of each `namespace:package/interface@version` in these bytes, in their order.
fn packages(bytes: &[u8]) -> Vec<String> {
    let colons = bytes.iter().enumerate().filter(|(_, byte)| **byte == b':').map(|(at, _)| at);
    colons.filter_map(|colon| package(bytes, colon)).collect()
}

fn package(bytes: &[u8], colon: usize) -> Option<String> {
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-';
    let word = |from: usize| bytes[from..].iter().take_while(|byte| is_word(byte)).count();
    let before = bytes[..colon].iter().rev().take_while(|byte| is_word(byte)).count();
    // The byte in front of a name is its length, and may look like a part of it, but not like its first letter.
    let start = bytes[colon - before..colon].iter().position(u8::is_ascii_alphabetic)?;
    let slash = colon + 1 + word(colon + 1);
    if bytes.get(slash) != Some(&b'/') {
        return None;
    }
    let mut name = String::from_utf8_lossy(&bytes[colon - before + start..slash]).into_owned();
    let interface = slash + 1 + word(slash + 1);
    if bytes.get(interface) == Some(&b'@') {
        let is_version = |byte: &u8| is_word(byte) || matches!(byte, b'.' | b'+');
        let version = bytes[interface..].iter().skip(1).take_while(|byte| is_version(byte)).count();
        name.push_str(&String::from_utf8_lossy(&bytes[interface..=interface + version]));
    }
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract;

    fn module(world: &str) -> Vec<u8> {
        let mut module = wat::parse_str("(module)").unwrap();
        contract::embed_world(&mut module, world).unwrap();
        module
    }

    #[test]
    fn the_contract_needs_no_other_package() {
        for world in ["mapper", "processor", "migrating-processor"] {
            assert_eq!(foreign_package(&module(world)), None, "{world}");
        }
        assert_eq!(foreign_package(&wat::parse_str("(module)").unwrap()), None);
    }

    #[test]
    fn a_letter_that_makes_a_circle_of_packages_is_found() {
        let bytes = module("migrating-processor");
        let name = b"weir:operator/processing@0.1.0";
        let at = bytes.windows(name.len()).position(|window| window == name).unwrap();
        let (letter, digit) = ("weir:operato".len(), "weir:operator/processing@0.".len());
        for (offset, byte, package) in
            [(letter, b'3', "weir:operato3@0.1.0"), (digit, b'6', "weir:operator@0.6.0")]
        {
            let mut damaged = bytes.clone();
            damaged[at + offset] = byte;
            assert_eq!(foreign_package(&damaged).as_deref(), Some(package));
            // Without the look at the names this would never come back.
            let refusal = crate::artefact::to_component(&damaged).unwrap_err().0;
            assert!(refusal.contains(package), "{refusal}");
        }
    }

    #[test]
    fn cut_off_numbers_and_sections_end_the_search() {
        let bytes = module("mapper");
        for length in 0..bytes.len() {
            foreign_package(&bytes[..length]);
        }
        assert_eq!(number(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x01]), None);
    }
}
