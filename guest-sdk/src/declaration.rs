//! What an operator declares about itself, as constants; turned into the contract's records when the host asks.

use crate::bindings::processing;

/// The input port of an operator that declares none.
pub const DEFAULT_INPUTS: &[&str] = &["in"];
/// The output port of an operator that declares none.
pub const DEFAULT_OUTPUTS: &[OutputPort] = &[OutputPort { name: "out", keeps_key: false }];

/// Which world of the contract an operator exports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum World {
    /// Stateless, one input, one output, and no way to describe itself: its configuration is not checked.
    Mapper,
    /// Describes its ports and its configuration.
    Processor,
}

/// What an operator is.
#[derive(Clone, Copy, Debug)]
pub struct Description {
    /// The world that it exports.
    pub world: World,
    /// Names of the input ports; a mapper has one.
    pub inputs: &'static [&'static str],
    /// The output ports; a mapper has one.
    pub outputs: &'static [OutputPort],
    /// What is kept per key.
    pub states: &'static [StateDeclaration],
    /// The timers per key.
    pub timers: &'static [TimerDeclaration],
    /// The configuration keys; none for a mapper.
    pub config: &'static [ConfigKey],
}

/// Re-exported for declarations: the contract's own.
pub use crate::bindings::processing::{StateKind, TimerClock};

/// A state. Its name is for ever: it names the data on disk.
#[derive(Clone, Copy, Debug)]
pub struct StateDeclaration {
    /// What the data is called.
    pub name: &'static str,
    /// Its shape.
    pub kind: StateKind,
    /// The version of its encoding.
    pub version: u32,
    /// Seconds of processing time after the last write from which on it reads as absent; 0 = never.
    pub ttl_seconds: u32,
}

/// A timer.
#[derive(Clone, Copy, Debug)]
pub struct TimerDeclaration {
    /// What it is called.
    pub name: &'static str,
    /// What it goes by.
    pub clock: TimerClock,
}

/// An output port.
#[derive(Clone, Copy, Debug)]
pub struct OutputPort {
    /// What pipelines call it.
    pub name: &'static str,
    /// A promise that records emitted here keep their key; emitting a key here fails the call.
    pub keeps_key: bool,
}

/// A configuration key.
#[derive(Clone, Copy, Debug)]
pub struct ConfigKey {
    /// What pipelines call it.
    pub name: &'static str,
    /// Whether a pipeline must set it.
    pub required: bool,
    /// What it is when the pipeline sets nothing.
    pub default: &'static str,
    /// For a person, in one line.
    pub description: &'static str,
}

impl Description {
    /// The same in the contract's own records.
    pub(crate) fn to_contract(self) -> processing::Description {
        let outputs = self.outputs.iter();
        let config = self.config.iter();
        processing::Description {
            inputs: self.inputs.iter().map(|name| processing::InputPort { name: name.to_string() }).collect(),
            outputs: outputs
                .map(|port| processing::OutputPort { name: port.name.to_string(), keeps_key: port.keeps_key })
                .collect(),
            states: self.states.iter().map(|state| state.to_contract()).collect(),
            timers: self.timers.iter().map(|timer| timer.to_contract()).collect(),
            config: config
                .map(|key| processing::ConfigKey {
                    name: key.name.to_string(),
                    required: key.required,
                    default: key.default.to_string(),
                    description: key.description.to_string(),
                })
                .collect(),
        }
    }
}

impl StateDeclaration {
    /// Version 1, kept for ever.
    pub const fn new(name: &'static str, kind: StateKind) -> Self {
        StateDeclaration { name, kind, version: 1, ttl_seconds: 0 }
    }

    /// The same with this version of its encoding.
    pub const fn version(self, version: u32) -> Self {
        StateDeclaration { version, ..self }
    }

    /// The same with this time to live: a whole number and `s`, `m`, `h` or `d`. Anything else does not compile.
    pub const fn ttl(self, duration: &str) -> Self {
        StateDeclaration { ttl_seconds: seconds(duration), ..self }
    }

    fn to_contract(self) -> processing::StateDeclaration {
        processing::StateDeclaration {
            name: self.name.to_string(),
            kind: self.kind,
            version: self.version,
            ttl_seconds: self.ttl_seconds,
        }
    }
}

impl TimerDeclaration {
    fn to_contract(self) -> processing::TimerDeclaration {
        processing::TimerDeclaration { name: self.name.to_string(), clock: self.clock }
    }
}

/// The seconds of "90s", "5m", "1h" or "7d".
const fn seconds(duration: &str) -> u32 {
    let Some((unit, mut digits)) = duration.as_bytes().split_last() else {
        panic!("a time to live is a number and a unit, such as \"1h\"")
    };
    let unit_seconds: u64 = match *unit {
        b's' => 1,
        b'm' => 60,
        b'h' => 3600,
        b'd' => 86_400,
        _ => panic!("a time to live ends in s, m, h or d, such as \"1h\""),
    };
    let mut number = 0;
    assert!(!digits.is_empty(), "a time to live is a number and a unit, such as \"1h\"");
    while let Some((digit, rest)) = digits.split_first() {
        assert!(digit.is_ascii_digit(), "a time to live is a whole number and a unit, such as \"90m\"");
        number = number * 10 + (*digit - b'0') as u64;
        assert!(number * unit_seconds <= u32::MAX as u64, "a time to live is at most 49710 days");
        digits = rest;
    }
    assert!(number > 0, "a time to live is more than 0; leave it out to keep entries for ever");
    (number * unit_seconds) as u32
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn a_time_to_live_is_a_number_and_a_unit() {
        assert_eq!(["90s", "5m", "1h", "7d"].map(seconds), [90, 300, 3600, 604_800]);
    }
}
