//! The search for the row at fault: which rows the next call gets, after a call of several rows has failed.
//!
//! The failed batch is halved; a half that works is kept, a half that fails is halved again, always from the left, so
//! that the outputs come in the order of the rows. One poison row among n costs about 2 log2(n) calls. A row is at
//! fault only if it failed alone, with the operator's full time limit, twice, in fresh instances: an instance that
//! earlier calls had worn out must not cost an innocent record its place.

use crate::connector::{CallFailure, FailureKind};
use crate::error_policy::FailedRow;
use std::ops::Range;
use std::time::Duration;

/// How often a single row must fail before it is at fault.
pub const VERDICTS: u32 = 2;

/// In the search after a time-out a part gets at least this share of the operator's limit.
const SMALLEST_TIME_SHARE: u32 = 64;

/// The next call of a search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The rows of the failed batch to call with.
    pub rows: Range<usize>,
    /// CPU time of the call, where it is less than the operator's limit.
    pub time: Option<Duration>,
    /// True: in a fresh instance, whatever came before.
    pub fresh: bool,
}

/// What the search needs to know of the operator's limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SearchLimits {
    /// CPU time of one call.
    pub call: Duration,
    /// CPU time of the whole search.
    pub search: Duration,
}

/// The search has used up its time: the pipeline stops.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the search for the record at fault took longer than limits.search = {limit:?}; last failure: {last}"
)]
pub struct SearchExhausted {
    /// The limit.
    pub limit: Duration,
    /// The last failure seen.
    pub last: String,
}

/// A search under way.
#[derive(Debug, Clone)]
pub struct Search {
    limits: SearchLimits,
    rows: usize,
    /// Parts still to be called; the last one is next.
    parts: Vec<Range<usize>>,
    /// Failures of the single row that is being judged.
    verdicts: u32,
    timed_out: bool,
    spent: Duration,
    failed: Vec<FailedRow>,
}

impl Search {
    /// Starts after a call with `rows` rows has failed.
    pub fn new(rows: usize, failure: &CallFailure, limits: SearchLimits) -> Search {
        let mut search = Search {
            limits,
            rows,
            parts: Vec::new(),
            verdicts: 0,
            timed_out: failure.kind == FailureKind::Timeout,
            spent: Duration::ZERO,
            failed: Vec::new(),
        };
        search.halve(0..rows);
        search
    }

    fn halve(&mut self, rows: Range<usize>) {
        if rows.len() == 1 {
            self.parts.push(rows);
            return;
        }
        let middle = rows.start + rows.len() / 2;
        self.parts.push(middle..rows.end);
        self.parts.push(rows.start..middle);
    }

    /// The next call, `None` when every row is either handled or at fault.
    pub fn next_attempt(&self) -> Option<Attempt> {
        let rows = self.parts.last()?.clone();
        let single = rows.len() == 1;
        // Only a part of several rows may be cut short: a single row is judged with the full limit.
        let time = (self.timed_out && !single).then(|| {
            let share = self.limits.call.mul_f64(rows.len() as f64 / self.rows as f64);
            share.max(self.limits.call / SMALLEST_TIME_SHARE)
        });
        Some(Attempt { rows, time, fresh: single })
    }

    /// The attempt worked: its rows are handled.
    pub fn passed(&mut self, took: Duration) {
        self.spent += took;
        self.verdicts = 0;
        self.parts.pop();
    }

    /// The attempt failed. Returns an error where the search may not go on.
    pub fn failed(&mut self, failure: &CallFailure, took: Duration) -> Result<(), SearchExhausted> {
        self.spent += took;
        self.timed_out |= failure.kind == FailureKind::Timeout;
        if self.spent > self.limits.search {
            return Err(SearchExhausted { limit: self.limits.search, last: failure.to_string() });
        }
        let Some(rows) = self.parts.pop() else { return Ok(()) };
        if rows.len() > 1 {
            self.halve(rows);
            return Ok(());
        }
        self.verdicts += 1;
        if self.verdicts < VERDICTS {
            self.parts.push(rows);
            return Ok(());
        }
        self.verdicts = 0;
        let message = failure.message.clone();
        self.failed.push(FailedRow { row: rows.start, kind: failure.kind, message });
        Ok(())
    }

    /// The rows that were found to be at fault since this was asked last.
    pub fn take_failed(&mut self) -> Vec<FailedRow> {
        std::mem::take(&mut self.failed)
    }

    /// The rows at fault, in order.
    pub fn into_failed(self) -> Vec<FailedRow> {
        self.failed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMITS: SearchLimits =
        SearchLimits { call: Duration::from_secs(5), search: Duration::from_secs(60) };

    fn failure(kind: FailureKind) -> CallFailure {
        CallFailure { kind, message: "boom".to_owned() }
    }

    /// Runs a search over rows of which some are poison; returns handled rows, rows at fault, calls.
    fn run(rows: usize, poison: &[usize], kind: FailureKind) -> (Vec<usize>, Vec<usize>, usize) {
        let mut search = Search::new(rows, &failure(kind), LIMITS);
        let (mut handled, mut calls) = (Vec::new(), 0);
        while let Some(attempt) = search.next_attempt() {
            calls += 1;
            if poison.iter().any(|row| attempt.rows.contains(row)) {
                search.failed(&failure(kind), Duration::ZERO).unwrap();
            } else {
                handled.extend(attempt.rows);
                search.passed(Duration::ZERO);
            }
        }
        (handled, search.into_failed().iter().map(|failed| failed.row).collect(), calls)
    }

    #[test]
    fn one_poison_row_is_found_in_logarithmic_calls() {
        for poison in [0, 1, 511, 1000, 1023] {
            let (handled, failed, calls) = run(1024, &[poison], FailureKind::Trap);
            assert_eq!(failed, [poison]);
            assert_eq!(handled.len(), 1023);
            assert!(calls <= 2 * 10 + 2, "{calls} calls");
        }
    }

    proptest! {
        #[test]
        fn no_row_is_lost_or_reordered(rows in 1usize..200, poison in proptest::collection::btree_set(0usize..200, 1..20)) {
            let poison: Vec<usize> = poison.into_iter().filter(|row| *row < rows).collect();
            prop_assume!(!poison.is_empty());
            let (handled, failed, _) = run(rows, &poison, FailureKind::Timeout);
            prop_assert_eq!(&failed, &poison);
            let expected: Vec<usize> = (0..rows).filter(|row| !poison.contains(row)).collect();
            prop_assert_eq!(handled, expected);
        }
    }

    #[test]
    fn a_row_that_fails_only_in_a_worn_instance_is_kept() {
        let mut search = Search::new(1, &failure(FailureKind::Memory), LIMITS);
        assert!(search.next_attempt().unwrap().fresh);
        search.failed(&failure(FailureKind::Memory), Duration::ZERO).unwrap();
        assert_eq!(search.next_attempt().unwrap().rows, 0..1);
        search.passed(Duration::ZERO);
        assert_eq!(search.next_attempt(), None);
        assert!(search.into_failed().is_empty());
    }

    #[test]
    fn after_a_time_out_the_limit_shrinks_with_the_part_but_not_for_the_last_row() {
        let mut search = Search::new(4, &failure(FailureKind::Timeout), LIMITS);
        assert_eq!(search.next_attempt().unwrap().time, Some(Duration::from_millis(2500)));
        search.failed(&failure(FailureKind::Timeout), Duration::ZERO).unwrap();
        let single = search.next_attempt().unwrap();
        assert_eq!((single.rows, single.time, single.fresh), (0..1, None, true));
    }

    #[test]
    fn the_search_has_a_total_limit() {
        let mut search = Search::new(4, &failure(FailureKind::Timeout), LIMITS);
        let error = search.failed(&failure(FailureKind::Timeout), Duration::from_secs(61)).unwrap_err();
        assert!(error.to_string().contains("limits.search"), "{error}");
    }
}
