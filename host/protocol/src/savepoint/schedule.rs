//! When the next savepoint of a schedule is due: counted from the newest one that the schedule has made, not from the
//! start of a process, which may never live that long.

use std::time::Duration;

/// How long until the next one is due. `newest_ms` is when the newest was made, `now_ms` the clock, both in milliseconds
/// since 1970; none was made: one is due where there is anything to save (`something_decided`), else nothing would ever be
/// saved of a pipeline that is started every day and lives for an hour.
pub fn until_next(every: Duration, newest_ms: Option<i64>, now_ms: i64, something_decided: bool) -> Duration {
    match newest_ms {
        // A clock that was set back must not put the next one off for longer than the schedule says.
        Some(newest_ms) => {
            let age = Duration::from_millis(now_ms.saturating_sub(newest_ms).max(0).unsigned_abs());
            every.saturating_sub(age)
        }
        None if something_decided => Duration::ZERO,
        None => every,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    const HOUR_MS: i64 = 60 * 60 * 1000;

    #[test]
    fn a_restart_does_not_put_off_what_is_due() {
        let hours = |hours: u64| Duration::from_secs(hours * 60 * 60);
        assert_eq!(until_next(DAY, Some(0), 20 * HOUR_MS, true), hours(4));
        assert_eq!(until_next(DAY, Some(0), 24 * HOUR_MS, true), Duration::ZERO);
        assert_eq!(until_next(DAY, Some(0), 99 * HOUR_MS, true), Duration::ZERO);
    }

    #[test]
    fn without_one_the_first_is_due_as_soon_as_there_is_something_to_save() {
        assert_eq!(until_next(DAY, None, 0, true), Duration::ZERO);
        assert_eq!(until_next(DAY, None, 0, false), DAY);
    }

    #[test]
    fn a_clock_that_was_set_back_puts_nothing_off_for_longer() {
        assert_eq!(until_next(DAY, Some(50 * HOUR_MS), 0, true), DAY);
    }
}
