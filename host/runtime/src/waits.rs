//! How a subtask's thread spends its time: each wait is counted as what it is, and what is no wait is work. The three
//! sum up to the time of the thread, as Flink's `busyTimeMsPerSecond`, `idleTimeMsPerSecond` and
//! `backPressuredTimeMsPerSecond` do.

use crate::clock::Clock;
use crate::meters::SubtaskMeters;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use weir_protocol::connector::ConnectorError;

/// How long a full sink is left alone.
const FULL_SINK_WAIT: Duration = Duration::from_millis(1);

/// Counts the waits of one subtask.
#[derive(Clone)]
pub struct Waits {
    /// Set when the incarnation has ended, for a thread that waits for room.
    pub ended: Arc<AtomicBool>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Where it is counted.
    pub meters: Arc<SubtaskMeters>,
}

impl Waits {
    /// A wait for room further down: in a sink, in a channel, in the next transaction.
    pub fn back_pressured<T>(&self, wait: impl FnOnce() -> T) -> T {
        let before = self.clock.monotonic();
        let result = wait();
        self.meters.back_pressured_ns.add(nanoseconds(self.clock.monotonic() - before));
        result
    }

    /// A wait for something to do.
    pub fn idle<T>(&self, wait: impl FnOnce() -> T) -> T {
        let before = self.clock.monotonic();
        let result = wait();
        self.meters.idle_ns.add(nanoseconds(self.clock.monotonic() - before));
        result
    }

    /// Nobody waits for an incarnation that has ended.
    pub fn still_alive(&self) -> Result<(), ConnectorError> {
        match self.ended.load(Ordering::Relaxed) {
            true => Err(ConnectorError::transient("the incarnation has ended")),
            false => Ok(()),
        }
    }

    /// Waits a moment for a full sink, and gives up when the incarnation has ended.
    pub fn for_room(&self) -> Result<(), ConnectorError> {
        self.still_alive()?;
        self.back_pressured(|| std::thread::sleep(FULL_SINK_WAIT));
        Ok(())
    }

    /// Begins to count.
    pub fn watch(&self) -> Watch {
        Watch { since: self.clock.monotonic(), waited_ns: self.waited_ns() }
    }

    /// What of the time since the watch began was no wait was work. The watch begins anew.
    pub fn worked(&self, watch: &mut Watch) {
        let now = self.watch();
        let waited = now.waited_ns - watch.waited_ns;
        self.meters.busy_ns.add(nanoseconds(now.since - watch.since).saturating_sub(waited));
        *watch = now;
    }

    fn waited_ns(&self) -> u64 {
        self.meters.idle_ns.get() + self.meters.back_pressured_ns.get()
    }
}

/// A moment from which time is counted, and how much had been waited by then.
#[derive(Debug)]
pub struct Watch {
    since: Duration,
    waited_ns: u64,
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    #[test]
    fn every_moment_of_a_thread_is_counted_once() {
        let clock = Arc::new(ManualClock::default());
        let meters = Arc::new(SubtaskMeters::default());
        let waits = Waits { ended: Arc::default(), clock: clock.clone(), meters: meters.clone() };
        let mut watch = waits.watch();
        clock.advance(Duration::from_millis(5));
        waits.back_pressured(|| clock.advance(Duration::from_millis(3)));
        waits.worked(&mut watch);
        waits.idle(|| clock.advance(Duration::from_millis(2)));
        clock.advance(Duration::from_millis(1));
        waits.worked(&mut watch);
        let spent = [&meters.busy_ns, &meters.back_pressured_ns, &meters.idle_ns];
        assert_eq!(spent.map(|counter| counter.get() / 1_000_000), [6, 3, 2]);
    }

    #[test]
    fn nobody_waits_for_room_once_the_incarnation_has_ended() {
        let waits = Waits {
            ended: Arc::new(AtomicBool::new(true)),
            clock: Arc::new(ManualClock::default()),
            meters: Arc::default(),
        };
        assert!(waits.for_room().is_err());
    }
}
