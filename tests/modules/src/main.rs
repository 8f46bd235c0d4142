//! Writes modules and components that wasm-smith makes out of a seed to standard output, one after the other, for as long
//! as somebody reads: the kind (one byte), the length (four bytes, little-endian), the bytes.
//!
//! Arguments: the seed, a module of an operator, the folder of the contract.

/// The numbers of a seed, as the tests use them.
#[path = "../../it/tests/it/harness/moments.rs"]
mod moments;

use arbitrary::{Arbitrary, Unstructured};
use moments::Moments;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use wasm_smith::{Component, Config, Module};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::{Resolve, WorldId};

/// Bytes of chance that a module is made of, at most.
const CHANCE_BYTES_MAX: u64 = 6000;
/// Memory that a module may ask for: more than the host allows.
const MEMORY_BYTES_MAX: u64 = 4 << 30;

/// What operators are like.
struct Operators {
    like: Vec<u8>,
    contract: Resolve,
    world: WorldId,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [seed, like, contract] = arguments.as_slice() else {
        eprintln!("usage: modules SEED MODULE CONTRACT");
        return ExitCode::from(2);
    };
    // What wasm-smith has not implemented it answers with a panic, and that is not news.
    std::panic::set_hook(Box::new(|_| {}));
    match write(seed.parse().unwrap_or(1), &Operators::read(like, contract)) {
        // Nobody reads any more.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

fn write(seed: u64, operators: &Operators) -> std::io::Result<()> {
    let (mut moments, mut out) = (Moments::new(seed), std::io::stdout().lock());
    loop {
        let kind = moments.next(4) as u8;
        let length = 200 + moments.next(CHANCE_BYTES_MAX);
        let chance: Vec<u8> = (0..length).map(|_| (moments.next(1 << 16) >> 4) as u8).collect();
        // Chance does not always make a module.
        let Ok(Some(bytes)) = catch_unwind(AssertUnwindSafe(|| make(kind, &chance, operators))) else {
            continue;
        };
        out.write_all(&[kind])?;
        out.write_all(&(bytes.len() as u32).to_le_bytes())?;
        out.write_all(&bytes)?;
        out.flush()?;
    }
}

/// The kinds, in the order in which the reader knows them.
fn make(kind: u8, chance: &[u8], operators: &Operators) -> Option<Vec<u8>> {
    let mut chance = Unstructured::new(chance);
    match kind {
        0 => module(&mut chance, None),
        1 => Some(Component::new(Config::arbitrary(&mut chance).ok()?, &mut chance).ok()?.to_bytes()),
        2 => operators.module(&mut chance),
        _ => component(&operators.module(&mut chance)?),
    }
}

/// A valid module; with `like`, one with the imports and exports of that module.
fn module(chance: &mut Unstructured<'_>, like: Option<&[u8]>) -> Option<Vec<u8>> {
    let mut config = Config::arbitrary(chance).ok()?;
    config.max_memory32_bytes = config.max_memory32_bytes.min(MEMORY_BYTES_MAX);
    config.module_shape = like.map(<[u8]>::to_vec);
    Some(Module::new(config, chance).ok()?.to_bytes())
}

/// Whether it is valid is for the host to find out.
fn component(module: &[u8]) -> Option<Vec<u8>> {
    ComponentEncoder::default().validate(false).module(module).ok()?.encode().ok()
}

impl Operators {
    fn read(like: &str, contract: &str) -> Operators {
        let like = std::fs::read(like).expect("a module of an operator");
        let mut resolve = Resolve::default();
        let (package, _) = resolve.push_dir(contract).expect("the contract");
        let world = resolve.select_world(&[package], Some("processor")).expect("operators with state");
        Operators { like, contract: resolve, world }
    }

    /// A module that says of itself that it is an operator with state, has the imports and exports of one, and bodies of
    /// chance.
    fn module(&self, chance: &mut Unstructured<'_>) -> Option<Vec<u8>> {
        let mut module = module(chance, Some(&self.like))?;
        embed_component_metadata(&mut module, &self.contract, self.world, StringEncoding::UTF8).ok()?;
        Some(module)
    }
}
