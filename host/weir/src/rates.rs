//! Rates of a running pipeline: its counters now against those of a moment before.

use std::time::{Duration, Instant};
use weir_runtime::meters::{Meters, SubtaskMeters};

/// Counters at one moment.
#[derive(Debug, Clone)]
pub struct Sample {
    at: Instant,
    records_in: u64,
    records_out: u64,
    /// Per operator of the plan.
    operators_busy_ns: Vec<u64>,
    subtasks: Vec<SubtaskSample>,
}

#[derive(Debug, Clone, Default)]
struct SubtaskSample {
    records_in: u64,
    records_out: u64,
    busy_ns: u64,
    idle_ns: u64,
    back_pressured_ns: u64,
}

/// What happened between two samples, in a second.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rates {
    /// The time between them.
    pub window: Duration,
    /// Rows read from sources.
    pub records_in: u64,
    /// Rows handed to sinks.
    pub records_out: u64,
    /// Per operator of the plan: milliseconds in calls, over all of its subtasks.
    pub operators_busy_ms: Vec<u64>,
    /// Per subtask.
    pub subtasks: Vec<SubtaskRates>,
}

/// What happened in one subtask, in a second.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SubtaskRates {
    /// Rows that came in.
    pub records_in: u64,
    /// Rows that went out.
    pub records_out: u64,
    /// Milliseconds of work.
    pub busy_ms: u64,
    /// Milliseconds without anything to do.
    pub idle_ms: u64,
    /// Milliseconds of waiting for room further down.
    pub back_pressured_ms: u64,
}

impl Sample {
    /// Reads the counters.
    pub fn take(meters: &Meters, at: Instant) -> Sample {
        let subtask = |meters: &std::sync::Arc<SubtaskMeters>| SubtaskSample {
            records_in: meters.records_in.get(),
            records_out: meters.records_out.get(),
            busy_ns: meters.busy_ns.get(),
            idle_ns: meters.idle_ns.get(),
            back_pressured_ns: meters.back_pressured_ns.get(),
        };
        Sample {
            at,
            records_in: meters.records_in.get(),
            records_out: meters.records_out.get(),
            operators_busy_ns: meters.operators.iter().map(|operator| operator.busy_ns.get()).collect(),
            subtasks: meters.subtasks.iter().map(subtask).collect(),
        }
    }
}

impl Rates {
    /// What happened since `before`.
    pub fn between(before: &Sample, now: &Sample) -> Rates {
        let window = now.at.saturating_duration_since(before.at);
        let milliseconds = window.as_millis().max(1) as u64;
        let records = |before: u64, now: u64| now.saturating_sub(before) * 1000 / milliseconds;
        let time = |before: u64, now: u64| now.saturating_sub(before) / 1000 / milliseconds;
        let subtask = |(before, now): (&SubtaskSample, &SubtaskSample)| SubtaskRates {
            records_in: records(before.records_in, now.records_in),
            records_out: records(before.records_out, now.records_out),
            busy_ms: time(before.busy_ns, now.busy_ns),
            idle_ms: time(before.idle_ns, now.idle_ns),
            back_pressured_ms: time(before.back_pressured_ns, now.back_pressured_ns),
        };
        let busy = before.operators_busy_ns.iter().zip(&now.operators_busy_ns);
        Rates {
            window,
            records_in: records(before.records_in, now.records_in),
            records_out: records(before.records_out, now.records_out),
            operators_busy_ms: busy.map(|(before, now)| time(*before, *now)).collect(),
            subtasks: before.subtasks.iter().zip(&now.subtasks).map(subtask).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_what_happened_in_a_second() {
        let (meters, begun) = (Meters::new(1, 1), Instant::now());
        let before = Sample::take(&meters, begun);
        meters.records_in.add(500);
        meters.operators[0].busy_ns.add(1_000_000_000);
        let own = &meters.subtasks[0];
        own.records_out.add(250);
        own.busy_ns.add(1_500_000_000);
        own.idle_ns.add(400_000_000);
        own.back_pressured_ns.add(100_000_000);
        let now = Sample::take(&meters, begun + Duration::from_secs(2));
        let rates = Rates::between(&before, &now);
        assert_eq!((rates.records_in, rates.records_out, rates.window.as_secs()), (250, 0, 2));
        assert_eq!(rates.operators_busy_ms, [500]);
        let subtask = &rates.subtasks[0];
        assert_eq!(subtask.records_out, 125);
        assert_eq!((subtask.busy_ms, subtask.idle_ms, subtask.back_pressured_ms), (750, 200, 50));
    }

    #[test]
    fn two_samples_of_one_moment_are_no_division_by_zero() {
        let sample = Sample::take(&Meters::new(1, 1), Instant::now());
        assert_eq!(Rates::between(&sample, &sample).records_in, 0);
    }
}
