//! `weir state get`: what an operator keeps for one key.

use super::{Opened, SourceOptions, print};
use crate::failure::{Exit, Failure};
use crate::state_lines;
use weir_protocol::key_group::murmur2;
use weir_protocol::state::{StateDeclaration, StateKind};

/// Options of `weir state get`.
#[derive(Debug, clap::Args)]
pub struct Options {
    #[command(flatten)]
    source: SourceOptions,
    /// The operator
    operator: String,
    /// Its state
    state: String,
    /// The key
    #[arg(required_unless_present_any = ["key_hex", "null_key"], conflicts_with_all = ["key_hex", "null_key"])]
    key: Option<String>,
    /// The key in hex, where it is no text
    #[arg(long, value_name = "HEX", conflicts_with = "null_key", value_parser = from_hex)]
    key_hex: Option<Hex>,
    /// The key of records without one
    #[arg(long)]
    null_key: bool,
    /// Write the whole entry as JSON instead of the value
    #[arg(long)]
    json: bool,
}

/// Bytes that were given in hex.
#[derive(Debug, Clone)]
struct Hex(Vec<u8>);

fn from_hex(text: &str) -> Result<Hex, String> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    match digits {
        Some(digits) if digits.len() % 2 == 0 => {
            Ok(Hex(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()))
        }
        _ => Err("expected an even number of hex digits".to_owned()),
    }
}

/// Shows the entries of the key; that there is none is a failure.
pub fn run(options: &Options) -> Result<Exit, Failure> {
    let key = match (&options.key_hex, &options.key) {
        (Some(hex), _) => Some(hex.0.as_slice()),
        (None, text) => text.as_deref().map(str::as_bytes),
    };
    let lines = options.source.read(|opened| lines(options, opened, key))?;
    if lines.is_empty() {
        let (operator, state) = (&options.operator, &options.state);
        return Err(Failure::failed(format!(
            "operator {operator} keeps nothing for this key in state {state}"
        )));
    }
    for line in &lines {
        if !print(line) {
            break;
        }
    }
    Ok(Exit::Done)
}

fn lines(options: &Options, opened: &Opened<'_>, key: Option<&[u8]>) -> Result<Vec<String>, Failure> {
    let declared = opened.operator(&options.operator)?;
    let state = opened.state(&options.operator, declared, &options.state)?;
    let groups = &opened.keyed.groups;
    let ordinal = groups.ordinal(murmur2(key.unwrap_or_default()));
    let mut lines = Vec::new();
    let of_key = opened
        .keyed
        .parts
        .iter()
        .filter(|part| part.operator == options.operator && part.ordinals().contains(&ordinal));
    for part in of_key {
        let reader = opened.checkpoint.open(part, &opened.scratch)?;
        reader.entries(state, Some((key, groups)), &mut |entry| {
            lines.push(match options.json {
                true => state_lines::entry(&options.operator, state, &entry),
                false => plain(state, entry.subkey, entry.value),
            });
            true
        })?;
    }
    Ok(lines)
}

/// The value; in front of it the subkey, where there is one.
fn plain(state: &StateDeclaration, subkey: &[u8], value: &[u8]) -> String {
    let value = shown(value);
    match state.kind {
        StateKind::Value | StateKind::List => value,
        StateKind::Map => format!("{}\t{value}", shown(subkey)),
    }
}

/// Text as it is, other bytes in hex.
fn shown(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.chars().any(char::is_control) => text.to_owned(),
        _ => bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_in_hex_has_two_digits_per_byte() {
        assert_eq!(from_hex("00fF").unwrap().0, [0, 255]);
        assert!(from_hex("0").is_err() && from_hex("0g").is_err());
    }

    #[test]
    fn bytes_that_are_no_text_are_shown_in_hex() {
        assert_eq!(shown(b"abc"), "abc");
        assert_eq!(shown(&[2, 0]), "02 00");
    }
}
