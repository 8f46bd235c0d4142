//! The memory of the write-back caches: one budget, divided evenly among the states that are open.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The budget of a process, or of one pipeline within that of a process.
#[derive(Debug, Clone)]
pub(crate) struct MemoryBudget {
    bytes: usize,
    shares: Arc<AtomicUsize>,
    /// The budget that this one is a part of.
    within: Option<Arc<MemoryBudget>>,
}

/// One state's share of it, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct MemoryShare {
    budget: MemoryBudget,
    _within: Option<Arc<MemoryShare>>,
}

impl MemoryBudget {
    pub(crate) fn new(bytes: usize) -> MemoryBudget {
        MemoryBudget { bytes, shares: Arc::default(), within: None }
    }

    /// A budget of its own that is never more than what others leave of this one.
    pub(crate) fn part(&self, bytes: usize) -> MemoryBudget {
        MemoryBudget { bytes, shares: Arc::default(), within: Some(Arc::new(self.clone())) }
    }

    /// A share for one more state.
    pub(crate) fn share(&self) -> MemoryShare {
        self.shares.fetch_add(1, Ordering::Relaxed);
        let within = self.within.as_ref().map(|within| Arc::new(within.share()));
        MemoryShare { budget: self.clone(), _within: within }
    }

    fn share_bytes(&self) -> usize {
        let own = self.bytes / self.shares.load(Ordering::Relaxed).max(1);
        self.within.as_ref().map_or(own, |within| own.min(within.share_bytes()))
    }
}

impl MemoryShare {
    /// Bytes of a share now.
    pub(crate) fn bytes(&self) -> usize {
        self.budget.share_bytes()
    }
}

impl Drop for MemoryShare {
    fn drop(&mut self) {
        self.budget.shares.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipelines_share_is_never_more_than_what_others_leave() {
        let process = MemoryBudget::new(1000);
        let (capped, free) = (process.part(300), process.part(1000));
        let first = capped.share();
        assert_eq!(first.bytes(), 300);
        let others: Vec<MemoryShare> = (0..4).map(|_| free.share()).collect();
        assert_eq!((first.bytes(), others[0].bytes()), (200, 200));
        drop(others);
        assert_eq!(first.bytes(), 300);
    }
}
