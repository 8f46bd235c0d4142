//! The first step of a record's path: takes batches from a reader and notes positions at the barrier.

use std::time::Duration;
use weir_protocol::batch::Batch;
use weir_protocol::connector::{BatchLimits, ConnectorError, Polled, SourceReader};
use weir_protocol::position::Positions;

/// Reads one source of the plan for one subtask.
pub struct SourceTask {
    reader: Box<dyn SourceReader>,
    limits: BatchLimits,
    ended: bool,
}

impl SourceTask {
    /// A task around a reader that stands at its start.
    pub fn new(reader: Box<dyn SourceReader>, limits: BatchLimits) -> SourceTask {
        SourceTask { reader, limits, ended: false }
    }

    /// Fills the (empty) batch, waiting at most `wait`. An ended source stays ended.
    pub fn poll(&mut self, batch: &mut Batch, wait: Duration) -> Result<Polled, ConnectorError> {
        if self.ended {
            return Ok(Polled::End);
        }
        let polled = self.reader.poll(batch, self.limits, wait)?;
        self.ended = polled == Polled::End;
        Ok(polled)
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
        self.reader.add(start)
    }

    /// Records behind, where known.
    pub fn lag(&self) -> Option<u64> {
        self.reader.lag()
    }
}
