//! How much waits in one channel: at most so many bytes, and no more than the receiver gets through in the time that a
//! barrier may wait behind it.
//!
//! A barrier stands behind the rows that were sent before it. A mebibyte of small rows takes a slow operator many seconds, so
//! a bound in bytes alone lets the first epoch behind a recovery grow to all that has piled up, and its checkpoint beyond its
//! timeout. So the channel watches how long rows wait, as Flink's buffer debloating does:
//!
//! - **W1** Rows that waited longer than [`WAIT_MAX`] (or the checkpoint interval, if that is shorter) tell how much would have
//!   waited as long as it may: no more is let in from then on.
//! - **W2** Rows that waited less than half of it, in a channel that was full meanwhile, double what is let in, as far as
//!   that would wait no longer either, up to `channel_bytes_max`. It begins small, for nobody knows yet how fast the receiver is.
//! - **W3** An empty channel takes any batch.
//! - **W4** Time in which the receiver was not allowed to take rows, because other inputs had not delivered a barrier yet, is
//!   no time that they waited: it tells how fast the others are, not the receiver.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long rows wait in a channel, about, at most.
pub const WAIT_MAX: Duration = Duration::from_secs(1);
/// The shortest such time: below it the threads' own pauses are what is measured.
const WAIT_MIN: Duration = Duration::from_millis(100);
/// What is let in at first.
const FIRST_BYTES: usize = 64 << 10;
/// What is let in at least.
const BYTES_MIN: usize = 4 << 10;
/// How long a full channel is waited for before the sender looks whether the incarnation has ended.
const LOOK_AFTER: Duration = Duration::from_millis(20);

/// The bytes that wait in one channel.
#[derive(Debug)]
pub struct Credit {
    state: Mutex<State>,
    freed: Condvar,
    bytes_max: usize,
    wait_max: Duration,
}

#[derive(Debug)]
struct State {
    waiting_bytes: usize,
    /// What may wait.
    allowed_bytes: usize,
    /// A sender found no room since that was raised last.
    was_full: bool,
    sent: VecDeque<Sent>,
}

/// A batch that waits.
#[derive(Debug)]
struct Sent {
    at: Duration,
    /// Bytes that waited then, its own included.
    bytes: usize,
}

impl Credit {
    /// A channel in which at most so many bytes wait, a single larger batch aside, for about as long as an epoch lasts.
    pub fn new(bytes_max: usize, checkpoint_interval: Duration) -> Credit {
        let state = State {
            waiting_bytes: 0,
            allowed_bytes: bytes_max.min(FIRST_BYTES),
            was_full: false,
            sent: VecDeque::new(),
        };
        Credit {
            state: Mutex::new(state),
            freed: Condvar::new(),
            bytes_max,
            wait_max: checkpoint_interval.clamp(WAIT_MIN, WAIT_MAX),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Numbers are right or wrong, never half written.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes room for a batch, if there is some.
    pub(crate) fn try_take(&self, bytes: usize, now: Duration) -> bool {
        let mut state = self.lock();
        if !state.has_room(bytes) {
            state.was_full = true;
            return false;
        }
        state.waiting_bytes += bytes;
        let bytes = state.waiting_bytes;
        state.sent.push_back(Sent { at: now, bytes });
        true
    }

    /// Waits a while for room to be given back.
    pub(crate) fn wait(&self, bytes: usize) {
        let state = self.lock();
        if !state.has_room(bytes) {
            // Whatever woke it, the caller looks again.
            drop(self.freed.wait_timeout(state, LOOK_AFTER));
        }
    }

    /// Gives back the room of the batch that has waited longest and is about to be processed.
    pub fn give_back(&self, bytes: usize, now: Duration) {
        let mut state = self.lock();
        state.waiting_bytes = state.waiting_bytes.saturating_sub(bytes);
        if let Some(sent) = state.sent.pop_front() {
            state.judge(&sent, now.saturating_sub(sent.at), self.wait_max, self.bytes_max);
        }
        drop(state);
        self.freed.notify_one();
    }

    /// The receiver was not allowed to take rows in this time.
    pub fn was_held(&self, from: Duration, until: Duration) {
        for sent in &mut self.lock().sent {
            sent.at += until.saturating_sub(from.max(sent.at));
        }
    }

    /// Bytes that wait.
    pub fn waiting_bytes(&self) -> usize {
        self.lock().waiting_bytes
    }
}

impl State {
    /// A batch has waited so long.
    fn judge(&mut self, sent: &Sent, waited: Duration, wait_max: Duration, bytes_max: usize) {
        // As many bytes as would have waited just as long as they may.
        let share = wait_max.as_secs_f64() / waited.as_secs_f64().max(f64::MIN_POSITIVE);
        let fitting = (sent.bytes as f64 * share) as usize;
        if waited > wait_max {
            self.allowed_bytes = self.allowed_bytes.min(fitting.max(BYTES_MIN.min(bytes_max)));
        } else if self.was_full && waited <= wait_max / 2 {
            let doubled = self.allowed_bytes.saturating_mul(2).min(fitting).min(bytes_max);
            self.allowed_bytes = self.allowed_bytes.max(doubled);
            self.was_full = false;
        }
    }

    fn has_room(&self, bytes: usize) -> bool {
        self.waiting_bytes == 0 || self.waiting_bytes + bytes <= self.allowed_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BATCH: usize = 8 << 10;
    const BYTES_MAX: usize = 1 << 20;

    /// A receiver that takes so long for a batch, behind a sender that always has more: the most bytes that waited, in
    /// each tenth of the batches.
    fn most_waiting(per_batch: impl Fn(usize) -> Duration) -> Vec<usize> {
        const BATCHES: usize = 2000;
        let credit = Credit::new(BYTES_MAX, Duration::from_millis(200));
        let (mut now, mut most) = (Duration::ZERO, vec![0; 10]);
        for batch in 0..BATCHES {
            while credit.try_take(BATCH, now) {}
            let tenth = &mut most[batch * 10 / BATCHES];
            *tenth = credit.waiting_bytes().max(*tenth);
            credit.give_back(BATCH, now);
            now += per_batch(batch);
        }
        most
    }

    #[test]
    fn rows_in_front_of_a_barrier_are_those_that_a_slow_receiver_gets_through_in_time() {
        let most = most_waiting(|_| Duration::from_millis(20));
        assert!(most[0] <= FIRST_BYTES * 4, "{most:?}");
        // Ten batches in 200 ms.
        assert!(most[1..].iter().all(|bytes| (3 * BATCH..=11 * BATCH).contains(bytes)), "{most:?}");
    }

    #[test]
    fn a_fast_receiver_has_the_whole_channel() {
        let most = most_waiting(|_| Duration::from_micros(100));
        assert!(most[1..].iter().all(|bytes| *bytes == BYTES_MAX), "{most:?}");
    }

    #[test]
    fn a_receiver_that_is_slow_for_a_while_has_its_room_back_afterwards() {
        let slow = 600..1000;
        let most = most_waiting(|batch| match slow.contains(&batch) {
            true => Duration::from_millis(20),
            false => Duration::from_micros(100),
        });
        assert!(most[4] <= 11 * BATCH && most[9] == BYTES_MAX, "{most:?}");
    }

    #[test]
    fn rows_that_were_held_for_a_barrier_say_nothing_of_the_receiver() {
        let allowed = |held: Option<(Duration, Duration)>| {
            let credit = Credit::new(BYTES_MAX, WAIT_MAX);
            for at in 0..4 {
                assert!(credit.try_take(BATCH, Duration::from_secs(at)));
            }
            if let Some((from, until)) = held {
                credit.was_held(from, until);
            }
            (0..4).for_each(|_| credit.give_back(BATCH, Duration::from_millis(30_100)));
            credit.lock().allowed_bytes
        };
        assert!(allowed(None) < FIRST_BYTES);
        // Held from before the first until just now, and from between the second and the third.
        assert_eq!(allowed(Some((Duration::ZERO, Duration::from_secs(30)))), FIRST_BYTES);
        let later = allowed(Some((Duration::from_millis(1500), Duration::from_secs(30))));
        assert!(later < FIRST_BYTES, "the first had waited longer than it may before that");
    }

    #[test]
    fn an_empty_channel_takes_a_batch_of_any_size() {
        let credit = Credit::new(1, WAIT_MAX);
        assert!(credit.try_take(BATCH, Duration::ZERO) && !credit.try_take(1, Duration::ZERO));
        credit.give_back(BATCH, Duration::ZERO);
        assert!(credit.try_take(2 * BATCH, Duration::ZERO));
    }
}
