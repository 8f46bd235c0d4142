//! The one place in which a test lets time pass: waiting for a condition, with a deadline.

use std::time::{Duration, Instant};

/// Long enough for anything on a busy machine with two cores. A test that reaches it has failed.
pub const DEADLINE: Duration = Duration::from_secs(90);
/// How often a condition is looked at.
pub const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Waits until the function has an answer.
pub fn until<Answer>(what: &str, mut look: impl FnMut() -> Option<Answer>) -> Answer {
    until_within(DEADLINE, what, &mut look)
}

/// Waits until the function has an answer, at most this long.
pub fn until_within<Answer>(time: Duration, what: &str, mut look: impl FnMut() -> Option<Answer>) -> Answer {
    let begun = Instant::now();
    loop {
        if let Some(answer) = look() {
            return answer;
        }
        assert!(begun.elapsed() < time, "waited {time:?} in vain for: {what}");
        pause(LOOK_EVERY);
    }
}

/// The pace of a load, and the random moments of faults: time that is input, not synchronisation.
pub fn pause(time: Duration) {
    std::thread::sleep(time);
}
