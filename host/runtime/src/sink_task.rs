//! The last step of a record's path: writes to one sink, and holds what belongs to the next epoch until its
//! transaction is open.

use std::collections::VecDeque;
use weir_protocol::batch::Batch;
use weir_protocol::connector::{ConnectorError, SinkWriter, Written};
use weir_protocol::epoch::Epoch;
use weir_protocol::manifest::PreparedHandle;

/// What a full sink asks for: wait a little, or give up because the incarnation has ended.
pub type Backpressure<'a> = &'a mut dyn FnMut() -> Result<(), ConnectorError>;

/// Writes to one sink of the plan for one subtask.
pub struct SinkTask {
    writer: Box<dyn SinkWriter>,
    /// True between `open` and the barrier.
    open: bool,
    held: VecDeque<Batch>,
    held_bytes: usize,
}

impl SinkTask {
    /// A task whose first epoch is not open yet.
    pub fn new(writer: Box<dyn SinkWriter>) -> SinkTask {
        SinkTask { writer, open: false, held: VecDeque::new(), held_bytes: 0 }
    }

    /// Writes a batch, or holds it while the slot changes. A written batch comes back, for its memory.
    pub fn write(
        &mut self,
        batch: Batch,
        backpressure: Backpressure<'_>,
    ) -> Result<Option<Batch>, ConnectorError> {
        if self.open {
            write_all(self.writer.as_mut(), &batch, backpressure)?;
            return Ok(Some(batch));
        }
        self.held_bytes += batch.size_bytes();
        self.held.push_back(batch);
        Ok(None)
    }

    /// The barrier: what was written belongs to the epoch that ends here, what comes now is held.
    pub fn prepare(&mut self, epoch: Epoch) -> Result<Vec<PreparedHandle>, ConnectorError> {
        assert!(self.open, "C2: a sink is prepared for epoch {epoch} while it still holds output of it");
        self.open = false;
        self.writer.prepare(epoch)
    }

    /// The transaction of the epoch is open: writes what is held, in order.
    pub fn open(&mut self, epoch: Epoch, backpressure: Backpressure<'_>) -> Result<(), ConnectorError> {
        self.writer.begin(epoch)?;
        self.open = true;
        self.held_bytes = 0;
        while let Some(batch) = self.held.pop_front() {
            write_all(self.writer.as_mut(), &batch, backpressure)?;
        }
        Ok(())
    }

    /// Bytes that are held.
    pub fn held_bytes(&self) -> usize {
        self.held_bytes
    }
}

fn write_all(
    writer: &mut dyn SinkWriter,
    batch: &Batch,
    backpressure: Backpressure<'_>,
) -> Result<(), ConnectorError> {
    let mut from = 0;
    while let Written::Until(row) = writer.write(batch, from)? {
        from = row;
        backpressure()?;
    }
    Ok(())
}
