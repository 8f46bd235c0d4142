//! The pipeline plan: what the pipeline file asks for, and the checked graph that runs.
//!
//! A [`PipelineSpec`] is plain data, read from the file by the binary. [`Plan::check`] reports all problems at once,
//! each with the path of the key at fault, and returns a graph in which every edge is known to exist.

mod check;
mod spec;

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
    /// An operator, by index.
    Operator(usize),
    /// A sink, by index.
    Sink(usize),
}

/// A checked pipeline: all names are indices, the operators are in an order in which inputs come first.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The specification that was checked. Its operators are in the file's order.
    pub spec: PipelineSpec,
    /// Consumers of each source.
    pub from_source: Vec<Vec<Downstream>>,
    /// Consumers of each output port of each operator.
    pub from_operator: Vec<Vec<Vec<Downstream>>>,
    /// For each operator the sink of its dead letters.
    pub dead_letters: Vec<Option<usize>>,
    /// Operators such that each stands behind all of its inputs.
    pub order: Vec<usize>,
}

/// Output ports of an operator, by name; a mapper has one, named `out`.
pub type Ports = Vec<String>;

#[cfg(test)]
mod tests;
