//! A time in which a load has nothing under way to the broker.
//!
//! The idempotent producer has been seen to store a batch twice, at offsets of its own, when the broker was killed under
//! it. A model would take that for weir's doing, so whoever kills a broker lets the load pause first.

use super::waiting::{DEADLINE, LOOK_EVERY, pause, until};
use rdkafka::producer::{DefaultProducerContext, Producer, ThreadedProducer};
use std::sync::atomic::{AtomicBool, Ordering};

/// What the one that wants the pause and the load tell each other.
#[derive(Debug, Default)]
pub struct LoadPause {
    wanted: AtomicBool,
    begun: AtomicBool,
}

impl LoadPause {
    /// Does something while the load pauses.
    pub fn during(&self, act: impl FnOnce()) {
        self.wanted.store(true, Ordering::Relaxed);
        until("the load to pause", || self.begun.load(Ordering::Relaxed).then_some(()));
        act();
        self.wanted.store(false, Ordering::Relaxed);
        until("the load to go on", || (!self.begun.load(Ordering::Relaxed)).then_some(()));
    }

    /// The load pauses, with everything stored, for as long as somebody wants it.
    pub fn observe(&self, producer: &ThreadedProducer<DefaultProducerContext>) {
        if !self.wanted.load(Ordering::Relaxed) {
            return;
        }
        producer.flush(DEADLINE).expect("the load is stored");
        self.begun.store(true, Ordering::Relaxed);
        while self.wanted.load(Ordering::Relaxed) {
            pause(LOOK_EVERY);
        }
        self.begun.store(false, Ordering::Relaxed);
    }
}
