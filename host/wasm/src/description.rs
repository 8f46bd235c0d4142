//! What an operator is: its ports, its configuration keys, and what it keeps per key.

use crate::abi::{LiftedDescription, LiftedStateKind, LiftedTimerClock};
use crate::artefact::NotAnOperator;
use crate::one_line::one_line;
use std::collections::BTreeSet;
use weir_protocol::state::{
    OperatorShape, OutputPort, StateDeclaration, StateKind, TimerClock, TimerDeclaration,
};

/// A configuration key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigKey {
    /// Its name.
    pub name: String,
    /// The pipeline must set it.
    pub required: bool,
    /// Used where it is not required and not set.
    pub default: String,
    /// One line for a person.
    pub description: String,
}

/// What `describe` said, or what is true of every mapper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// Names of the input ports.
    pub inputs: Vec<String>,
    /// The output ports.
    pub outputs: Vec<OutputPort>,
    /// What is kept per key.
    pub states: Vec<StateDeclaration>,
    /// The timers.
    pub timers: Vec<TimerDeclaration>,
    /// It can read the state of its older versions.
    pub migrates: bool,
    /// The configuration keys; `None` where any key is accepted, because a mapper cannot say.
    pub config: Option<Vec<ConfigKey>>,
}

const PORTS_MAX: usize = 255;
const NAME_BYTES_MAX: usize = 255;
const TEXT_CHARS_MAX: usize = 1024;

impl Description {
    /// One input, one output, any configuration.
    pub fn of_mapper() -> Description {
        Description {
            inputs: vec!["in".into()],
            outputs: vec![OutputPort { name: "out".into(), keeps_key: false }],
            states: Vec::new(),
            timers: Vec::new(),
            migrates: false,
            config: None,
        }
    }

    /// Checks what a processor says of itself against the contract. `migrates`: it exports `migration`.
    pub(crate) fn of_processor(
        said: LiftedDescription,
        migrates: bool,
    ) -> Result<Description, NotAnOperator> {
        let description = Description { migrates, ..Description::from(said) };
        description.check()?;
        Ok(description)
    }

    /// What it is to the plan.
    pub fn shape(&self) -> OperatorShape {
        OperatorShape {
            inputs: self.inputs.clone(),
            outputs: self.outputs.clone(),
            states: self.states.clone(),
            timers: self.timers.clone(),
            migrates: self.migrates,
        }
    }

    fn check(&self) -> Result<(), NotAnOperator> {
        if self.inputs.is_empty() || self.inputs.len() > PORTS_MAX || self.outputs.len() > PORTS_MAX {
            return Err(NotAnOperator(format!(
                "describes {} input and {} output ports; expected 1 to {PORTS_MAX} and 0 to {PORTS_MAX}",
                self.inputs.len(),
                self.outputs.len()
            )));
        }
        check_names("input port", self.inputs.iter())?;
        check_names("output port", self.outputs.iter().map(|port| &port.name))?;
        check_names("state", self.states.iter().map(|state| &state.name))?;
        check_names("timer", self.timers.iter().map(|timer| &timer.name))?;
        check_names("configuration key", self.config.iter().flatten().map(|key| &key.name))
    }
}

fn check_names<'a>(what: &str, names: impl Iterator<Item = &'a String>) -> Result<(), NotAnOperator> {
    let mut seen = BTreeSet::new();
    for name in names {
        let shown = one_line(name, 60);
        let odd = |c: char| c.is_control() || c.is_whitespace();
        if name.is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(odd) {
            return Err(NotAnOperator(format!(
                "describes the {what} {shown:?}; a name has 1 to {NAME_BYTES_MAX} bytes and no spaces"
            )));
        }
        if !seen.insert(name) {
            return Err(NotAnOperator(format!("describes the {what} {shown:?} twice")));
        }
    }
    Ok(())
}

impl From<LiftedDescription> for Description {
    fn from(said: LiftedDescription) -> Description {
        let outputs = said.outputs.into_iter();
        let states = said.states.into_iter().map(|state| StateDeclaration {
            name: state.name,
            kind: match state.kind {
                LiftedStateKind::Value => StateKind::Value,
                LiftedStateKind::Map => StateKind::Map,
                LiftedStateKind::List => StateKind::List,
            },
            version: state.version,
            ttl_seconds: state.ttl_seconds,
        });
        let timers = said.timers.into_iter().map(|timer| TimerDeclaration {
            name: timer.name,
            clock: match timer.clock {
                LiftedTimerClock::EventTime => TimerClock::EventTime,
                LiftedTimerClock::ProcessingTime => TimerClock::ProcessingTime,
            },
        });
        let config = said.config.into_iter().map(|key| ConfigKey {
            name: key.name,
            required: key.required,
            default: key.default,
            description: one_line(&key.description, TEXT_CHARS_MAX),
        });
        Description {
            inputs: said.inputs.into_iter().map(|port| port.name).collect(),
            outputs: outputs.map(|port| OutputPort { name: port.name, keeps_key: port.keeps_key }).collect(),
            states: states.collect(),
            timers: timers.collect(),
            migrates: false,
            config: Some(config.collect()),
        }
    }
}
