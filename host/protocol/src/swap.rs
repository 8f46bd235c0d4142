//! The rule of a hot swap: one operator's component is replaced at a barrier, and must prove itself for one epoch.
//!
//! The new version is prepared while the old one runs, takes over at barrier N, and is on probation in epoch N+1, which
//! is lengthened for it. Only the decision of N+1 makes it the version that runs.
//!
//! Invariants, by id:
//!
//! - **SW1** A swap has exactly one end: completed, rolled back, interrupted, abandoned, or in doubt.
//! - **SW2** It is completed only when N+1 is decided, and N+1 is decided only when the last judgement found nothing.
//! - **SW3** The instances are handed over before barrier N is sent; what was handed over can no longer be cancelled.
//! - **SW4** From barrier N on the next barrier is held back, until probation has lasted its time and seen its records,
//!   or nothing more can come.
//! - **SW5** A stop that is asked for in probation decides nothing of N+1.
//!
//! Time is the time since the incarnation began, as in [`crate::checkpoint`].

mod fit;
mod health;

pub use self::fit::{Fit, fit};
pub use self::health::{COMPARABLE_ROWS_MIN, Health, Judged, PROBATION_TIME_MAX, Rules, Tally, judge};

use crate::epoch::Epoch;
use std::time::Duration;

/// What has happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// All instances of the new version are there.
    Prepared,
    /// They cannot be made.
    PrepareFailed(String),
    /// A person has thought better of it.
    Cancelled,
    /// A barrier is about to be sent.
    Barrier {
        /// The epoch that it ends.
        epoch: Epoch,
        /// Nothing is read behind it.
        last: bool,
    },
    /// An epoch is decided.
    Decided(Epoch),
    /// Time passes; this is what both versions have done so far.
    Tick(Counts),
    /// An epoch is about to be decided: every subtask has delivered its barrier.
    Deciding(Epoch, Counts),
    /// All sources have ended: no more records will come.
    InputEnded,
    /// A person asks for a graceful stop.
    StopAsked,
    /// The incarnation ends with this error.
    Failed(String, Counts),
}

/// What both versions have done.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Counts {
    /// The old one, in all of its time.
    pub before: Tally,
    /// The new one, on probation.
    pub during: Tally,
}

/// What to do, in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Tell that it is prepared.
    NotePrepared,
    /// Send the next barrier at once, whether or not anything happened in the epoch.
    Force,
    /// Hand the instances to the subtasks, before the barrier that is about to be sent.
    Command(Epoch),
    /// Keep the barrier behind that one back.
    Hold,
    /// Tell that the old version has let go at this epoch's barrier, and is decided up to it.
    NoteProbation(Epoch),
    /// The barrier may be sent: probation has seen enough.
    Release,
    /// The new version is the one that runs; this epoch decided it.
    Complete(Epoch),
    /// The incarnation ends, and the old version goes on from N: the new one is unhealthy.
    RollBack(String),
    /// The incarnation ends, and the old version goes on from N: something else went wrong, or a stop was asked for.
    Interrupt(String),
    /// The old version goes on as if nothing had been asked for.
    Abandon(String),
    /// The incarnation ended while N+1 was being decided: only the decision, read behind the next fence, tells.
    Doubt(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Preparing,
    Prepared,
    /// Barrier N is sent, N is not decided.
    Switching(Epoch),
    Probation {
        /// N+1.
        epoch: Epoch,
        since: Duration,
        phase: Phase,
    },
    Over,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The barrier is held back.
    Held,
    /// It may be sent.
    Released,
    /// It is sent.
    Ending,
    /// N+1 is judged, and being decided.
    Deciding,
}

/// The state of one swap.
#[derive(Debug, Clone)]
pub struct Swap {
    rules: Rules,
    state: State,
    stop_asked: bool,
    input_ended: bool,
}

impl Swap {
    /// A swap whose instances are being made. `rules` come from [`Rules::check`].
    pub fn new(rules: Rules) -> Swap {
        Swap { rules, state: State::Preparing, stop_asked: false, input_ended: false }
    }

    /// SW3: true while nothing was handed over.
    pub fn can_be_cancelled(&self) -> bool {
        matches!(self.state, State::Preparing | State::Prepared)
    }

    /// True from barrier N on: the new version has handled records, or is about to.
    pub fn has_switched(&self) -> bool {
        matches!(self.state, State::Switching(_) | State::Probation { .. })
    }

    /// True while this is N: the barrier is sent, and N is not decided.
    pub fn is_switching(&self, epoch: Epoch) -> bool {
        self.state == State::Switching(epoch)
    }

    /// True once its end is known.
    pub fn is_over(&self) -> bool {
        self.state == State::Over
    }

    /// An event and its time in, actions out.
    pub fn step(&mut self, now: Duration, event: Event) -> Vec<Action> {
        self.stop_asked |= event == Event::StopAsked;
        self.input_ended |= event == Event::InputEnded;
        match self.state {
            State::Over => vec![],
            State::Preparing | State::Prepared => self.before_barrier(event),
            State::Switching(epoch) => self.switching(now, epoch, event),
            State::Probation { epoch, since, phase } => self.probation(now, (epoch, since, phase), event),
        }
    }

    fn end(&mut self, action: Action) -> Vec<Action> {
        assert_ne!(self.state, State::Over, "SW1: a swap ends once, and this is a second end: {action:?}");
        self.state = State::Over;
        vec![action]
    }

    fn before_barrier(&mut self, event: Event) -> Vec<Action> {
        match event {
            Event::Prepared => {
                assert_eq!(self.state, State::Preparing, "SW3: prepared twice");
                self.state = State::Prepared;
                vec![Action::NotePrepared, Action::Force]
            }
            Event::PrepareFailed(why) => self.end(Action::Abandon(why)),
            Event::Cancelled => self.end(Action::Abandon("cancelled".to_owned())),
            Event::StopAsked => self.end(Action::Abandon("the pipeline is being stopped".to_owned())),
            Event::Barrier { last: true, .. } => self.end(Action::Abandon("the input has ended".to_owned())),
            Event::Barrier { epoch, last: false } if self.state == State::Prepared => {
                self.state = State::Switching(epoch);
                vec![Action::Command(epoch), Action::Hold]
            }
            Event::Failed(why, _) => {
                self.end(Action::Abandon(format!("the incarnation ended before the swap: {why}")))
            }
            _ => vec![],
        }
    }

    fn switching(&mut self, now: Duration, epoch: Epoch, event: Event) -> Vec<Action> {
        match event {
            Event::Decided(decided) => {
                assert_eq!(decided, epoch, "SW2: another epoch than N is decided before N");
                let phase = Phase::Held;
                self.state = State::Probation { epoch: epoch.next(), since: now, phase };
                let mut actions = vec![Action::NoteProbation(epoch)];
                if self.stop_asked {
                    actions.extend(self.stopped());
                }
                actions
            }
            Event::Failed(why, counts) => self.failed(why, &counts),
            _ => vec![],
        }
    }

    fn probation(
        &mut self,
        now: Duration,
        (epoch, since, phase): (Epoch, Duration, Phase),
        event: Event,
    ) -> Vec<Action> {
        let enter = |phase| State::Probation { epoch, since, phase };
        match event {
            Event::Tick(counts) if phase != Phase::Deciding => {
                if let Health::Bad(why) = self.health(&counts, Judged::Early) {
                    return self.end(Action::RollBack(why));
                }
                let lasted = now.saturating_sub(since) >= self.rules.probation_time.unwrap_or_default();
                let seen = counts.during.rows >= self.rules.probation_records;
                if phase != Phase::Held || !((lasted && seen) || self.input_ended) {
                    return vec![];
                }
                self.state = enter(Phase::Released);
                vec![Action::Release]
            }
            // It may be sent although it is held: its transaction ages.
            Event::Barrier { epoch: sent, .. } if sent == epoch => {
                self.state = enter(Phase::Ending);
                vec![]
            }
            Event::Deciding(deciding, counts) => {
                assert_eq!(deciding, epoch, "SW2: another epoch than N+1 is decided in probation");
                if let Health::Bad(why) = self.health(&counts, Judged::AtEnd) {
                    return self.end(Action::RollBack(why));
                }
                self.state = enter(Phase::Deciding);
                vec![]
            }
            Event::Decided(decided) => {
                assert_eq!((decided, phase), (epoch, Phase::Deciding), "SW2: N+1 is decided unjudged");
                self.end(Action::Complete(epoch))
            }
            Event::StopAsked if matches!(phase, Phase::Held | Phase::Released) => self.stopped(),
            Event::Failed(why, _) if phase == Phase::Deciding => self.end(Action::Doubt(why)),
            Event::Failed(why, counts) => self.failed(why, &counts),
            _ => vec![],
        }
    }

    fn health(&self, counts: &Counts, judged: Judged) -> Health {
        judge(&self.rules, &counts.before, &counts.during, judged)
    }

    fn failed(&mut self, why: String, counts: &Counts) -> Vec<Action> {
        match self.health(counts, Judged::AtEnd) {
            Health::Bad(reason) => self.end(Action::RollBack(reason)),
            Health::Good => self.end(Action::Interrupt(why)),
        }
    }

    fn stopped(&mut self) -> Vec<Action> {
        self.end(Action::Interrupt("a stop was asked for in probation".to_owned()))
    }
}

#[cfg(test)]
mod tests;
