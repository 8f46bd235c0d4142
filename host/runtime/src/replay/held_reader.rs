//! A source that is not read: it stands where it is, and has ended.

use std::time::Duration;
use weir_protocol::batch::Batch;
use weir_protocol::connector::{BatchLimits, ConnectorError, Polled, SourceReader};
use weir_protocol::position::Positions;

/// Reads nothing.
pub struct HeldReader {
    positions: Positions,
}

impl HeldReader {
    /// Holds a source at these positions.
    pub fn new(positions: Positions) -> HeldReader {
        HeldReader { positions }
    }
}

impl SourceReader for HeldReader {
    fn poll(&mut self, _: &mut Batch, _: BatchLimits, _: Duration) -> Result<Polled, ConnectorError> {
        Ok(Polled::End)
    }

    fn positions(&self) -> Positions {
        self.positions.clone()
    }

    fn add(&mut self, start: &Positions) -> Result<(), ConnectorError> {
        self.positions.extend(start.clone());
        Ok(())
    }

    fn lag(&self) -> Option<u64> {
        None
    }
}
