//! Which runs are asked for, and where they happen.

use crate::arguments::Arguments;
use crate::broker;
use crate::failure::Failure;
use crate::scratch::Scratch;
use crate::topics::Topics;
use std::fmt;
use std::time::Duration;

/// What processes the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    /// Native, one produce call per record.
    FloorRecord,
    /// weir as it is by default.
    Weir,
    /// Native, one produce call per batch.
    FloorBatch,
    /// weir where timestamps and headers are given up.
    WeirBatch,
}

impl Variant {
    /// All, each floor before what is compared with it.
    pub const ALL: &[Variant] =
        &[Variant::FloorRecord, Variant::Weir, Variant::FloorBatch, Variant::WeirBatch];

    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Variant::FloorRecord => "floor-record",
            Variant::Weir => "weir",
            Variant::FloorBatch => "floor-batch",
            Variant::WeirBatch => "weir-batch",
        }
    }

    /// The variant of a word.
    pub fn named(name: &str) -> Result<Variant, Failure> {
        let found = Variant::ALL.iter().copied().find(|variant| variant.name() == name);
        let known = || Variant::ALL.iter().map(|variant| variant.name()).collect::<Vec<_>>().join(", ");
        found.ok_or_else(|| Failure::new(format!("--only: {name:?} is not one of {}", known())))
    }

    /// True for a native program.
    pub fn is_floor(self) -> bool {
        self.floor() == self
    }

    /// What it is compared with.
    pub fn floor(self) -> Variant {
        match self {
            Variant::FloorRecord | Variant::Weir => Variant::FloorRecord,
            Variant::FloorBatch | Variant::WeirBatch => Variant::FloorBatch,
        }
    }
}

/// One run that is asked for.
#[derive(Debug, Clone, Copy)]
pub struct AskedRun {
    /// What runs.
    pub variant: Variant,
    /// How long a transaction is.
    pub interval: Duration,
    /// Threads, or parallelism.
    pub subtasks: usize,
}

impl fmt::Display for AskedRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, interval {:?}, subtasks {}", self.variant.name(), self.interval, self.subtasks)
    }
}

/// All runs, those that are compared next to each other.
pub fn runs(arguments: &Arguments) -> Vec<AskedRun> {
    let mut runs = Vec::new();
    for &interval in &arguments.intervals {
        for &subtasks in &arguments.subtasks {
            let asked = Variant::ALL.iter().filter(|variant| arguments.only.contains(variant));
            runs.extend(asked.map(|&variant| AskedRun { variant, interval, subtasks }));
        }
    }
    runs
}

/// Where the runs happen. Topics and files go when it is dropped.
pub struct Place {
    /// Topics of the broker.
    pub topics: Topics,
    /// The input topic.
    pub input: String,
    /// In every name that a run uses.
    pub id: String,
    /// Pipeline files, data directories and logs.
    pub scratch: Scratch,
    /// The broker's process, if it is on this machine.
    pub broker: Option<i32>,
}

impl Place {
    /// Makes the folder and the input topic.
    pub fn prepare(arguments: &Arguments) -> Result<Place, Failure> {
        let id = format!("weir-bench-{}", std::process::id());
        let broker = broker::find(&arguments.brokers);
        if broker.is_none() {
            eprintln!("bench: the broker's process is not found; its CPU is not measured");
        }
        let topics = Topics::connect(&arguments.brokers, arguments.partitions)?;
        let input = format!("{id}-in");
        topics.create(&input)?;
        Ok(Place { topics, input, scratch: Scratch::make(&id)?, id, broker })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.topics.delete(&self.input);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_variant_is_found_by_its_name_and_compared_with_a_floor() {
        for &variant in Variant::ALL {
            assert_eq!(Variant::named(variant.name()).unwrap(), variant);
            assert!(variant.floor().is_floor());
        }
        assert!(Variant::named("wier").is_err());
    }
}
