//! The versions of the keyed operator that are swapped in and out, and what the control plane remembers of it.

use crate::outside::Shared;
use std::collections::BTreeMap;
use std::time::Duration;
use weir_protocol::epoch::{Epoch, Incarnation};
use weir_runtime::handle::{Notices, SwapNotice};

/// A version of the keyed operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// The first one.
    First,
    /// Does the same.
    Second,
    /// Does the same, and declares its state and timers in another order, with one more.
    Reordered,
    /// Traps on whatever it is given.
    Traps,
    /// Rejects whatever it is given.
    Rejects,
}

/// All of them.
pub const ALL: [Version; 5] =
    [Version::First, Version::Second, Version::Reordered, Version::Traps, Version::Rejects];

impl Version {
    /// Stands for the digest of its bytes, and in each of its results.
    pub fn digest(self) -> &'static str {
        match self {
            Version::First => "v1",
            Version::Second => "v2",
            Version::Reordered => "v3",
            Version::Traps => "traps",
            Version::Rejects => "rejects",
        }
    }

    /// True where nothing of it may ever be seen.
    pub fn is_bad(self) -> bool {
        matches!(self, Version::Traps | Version::Rejects)
    }
}

/// What the control plane has on disk.
#[derive(Debug, Clone)]
pub struct Control {
    /// What runs, as far as it knows.
    pub running: Version,
    /// The version that is being swapped in.
    pub swap: Option<Version>,
    /// The swap is on probation.
    pub on_probation: bool,
    /// The newest life that has fenced those before it: what they say is not listened to.
    pub life: u64,
    /// Swaps that were begun: from, to.
    pub begun: Vec<(Version, Version)>,
}

impl Default for Control {
    fn default() -> Control {
        Control { running: Version::First, swap: None, on_probation: false, life: 0, begun: Vec::new() }
    }
}

/// Tells the control plane of one life.
pub struct Listener {
    /// Where it is.
    pub outside: Shared,
    /// The life.
    pub life: u64,
}

impl Notices for Listener {
    fn running(&self, _: &Incarnation, _: Epoch, _: &BTreeMap<String, String>, _: bool) {}

    fn restarting(&self, _: &str, _: Duration) {}

    fn going_back(&self, _: &str) {}

    fn swap(&self, notice: SwapNotice) {
        let mut outside = self.outside.lock();
        if outside.control.life > self.life {
            return;
        }
        outside.note(format!("life {}: {notice:?}", self.life));
        let name = match notice {
            SwapNotice::Prepared => return,
            SwapNotice::Probation { .. } => {
                outside.control.on_probation = true;
                return;
            }
            SwapNotice::Completed { .. } => {
                if let Some(version) = outside.control.swap {
                    outside.control.running = version;
                }
                "a swap is completed"
            }
            SwapNotice::RolledBack { .. } => "a swap is rolled back",
            SwapNotice::Interrupted { .. } => "a swap is interrupted",
            SwapNotice::Abandoned { .. } => "a swap is abandoned",
        };
        outside.control.swap = None;
        outside.control.on_probation = false;
        *outside.counts.entry(name).or_default() += 1;
    }
}
