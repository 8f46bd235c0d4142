//! The pipelines that are compared: one without state, and the smallest one with state in three placements.

use super::arguments::Arguments;
use crate::failure::Failure;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The operator `prefix`, without state.
    Prefix,
    /// `count_by_key` in one subtask.
    Count,
    /// `count_by_key` in two subtasks, each record by way of the exchange.
    Exchange,
    /// `count_by_key` in two subtasks that read the partitions of their own keys.
    CoPartitioned,
}

impl Kind {
    /// All, first what the others are compared with.
    pub const ALL: &[Kind] = &[Kind::Prefix, Kind::Count, Kind::CoPartitioned, Kind::Exchange];

    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Prefix => "prefix",
            Kind::Count => "count",
            Kind::Exchange => "count-2-exchange",
            Kind::CoPartitioned => "count-2-co-partitioned",
        }
    }

    /// The kind of a word.
    pub fn named(name: &str) -> Result<Kind, Failure> {
        let found = Kind::ALL.iter().copied().find(|kind| kind.name() == name);
        let known = || Kind::ALL.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(", ");
        found.ok_or_else(|| Failure::new(format!("--only: {name:?} is not one of {}", known())))
    }

    fn parallelism(self) -> usize {
        match self {
            Kind::Prefix | Kind::Count => 1,
            Kind::Exchange | Kind::CoPartitioned => 2,
        }
    }
}

/// One pipeline.
#[derive(Debug, Clone)]
pub struct Pipeline<'a> {
    /// Its name.
    pub name: &'a str,
    /// The topic that it reads.
    pub input: &'a str,
    /// The topic that it writes.
    pub output: &'a str,
    /// What it does.
    pub kind: Kind,
    /// Subtasks, where not those of the kind.
    pub parallelism: Option<usize>,
    /// Its file and its data directory are in here.
    pub folder: &'a Path,
}

impl Pipeline<'_> {
    /// Writes the pipeline file and makes the command that runs it.
    pub fn command(&self, arguments: &Arguments) -> Result<Command, Failure> {
        let name = if self.kind == Kind::Prefix { "prefix.wasm" } else { "count_by_key.wasm" };
        let component = arguments.guests.join(name);
        let component = fs::canonicalize(&component)
            .map_err(Failure::of(format!("WEIR_BENCH_GUESTS: {}", component.display())))?;
        let file = self.folder.join("pipeline.toml");
        fs::write(&file, self.text(arguments, &component)).map_err(Failure::of(file.display()))?;
        let mut command = Command::new(&arguments.weir);
        command.arg("run").arg(&file).args(["--log-format", "json"]);
        command.arg("--data-dir").arg(self.data_directory()).env_remove("RUST_LOG");
        Ok(command)
    }

    /// Where its checkpoints are.
    pub fn data_directory(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn text(&self, arguments: &Arguments, component: &Path) -> String {
        let Pipeline { name, input, output, .. } = self;
        let parallelism = self.parallelism.unwrap_or(self.kind.parallelism());
        let co_partitioned = self.kind == Kind::CoPartitioned;
        let (interval_ms, memory) = (arguments.interval.as_millis(), arguments.memory_bytes);
        let brokers = &arguments.brokers;
        format!(
            r#"name = "{name}"
parallelism = {parallelism}
co_partitioned = {co_partitioned}
state_memory_max = {memory}

[checkpoint]
interval = "{interval_ms}ms"

[kafka.main]
brokers = "{brokers}"

[source.input]
kind = "kafka"
topics = ["{input}"]

[operator.measured]
input = "input"
component = {component:?}

[sink.output]
kind = "kafka"
input = "measured"
topic = "{output}"
"#
        )
    }
}
