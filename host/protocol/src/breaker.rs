//! The circuit breaker of an error policy: too many failed rows stop the pipeline instead of filling a dead-letter
//! topic with a whole stream.

use crate::plan::BreakerSpec;
use std::collections::VecDeque;

/// The first batches of a start: if every row of all of them fails, the operator cannot be right.
pub const FIRST_BATCHES: u32 = 3;

/// The time of the breaker is cut into this many parts.
const PARTS: i64 = 12;

/// Counts rows and failed rows over a sliding time.
#[derive(Debug, Clone)]
pub struct Breaker {
    spec: BreakerSpec,
    parts: VecDeque<Part>,
    batches: u32,
    any_row_passed: bool,
}

#[derive(Debug, Clone, Copy)]
struct Part {
    start_ms: i64,
    rows: u64,
    failed: u64,
}

/// Why the breaker stops the pipeline.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Tripped {
    /// More than the allowed share failed.
    #[error(
        "{failed} of {rows} rows failed within {over_ms} ms, more than the share {share} that breaker.share allows"
    )]
    Share {
        /// Failed rows.
        failed: u64,
        /// All rows.
        rows: u64,
        /// The time that was looked at.
        over_ms: u128,
        /// The allowed share.
        share: f64,
    },
    /// Nothing has ever worked.
    #[error(
        "every row of the first {batches} batches failed: the operator or its configuration cannot be right"
    )]
    EveryRow {
        /// Batches looked at.
        batches: u32,
    },
}

impl Breaker {
    /// A breaker that has seen nothing.
    pub fn new(spec: BreakerSpec) -> Breaker {
        Breaker { spec, parts: VecDeque::new(), batches: 0, any_row_passed: false }
    }

    /// Counts one batch. `now_ms` never goes down.
    pub fn count(&mut self, now_ms: i64, rows: u64, failed: u64) -> Result<(), Tripped> {
        self.any_row_passed |= failed < rows;
        self.batches = self.batches.saturating_add(1);
        // Who lets all rows fail means it.
        if !self.any_row_passed && self.batches >= FIRST_BATCHES && self.spec.share < 1.0 {
            return Err(Tripped::EveryRow { batches: self.batches });
        }
        let part_ms = (self.spec.over.as_millis() as i64 / PARTS).max(1);
        match self.parts.back_mut() {
            Some(part) if now_ms < part.start_ms + part_ms => {
                part.rows += rows;
                part.failed += failed;
            }
            _ => self.parts.push_back(Part { start_ms: now_ms, rows, failed }),
        }
        while self.parts.front().is_some_and(|part| part.start_ms + part_ms * PARTS <= now_ms) {
            self.parts.pop_front();
        }
        if failed == 0 {
            return Ok(());
        }
        let (all, bad) =
            self.parts.iter().fold((0, 0), |(all, bad), part| (all + part.rows, bad + part.failed));
        if all >= self.spec.rows_min && bad as f64 > all as f64 * self.spec.share {
            let (over_ms, share) = (self.spec.over.as_millis(), self.spec.share);
            return Err(Tripped::Share { failed: bad, rows: all, over_ms, share });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_share_of_one_lets_everything_fail() {
        let mut breaker = Breaker::new(BreakerSpec { share: 1.0, ..BreakerSpec::default() });
        for _ in 0..10 {
            assert_eq!(breaker.count(0, 1000, 1000), Ok(()));
        }
    }

    fn breaker() -> Breaker {
        Breaker::new(BreakerSpec { share: 0.5, over: Duration::from_secs(60), rows_min: 100 })
    }

    #[test]
    fn more_than_the_share_stops_the_pipeline() {
        let mut breaker = breaker();
        assert_eq!(breaker.count(0, 100, 50), Ok(()));
        assert!(matches!(breaker.count(1, 100, 51), Err(Tripped::Share { failed: 101, rows: 200, .. })));
    }

    #[test]
    fn few_rows_are_not_judged_by_their_share() {
        let mut breaker = breaker();
        breaker.count(0, 10, 0).unwrap();
        assert_eq!(breaker.count(0, 89, 89), Ok(()));
        assert!(breaker.count(0, 1, 1).is_err());
    }

    #[test]
    fn failures_older_than_the_time_are_forgotten() {
        let mut breaker = breaker();
        breaker.count(0, 200, 100).unwrap();
        assert_eq!(breaker.count(60_000, 100, 50), Ok(()));
        assert!(breaker.count(60_001, 10, 10).is_err());
    }

    #[test]
    fn if_every_row_of_the_first_batches_fails_it_stops_whatever_the_policy() {
        let mut breaker = breaker();
        breaker.count(0, 1, 1).unwrap();
        breaker.count(0, 1, 1).unwrap();
        assert_eq!(breaker.count(0, 1, 1), Err(Tripped::EveryRow { batches: 3 }));
    }

    #[test]
    fn one_row_that_passed_is_enough_for_the_first_batches() {
        let mut breaker = breaker();
        breaker.count(0, 2, 1).unwrap();
        for _ in 0..5 {
            assert_eq!(breaker.count(0, 1, 1), Ok(()));
        }
    }
}
