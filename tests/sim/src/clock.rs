//! A clock that moves when told to, and whose time of day may jump back.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use weir_runtime::clock::Clock;

/// The time of day at the start, in milliseconds since 1970.
const START_MS: i64 = 1_000_000;

/// Time in the simulation.
#[derive(Debug, Default)]
pub struct SimulatedClock {
    passed_ms: AtomicI64,
    jumped_ms: AtomicI64,
}

impl SimulatedClock {
    /// Time passes.
    pub fn advance(&self, by_ms: u64) {
        self.passed_ms.fetch_add(by_ms as i64, Ordering::SeqCst);
    }

    /// The time of day is set back.
    pub fn jump_back(&self, by_ms: u64) {
        self.jumped_ms.fetch_add(by_ms as i64, Ordering::SeqCst);
    }
}

impl Clock for SimulatedClock {
    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.passed_ms.load(Ordering::SeqCst).unsigned_abs())
    }

    fn wall_ms(&self) -> i64 {
        START_MS + self.passed_ms.load(Ordering::SeqCst) - self.jumped_ms.load(Ordering::SeqCst)
    }

    fn thread_cpu(&self) -> Duration {
        self.monotonic()
    }
}
