//! The sink transaction of one epoch: which step may follow which, and what each answer of the client means.
//!
//! Invariants, by id:
//!
//! - **T1** `commit` needs a [`CommitPermit`], and only an Ok from `send_offsets` makes one. After any failed
//!   `send_offsets`, retriable or not, a commit could publish output without its offsets.
//! - **T2** A failed commit never means "aborted". Its outcome is unknown until the decision is read behind a fence.
//! - **T3** There is one way back for every failure: the incarnation ends. Nothing is aborted and continued in place.
//! - **T4** The next epoch's transaction is begun only after the flush of this one: else this one's tail would stay
//!   invisible until the next commits (the last stable offset).
//! - **T5** Decisions are sent in the order of epochs, one at a time.

use crate::epoch::Epoch;

/// A blocking call of the transactional client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// `init_transactions`: the fence.
    Init,
    /// Producing a record, or its delivery report.
    Produce,
    /// Waiting for all records of the epoch.
    Flush,
    /// `send_offsets_to_transaction`.
    SendOffsets,
    /// `commit_transaction`.
    Commit,
}

/// What the client answered, as far as the rule needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Answer {
    /// The client flags the error as retriable.
    pub retriable: bool,
    /// The client flags the error as fatal.
    pub fatal: bool,
    /// The error is `_FENCED`, `INVALID_PRODUCER_EPOCH` or `PRODUCER_FENCED`. Fenced and timed out look the same.
    pub fenced: bool,
    /// The client's own flush inside `commit` ran out of time: the commit was not started.
    pub commit_not_started: bool,
    /// The broker refuses us: no permission, an invalid timeout, an unknown mechanism.
    pub forbidden: bool,
}

/// What follows from an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// The same call again, until its deadline.
    Again,
    /// The incarnation ends; recovery reads what became true.
    EndIncarnation,
    /// The incarnation ends, and before the next one the decision is looked at: another may have taken over.
    Fenced,
    /// No restart mends it.
    Permanent,
}

/// The error rule, by code as well as by flag.
pub fn after_error(call: Call, answer: Answer) -> Next {
    // By code first: PRODUCER_FENCED arrives flagged as abortable on two paths.
    if answer.fenced {
        return Next::Fenced;
    }
    if answer.forbidden {
        return Next::Permanent;
    }
    match call {
        Call::Init if answer.retriable && !answer.fatal => Next::Again,
        Call::Commit if (answer.retriable || answer.commit_not_started) && !answer.fatal => Next::Again,
        // T1: the flag of a failed send_offsets means nothing to us.
        Call::SendOffsets | Call::Init | Call::Commit | Call::Produce | Call::Flush => Next::EndIncarnation,
    }
}

/// The proof that the offsets of an epoch are in its transaction (T1). Made by [`Transaction::offsets_sent`] alone.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a permit that is not used leaves the epoch undecided"]
pub struct CommitPermit {
    epoch: Epoch,
}

impl CommitPermit {
    /// The epoch that may be committed.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }
}

/// How far the transaction of a slot is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Fenced and initialised, no transaction.
    Ready,
    /// Records may be sent.
    Open(Epoch),
    /// No further record; all sent ones are stored.
    Flushed(Epoch),
    /// The offsets are pending in it.
    OffsetsSent(Epoch),
    /// Decided. The slot needs a fresh producer epoch before its next use.
    Committed(Epoch),
    /// Any doubt: the slot is not used again in this incarnation (T3).
    Dead,
}

/// The state of one slot's transaction. Asking for a step out of order is a programmer's error and panics with the
/// invariant's id; a step that failed is told by [`Transaction::fail`].
#[derive(Debug, PartialEq, Eq)]
pub struct Transaction {
    stage: Stage,
}

impl Default for Transaction {
    fn default() -> Transaction {
        Transaction { stage: Stage::Ready }
    }
}

impl Transaction {
    /// How far it is.
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// `begin_transaction` answered Ok.
    pub fn begun(&mut self, epoch: Epoch) {
        assert_eq!(self.stage, Stage::Ready, "T4: a slot begins epoch {epoch} fresh");
        self.stage = Stage::Open(epoch);
    }

    /// The flush ended with nothing outstanding and no delivery error.
    pub fn flushed(&mut self, epoch: Epoch) {
        assert_eq!(self.stage, Stage::Open(epoch), "T4: only an open transaction is flushed");
        self.stage = Stage::Flushed(epoch);
    }

    /// `send_offsets_to_transaction` answered Ok.
    pub fn offsets_sent(&mut self, epoch: Epoch) -> CommitPermit {
        assert_eq!(self.stage, Stage::Flushed(epoch), "T1: offsets are sent behind the flush");
        self.stage = Stage::OffsetsSent(epoch);
        CommitPermit { epoch }
    }

    /// `commit_transaction` answered Ok: the epoch is decided.
    pub fn committed(&mut self, permit: CommitPermit) {
        assert_eq!(self.stage, Stage::OffsetsSent(permit.epoch), "T1: a commit needs its permit");
        self.stage = Stage::Committed(permit.epoch);
    }

    /// A fresh producer epoch is initialised.
    pub fn recycled(&mut self) {
        assert!(matches!(self.stage, Stage::Committed(_) | Stage::Ready), "T3: a dead slot is not recycled");
        self.stage = Stage::Ready;
    }

    /// Any doubt.
    pub fn fail(&mut self) {
        self.stage = Stage::Dead;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RETRIABLE: Answer =
        Answer { retriable: true, fatal: false, fenced: false, commit_not_started: false, forbidden: false };

    #[test]
    fn a_failed_send_offsets_ends_the_incarnation_even_when_flagged_retriable() {
        assert_eq!(after_error(Call::SendOffsets, RETRIABLE), Next::EndIncarnation);
        assert_eq!(after_error(Call::SendOffsets, Answer::default()), Next::EndIncarnation);
    }

    #[test]
    fn a_retriable_commit_is_called_again_never_aborted() {
        assert_eq!(after_error(Call::Commit, RETRIABLE), Next::Again);
        let not_started = Answer { commit_not_started: true, ..Answer::default() };
        assert_eq!(after_error(Call::Commit, not_started), Next::Again);
    }

    #[test]
    fn any_other_failed_commit_leaves_the_outcome_unknown_and_ends_the_incarnation() {
        assert_eq!(after_error(Call::Commit, Answer::default()), Next::EndIncarnation);
        let fatal = Answer { fatal: true, ..RETRIABLE };
        assert_eq!(after_error(Call::Commit, fatal), Next::EndIncarnation);
    }

    #[test]
    fn fencing_is_known_by_its_code_whatever_the_flags() {
        for call in [Call::Init, Call::Produce, Call::Flush, Call::SendOffsets, Call::Commit] {
            for retriable in [false, true] {
                let answer = Answer { fenced: true, retriable, ..Answer::default() };
                assert_eq!(after_error(call, answer), Next::Fenced);
            }
        }
    }

    #[test]
    fn init_is_asked_again_at_once_while_retriable() {
        assert_eq!(after_error(Call::Init, RETRIABLE), Next::Again);
        assert_eq!(after_error(Call::Init, Answer::default()), Next::EndIncarnation);
    }

    #[test]
    fn a_permission_error_is_permanent() {
        let answer = Answer { forbidden: true, ..Answer::default() };
        assert_eq!(after_error(Call::Init, answer), Next::Permanent);
    }

    #[test]
    fn an_epoch_goes_through_its_slot_in_order() {
        let (mut slot, epoch) = (Transaction::default(), Epoch(4));
        slot.begun(epoch);
        slot.flushed(epoch);
        let permit = slot.offsets_sent(epoch);
        slot.committed(permit);
        slot.recycled();
        assert_eq!(slot.stage(), Stage::Ready);
    }

    #[test]
    #[should_panic(expected = "T1")]
    fn offsets_before_the_flush_are_a_programmers_error() {
        let mut slot = Transaction::default();
        slot.begun(Epoch(1));
        let _permit = slot.offsets_sent(Epoch(1));
    }

    #[test]
    #[should_panic(expected = "T3")]
    fn a_slot_in_doubt_is_never_used_again() {
        let mut slot = Transaction::default();
        slot.begun(Epoch(1));
        slot.fail();
        slot.recycled();
    }

    #[test]
    #[should_panic(expected = "T4")]
    fn a_slot_is_not_begun_without_a_fresh_producer() {
        let mut slot = Transaction::default();
        slot.begun(Epoch(1));
        slot.flushed(Epoch(1));
        let permit = slot.offsets_sent(Epoch(1));
        slot.committed(permit);
        slot.begun(Epoch(3));
    }
}
