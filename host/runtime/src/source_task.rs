//! The first step of a record's path: takes batches from a reader, gives them their event time, and notes positions
//! and watermarks at the barrier.

use crate::event_time;
use std::time::Duration;
use weir_protocol::batch::Batch;
use weir_protocol::connector::{BatchLimits, ConnectorError, PartitionProgress, Polled, SourceReader};
use weir_protocol::plan::{TimeSpec, TimestampSpec};
use weir_protocol::position::{Partition, Positions};
use weir_protocol::watermark::{SourceWatermarks, Watermark};

/// What a source task is made of.
pub struct SourceTaskOptions {
    /// How much one poll may take.
    pub limits: BatchLimits,
    /// Event time.
    pub time: TimeSpec,
    /// The source ends by itself, or is drained: its end is the end of event time.
    pub drains: bool,
    /// The partitions that it starts with, and the highest timestamp that the restored checkpoint knows of each.
    pub highest: Vec<(Partition, Option<i64>)>,
}

/// Reads one source of the plan for one subtask.
pub struct SourceTask {
    reader: Box<dyn SourceReader>,
    options: SourceTaskOptions,
    watermarks: SourceWatermarks,
    said: Watermark,
    ended: bool,
}

/// What was odd about the timestamps of a batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stamped {
    /// Rows that were too far ahead to move the watermark.
    pub skewed: u64,
    /// Rows without the field that their timestamp is read from, which keep their own.
    pub kept: u64,
}

/// Time as a task knows it.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// Processing time in milliseconds; never goes down.
    pub now_ms: i64,
    /// Time since some fixed moment.
    pub monotonic: Duration,
}

impl SourceTask {
    /// A task around a reader that stands at its start.
    pub fn new(reader: Box<dyn SourceReader>, mut options: SourceTaskOptions) -> SourceTask {
        let mut watermarks = SourceWatermarks::new(&options.time);
        for (partition, highest) in options.highest.drain(..) {
            watermarks.add(partition, highest);
        }
        let said = Watermark::At(weir_protocol::watermark::NONE_MS);
        SourceTask { reader, options, watermarks, said, ended: false }
    }

    /// Fills the (empty) batch, waiting at most `wait`. An ended source stays ended.
    pub fn poll(
        &mut self,
        batch: &mut Batch,
        wait: Duration,
        times: Times,
    ) -> Result<(Polled, Stamped), ConnectorError> {
        let mut stamped = Stamped::default();
        if self.ended {
            return Ok((Polled::End, stamped));
        }
        let polled = self.reader.poll(batch, self.options.limits, wait)?;
        if polled == Polled::End {
            self.ended = true;
            if self.options.drains {
                self.watermarks.end();
            }
        }
        if batch.rows == 0 {
            return Ok((polled, stamped));
        }
        if self.options.time.timestamp != TimestampSpec::Record {
            stamped.kept = event_time::stamp(&self.options.time.timestamp, batch)?.kept as u64;
        }
        stamped.skewed = self.watermarks.observe(batch, times.now_ms, times.monotonic);
        Ok((polled, stamped))
    }

    /// How far event time has come, if that changed since it was asked last.
    pub fn watermark(&mut self, times: Times) -> Option<Watermark> {
        let now = self.watermarks.current(times.monotonic);
        (now != self.said).then(|| {
            self.said = now;
            now
        })
    }

    /// The highest timestamp that counted, per partition.
    pub fn highest(&self) -> Vec<(Partition, i64)> {
        self.watermarks.highest()
    }

    /// True once nothing follows.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// The barrier: all rows returned so far are in front of it, and these are the positions behind them.
    pub fn positions(&self) -> Positions {
        self.reader.positions()
    }

    /// Takes on new partitions; a bounded source may go on with them.
    pub fn add(&mut self, start: &Positions) -> Result<(), ConnectorError> {
        self.ended = false;
        for partition in start.keys() {
            self.watermarks.add(partition.clone(), None);
        }
        self.reader.add(start)
    }

    /// How far it has come in each partition.
    pub fn progress(&self, visit: &mut dyn FnMut(&Partition, PartitionProgress)) {
        self.reader.progress(visit);
    }

    /// Records behind, where known.
    pub fn lag(&self) -> Option<u64> {
        self.reader.lag()
    }
}
