//! How durations are spread: a fixed number of counters, each an eighth of a power of two wide.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Counters per power of two: a percentile is told at most an eighth too high.
const STEPS: u64 = 8;
/// Powers of two above the first steps: up to half an hour in microseconds; what is longer counts as that.
const POWERS: u64 = 28;
const COUNTERS: usize = (STEPS * (POWERS + 1)) as usize;

/// Counts durations. Tasks add, anyone may read.
#[derive(Debug)]
pub struct DurationHistogram {
    counters: [AtomicU64; COUNTERS],
    longest_us: AtomicU64,
}

impl Default for DurationHistogram {
    fn default() -> DurationHistogram {
        DurationHistogram { counters: [const { AtomicU64::new(0) }; COUNTERS], longest_us: AtomicU64::new(0) }
    }
}

impl DurationHistogram {
    /// Counts one duration.
    pub fn add(&self, duration: Duration) {
        let micros = duration.as_micros() as u64;
        self.counters[counter_of(micros)].fetch_add(1, Ordering::Relaxed);
        self.longest_us.fetch_max(micros, Ordering::Relaxed);
    }

    /// The duration in microseconds that so many of a hundred do not exceed, at most an eighth too high; 0 before the
    /// first.
    pub fn percentile_us(&self, percent: u64) -> u64 {
        let counts: Vec<u64> = self.counters.iter().map(|counter| counter.load(Ordering::Relaxed)).collect();
        let wanted = (counts.iter().sum::<u64>() * percent).div_ceil(100).max(1);
        let mut seen = 0;
        for (index, count) in counts.into_iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return last_of(index).min(self.longest_us());
            }
        }
        0
    }

    /// The longest in microseconds, exactly.
    pub fn longest_us(&self) -> u64 {
        self.longest_us.load(Ordering::Relaxed)
    }
}

/// Which counter a number of microseconds belongs to: below [`STEPS`] one each, then [`STEPS`] per power of two.
fn counter_of(micros: u64) -> usize {
    if micros < STEPS {
        return micros as usize;
    }
    let power = u64::from(micros.ilog2() - STEPS.ilog2());
    let step = (micros >> power) - STEPS;
    (((power + 1) * STEPS + step) as usize).min(COUNTERS - 1)
}

/// The highest number of microseconds of a counter.
fn last_of(counter: usize) -> u64 {
    let (row, step) = (counter as u64 / STEPS, counter as u64 % STEPS);
    match row {
        0 => step,
        _ => ((STEPS + step + 1) << (row - 1)) - 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_duration_has_a_counter_that_is_at_most_an_eighth_wide() {
        for micros in (0..100_000).chain((17..32).map(|power| (1 << power) - 1)) {
            let last = last_of(counter_of(micros));
            let first = counter_of(micros).checked_sub(1).map_or(0, |before| last_of(before) + 1);
            assert!((first..=last).contains(&micros), "{micros}: {first} to {last}");
            assert!(last - first <= first / 8, "{first} to {last}");
        }
        assert_eq!(counter_of(u64::MAX), COUNTERS - 1);
    }

    #[test]
    fn a_percentile_is_told_at_most_an_eighth_too_high_and_the_longest_exactly() {
        let histogram = DurationHistogram::default();
        assert_eq!((histogram.percentile_us(99), histogram.longest_us()), (0, 0));
        (1..=1000).for_each(|micros| histogram.add(Duration::from_micros(micros)));
        for percent in [1, 50, 99] {
            let told = histogram.percentile_us(percent);
            assert!((percent * 10..=percent * 10 * 9 / 8).contains(&told), "{percent}: {told}");
        }
        assert_eq!((histogram.percentile_us(100), histogram.longest_us()), (1000, 1000));
    }
}
