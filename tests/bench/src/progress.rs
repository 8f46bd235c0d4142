//! How far a run is, judged from outside by what is written to its output.

use std::time::{Duration, Instant};

/// What was seen of the output. Markers of transactions are counted as records; there are a few per transaction.
pub struct Progress {
    records: u64,
    first: Option<(Instant, u64)>,
    half: Option<(Duration, u64)>,
    last: Option<Instant>,
}

impl Progress {
    /// Nothing is seen of so many records.
    pub fn of(records: u64) -> Progress {
        Progress { records, first: None, half: None, last: None }
    }

    /// Takes a look at what is written, and at the CPU time of that moment once half of it is.
    pub fn see(&mut self, written: u64, cpu: impl FnOnce() -> Option<Duration>) {
        let now = Instant::now();
        if written > 0 && self.first.is_none() {
            self.first = Some((now, written));
        }
        // A look that comes too late, in a short run, says nothing about halves.
        if written >= self.records / 2 && written < self.records && self.half.is_none() {
            self.half = cpu().map(|cpu| (cpu, written));
        }
        if written >= self.records && self.last.is_none() {
            self.last = Some(now);
        }
    }

    /// True once a record was seen.
    pub fn has_begun(&self) -> bool {
        self.first.is_some()
    }

    /// When the first record was seen.
    pub fn first(&self) -> Option<Instant> {
        self.first.map(|(at, _)| at)
    }

    /// Records per second, from the first record out to the last.
    pub fn records_per_second(&self) -> Option<f64> {
        let ((first, seen), last) = (self.first?, self.last?);
        let seconds = last.duration_since(first).as_secs_f64();
        (seconds > 0.0).then(|| self.records.saturating_sub(seen) as f64 / seconds)
    }

    /// Of a total, CPU time per record of the second half.
    pub fn second_half_us(&self, total: Duration) -> Option<f64> {
        let (cpu, written) = self.half?;
        let micros = total.saturating_sub(cpu).as_secs_f64() * 1e6;
        Some(micros / (self.records - written) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_half_is_what_came_after_the_look_in_the_middle() {
        let mut progress = Progress::of(100);
        progress.see(10, || None);
        progress.see(60, || Some(Duration::from_micros(500)));
        progress.see(90, || unreachable!());
        progress.see(104, || unreachable!());
        assert_eq!(progress.second_half_us(Duration::from_micros(700)), Some(5.0));
        assert!(progress.first().is_some() && progress.records_per_second().is_some());
    }

    #[test]
    fn a_run_that_was_not_seen_in_its_middle_has_no_halves() {
        let mut progress = Progress::of(100);
        progress.see(100, || unreachable!());
        assert_eq!(progress.second_half_us(Duration::from_secs(1)), None);
        assert_eq!(progress.records_per_second(), None);
    }
}
