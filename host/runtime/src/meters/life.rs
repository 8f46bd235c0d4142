//! Where a pipeline is in its life, why it began again, and whether its coordinator still turns.

use super::{Counter, Gauge};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

/// A coordinator that should turn and has not for so long is stuck: it turns twenty times in a second.
pub const COORDINATOR_STUCK_AFTER: Duration = Duration::from_secs(60);

/// Where a pipeline is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LifeState {
    /// Connecting, fencing, restoring.
    Starting,
    /// Recovered, with its state open, and its start is decided.
    Running,
    /// An incarnation has ended, another begins after a while.
    Restarting,
    /// Every source has ended and all is decided.
    Finished,
    /// A graceful stop.
    Stopped,
    /// Another incarnation has gone on.
    Superseded,
    /// It cannot go on.
    Failed,
}

impl LifeState {
    /// All of them, in the order of their values.
    pub const ALL: [LifeState; 7] = [
        LifeState::Starting,
        LifeState::Running,
        LifeState::Restarting,
        LifeState::Finished,
        LifeState::Stopped,
        LifeState::Superseded,
        LifeState::Failed,
    ];

    /// The name used in metrics.
    pub fn name(self) -> &'static str {
        match self {
            LifeState::Starting => "starting",
            LifeState::Running => "running",
            LifeState::Restarting => "restarting",
            LifeState::Finished => "finished",
            LifeState::Stopped => "stopped",
            LifeState::Superseded => "superseded",
            LifeState::Failed => "failed",
        }
    }
}

/// Why an incarnation was followed by another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestartCause {
    /// An error that may pass.
    Transient,
    /// Another producer with our transactional ids, or a transaction that timed out.
    Fenced,
    /// A new version that failed its probation: the old one went on.
    SwapRolledBack,
}

impl RestartCause {
    /// All of them, in the order of their values.
    pub const ALL: [RestartCause; 3] =
        [RestartCause::Transient, RestartCause::Fenced, RestartCause::SwapRolledBack];

    /// The name used in metrics.
    pub fn name(self) -> &'static str {
        match self {
            RestartCause::Transient => "transient",
            RestartCause::Fenced => "fenced",
            RestartCause::SwapRolledBack => "swap_rolled_back",
        }
    }
}

/// The life of a pipeline.
#[derive(Debug, Default)]
pub struct Life {
    state: AtomicU8,
    restarts: [Counter; RestartCause::ALL.len()],
    /// Of the coordinator.
    pub pulse: Pulse,
}

impl Life {
    /// It has come here.
    pub fn set(&self, state: LifeState) {
        self.state.store(state as u8, Ordering::Relaxed);
    }

    /// Where it is.
    pub fn state(&self) -> LifeState {
        LifeState::ALL[usize::from(self.state.load(Ordering::Relaxed))]
    }

    /// Another incarnation follows.
    pub fn restarts(&self, cause: RestartCause) {
        self.restarts[cause as usize].add(1);
    }

    /// How often that was.
    pub fn restarts_by(&self, cause: RestartCause) -> u64 {
        self.restarts[cause as usize].get()
    }
}

/// Tells whether something that should turn does.
#[derive(Debug)]
pub struct Pulse {
    /// In milliseconds; `i64::MIN` while nothing is to turn.
    turned_at_ms: Gauge,
}

impl Default for Pulse {
    fn default() -> Pulse {
        Pulse { turned_at_ms: Gauge::of(i64::MIN) }
    }
}

impl Pulse {
    /// It turns.
    pub fn turned(&self, now: Duration) {
        self.turned_at_ms.set(i64::try_from(now.as_millis()).unwrap_or(i64::MAX));
    }

    /// It is not to turn: it waits for somebody else, who has a time limit of his own, or has ended.
    pub fn rests(&self) {
        self.turned_at_ms.set(i64::MIN);
    }

    /// How long it has not turned although it should.
    pub fn still_for(&self, now: Duration) -> Duration {
        let at = u64::try_from(self.turned_at_ms.get()).map_or(now, Duration::from_millis);
        now.saturating_sub(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_for_somebody_else_is_not_stuck() {
        let (pulse, at) = (Pulse::default(), Duration::from_secs);
        assert_eq!(pulse.still_for(at(1000)), Duration::ZERO, "before it ever turned");
        pulse.turned(at(10));
        assert_eq!(pulse.still_for(at(75)), at(65));
        pulse.rests();
        assert_eq!(pulse.still_for(at(1000)), Duration::ZERO);
    }

    #[test]
    fn states_and_causes_stand_at_the_place_of_their_value() {
        assert!(LifeState::ALL.iter().enumerate().all(|(index, state)| *state as usize == index));
        assert!(RestartCause::ALL.iter().enumerate().all(|(index, cause)| *cause as usize == index));
        let life = Life::default();
        assert_eq!(life.state(), LifeState::Starting);
        life.set(LifeState::Failed);
        assert_eq!(life.state(), LifeState::Failed);
    }
}
