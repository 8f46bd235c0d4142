//! Watermarks where they begin: per partition of a source the highest timestamp seen, and what follows from it.
//!
//! The strategies and their arithmetic are Flink's (`WatermarkStrategy`, `BoundedOutOfOrdernessWatermarks`):
//!
//! | strategy | watermark of a partition |
//! |---|---|
//! | none | none, ever |
//! | monotonous | highest − 1 ms |
//! | bounded out-of-orderness | highest − bound − 1 ms |
//!
//! The millisecond is taken off because a further row with the highest timestamp itself is not late.
//!
//! - **W1** The watermark of a reader is the lowest of its partitions that are not idle, and never goes down.
//! - **W2** A partition that has shown no row holds the watermark back until it has one, or is idle.

use super::{END_MS, NONE_MS, Watermark};
use crate::batch::Batch;
use crate::plan::{TimeSpec, WatermarkStrategy};
use crate::position::Partition;
use std::time::Duration;

/// One partition.
#[derive(Debug, Clone)]
struct PartitionTime {
    partition: Partition,
    /// The highest timestamp that counted; `NONE_MS` before the first.
    highest_ms: i64,
    /// When it last had rows, or when it was first looked at.
    active: Option<Duration>,
}

/// Event time of one reader of a source.
#[derive(Debug, Clone)]
pub struct SourceWatermarks {
    /// Milliseconds behind the highest timestamp; none without watermarks.
    behind_ms: Option<i64>,
    idleness: Option<Duration>,
    skew_ms: Option<i64>,
    /// Sorted by partition.
    partitions: Vec<PartitionTime>,
    /// Where the last run of rows belonged: the next one mostly does too.
    last: usize,
    current_ms: i64,
    ended: bool,
}

impl SourceWatermarks {
    /// A reader without partitions.
    pub fn new(spec: &TimeSpec) -> SourceWatermarks {
        let behind_ms = match spec.watermarks {
            WatermarkStrategy::None => None,
            WatermarkStrategy::Monotonous => Some(1),
            WatermarkStrategy::BoundedOutOfOrderness(bound) => Some(milliseconds(bound).saturating_add(1)),
        };
        SourceWatermarks {
            behind_ms,
            idleness: spec.idleness,
            skew_ms: spec.max_timestamp_skew.map(milliseconds),
            partitions: Vec::new(),
            last: 0,
            current_ms: NONE_MS,
            ended: false,
        }
    }

    /// Takes on a partition, with the highest timestamp that a checkpoint knows of it.
    pub fn add(&mut self, partition: Partition, highest_ms: Option<i64>) {
        let highest_ms = highest_ms.unwrap_or(NONE_MS);
        match self.find(&partition.topic, partition.number) {
            Ok(at) => self.partitions[at].highest_ms = self.partitions[at].highest_ms.max(highest_ms),
            Err(at) => self.partitions.insert(at, PartitionTime { partition, highest_ms, active: None }),
        }
    }

    fn find(&self, topic: &str, number: i32) -> Result<usize, usize> {
        self.partitions
            .binary_search_by(|known| (&*known.partition.topic, known.partition.number).cmp(&(topic, number)))
    }

    /// Takes note of rows that were read. `now_ms` is processing time, `monotonic` a clock that only rises. Returns the
    /// number of rows whose timestamp is further ahead of `now_ms` than the source allows: they go on as they are, but
    /// do not move event time.
    pub fn observe(&mut self, batch: &Batch, now_ms: i64, monotonic: Duration) -> u64 {
        if self.behind_ms.is_none() && self.idleness.is_none() {
            return 0;
        }
        let latest_ms = self.skew_ms.map_or(i64::MAX, |skew_ms| now_ms.saturating_add(skew_ms));
        let mut skewed = 0;
        let mut first = 0;
        for run in batch.origins.runs() {
            let rows = first..first + run.rows as usize;
            first = rows.end;
            let at = self.partition_at(&run.topic, run.partition);
            let mut highest_ms = NONE_MS;
            for row in rows {
                let timestamp = batch.timestamp(row);
                if timestamp > latest_ms {
                    skewed += 1;
                } else {
                    highest_ms = highest_ms.max(timestamp);
                }
            }
            let partition = &mut self.partitions[at];
            partition.highest_ms = partition.highest_ms.max(highest_ms);
            partition.active = Some(monotonic);
        }
        skewed
    }

    fn partition_at(&mut self, topic: &std::sync::Arc<str>, number: i32) -> usize {
        let is_it = |known: &PartitionTime| {
            known.partition.number == number
                && (std::sync::Arc::ptr_eq(&known.partition.topic, topic) || known.partition.topic == *topic)
        };
        if !self.partitions.get(self.last).is_some_and(is_it) {
            self.last = match self.find(topic, number) {
                Ok(at) => at,
                Err(at) => {
                    let partition = Partition { topic: topic.clone(), number };
                    self.partitions
                        .insert(at, PartitionTime { partition, highest_ms: NONE_MS, active: None });
                    at
                }
            };
        }
        self.last
    }

    /// What the reader says now. A partition's quiet time begins when it is first asked for here.
    pub fn current(&mut self, monotonic: Duration) -> Watermark {
        if self.ended {
            return Watermark::At(END_MS);
        }
        let mut lowest_ms: Option<i64> = None;
        for partition in &mut self.partitions {
            let active = *partition.active.get_or_insert(monotonic);
            if self.idleness.is_some_and(|idleness| monotonic.saturating_sub(active) >= idleness) {
                continue;
            }
            lowest_ms = Some(lowest_ms.map_or(partition.highest_ms, |ms| ms.min(partition.highest_ms)));
        }
        let Some(lowest_ms) = lowest_ms else { return Watermark::Idle };
        if let Some(behind_ms) = self.behind_ms
            && lowest_ms > NONE_MS
        {
            // The highest time is kept for the end of the input.
            let watermark_ms = lowest_ms.saturating_sub(behind_ms).min(END_MS - 1);
            self.current_ms = self.current_ms.max(watermark_ms);
        }
        Watermark::At(self.current_ms)
    }

    /// Per partition the highest timestamp that counted: for the manifest. Empty without watermarks.
    pub fn highest(&self) -> Vec<(Partition, i64)> {
        let seen = self.partitions.iter().filter(|known| known.highest_ms > NONE_MS);
        match self.behind_ms {
            Some(_) => seen.map(|known| (known.partition.clone(), known.highest_ms)).collect(),
            None => Vec::new(),
        }
    }

    /// The input has ended: every timer of event time is due.
    pub fn end(&mut self) {
        self.ended = true;
    }
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
