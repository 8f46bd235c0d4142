//! What an operator declares about itself, as constants; turned into the contract's records when the host asks.

use crate::bindings::processing;

/// The name of the one input port.
pub const INPUT: &str = "in";

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
    /// The output ports; a mapper has one.
    pub outputs: &'static [OutputPort],
    /// The configuration keys; none for a mapper.
    pub config: &'static [ConfigKey],
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
            inputs: vec![processing::InputPort { name: INPUT.to_string() }],
            outputs: outputs
                .map(|port| processing::OutputPort { name: port.name.to_string(), keeps_key: port.keeps_key })
                .collect(),
            states: Vec::new(),
            timers: Vec::new(),
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
