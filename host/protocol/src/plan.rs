//! The pipeline plan: what the pipeline file asks for, and the checked graph that runs.
//!
//! A [`PipelineSpec`] is plain data, read from the file by the binary. [`Plan::check`] reports all problems at once,
//! each with the path of the key at fault, and returns a graph in which every edge is known to exist.

mod advice;
mod check;
mod decider;
mod explain;
mod graph;
pub mod replay;
mod spec;
mod stages;

use crate::state::OperatorShape;
pub use decider::{Decider, transactional_id};
pub use explain::{ClusterExplained, Explanation, Step};
pub use spec::*;
use std::fmt;

/// One thing that is wrong with a pipeline file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The path of the key at fault, such as `operator.prefix.input`.
    pub path: String,
    /// What was found, what was expected, what to do.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// Where rows come from inside the graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Upstream {
    /// A source, by index.
    Source(usize),
    /// An output port of an operator, by indices.
    Operator(usize, usize),
}

/// Where rows go inside the graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Downstream {
    /// An operator on the same subtask, by index, and which of its inputs.
    Operator(usize, usize),
    /// A sink, by index.
    Sink(usize),
    /// An exchange, by index: the rows go on in another stage.
    Exchange(usize),
}

/// One input of an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Input {
    /// Where its rows come from.
    pub from: Upstream,
    /// The port that the operator sees.
    pub port: u32,
    /// The exchange that they come through, where there is one.
    pub exchange: Option<usize>,
}

/// How an exchange chooses the subtask that a row goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Distribution {
    /// The owner of the row's key group.
    ByKey,
    /// In turn, batch by batch.
    RoundRobin,
    /// The subtask with the sender's number.
    Forward,
}

/// An edge between two stages: every subtask of the first can send to every subtask of the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exchange {
    /// What sends.
    pub from: Upstream,
    /// The operator that receives, and which of its inputs.
    pub to: (usize, usize),
    /// The stage that sends.
    pub from_stage: usize,
    /// The stage that receives.
    pub to_stage: usize,
    /// Who receives a row.
    pub distribution: Distribution,
}

/// Neighbours without an exchange between them: what one subtask runs on one thread.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stage {
    /// Number of subtasks.
    pub parallelism: usize,
    /// Sources that are read here.
    pub sources: Vec<usize>,
    /// Operators that run here, each behind all of its inputs.
    pub operators: Vec<usize>,
    /// Sinks that are written here, those of dead letters included. A sink may be written by several stages.
    pub sinks: Vec<usize>,
    /// Exchanges that end here.
    pub exchanges_in: Vec<usize>,
    /// Exchanges that begin here.
    pub exchanges_out: Vec<usize>,
}

/// A checked pipeline: all names are indices, the operators are in an order in which inputs come first.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The specification that was checked. Its operators are in the file's order.
    pub spec: PipelineSpec,
    /// What each operator is; a shape that is not known is one of a mapper.
    pub shapes: Vec<OperatorShape>,
    /// Consumers of each source.
    pub from_source: Vec<Vec<Downstream>>,
    /// Consumers of each output port of each operator.
    pub from_operator: Vec<Vec<Vec<Downstream>>>,
    /// The inputs of each operator.
    pub inputs: Vec<Vec<Input>>,
    /// For each operator the sink of its dead letters.
    pub dead_letters: Vec<Option<usize>>,
    /// Operators such that each stands behind all of its inputs.
    pub order: Vec<usize>,
    /// Edges between stages.
    pub exchanges: Vec<Exchange>,
    /// What runs together; a stage sends to later ones only.
    pub stages: Vec<Stage>,
}

impl Plan {
    /// Number of subtasks over all stages: each is one thread.
    pub fn tasks(&self) -> usize {
        self.stages.iter().map(|stage| stage.parallelism).sum()
    }

    /// The stage that an operator runs in.
    pub fn stage_of(&self, operator: usize) -> usize {
        let found = self.stages.iter().position(|stage| stage.operators.contains(&operator));
        found.expect("every operator of a checked plan is in a stage")
    }

    /// True where an operator keeps state or timers.
    pub fn is_keyed(&self) -> bool {
        self.shapes.iter().any(OperatorShape::is_keyed)
    }
}

#[cfg(test)]
mod stage_tests;
#[cfg(test)]
mod tests;
