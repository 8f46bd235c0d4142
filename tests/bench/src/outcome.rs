//! What one run has shown.

use crate::plan::AskedRun;
use std::time::Duration;

/// The numbers of a run.
pub struct Outcome {
    /// What ran.
    pub asked: AskedRun,
    /// User and system time of the process, from its start to its end.
    pub cpu: Duration,
    /// The same per record, in microseconds.
    pub cpu_us: f64,
    /// The same per record of the second half, where start-up no longer counts.
    pub second_half_cpu_us: Option<f64>,
    /// Records per second, from the first record out to the last; none where the run was too short for two looks.
    pub rate: Option<f64>,
    /// From the start of the process to its end.
    pub whole: Duration,
    /// Records of the run.
    pub records: u64,
    /// From the start of the process to the first record out.
    pub start_up: Duration,
    /// The most memory that was resident.
    pub memory_peak_bytes: u64,
    /// The broker's CPU time per record in microseconds.
    pub broker_cpu_us: Option<f64>,
    /// The longest time that a loop of weir stood still at a barrier, if weir has told.
    pub longest_pause: Option<Duration>,
}

impl Outcome {
    /// Records per second; of the whole run where the run was too short.
    pub fn records_per_second(&self) -> f64 {
        self.rate.unwrap_or(self.records as f64 / self.whole.as_secs_f64())
    }
}
