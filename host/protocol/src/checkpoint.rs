//! The coordinator's rule: when a barrier goes out, and what must have happened before each next step.
//!
//! Invariants, by id:
//!
//! - **C1** Epochs are decided in order, one at a time; none is skipped, merged or split.
//! - **C2** The slot changes for all sinks and subtasks at once, after the last subtask has delivered barrier N and the
//!   flush of N is done.
//! - **C3** N is decided only when its manifest is durable and N-1 is decided and published.
//! - **C4** An epoch in which nothing happened is left out before its barrier, never after.
//! - **C5** Any doubt ends the incarnation.
//! - **C6** Until what was restored is verified no epoch is open and no barrier goes out: nothing that depends on it is
//!   written to a transaction, so nothing ages.
//! - **C7** A barrier that a probation holds back goes out all the same when its transaction ages, and once a day.
//!
//! Time is the time since the incarnation began, given with each event.

use crate::connector::{ConnectorError, ErrorKind};
use crate::epoch::Epoch;
use crate::plan::CheckpointSpec;
use std::collections::BTreeSet;
use std::time::Duration;

/// An idle pipeline decides at least once in this time: committed offsets and transactional ids expire at 7 days.
pub const IDLE_EPOCH_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// What has happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Time passes. `active`: something was read, written or fired in the running epoch.
    Tick {
        /// Is there anything to decide?
        active: bool,
    },
    /// A subtask has delivered the barrier and prepared its sinks.
    Delivered {
        /// Which subtask.
        subtask: usize,
        /// Which barrier.
        epoch: Epoch,
    },
    /// All records of the epoch are stored.
    Flushed,
    /// The manifest is durable under its final name.
    Durable,
    /// The manifest could not be stored.
    SnapshotFailed(String),
    /// The decision is made.
    Decided,
    /// Side sinks have published, the hint is written, old checkpoints are gone.
    Published,
    /// The files that the incarnation was restored from have been read whole, and are as they were written.
    Verified,
    /// A person or the supervisor asks for a graceful stop, or every source has ended.
    Stop,
    /// Something has to be decided although no record moved: a new partition.
    Force,
    /// The epoch behind the running checkpoint, or the running one, is a probation: its barrier is held back (true), or
    /// goes out at once (false).
    Hold(bool),
    /// Anything that went wrong elsewhere.
    Failed(ConnectorError),
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Send barrier N to all subtasks; behind the last one they read nothing more.
    Barrier {
        /// N.
        epoch: Epoch,
        /// The last one.
        last: bool,
    },
    /// Close the slot of N and wait until all of its records are stored.
    Flush(Epoch),
    /// What was restored is verified: open the transaction of the first epoch.
    BeginFirst(Epoch),
    /// Open the transaction of N and let the held output go.
    Begin(Epoch),
    /// Store the manifest of N.
    Snapshot(Epoch),
    /// Decide N.
    Decide(Epoch),
    /// Publish what side sinks have prepared for N, write the hint, delete what is older, make the slot ready.
    Publish(Epoch),
    /// A graceful stop is complete.
    Finished,
    /// The incarnation ends.
    End(ConnectorError),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Phase {
    Verifying,
    Running,
    Aligning(BTreeSet<usize>),
    Flushing,
    Snapshotting,
    Deciding,
    Publishing,
    Over,
}

/// What the rule needs to know at the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CycleOptions {
    /// Interval, timeout, pause, tolerable failures.
    pub checkpoint: CheckpointSpec,
    /// How long a transaction may stay open, where there is one.
    pub transaction_timeout: Option<Duration>,
    /// Number of subtasks.
    pub subtasks: usize,
    /// The epoch that is running.
    pub first_epoch: Epoch,
    /// What was restored is being verified; [`Event::Verified`] tells when that is done.
    pub verifying: bool,
}

/// The state of the coordinator.
#[derive(Debug, Clone)]
pub struct Cycle {
    options: CycleOptions,
    running: Epoch,
    phase: Phase,
    /// Start of the last checkpoint, or of the incarnation.
    started: Duration,
    /// End of the last checkpoint, or start of the incarnation.
    ended: Duration,
    /// When the running epoch's first record moved: the broker's clock starts there, and is not refreshed.
    active_since: Option<Duration>,
    failed_snapshots: u32,
    stop: bool,
    force: bool,
    held: bool,
    last: bool,
}

impl Cycle {
    /// The incarnation has begun its first epoch at time 0, or is to begin it when what was restored is verified.
    pub fn new(options: CycleOptions) -> Cycle {
        let running = options.first_epoch;
        let phase = if options.verifying { Phase::Verifying } else { Phase::Running };
        Cycle {
            options,
            running,
            phase,
            started: Duration::ZERO,
            ended: Duration::ZERO,
            active_since: None,
            failed_snapshots: 0,
            stop: false,
            force: false,
            held: false,
            last: false,
        }
    }

    /// The epoch whose records are being processed, or whose checkpoint is under way.
    pub fn running(&self) -> Epoch {
        self.running
    }

    /// When the first record of the running epoch moved, and with it the broker's clock of its transaction.
    pub fn active_since(&self) -> Option<Duration> {
        self.active_since
    }

    /// True while a checkpoint is under way.
    pub fn in_checkpoint(&self) -> bool {
        !matches!(self.phase, Phase::Verifying | Phase::Running | Phase::Over)
    }

    /// True once a graceful stop was asked for.
    pub fn is_stopping(&self) -> bool {
        self.stop
    }

    /// An event and its time in, actions out; they are carried out in order.
    pub fn step(&mut self, now: Duration, event: Event) -> Vec<Action> {
        if self.phase == Phase::Over {
            return vec![];
        }
        match event {
            Event::Tick { active } => self.tick(now, active),
            Event::Delivered { subtask, epoch } => self.delivered(subtask, epoch),
            Event::Flushed => self.flushed(),
            Event::Durable => {
                assert_eq!(self.phase, Phase::Snapshotting, "C3: durable outside a snapshot");
                self.failed_snapshots = 0;
                self.phase = Phase::Deciding;
                vec![Action::Decide(self.running)]
            }
            Event::SnapshotFailed(reason) => self.snapshot_failed(reason),
            Event::Decided => {
                assert_eq!(self.phase, Phase::Deciding, "C3: decided without a durable manifest");
                self.phase = Phase::Publishing;
                vec![Action::Publish(self.running)]
            }
            Event::Published => self.published(now),
            Event::Verified => {
                assert_eq!(self.phase, Phase::Verifying, "C6: verified twice");
                self.phase = Phase::Running;
                let mut actions = vec![Action::BeginFirst(self.running)];
                actions.extend(self.maybe_barrier(now, false));
                actions
            }
            Event::Stop => {
                self.stop = true;
                self.maybe_barrier(now, false)
            }
            Event::Force => {
                self.force = true;
                self.maybe_barrier(now, false)
            }
            Event::Hold(true) => {
                self.held = true;
                vec![]
            }
            Event::Hold(false) => {
                (self.held, self.force) = (false, true);
                self.maybe_barrier(now, false)
            }
            Event::Failed(error) => self.end(error),
        }
    }

    fn end(&mut self, error: ConnectorError) -> Vec<Action> {
        self.phase = Phase::Over;
        vec![Action::End(error)]
    }

    fn tick(&mut self, now: Duration, active: bool) -> Vec<Action> {
        // C6: what was read meanwhile is in no transaction.
        if self.phase == Phase::Verifying {
            return vec![];
        }
        if active && self.active_since.is_none() {
            self.active_since = Some(now);
        }
        if self.in_checkpoint() && now.saturating_sub(self.started) > self.options.checkpoint.timeout {
            let (epoch, phase) = (self.running, self.phase_name());
            let timeout = self.options.checkpoint.timeout;
            return self.end(ConnectorError::transient(format!(
                "checkpoint {epoch} is not complete after checkpoint.timeout = {timeout:?}, still {phase}"
            )));
        }
        if self.transaction_age(now).is_some_and(|share| share >= 0.8) {
            let epoch = self.running;
            return self.end(ConnectorError::transient(format!(
                "the transaction of epoch {epoch} is open for 0.8 of transaction_timeout; the broker would abort it soon"
            )));
        }
        self.maybe_barrier(now, active)
    }

    /// Age of the running transaction as a share of its timeout.
    fn transaction_age(&self, now: Duration) -> Option<f64> {
        let (timeout, since) = (self.options.transaction_timeout?, self.active_since?);
        Some(now.saturating_sub(since).as_secs_f64() / timeout.as_secs_f64())
    }

    fn maybe_barrier(&mut self, now: Duration, active: bool) -> Vec<Action> {
        if self.phase != Phase::Running {
            return vec![];
        }
        let checkpoint = &self.options.checkpoint;
        let due = now >= self.started + checkpoint.interval && now >= self.ended + checkpoint.min_pause;
        let ageing = self.transaction_age(now).is_some_and(|share| share >= 0.5);
        // C4: an idle epoch is left out here, where no number or slot is used yet.
        let daily = now >= self.started + IDLE_EPOCH_MAX;
        let worth_it = active || self.active_since.is_some() || daily;
        let overdue = ageing || (due && daily);
        if !overdue && (self.held || !(self.stop || self.force || (due && worth_it))) {
            return vec![];
        }
        self.started = now;
        (self.force, self.held) = (false, false);
        self.last = self.stop;
        self.phase = Phase::Aligning((0..self.options.subtasks).collect());
        vec![Action::Barrier { epoch: self.running, last: self.last }]
    }

    fn delivered(&mut self, subtask: usize, epoch: Epoch) -> Vec<Action> {
        assert_eq!(epoch, self.running, "C1: subtask {subtask} delivered another barrier");
        let Phase::Aligning(missing) = &mut self.phase else { panic!("C1: a barrier that was not sent") };
        assert!(missing.remove(&subtask), "C1: subtask {subtask} delivered barrier {epoch} twice");
        if !missing.is_empty() {
            return vec![];
        }
        self.phase = Phase::Flushing;
        vec![Action::Flush(self.running)]
    }

    fn flushed(&mut self) -> Vec<Action> {
        assert_eq!(self.phase, Phase::Flushing, "C2: flushed before the last barrier");
        self.phase = Phase::Snapshotting;
        self.active_since = None;
        let snapshot = Action::Snapshot(self.running);
        if self.last {
            return vec![snapshot];
        }
        // The transaction of N+1 begins here (C2), so its records can flow while N is decided.
        vec![Action::Begin(self.running.next()), snapshot]
    }

    fn snapshot_failed(&mut self, reason: String) -> Vec<Action> {
        self.failed_snapshots += 1;
        if self.failed_snapshots > self.options.checkpoint.tolerable_failures {
            let (epoch, tolerable) = (self.running, self.options.checkpoint.tolerable_failures);
            return self.end(ConnectorError::transient(format!(
                "checkpoint {epoch} could not be stored: {reason} (checkpoint.tolerable_failures = {tolerable})"
            )));
        }
        vec![Action::Snapshot(self.running)]
    }

    fn published(&mut self, now: Duration) -> Vec<Action> {
        assert_eq!(self.phase, Phase::Publishing, "C3: published before the decision");
        self.ended = now;
        if self.last {
            self.phase = Phase::Over;
            return vec![Action::Finished];
        }
        self.running = self.running.next();
        self.phase = Phase::Running;
        // A stop that came during the checkpoint is served now.
        self.maybe_barrier(now, false)
    }

    fn phase_name(&self) -> String {
        match &self.phase {
            Phase::Aligning(missing) => format!("waiting for the barrier of subtasks {missing:?}"),
            Phase::Flushing => "flushing".to_owned(),
            Phase::Snapshotting => "storing the snapshot".to_owned(),
            Phase::Deciding => "deciding".to_owned(),
            Phase::Publishing => "publishing".to_owned(),
            Phase::Verifying | Phase::Running | Phase::Over => "running".to_owned(),
        }
    }
}

/// The error that stands for a checkpoint in doubt: what is not transient stays what it is.
pub fn doubt(epoch: Epoch, error: ConnectorError) -> ConnectorError {
    match error.kind {
        ErrorKind::Transient | ErrorKind::Fenced => {
            ConnectorError { message: format!("checkpoint {epoch}: {}", error.message), ..error }
        }
        ErrorKind::Permanent | ErrorKind::Refused => error,
    }
}

#[cfg(test)]
mod tests;
