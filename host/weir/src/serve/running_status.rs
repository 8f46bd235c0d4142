//! What a running pipeline says of itself, out of its counters.

use crate::metrics::steps;
use crate::rates::{Rates, SubtaskRates};
use std::collections::BTreeMap;
use weir_control::host::{OperatorStatus, RunningStatus, SubtaskStatus};
use weir_protocol::plan::Plan;
use weir_runtime::meters::{Meters, OperatorMeters, SubtaskMeters};

/// The shape of a pipeline, which no swap changes: names for its counters.
pub struct Shape {
    operators: Vec<String>,
    /// Per subtask: its stage, and the steps that it runs.
    subtasks: Vec<(u64, Vec<String>)>,
}

impl Shape {
    /// Of a plan.
    pub fn of(plan: &Plan) -> Shape {
        let stages = plan.stages.iter().enumerate().flat_map(|(index, stage)| {
            let steps = steps(plan, stage);
            (0..stage.parallelism).map(move |_| (index as u64, steps.clone()))
        });
        Shape {
            operators: plan.spec.operators.iter().map(|operator| operator.name.clone()).collect(),
            subtasks: stages.collect(),
        }
    }

    /// The same subtasks, with the operators of another plan: those that both have stand first in either.
    pub fn with_operators_of(self, own: &Shape) -> Shape {
        Shape { operators: own.operators.clone(), ..self }
    }

    /// The status. `digests` are those of the components that run, by operator.
    pub fn status(
        &self,
        meters: &Meters,
        rates: &Rates,
        digests: &BTreeMap<String, String>,
        now_ms: i64,
    ) -> RunningStatus {
        let last = meters.last_checkpoint();
        let operators = self.operators.iter().zip(&meters.operators);
        let operators = operators.map(|(name, meters)| operator(name, meters, digests, now_ms));
        let own = self.subtasks.iter().zip(&meters.subtasks).enumerate();
        let subtasks = own.map(|(number, ((stage, steps), meters))| {
            let rates = rates.subtasks.get(number).cloned().unwrap_or_default();
            subtask((number, *stage), steps, meters, &rates)
        });
        RunningStatus {
            records_in: meters.records_in.get(),
            records_out: meters.records_out.get(),
            records_in_per_second: rates.records_in,
            records_out_per_second: rates.records_out,
            rate_window_ms: rates.window.as_millis() as u64,
            lag: meters.total_lag(),
            undecided: meters.undecided(),
            last_checkpoint_epoch: last.epoch,
            last_checkpoint_ms: last.took.as_millis() as u64,
            checkpoints: meters.checkpoints.get(),
            restarts: meters.restarts.get(),
            longest_pause_us: meters.longest_pause_us(),
            operators: operators.collect(),
            subtasks: subtasks.collect(),
        }
    }
}

fn operator(
    name: &str,
    meters: &OperatorMeters,
    digests: &BTreeMap<String, String>,
    now_ms: i64,
) -> OperatorStatus {
    let watermark_ms = meters.watermark_ms();
    OperatorStatus {
        operator: name.to_owned(),
        sha256: digests.get(name).cloned().unwrap_or_default(),
        rows: meters.rows.get(),
        calls: meters.calls.get(),
        failed_calls: meters.failed_calls.get(),
        dead_letters: meters.dead_letters.get(),
        skipped: meters.skipped.get(),
        busy_ms: meters.busy_ns.get() / 1_000_000,
        watermark_ms,
        watermark_lag_ms: watermark_ms.map(|ms| now_ms.saturating_sub(ms)),
    }
}

fn subtask(
    (number, stage): (usize, u64),
    steps: &[String],
    meters: &SubtaskMeters,
    rates: &SubtaskRates,
) -> SubtaskStatus {
    SubtaskStatus {
        subtask: number as u64,
        stage,
        steps: steps.to_vec(),
        records_in: meters.records_in.get(),
        records_out: meters.records_out.get(),
        records_in_per_second: rates.records_in,
        records_out_per_second: rates.records_out,
        busy_ms_per_second: rates.busy_ms,
        idle_ms_per_second: rates.idle_ms,
        back_pressured_ms_per_second: rates.back_pressured_ms,
        lag: u64::try_from(meters.lag.get()).ok(),
    }
}
