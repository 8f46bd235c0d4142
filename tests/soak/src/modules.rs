//! Bytes that nobody meant as an operator: generated modules, and the bytes of a good one, damaged.

use crate::harness::guests::{guest, repository};
use crate::harness::moments::Moments;
use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use wit_component::ComponentEncoder;

/// The operator under whose name they are uploaded.
pub const OPERATOR: &str = "generated";
/// Bytes of a good component that are changed, at most.
const CHANGED_BYTES_MAX: u64 = 8;

/// How the bytes were made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// By wasm-smith: any module.
    Core,
    /// By wasm-smith: any component.
    Component,
    /// By wasm-smith: a module with the imports and exports of an operator, and bodies of chance.
    Operator,
    /// The same, made a component.
    OperatorComponent,
    /// A good operator with some bytes changed.
    Changed,
    /// The same, of an operator that was made a component.
    ChangedComponent,
    /// A good operator that was cut off.
    CutOff,
}

/// In the order in which `tests/modules` numbers them.
const GENERATED: [Kind; 4] = [Kind::Core, Kind::Component, Kind::Operator, Kind::OperatorComponent];

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Core => "module",
            Kind::Component => "component",
            Kind::Operator => "operator of chance",
            Kind::OperatorComponent => "operator of chance, a component",
            Kind::Changed => "changed operator",
            Kind::ChangedComponent => "changed component",
            Kind::CutOff => "operator cut off",
        })
    }
}

/// All of one seed.
pub struct Modules {
    moments: Moments,
    generator: Generator,
    good: Vec<u8>,
    component: Vec<u8>,
    /// How many are still wanted.
    pub left: u64,
    /// What was made and could not be uploaded, because the host went down.
    again: Option<(Kind, Vec<u8>)>,
    /// Answers by kind: taken as a version, refused.
    pub answers: BTreeMap<Kind, [u64; 2]>,
}

impl Modules {
    /// So many, out of a seed.
    pub fn new(seed: u64, left: u64) -> Modules {
        let good = std::fs::read(guest("count_by_key")).expect("a built guest");
        let component = component(&good).expect("the guest becomes a component");
        Modules {
            moments: Moments::new(seed),
            generator: Generator::start(seed),
            good,
            component,
            left,
            again: None,
            answers: BTreeMap::new(),
        }
    }

    /// The next one, or one that is to be uploaded once more.
    pub fn next(&mut self) -> (Kind, Vec<u8>) {
        if let Some(again) = self.again.take() {
            return again;
        }
        match self.moments.next(10) {
            0..=5 => self.generator.next(),
            6 | 7 => (Kind::Changed, changed(&mut self.moments, &self.good)),
            8 => (Kind::ChangedComponent, changed(&mut self.moments, &self.component)),
            _ => {
                let from = if self.moments.next(2) == 0 { &self.good } else { &self.component };
                let length = self.moments.next(from.len() as u64) as usize;
                (Kind::CutOff, from[..length].to_vec())
            }
        }
    }

    /// It was not answered.
    pub fn put_back(&mut self, module: (Kind, Vec<u8>)) {
        self.again = Some(module);
    }

    /// It was answered.
    pub fn answered(&mut self, kind: Kind, taken: bool) {
        self.left = self.left.saturating_sub(1);
        self.answers.entry(kind).or_default()[usize::from(!taken)] += 1;
    }
}

/// The process that makes modules; it goes with this value.
struct Generator(Child);

impl Generator {
    fn start(seed: u64) -> Generator {
        let program = std::env::var_os("WEIR_TEST_MODULES").expect("no generator: run `cargo xtask soak`");
        let mut command = Command::new(program);
        command.args([seed.to_string(), guest("count_by_key")]).arg(repository().join("wit"));
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        Generator(command.spawn().expect("the generator starts"))
    }

    fn next(&mut self) -> (Kind, Vec<u8>) {
        let out = self.0.stdout.as_mut().expect("it was made with a pipe");
        let (mut kind, mut length) = ([0; 1], [0; 4]);
        out.read_exact(&mut kind).expect("a kind");
        out.read_exact(&mut length).expect("a length");
        let mut bytes = vec![0; u32::from_le_bytes(length) as usize];
        out.read_exact(&mut bytes).expect("a module");
        (GENERATED[usize::from(kind[0])], bytes)
    }
}

impl Drop for Generator {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn changed(moments: &mut Moments, good: &[u8]) -> Vec<u8> {
    let mut bytes = good.to_vec();
    for _ in 0..=moments.next(CHANGED_BYTES_MAX) {
        let at = moments.next(bytes.len() as u64) as usize;
        bytes[at] ^= 1 + moments.next(255) as u8;
    }
    bytes
}

fn component(module: &[u8]) -> Option<Vec<u8>> {
    ComponentEncoder::default().module(module).ok()?.encode().ok()
}

/// The same module with other bytes: a section that nobody reads.
pub fn with_number(module: &[u8], number: u64) -> Vec<u8> {
    const NAME: &[u8] = b"soak";
    let mut bytes = module.to_vec();
    bytes.extend([0, (1 + NAME.len() + size_of::<u64>()) as u8, NAME.len() as u8]);
    bytes.extend(NAME);
    bytes.extend(number.to_le_bytes());
    bytes
}
