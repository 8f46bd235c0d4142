//! What a running pipeline says of itself: counters since the host started it, and rates of the last seconds.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a running pipeline says of itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RunningStatus {
    /// Rows read from sources since the host started it.
    pub records_in: u64,
    /// Rows handed to sinks.
    pub records_out: u64,
    /// The same in a second, over `rate_window_ms`.
    pub records_in_per_second: u64,
    /// The same in a second.
    pub records_out_per_second: u64,
    /// The time that rates are taken over, in milliseconds: up to ten seconds, 0 right after the start.
    pub rate_window_ms: u64,
    /// Records behind, where the sources know.
    pub lag: Option<u64>,
    /// Rows that no decided checkpoint covers.
    pub undecided: u64,
    /// Epoch of the last decided checkpoint.
    pub last_checkpoint_epoch: u64,
    /// From its barrier to its publication, in milliseconds.
    pub last_checkpoint_ms: u64,
    /// Decided checkpoints.
    pub checkpoints: u64,
    /// Restarts.
    pub restarts: u64,
    /// The longest time that a subtask stood still at a checkpoint, in microseconds.
    pub longest_pause_us: u64,
    /// Per operator, over all of its subtasks.
    pub operators: Vec<OperatorStatus>,
    /// Per subtask, each one thread.
    pub subtasks: Vec<SubtaskStatus>,
}

/// What one operator of a running pipeline has done, over all subtasks.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OperatorStatus {
    /// Its id in the pipeline.
    pub operator: String,
    /// SHA-256 of what runs.
    pub sha256: String,
    /// Rows given to it.
    pub rows: u64,
    /// Calls.
    pub calls: u64,
    /// Failed calls.
    pub failed_calls: u64,
    /// Rows that went to dead letters.
    pub dead_letters: u64,
    /// Rows that were skipped.
    pub skipped: u64,
    /// Time spent in calls, in milliseconds.
    pub busy_ms: u64,
    /// Its watermark in milliseconds since 1970; none before the first.
    pub watermark_ms: Option<i64>,
    /// How far its watermark is behind the clock, in milliseconds.
    pub watermark_lag_ms: Option<i64>,
}

/// One subtask: a thread with the steps between two exchanges. Its time is busy, idle or back-pressured, in milliseconds
/// of a second as Flink has them, over the pipeline's `rate_window_ms`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SubtaskStatus {
    /// Its number over all stages, from 0.
    pub subtask: u64,
    /// The stage that it belongs to, from 0, in the order in which a record meets them.
    pub stage: u64,
    /// What it runs: `source.orders`, `operator.count`, `sink.out`.
    pub steps: Vec<String>,
    /// Rows that came in, from sources or through exchanges.
    pub records_in: u64,
    /// Rows that went out, to sinks or into exchanges.
    pub records_out: u64,
    /// The same in a second.
    pub records_in_per_second: u64,
    /// The same in a second.
    pub records_out_per_second: u64,
    /// Its thread worked.
    pub busy_ms_per_second: u64,
    /// It had nothing to do.
    pub idle_ms_per_second: u64,
    /// It waited for room further down.
    pub back_pressured_ms_per_second: u64,
    /// Records behind, where it reads sources that know.
    pub lag: Option<u64>,
}
