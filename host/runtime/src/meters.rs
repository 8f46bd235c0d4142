//! Counters of a running pipeline. Tasks add, anyone may read; nothing here is needed for correctness.

mod checkpoints;
mod life;

pub use self::checkpoints::{BUCKETS_MS, BucketCounts, CheckpointMeters, DurationBuckets, Undecided};
pub use self::life::{COORDINATOR_STUCK_AFTER, Life, LifeState, Pulse, RestartCause};

use crate::duration_histogram::DurationHistogram;
use crate::version_tally::{FailureCounters, VersionTally};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use weir_protocol::batch::Batch;
use weir_protocol::connector::PartitionProgress;
use weir_protocol::plan::Plan;
use weir_protocol::position::Partition;

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
    /// One that begins with this number.
    pub const fn of(number: i64) -> Gauge {
        Gauge(AtomicI64::new(number))
    }

    /// Adds to it; several that have a part of it may do so.
    pub fn add(&self, by: i64) {
        self.0.fetch_add(by, Ordering::Relaxed);
    }

    /// Sets it.
    pub fn set(&self, to: i64) {
        self.0.store(to, Ordering::Relaxed);
    }

    /// Reads it.
    pub fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Rows that pass a place, and the bytes of their keys and values.
#[derive(Debug, Default)]
pub struct Flow {
    /// Rows.
    pub records: Counter,
    /// Bytes.
    pub bytes: Counter,
}

impl Flow {
    /// Counts a batch.
    pub fn count(&self, batch: &Batch) {
        self.records.add(batch.rows as u64);
        self.bytes.add(batch.payload_bytes() as u64);
    }
}

/// Counters of one source, over all subtasks.
#[derive(Debug, Default)]
pub struct SourceMeters {
    /// What was read.
    pub read: Flow,
    partitions: Mutex<BTreeMap<Partition, PartitionProgress>>,
}

impl SourceMeters {
    /// Notes how far a reader has come in a partition.
    pub fn note(&self, partition: &Partition, progress: PartitionProgress) {
        let mut partitions = self.partitions.lock().unwrap_or_else(PoisonError::into_inner);
        match partitions.get_mut(partition) {
            Some(known) => *known = progress,
            None => drop(partitions.insert(partition.clone(), progress)),
        }
    }

    /// All partitions that were noted.
    pub fn partitions(&self) -> BTreeMap<Partition, PartitionProgress> {
        self.partitions.lock().unwrap_or_else(PoisonError::into_inner).clone()
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
    /// Rows that were not handled by kind.
    pub rejections: FailureCounters,
    /// Time spent in calls, in nanoseconds.
    pub busy_ns: Counter,
    /// CPU time spent in calls, in nanoseconds.
    pub cpu_ns: Counter,
    /// Linear memory of its instances.
    pub memory_bytes: Gauge,
    /// Used instances that were thrown away: after a failed call, or because their memory had grown.
    pub instances_recycled: Counter,
    /// What came in, per port.
    pub inputs: Vec<Flow>,
    /// What went out, per port.
    pub outputs: Vec<Flow>,
    /// Per subtask its watermark in milliseconds; `i64::MIN` before the first.
    watermarks_ms: Vec<Gauge>,
    longest_gap_us: AtomicU64,
    tally: Mutex<Arc<VersionTally>>,
}

impl OperatorMeters {
    /// Counters for an operator with so many input ports, output ports and subtasks.
    fn new(inputs: usize, outputs: usize, subtasks: usize) -> OperatorMeters {
        OperatorMeters {
            inputs: (0..inputs).map(|_| Flow::default()).collect(),
            outputs: (0..outputs).map(|_| Flow::default()).collect(),
            watermarks_ms: (0..subtasks).map(|_| Gauge::of(i64::MIN)).collect(),
            ..OperatorMeters::default()
        }
    }

    /// Notes how far event time has come on one subtask.
    pub fn set_watermark(&self, subtask: usize, ms: i64) {
        if let Some(gauge) = self.watermarks_ms.get(subtask) {
            gauge.set(ms);
        }
    }

    /// The lowest watermark of its subtasks in milliseconds, of those that have one.
    pub fn watermark_ms(&self) -> Option<i64> {
        self.watermarks_ms.iter().map(Gauge::get).filter(|ms| *ms != i64::MIN).min()
    }

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
    /// Checkpoints and their parts.
    pub checkpoint: CheckpointMeters,
    /// Records that no checkpoint covers yet.
    pub oldest_undecided: Undecided,
    /// Where it is in its life.
    pub life: Life,
    longest_pause_us: AtomicU64,
    activity_at_start: AtomicU64,
    /// Per source, in the order of the plan.
    pub sources: Vec<SourceMeters>,
    /// What was handed to each sink, in the order of the plan.
    pub sinks: Vec<Flow>,
    /// Per subtask, over all stages.
    pub subtasks: Vec<Arc<SubtaskMeters>>,
    /// Per operator, in the order of the plan.
    pub operators: Vec<OperatorMeters>,
    last_checkpoint: Mutex<LastCheckpoint>,
}

impl Meters {
    /// Counters for a plan.
    pub fn of(plan: &Plan) -> Meters {
        let operator = |(index, shape): (usize, &weir_protocol::state::OperatorShape)| {
            let subtasks = plan.stages[plan.stage_of(index)].parallelism;
            OperatorMeters::new(shape.inputs.len().max(1), shape.outputs.len().max(1), subtasks)
        };
        Meters {
            operators: plan.shapes.iter().enumerate().map(operator).collect(),
            sources: plan.spec.sources.iter().map(|_| SourceMeters::default()).collect(),
            sinks: plan.spec.sinks.iter().map(|_| Flow::default()).collect(),
            ..Meters::new(0, plan.tasks())
        }
    }

    /// Counters for a plan and for the replay of its dead letters, one after the other: what the replay has of its own
    /// stands behind what both have.
    pub fn of_both(plan: &Plan, replay: &Plan) -> Meters {
        let mut meters = Meters::of(replay);
        for (index, operator) in meters.operators.iter_mut().take(plan.shapes.len()).enumerate() {
            let subtasks = plan.stages[plan.stage_of(index)].parallelism;
            let gauges = operator.watermarks_ms.len().max(subtasks);
            operator.watermarks_ms.resize_with(gauges, || Gauge::of(i64::MIN));
        }
        let subtasks = meters.subtasks.len().max(plan.tasks());
        meters.subtasks.extend(Meters::new(0, subtasks - meters.subtasks.len()).subtasks);
        meters
    }

    /// The replay is over, and the plan goes on: its gauges say what they say of the plan only.
    pub fn replay_is_over(&self, plan: &Plan) {
        self.operators.iter().flat_map(|operator| &operator.watermarks_ms).for_each(|ms| ms.set(i64::MIN));
        self.subtasks.iter().skip(plan.tasks()).for_each(|subtask| subtask.lag.set(0));
    }

    /// Counters for so many operators and subtasks, without ports.
    pub fn new(operators: usize, subtasks: usize) -> Meters {
        let subtask = || Arc::new(SubtaskMeters { lag: Gauge::of(-1), ..SubtaskMeters::default() });
        Meters {
            operators: (0..operators).map(|_| OperatorMeters::new(0, 0, 1)).collect(),
            subtasks: (0..subtasks).map(|_| subtask()).collect(),
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
