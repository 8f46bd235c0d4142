//! Barrier alignment: a subtask's snapshot lies behind every row in front of the barrier, on every input, and in front
//! of every row behind it.
//!
//! Invariants, by id:
//!
//! - **A1** An input that has delivered barrier N is held until all inputs have: none of its rows is processed.
//! - **A2** An input that has ended counts as aligned, for this barrier and all that follow.
//! - **A3** Barriers arrive in order on each input; one that arrives early or twice breaks the protocol.

use crate::epoch::Epoch;
use std::time::Duration;

/// A barrier as it travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Barrier {
    /// The epoch that it ends.
    pub epoch: Epoch,
    /// Nothing is read behind it.
    pub last: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum InputState {
    Open,
    /// Delivered the barrier at this time.
    Held(Duration),
    Ended,
}

/// The alignment of one subtask over all of its inputs.
#[derive(Debug, Clone)]
pub struct Alignment {
    inputs: Vec<InputState>,
    /// The barrier that some inputs have delivered.
    pending: Option<Barrier>,
    done: Option<Epoch>,
}

impl Alignment {
    /// So many inputs, all open.
    pub fn new(inputs: usize) -> Alignment {
        Alignment { inputs: vec![InputState::Open; inputs], pending: None, done: None }
    }

    /// A1: are the rows of this input to be kept back?
    pub fn is_held(&self, input: usize) -> bool {
        matches!(self.inputs[input], InputState::Held(_))
    }

    /// True once every input has ended.
    pub fn all_ended(&self) -> bool {
        self.inputs.iter().all(|input| *input == InputState::Ended)
    }

    /// An input has delivered a barrier. Returns it when all inputs have: take the snapshot, then
    /// [`Alignment::release`].
    pub fn barrier(&mut self, input: usize, barrier: Barrier, now: Duration) -> Option<Barrier> {
        assert_eq!(self.inputs[input], InputState::Open, "A3: input {input} delivered {barrier:?} twice");
        assert!(
            self.pending.is_none_or(|pending| pending == barrier),
            "A3: {barrier:?} during {:?}",
            self.pending
        );
        assert!(self.done.is_none_or(|done| done < barrier.epoch), "A3: {barrier:?} after {:?}", self.done);
        self.inputs[input] = InputState::Held(now);
        self.pending = Some(barrier);
        self.aligned()
    }

    /// An input has ended. Returns the barrier that only this input still owed.
    pub fn end(&mut self, input: usize) -> Option<Barrier> {
        assert_eq!(self.inputs[input], InputState::Open, "A3: input {input} ended twice, or while held");
        self.inputs[input] = InputState::Ended;
        self.aligned()
    }

    fn aligned(&self) -> Option<Barrier> {
        let complete = self.inputs.iter().all(|input| *input != InputState::Open);
        if complete { self.pending } else { None }
    }

    /// The snapshot is taken: held inputs go on. Returns how long each was held.
    pub fn release(&mut self, now: Duration) -> Vec<(usize, Duration)> {
        self.done = self.pending.take().map(|barrier| barrier.epoch).or(self.done);
        let mut held = Vec::new();
        for (index, input) in self.inputs.iter_mut().enumerate() {
            if let InputState::Held(since) = *input {
                held.push((index, now.saturating_sub(since)));
                *input = InputState::Open;
            }
        }
        held
    }
}

#[cfg(test)]
mod tests;
