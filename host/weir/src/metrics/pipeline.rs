//! The metrics of one pipeline, out of the counters of the runtime.

use super::back_pressure;
use super::catalogue::*;
use super::exposition::Exposition;
use crate::guest_voice::GuestMetrics;
use crate::sampling::Recent;
use std::sync::Arc;
use std::time::Duration;
use weir_protocol::connector::FailureKind;
use weir_protocol::plan::Plan;
use weir_runtime::clock::Clock;
use weir_runtime::handle::SwapNotice;
use weir_runtime::meters::{
    COORDINATOR_STUCK_AFTER, Counter, Flow, LifeState, Meters, OperatorMeters, RestartCause, SubtaskMeters,
};

/// A pipeline as metrics see it. No swap changes its shape.
pub struct PipelineMetrics {
    plan: Arc<Plan>,
    meters: Arc<Meters>,
    clock: Arc<dyn Clock>,
    guests: GuestMetrics,
    recent: Arc<Recent>,
}

/// How often swaps of a pipeline ended in which way.
#[derive(Debug, Default)]
pub struct SwapCounts {
    completed: Counter,
    rolled_back: Counter,
    interrupted: Counter,
    abandoned: Counter,
}

impl SwapCounts {
    /// Counts the end of a swap; it may come further before that.
    pub fn notice(&self, notice: &SwapNotice) {
        match notice {
            SwapNotice::Prepared | SwapNotice::Probation { .. } => {}
            SwapNotice::Completed { .. } => self.completed.add(1),
            SwapNotice::RolledBack { .. } => self.rolled_back.add(1),
            SwapNotice::Interrupted { .. } => self.interrupted.add(1),
            SwapNotice::Abandoned { .. } => self.abandoned.add(1),
        }
    }

    /// Writes them.
    pub fn write(&self, to: &mut Exposition, pipeline: &str) {
        let all = [
            ("completed", &self.completed),
            ("rolled_back", &self.rolled_back),
            ("interrupted", &self.interrupted),
            ("abandoned", &self.abandoned),
        ];
        for (outcome, counter) in all {
            to.count(&SWAPS, &[pipeline, outcome], counter.get());
        }
    }
}

fn seconds(nanoseconds: u64) -> f64 {
    Duration::from_nanos(nanoseconds).as_secs_f64()
}

impl PipelineMetrics {
    /// Of a plan that runs, or is about to.
    pub fn new(
        plan: Arc<Plan>,
        meters: Arc<Meters>,
        clock: Arc<dyn Clock>,
        guests: GuestMetrics,
        recent: Arc<Recent>,
    ) -> PipelineMetrics {
        PipelineMetrics { plan, meters, clock, guests, recent }
    }

    /// Where it is in its life.
    pub fn state(&self) -> LifeState {
        self.meters.life.state()
    }

    /// An error where its coordinator does not turn although it should. Waits for nothing.
    pub fn alive(&self) -> Result<(), String> {
        let still = self.still_for();
        match still > COORDINATOR_STUCK_AFTER {
            true => Err(format!("the coordinator has not turned for {} s", still.as_secs())),
            false => Ok(()),
        }
    }

    fn still_for(&self) -> Duration {
        self.meters.life.pulse.still_for(self.clock.monotonic())
    }

    /// Writes everything but the state.
    pub fn write(&self, to: &mut Exposition) {
        let name = self.plan.spec.name.as_str();
        to.add(&PIPELINE, &[name, &self.plan.spec.guarantee.to_string()], 1.0);
        for cause in RestartCause::ALL {
            to.count(&RESTARTS, &[name, cause.name()], self.meters.life.restarts_by(cause));
        }
        to.add(&COORDINATOR_STILL, &[name], self.still_for().as_secs_f64());
        self.write_sources(to, name);
        self.write_operators(to, name);
        for (spec, flow) in self.plan.spec.sinks.iter().zip(&self.meters.sinks) {
            write_flow(to, (&SINK_RECORDS, &SINK_BYTES), &[name, &spec.name], flow);
        }
        self.write_subtasks(to, name);
        self.write_checkpoints(to, name);
    }

    fn write_sources(&self, to: &mut Exposition, name: &str) {
        for (spec, meters) in self.plan.spec.sources.iter().zip(&self.meters.sources) {
            write_flow(to, (&SOURCE_RECORDS, &SOURCE_BYTES), &[name, &spec.name], &meters.read);
            for (partition, progress) in meters.partitions() {
                let number = partition.number.to_string();
                let labels = [name, &spec.name, &*partition.topic, &number];
                to.add(&SOURCE_POSITION, &labels, progress.position as f64);
                let known = [
                    (&SOURCE_END, progress.end),
                    (&SOURCE_LAST_STABLE, progress.last_stable),
                    (&SOURCE_LAG, progress.lag().and_then(|lag| i64::try_from(lag).ok())),
                ];
                for (metric, value) in known {
                    if let Some(value) = value {
                        to.add(metric, &labels, value as f64);
                    }
                }
            }
        }
        to.count(&SKEWED_TIMESTAMPS, &[name], self.meters.skewed_timestamps.get());
        to.count(&KEPT_TIMESTAMPS, &[name], self.meters.kept_timestamps.get());
    }

    fn write_operators(&self, to: &mut Exposition, name: &str) {
        let operators = self.plan.spec.operators.iter().zip(&self.plan.shapes).zip(&self.meters.operators);
        for ((spec, shape), meters) in operators {
            let operator = spec.name.as_str();
            for (index, flow) in meters.inputs.iter().enumerate() {
                let port = shape.inputs.get(index).map_or("in", String::as_str);
                let metrics = (&OPERATOR_INPUT_RECORDS, &OPERATOR_INPUT_BYTES);
                write_flow(to, metrics, &[name, operator, port], flow);
            }
            for (index, flow) in meters.outputs.iter().enumerate() {
                let port = shape.outputs.get(index).map_or("out", |port| port.name.as_str());
                let metrics = (&OPERATOR_OUTPUT_RECORDS, &OPERATOR_OUTPUT_BYTES);
                write_flow(to, metrics, &[name, operator, port], flow);
            }
            if let Some(ms) = meters.watermark_ms() {
                to.add(&OPERATOR_WATERMARK, &[name, operator], ms as f64 / 1000.0);
                let lag_ms = self.clock.wall_ms().saturating_sub(ms);
                to.add(&OPERATOR_WATERMARK_LAG, &[name, operator], lag_ms as f64 / 1000.0);
            }
            write_calls(to, &[name, operator], meters);
            let guest = self.guests.of(operator);
            for (metric, value) in guest.counters {
                to.add(&GUEST_COUNTER, &[name, operator, &metric], value);
            }
            for (metric, value) in guest.gauges {
                to.add(&GUEST_GAUGE, &[name, operator, &metric], value);
            }
        }
    }

    fn write_subtasks(&self, to: &mut Exposition, name: &str) {
        let stages = self.plan.stages.iter().enumerate();
        let stages = stages.flat_map(|(index, stage)| std::iter::repeat_n((index, stage), stage.parallelism));
        for (number, ((index, stage), meters)) in stages.zip(&self.meters.subtasks).enumerate() {
            let (index, number) = (index.to_string(), number.to_string());
            let labels = [name, index.as_str(), number.as_str()];
            let steps = back_pressure::steps(&self.plan, stage).join(",");
            to.add(&SUBTASK, &[name, &index, &number, &steps], 1.0);
            write_subtask(to, &labels, meters);
        }
        let origins = back_pressure::origins(&self.plan, &self.recent.rates().subtasks);
        for (step, is_origin) in origins {
            to.add(&BACK_PRESSURE_ORIGIN, &[name, &step], f64::from(u8::from(is_origin)));
        }
    }

    fn write_checkpoints(&self, to: &mut Exposition, name: &str) {
        let (meters, now) = (&self.meters.checkpoint, self.clock.monotonic());
        let durations = meters.durations.read();
        to.histogram(&CHECKPOINT_DURATION, &[name], &durations);
        let phases = [
            ("align", &meters.align),
            ("freeze", &meters.freeze),
            ("write", &meters.write),
            ("decide", &meters.decide),
        ];
        for (phase, durations) in phases {
            to.histogram(&CHECKPOINT_PHASE_DURATION, &[name, phase], &durations.read());
        }
        to.count(&CHECKPOINTS_COMPLETED, &[name], durations.count);
        to.count(&CHECKPOINTS_FAILED, &[name], meters.failed.get());
        to.count(&CHECKPOINT_WRITTEN_BYTES, &[name], self.meters.state_bytes_written.get());
        to.add(&CHECKPOINT_STATE_BYTES, &[name], meters.state_bytes.get() as f64);
        to.count(&CHECKPOINT_EPOCH, &[name], self.meters.last_checkpoint().epoch);
        if let Some(age) = meters.age(now) {
            to.add(&CHECKPOINT_AGE, &[name], age.as_secs_f64());
        }
        to.count(&UNDECIDED_RECORDS, &[name], self.meters.undecided());
        let age = self.meters.oldest_undecided.age(now).unwrap_or_default();
        to.add(&UNDECIDED_AGE, &[name], age.as_secs_f64());
        let margin = Some(meters.transaction_margin_us.get()).filter(|us| *us != i64::MIN);
        if let Some(margin) = margin {
            to.add(&TRANSACTION_MARGIN, &[name], margin as f64 / 1_000_000.0);
            let timeout_ms = meters.transaction_timeout_ms.get();
            to.add(&TRANSACTION_TIMEOUT, &[name], timeout_ms as f64 / 1000.0);
        }
    }
}

fn write_flow(to: &mut Exposition, (records, bytes): (&Metric, &Metric), labels: &[&str], flow: &Flow) {
    to.count(records, labels, flow.records.get());
    to.count(bytes, labels, flow.bytes.get());
}

fn write_calls(to: &mut Exposition, labels: &[&str; 2], meters: &OperatorMeters) {
    to.count(&OPERATOR_CALLS, labels, meters.calls.get());
    for kind in FailureKind::ALL {
        let labels = [labels[0], labels[1], kind.name()];
        to.count(&OPERATOR_FAILED_CALLS, &labels, meters.failures.of(kind));
        to.count(&OPERATOR_REJECTED, &labels, meters.rejections.of(kind));
    }
    to.add(&OPERATOR_CALL_TIME, labels, seconds(meters.busy_ns.get()));
    to.add(&OPERATOR_CPU, labels, seconds(meters.cpu_ns.get()));
    to.add(&OPERATOR_MEMORY, labels, meters.memory_bytes.get() as f64);
    to.count(&OPERATOR_RECYCLED, labels, meters.instances_recycled.get());
    to.count(&OPERATOR_DEAD_LETTERS, labels, meters.dead_letters.get());
    to.count(&OPERATOR_SKIPPED, labels, meters.skipped.get());
}

fn write_subtask(to: &mut Exposition, labels: &[&str; 3], meters: &SubtaskMeters) {
    to.count(&SUBTASK_INPUT_RECORDS, labels, meters.records_in.get());
    to.count(&SUBTASK_OUTPUT_RECORDS, labels, meters.records_out.get());
    to.add(&SUBTASK_BUSY, labels, seconds(meters.busy_ns.get()));
    to.add(&SUBTASK_IDLE, labels, seconds(meters.idle_ns.get()));
    to.add(&SUBTASK_BACK_PRESSURED, labels, seconds(meters.back_pressured_ns.get()));
}
