//! Counters of checkpoints: how long each part took, which failed, and what is not decided yet.

use super::{Counter, Gauge};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the buckets in milliseconds; what is longer than the last counts in total only.
pub const BUCKETS_MS: [u64; 14] =
    [1, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000];

/// Durations in buckets, as Prometheus counts them.
#[derive(Debug, Default)]
pub struct DurationBuckets {
    counts: [Counter; BUCKETS_MS.len()],
    sum_ns: Counter,
    /// Durations that are longer than the last bound.
    longer: Counter,
}

/// What buckets held at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketCounts {
    /// Per bound of [`BUCKETS_MS`]: durations that are at most so long.
    pub at_most: Vec<u64>,
    /// All of them.
    pub count: u64,
    /// Their sum.
    pub sum: Duration,
}

impl DurationBuckets {
    /// Counts one.
    pub fn add(&self, duration: Duration) {
        let bucket = BUCKETS_MS.iter().position(|bound| duration <= Duration::from_millis(*bound));
        match bucket {
            Some(bucket) => self.counts[bucket].add(1),
            None => self.longer.add(1),
        }
        self.sum_ns.add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
    }

    /// The counts now.
    pub fn read(&self) -> BucketCounts {
        let mut count = 0;
        let mut add = |counter: &Counter| {
            count += counter.get();
            count
        };
        let at_most = self.counts.iter().map(&mut add).collect();
        let count = add(&self.longer);
        BucketCounts { at_most, count, sum: Duration::from_nanos(self.sum_ns.get()) }
    }
}

/// Counters of a pipeline's checkpoints. The parts of one follow each other and sum up to its duration, but for its
/// publication.
#[derive(Debug)]
pub struct CheckpointMeters {
    /// From the barrier to the publication, of those that were decided.
    pub durations: DurationBuckets,
    /// From the barrier until it had come through to the last subtask, without the freeze there.
    pub align: DurationBuckets,
    /// How long that subtask stood still: freezing state, and handing prepared output over.
    pub freeze: DurationBuckets,
    /// From there until output is stored by its servers, and state and manifest are on disk.
    pub write: DurationBuckets,
    /// The decision.
    pub decide: DurationBuckets,
    /// Those that could not be stored, or whose incarnation ended.
    pub failed: Counter,
    /// Bytes of state that the last one refers to, those included that older ones wrote.
    pub state_bytes: Gauge,
    /// The time that was left to the last decided transaction, in microseconds; `i64::MIN` where there is none.
    pub transaction_margin_us: Gauge,
    /// The whole time that a transaction has, in milliseconds; `i64::MIN` where there is none.
    pub transaction_timeout_ms: Gauge,
    /// When the last one was decided, on the pipeline's clock; `i64::MIN` before the first.
    decided_at_ms: Gauge,
    under_way: AtomicBool,
}

impl Default for CheckpointMeters {
    fn default() -> CheckpointMeters {
        CheckpointMeters {
            durations: DurationBuckets::default(),
            align: DurationBuckets::default(),
            freeze: DurationBuckets::default(),
            write: DurationBuckets::default(),
            decide: DurationBuckets::default(),
            failed: Counter::default(),
            state_bytes: Gauge::default(),
            transaction_margin_us: Gauge::of(i64::MIN),
            transaction_timeout_ms: Gauge::of(i64::MIN),
            decided_at_ms: Gauge::of(i64::MIN),
            under_way: AtomicBool::new(false),
        }
    }
}

impl CheckpointMeters {
    /// A barrier goes out.
    pub fn begins(&self) {
        self.under_way.store(true, Ordering::Relaxed);
    }

    /// It is published.
    pub fn completed(&self, took: Duration) {
        self.under_way.store(false, Ordering::Relaxed);
        self.durations.add(took);
    }

    /// The incarnation has ended: what was under way will not be decided.
    pub fn abandoned(&self) {
        if self.under_way.swap(false, Ordering::Relaxed) {
            self.failed.add(1);
        }
    }

    /// A decision is made at this time: of a checkpoint, or of a start.
    pub fn decided(&self, now: Duration) {
        self.decided_at_ms.set(milliseconds(now) as i64);
    }

    /// The time since the last decision.
    pub fn age(&self, now: Duration) -> Option<Duration> {
        let at = u64::try_from(self.decided_at_ms.get()).ok()?;
        Some(now.saturating_sub(Duration::from_millis(at)))
    }
}

/// The oldest record that was read and is not decided. One load per batch.
#[derive(Debug, Default)]
pub struct Undecided {
    /// When the first record of the running epoch was read, in milliseconds and one more; 0 before.
    running: AtomicU64,
    /// The same of the checkpoint that is being made.
    checkpoint: AtomicU64,
    /// The same of incarnations that have ended: their records are read again.
    earlier: AtomicU64,
}

impl Undecided {
    /// Records were read.
    pub fn read(&self, now: Duration) {
        if self.running.load(Ordering::Relaxed) != 0 {
            return;
        }
        let first = match self.earlier.swap(0, Ordering::Relaxed) {
            0 => milliseconds(now) + 1,
            earlier => earlier,
        };
        // Whoever was first was first.
        let _ = self.running.compare_exchange(0, first, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// A barrier goes out: what was read until here belongs to a checkpoint now.
    pub fn barrier(&self) {
        let running = self.running.swap(0, Ordering::Relaxed);
        self.checkpoint.store(oldest([self.checkpoint.load(Ordering::Relaxed), running]), Ordering::Relaxed);
    }

    /// That checkpoint is decided.
    pub fn decided(&self) {
        self.checkpoint.store(0, Ordering::Relaxed);
    }

    /// An incarnation is restored: what is not decided is read again, and is as old as it was.
    pub fn restored(&self) {
        let all = [&self.running, &self.checkpoint, &self.earlier].map(|at| at.swap(0, Ordering::Relaxed));
        self.earlier.store(oldest(all), Ordering::Relaxed);
    }

    /// How long ago it was read; none where everything is decided.
    pub fn age(&self, now: Duration) -> Option<Duration> {
        let at = oldest([&self.running, &self.checkpoint].map(|at| at.load(Ordering::Relaxed)));
        (at != 0).then(|| now.saturating_sub(Duration::from_millis(at - 1)))
    }
}

fn oldest<const N: usize>(times: [u64; N]) -> u64 {
    times.into_iter().filter(|time| *time != 0).min().unwrap_or(0)
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_duration_counts_in_its_bucket_and_in_all_above() {
        let buckets = DurationBuckets::default();
        for ms in [1, 7, 5_000, 61_000] {
            buckets.add(Duration::from_millis(ms));
        }
        let read = buckets.read();
        assert_eq!(read.at_most, [1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3]);
        assert_eq!((read.count, read.sum), (4, Duration::from_millis(66_008)));
    }

    #[test]
    fn a_checkpoint_that_is_abandoned_counts_as_failed_once() {
        let meters = CheckpointMeters::default();
        meters.abandoned();
        meters.begins();
        meters.completed(at(1));
        meters.abandoned();
        assert_eq!(meters.failed.get(), 0);
        meters.begins();
        meters.abandoned();
        meters.abandoned();
        assert_eq!((meters.failed.get(), meters.durations.read().count), (1, 1));
    }

    #[test]
    fn the_oldest_undecided_record_is_the_first_behind_the_last_decided_barrier() {
        let undecided = Undecided::default();
        assert_eq!(undecided.age(at(9)), None);
        undecided.read(at(10));
        undecided.read(at(11));
        undecided.barrier();
        undecided.read(at(15));
        assert_eq!(undecided.age(at(20)), Some(at(10)));
        undecided.decided();
        assert_eq!(undecided.age(at(20)), Some(at(5)));
        undecided.barrier();
        undecided.decided();
        assert_eq!(undecided.age(at(20)), None);
    }

    #[test]
    fn a_record_that_is_read_again_after_a_restart_is_as_old_as_it_was() {
        let undecided = Undecided::default();
        undecided.read(at(10));
        undecided.barrier();
        undecided.read(at(12));
        // Between two lives it is undecided all the same.
        assert_eq!(undecided.age(at(20)), Some(at(10)));
        undecided.restored();
        assert_eq!(undecided.age(at(20)), None, "it may have been decided after all");
        undecided.read(at(21));
        assert_eq!(undecided.age(at(22)), Some(at(12)));
    }
}
