//! Where a source stands: per partition, the offset of the first record not yet emitted.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// One partition of one source. For Kafka the topic's name and partition; for a local source the name of what is
/// read (a file's path, `generator`) and a running number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Partition {
    /// The topic.
    pub topic: Arc<str>,
    /// The number of the partition within the topic.
    pub number: i32,
}

impl Partition {
    /// Names a partition.
    pub fn new(topic: impl Into<Arc<str>>, number: i32) -> Partition {
        Partition { topic: topic.into(), number }
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.topic, self.number)
    }
}

/// The offset of the first record of a partition that has not been emitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// What is read next.
    pub offset: i64,
    /// The leader epoch of the last record read (KIP-320), -1 where there is none.
    #[serde(default = "no_leader_epoch")]
    pub leader_epoch: i32,
}

fn no_leader_epoch() -> i32 {
    -1
}

impl Position {
    /// A position without a leader epoch.
    pub fn at(offset: i64) -> Position {
        Position { offset, leader_epoch: -1 }
    }
}

/// The positions of one source.
pub type Positions = BTreeMap<Partition, Position>;
