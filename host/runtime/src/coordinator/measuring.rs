//! How long each part of a checkpoint took.

use super::Coordinator;
use std::time::Duration;

impl Coordinator<'_> {
    /// The last subtask has delivered the barrier, and the transaction of the epoch gets nothing more.
    pub(super) fn delivered(&mut self) {
        self.delivered_at = self.options.clock.monotonic();
        let barrier_since = self.barrier_at - self.began;
        self.transaction_since = self.cycle.active_since().unwrap_or(barrier_since);
        let meters = &self.options.meters.checkpoint;
        let came_through = self.delivered_at - self.barrier_at;
        // A clock of another thread that read a moment later is no negative time.
        let froze = self.froze.min(came_through);
        meters.align.add(came_through - froze);
        meters.freeze.add(froze);
    }

    /// The manifest is durable.
    pub(super) fn measure_write(&self) {
        let meters = &self.options.meters.checkpoint;
        meters.write.add(self.options.clock.monotonic() - self.delivered_at);
        let parts = self.made.iter().flat_map(|(manifest, _)| manifest.keyed.iter());
        let files = parts.flat_map(|keyed| keyed.parts.iter()).flat_map(|part| part.files.iter());
        meters.state_bytes.set(files.map(|file| file.size).sum::<u64>() as i64);
    }

    /// The decision, which was begun at this moment, is made.
    pub(super) fn measure_decision(&self, before: Duration) {
        let now = self.options.clock.monotonic();
        self.options.meters.decision_times.add(now - self.barrier_at);
        let meters = &self.options.meters.checkpoint;
        meters.decide.add(now - before);
        meters.decided(now);
        self.options.meters.oldest_undecided.decided();
        if let Some(timeout) = self.connected.transaction_timeout {
            let age = (now - self.began).saturating_sub(self.transaction_since);
            let margin = timeout.as_micros() as i64 - age.as_micros() as i64;
            meters.transaction_margin_us.set(margin);
            meters.transaction_timeout_ms.set(timeout.as_millis() as i64);
        }
    }
}
