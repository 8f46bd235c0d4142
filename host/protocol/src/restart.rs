//! When the next incarnation starts after one has ended.

use crate::connector::ErrorKind;
use crate::plan::RestartSpec;
use std::time::Duration;

/// How an incarnation ended, with what is needed to judge it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// What the error was.
    pub kind: ErrorKind,
    /// How long the incarnation had been running.
    pub ran_for: Duration,
}

/// What happens next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    /// Wait this long, then recover.
    After(Duration),
    /// Wait this long, look whether another incarnation has gone on, and recover only if not.
    LookAfter(Duration),
    /// The pipeline has failed.
    Never,
}

/// Counts restarts in a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestartPolicy {
    spec: RestartSpec,
    /// At least this long before looking for a successor: one checkpoint interval.
    look_after: Duration,
    in_a_row: u32,
}

impl RestartPolicy {
    /// Starts without a history.
    pub fn new(spec: RestartSpec, checkpoint_interval: Duration) -> RestartPolicy {
        RestartPolicy { spec, look_after: checkpoint_interval, in_a_row: 0 }
    }

    /// Restarts in a row so far.
    pub fn in_a_row(&self) -> u32 {
        self.in_a_row
    }

    /// Judges the end of an incarnation. The wait doubles with each restart in a row, up to the longest.
    pub fn ended(&mut self, ended: Ended) -> Restart {
        if matches!(ended.kind, ErrorKind::Permanent | ErrorKind::Refused) {
            return Restart::Never;
        }
        if ended.ran_for >= self.spec.reset_after {
            self.in_a_row = 0;
        }
        if self.spec.attempts.is_some_and(|attempts| self.in_a_row >= attempts) {
            return Restart::Never;
        }
        let doubled = self.spec.initial_backoff.saturating_mul(1 << self.in_a_row.min(20));
        self.in_a_row += 1;
        let wait = doubled.min(self.spec.max_backoff);
        match ended.kind {
            ErrorKind::Fenced => Restart::LookAfter(wait.max(self.look_after)),
            _ => Restart::After(wait),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(attempts: Option<u32>) -> RestartPolicy {
        RestartPolicy::new(RestartSpec { attempts, ..RestartSpec::default() }, Duration::from_secs(5))
    }

    fn ended(kind: ErrorKind) -> Ended {
        Ended { kind, ran_for: Duration::from_secs(3) }
    }

    #[test]
    fn the_wait_doubles_up_to_the_longest() {
        let mut policy = policy(None);
        let waits: Vec<Restart> = (0..8).map(|_| policy.ended(ended(ErrorKind::Transient))).collect();
        let expected = [1, 2, 4, 8, 16, 32, 60, 60].map(|s| Restart::After(Duration::from_secs(s)));
        assert_eq!(waits, expected);
    }

    #[test]
    fn ten_minutes_without_an_error_forget_earlier_ones() {
        let mut policy = policy(None);
        policy.ended(ended(ErrorKind::Transient));
        policy.ended(ended(ErrorKind::Transient));
        let long = Ended { kind: ErrorKind::Transient, ran_for: Duration::from_secs(600) };
        assert_eq!(policy.ended(long), Restart::After(Duration::from_secs(1)));
    }

    #[test]
    fn configuration_permission_and_refused_recovery_are_never_retried() {
        assert_eq!(policy(None).ended(ended(ErrorKind::Permanent)), Restart::Never);
        assert_eq!(policy(None).ended(ended(ErrorKind::Refused)), Restart::Never);
    }

    #[test]
    fn a_fenced_incarnation_looks_for_a_successor_after_at_least_an_interval() {
        let restart = policy(None).ended(ended(ErrorKind::Fenced));
        assert_eq!(restart, Restart::LookAfter(Duration::from_secs(5)));
    }

    #[test]
    fn attempts_are_counted_in_a_row() {
        let mut policy = policy(Some(1));
        assert!(matches!(policy.ended(ended(ErrorKind::Transient)), Restart::After(_)));
        assert_eq!(policy.ended(ended(ErrorKind::Transient)), Restart::Never);
    }
}
