//! Counters of a running pipeline. Tasks add, anyone may read; nothing here is needed for correctness.

use crate::duration_histogram::DurationHistogram;
use crate::version_tally::{FailureCounters, VersionTally};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A number that only rises.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds to it.
    pub fn add(&self, by: u64) {
        self.0.fetch_add(by, Ordering::Relaxed);
    }

    /// Reads it.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that is set.
#[derive(Debug, Default)]
pub struct Gauge(AtomicI64);

impl Gauge {
    /// Sets it.
    pub fn set(&self, to: i64) {
        self.0.store(to, Ordering::Relaxed);
    }

    /// Reads it.
    pub fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counters of one operator, over all subtasks.
#[derive(Debug, Default)]
pub struct OperatorMeters {
    /// Rows given to it.
    pub rows: Counter,
    /// Calls, those of a search included.
    pub calls: Counter,
    /// Failed calls.
    pub failed_calls: Counter,
    /// Rows that went to dead letters.
    pub dead_letters: Counter,
    /// Rows that were skipped.
    pub skipped: Counter,
    /// Rows that were not handled, whatever became of them.
    pub rejected: Counter,
    /// Rows that it returned.
    pub output_rows: Counter,
    /// Failed calls by kind.
    pub failures: FailureCounters,
    /// Time spent in calls, in nanoseconds.
    pub busy_ns: Counter,
    /// Its watermark in milliseconds, as one of its subtasks said last; `i64::MIN` before the first.
    pub watermark_ms: Gauge,
    longest_gap_us: AtomicU64,
    tally: Mutex<Arc<VersionTally>>,
}

impl OperatorMeters {
    /// What the version that runs has done.
    pub fn tally(&self) -> Arc<VersionTally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Another version is the one that runs.
    pub fn set_tally(&self, tally: Arc<VersionTally>) {
        *self.tally.lock().unwrap_or_else(PoisonError::into_inner) = tally;
    }

    /// Notes how long nothing came out of it on one subtask.
    pub fn gap(&self, gap: Duration) {
        self.longest_gap_us.fetch_max(gap.as_micros() as u64, Ordering::Relaxed);
    }

    /// The longest time between two batches that came out of it on one subtask, in microseconds, since it was asked the
    /// last time. Time without input counts too.
    pub fn take_longest_gap_us(&self) -> u64 {
        self.longest_gap_us.swap(0, Ordering::Relaxed)
    }
}

/// Counters of one subtask. Its thread's time is busy, idle or back-pressured, as [`crate::waits`] says.
#[derive(Debug, Default)]
pub struct SubtaskMeters {
    /// Rows that came in: from sources, or through exchanges.
    pub records_in: Counter,
    /// Rows that went out: to sinks, or into exchanges.
    pub records_out: Counter,
    /// Time that the thread worked, in nanoseconds.
    pub busy_ns: Counter,
    /// Time that it had nothing to do.
    pub idle_ns: Counter,
    /// Time that it waited for room further down.
    pub back_pressured_ns: Counter,
    /// Records between the positions and the ends of its sources; -1 where unknown.
    pub lag: Gauge,
}

/// The last checkpoint that was decided.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LastCheckpoint {
    /// Its epoch.
    pub epoch: u64,
    /// From the barrier to its publication.
    pub took: Duration,
}

/// All counters of a pipeline. They go on over restarts.
#[derive(Debug, Default)]
pub struct Meters {
    /// Rows read from sources.
    pub records_in: Counter,
    /// Rows handed to sinks, dead letters included.
    pub records_out: Counter,
    /// Key and value bytes read.
    pub bytes_in: Counter,
    /// Key and value bytes handed to sinks.
    pub bytes_out: Counter,
    /// Rows read that a decided checkpoint covers, at least.
    pub records_decided: Gauge,
    /// Decided checkpoints.
    pub checkpoints: Counter,
    /// Restarts.
    pub restarts: Counter,
    /// Rows whose timestamps were too far ahead to move the watermark.
    pub skewed_timestamps: Counter,
    /// Rows without the field that their timestamp is read from, which kept their own.
    pub kept_timestamps: Counter,
    /// Bytes written for checkpoints of state.
    pub state_bytes_written: Counter,
    /// The longest time that an input was held for the others' barriers, in microseconds.
    pub longest_alignment_us: Counter,
    /// How long a subtask stood still at a barrier: freezing state, and handing prepared output over.
    pub barrier_pauses: DurationHistogram,
    /// From a barrier to the decision about its checkpoint.
    pub decision_times: DurationHistogram,
    longest_pause_us: AtomicU64,
    activity_at_start: AtomicU64,
    /// Per subtask, over all stages.
    pub subtasks: Vec<Arc<SubtaskMeters>>,
    /// Per operator, in the order of the plan.
    pub operators: Vec<OperatorMeters>,
    last_checkpoint: Mutex<LastCheckpoint>,
}

impl Meters {
    /// Counters for a plan.
    pub fn new(operators: usize, subtasks: usize) -> Meters {
        Meters {
            operators: (0..operators)
                .map(|_| {
                    let meters = OperatorMeters::default();
                    meters.watermark_ms.set(i64::MIN);
                    meters
                })
                .collect(),
            subtasks: (0..subtasks)
                .map(|_| {
                    let meters = SubtaskMeters::default();
                    meters.lag.set(-1);
                    Arc::new(meters)
                })
                .collect(),
            ..Meters::default()
        }
    }

    /// Notes a decided checkpoint, and how many of the rows read so far it covers at least.
    pub fn decided(&self, last: LastCheckpoint, records_in: u64) {
        self.checkpoints.add(1);
        self.records_decided.set(records_in as i64);
        *self.last_checkpoint.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = last;
    }

    /// Rises with everything that a checkpoint has to hold: rows, calls, timers.
    pub fn activity(&self) -> u64 {
        self.records_in.get() + self.operators.iter().map(|operator| operator.calls.get()).sum::<u64>()
    }

    /// Notes that an incarnation's subtasks are about to run: from their first row on there is something to decide, also
    /// where they have read all there is before anybody looks.
    pub fn begins(&self) {
        self.activity_at_start.store(self.activity(), Ordering::Relaxed);
    }

    /// The activity of all incarnations before this one.
    pub fn activity_at_start(&self) -> u64 {
        self.activity_at_start.load(Ordering::Relaxed)
    }

    /// The last decided checkpoint.
    pub fn last_checkpoint(&self) -> LastCheckpoint {
        *self.last_checkpoint.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Notes how long a subtask stood still.
    pub fn paused(&self, pause: Duration) {
        self.longest_pause_us.fetch_max(pause.as_micros() as u64, Ordering::Relaxed);
    }

    /// Notes how long an input was held until the others had delivered the barrier.
    pub fn aligned(&self, held: Duration) {
        self.longest_alignment_us.0.fetch_max(held.as_micros() as u64, Ordering::Relaxed);
    }

    /// The longest time that a subtask stood still because of a checkpoint, in microseconds: at the barrier, with a
    /// full buffer until the next transaction was open, or while writing what the buffer held.
    pub fn longest_pause_us(&self) -> u64 {
        self.longest_pause_us.load(Ordering::Relaxed)
    }

    /// Rows read that no decided checkpoint covers: what a start would read again, at most.
    pub fn undecided(&self) -> u64 {
        self.records_in.get().saturating_sub(self.records_decided.get().unsigned_abs())
    }

    /// Records behind, over all subtasks, where it is known.
    pub fn total_lag(&self) -> Option<u64> {
        self.subtasks.iter().try_fold(0, |sum, subtask| Some(sum + u64::try_from(subtask.lag.get()).ok()?))
    }
}
