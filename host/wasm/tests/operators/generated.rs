//! Uploads from generated input: bytes that are anything, and good components of which something was changed. Each is
//! an operator that can be described, or is refused in one line; none is a panic.

use crate::guests::{PLAIN, keyed, mapper, migrating, processor, wat_text};
use proptest::prelude::*;
use std::sync::OnceLock;
use weir_wasm::Engine;

/// Compiling is most of the time of a case.
const CASES: u32 = 150;

/// One for all cases, as a server has.
fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| Engine::new(None).unwrap())
}

/// A description, or a refusal that fits into an answer.
fn is_judged(bytes: &[u8]) -> Result<(), TestCaseError> {
    match engine().load(bytes) {
        Ok(prepared) => {
            prop_assert_eq!(prepared.size(), bytes.len());
            let description = prepared.description();
            prop_assert!(!description.inputs.is_empty());
            let ports = description.inputs.iter().chain(description.outputs.iter().map(|port| &port.name));
            let states = description.states.iter().map(|state| &state.name);
            for name in ports.chain(states) {
                prop_assert!(!name.is_empty() && !name.chars().any(char::is_control), "{:?}", name);
            }
        }
        Err(refusal) => {
            let told = refusal.to_string();
            prop_assert!(!told.is_empty() && !told.contains('\n') && told.len() < 10_000, "{}", told);
        }
    }
    Ok(())
}

/// Guests of every world, and a component that was wrapped before.
fn good() -> &'static [Vec<u8>] {
    static GOOD: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    GOOD.get_or_init(|| {
        let imports = wat::parse_str(wat_text("unknown_import.wat")).unwrap();
        vec![mapper("talkative"), processor("router"), keyed(PLAIN), migrating(), imports]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn arbitrary_bytes_are_judged(bytes in prop::collection::vec(any::<u8>(), 0..300), head in 0u8..4) {
        // Also behind the first bytes of a module and of a component, and as text, which is none.
        let head: &[u8] = match head {
            0 => b"",
            1 => b"\0asm\x01\0\0\0",
            2 => b"\0asm\x0d\0\x01\0",
            _ => b"(module ",
        };
        is_judged(&[head, &bytes].concat())?;
    }

    #[test]
    fn a_changed_byte_is_judged(which: prop::sample::Index, at: prop::sample::Index, byte: u8) {
        let mut bytes = which.get(good()).clone();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        is_judged(&bytes)?;
    }

    #[test]
    fn a_piece_that_is_gone_or_stands_twice_is_judged(
        which: prop::sample::Index, from: prop::sample::Index, length in 1usize..200, twice: bool
    ) {
        let bytes = which.get(good());
        let from = from.index(bytes.len());
        let to = (from + length).min(bytes.len());
        let (head, tail) = if twice { (to, from) } else { (from, to) };
        is_judged(&[&bytes[..head], &bytes[tail..]].concat())?;
    }

    #[test]
    fn the_head_of_one_and_the_tail_of_another_are_judged(
        one: prop::sample::Index, other: prop::sample::Index, cut: prop::sample::Index, from: prop::sample::Index
    ) {
        let (one, other) = (one.get(good()), other.get(good()));
        is_judged(&[&one[..cut.index(one.len())], &other[from.index(other.len())..]].concat())?;
    }
}
