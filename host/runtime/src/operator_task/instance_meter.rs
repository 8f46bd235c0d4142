//! What the instances of one operator on one subtask use, as its part of the operator's counters.

use crate::meters::Meters;
use std::sync::Arc;
use weir_protocol::connector::InstanceUse;

/// Keeps one subtask's part of an operator's counters up to date, and takes its memory out when it goes.
pub(super) struct InstanceMeter {
    meters: Arc<Meters>,
    operator: usize,
    counted: InstanceUse,
}

impl InstanceMeter {
    /// Before the first call.
    pub(super) fn new(meters: Arc<Meters>, operator: usize) -> InstanceMeter {
        InstanceMeter { meters, operator, counted: InstanceUse::default() }
    }

    /// Counts what has changed.
    pub(super) fn read(&mut self, now: InstanceUse) {
        let meters = &self.meters.operators[self.operator];
        if now.memory_bytes != self.counted.memory_bytes {
            meters.memory_bytes.add(now.memory_bytes as i64 - self.counted.memory_bytes as i64);
        }
        meters.instances_recycled.add(now.recycled.saturating_sub(self.counted.recycled));
        self.counted = now;
    }
}

impl Drop for InstanceMeter {
    fn drop(&mut self) {
        self.read(InstanceUse { memory_bytes: 0, ..self.counted });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_that_of_the_instances_of_the_moment_and_recycled_ones_are_counted_once() {
        let meters = Arc::new(Meters::new(1, 1));
        let mut one = InstanceMeter::new(meters.clone(), 0);
        let mut other = InstanceMeter::new(meters.clone(), 0);
        one.read(InstanceUse { memory_bytes: 100, recycled: 0 });
        other.read(InstanceUse { memory_bytes: 50, recycled: 2 });
        one.read(InstanceUse { memory_bytes: 70, recycled: 1 });
        let operator = &meters.operators[0];
        assert_eq!((operator.memory_bytes.get(), operator.instances_recycled.get()), (120, 3));
        drop(other);
        assert_eq!((operator.memory_bytes.get(), operator.instances_recycled.get()), (70, 3));
    }
}
