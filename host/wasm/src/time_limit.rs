//! The limit on a call's time: CPU time of the calling thread, and ten times that by the wall.
//!
//! The clocks are read for the first time at the first tick of the epoch, so a call that ends before it (nearly all)
//! reads none; in exchange a limit is late by up to one tick.

use rustix::time::{ClockId, clock_gettime};
use std::time::{Duration, Instant};

/// How often a running guest is looked at.
pub const TICK: Duration = Duration::from_millis(10);
/// A call that waits for the processor may take this many times its limit by the wall.
const WALL_FACTOR: u32 = 10;

/// The time of the running call.
#[derive(Debug)]
pub struct TimeLimit {
    limit: Duration,
    first_tick: Option<(Duration, Instant)>,
    exceeded: Option<String>,
}

/// CPU time that the calling thread has used.
pub fn thread_cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    // A clock of CPU time starts at zero, so both parts are positive.
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

impl TimeLimit {
    /// For a store in which nothing runs yet.
    pub fn new(limit: Duration) -> TimeLimit {
        TimeLimit { limit, first_tick: None, exceeded: None }
    }

    /// A call begins.
    pub fn begin_call(&mut self, limit: Duration) {
        *self = TimeLimit::new(limit);
    }

    /// Looks at the clocks. True where the call must end.
    pub fn tick(&mut self) -> bool {
        let (cpu, wall) = (thread_cpu_time(), Instant::now());
        let (first_cpu, first_wall) = *self.first_tick.get_or_insert((cpu, wall));
        self.judge(cpu - first_cpu, wall - first_wall)
    }

    fn judge(&mut self, cpu: Duration, wall: Duration) -> bool {
        let wall_limit = self.limit.saturating_mul(WALL_FACTOR);
        if cpu >= self.limit {
            self.exceeded = Some(format!("the call took more than {:?} of CPU time", self.limit));
        } else if wall >= wall_limit {
            self.exceeded =
                Some(format!("the call took more than {wall_limit:?}, waiting for the processor included"));
        }
        self.exceeded.is_some()
    }

    /// One line about the limit that ended the call, if one did.
    pub fn exceeded(&self) -> Option<&str> {
        self.exceeded.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_judged_by_the_limit_and_the_wall_by_ten_times_that() {
        let second = Duration::from_secs(1);
        let judge = |cpu, wall| TimeLimit::new(second).judge(cpu, wall);
        assert!(!judge(second / 2, second * 9));
        assert!(judge(second, second));
        assert!(judge(second / 2, second * 10));
    }

    #[test]
    fn the_cpu_clock_of_a_thread_goes_forward() {
        let before = thread_cpu_time();
        assert!(thread_cpu_time() >= before);
    }
}
