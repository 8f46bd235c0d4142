//! The memory of the write-back caches: one budget, divided evenly among the states that are open.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The budget of a process.
#[derive(Debug, Clone)]
pub(crate) struct MemoryBudget {
    bytes: usize,
    shares: Arc<AtomicUsize>,
}

/// One state's share of it, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct MemoryShare {
    budget: MemoryBudget,
}

impl MemoryBudget {
    pub(crate) fn new(bytes: usize) -> MemoryBudget {
        MemoryBudget { bytes, shares: Arc::default() }
    }

    /// A share for one more state.
    pub(crate) fn share(&self) -> MemoryShare {
        self.shares.fetch_add(1, Ordering::Relaxed);
        MemoryShare { budget: self.clone() }
    }
}

impl MemoryShare {
    /// Bytes of a share now.
    pub(crate) fn bytes(&self) -> usize {
        self.budget.bytes / self.budget.shares.load(Ordering::Relaxed).max(1)
    }
}

impl Drop for MemoryShare {
    fn drop(&mut self) {
        self.budget.shares.fetch_sub(1, Ordering::Relaxed);
    }
}
