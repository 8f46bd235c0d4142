//! Writes into the transaction of the running epoch.

use super::broker::{Producer, Written as Record};
use super::{Defect, Shared};
use weir_protocol::batch::Batch;
use weir_protocol::connector::*;
use weir_protocol::epoch::Epoch;
use weir_protocol::manifest::PreparedHandle;

/// A sink of the plan.
pub struct MemorySink {
    outside: Shared,
    producer: Producer,
    index: usize,
}

impl MemorySink {
    /// The sink with this index.
    pub fn new(outside: Shared, producer: Producer, index: usize) -> MemorySink {
        MemorySink { outside, producer, index }
    }
}

impl Sink for MemorySink {
    fn promise(&self) -> SinkPromise {
        SinkPromise::Transactional
    }

    fn record_bytes_max(&self) -> Option<usize> {
        None
    }

    fn writer(&mut self, _: usize) -> Result<Box<dyn SinkWriter>, ConnectorError> {
        let (outside, producer) = (self.outside.clone(), self.producer.clone());
        Ok(Box::new(MemoryWriter { outside, producer, index: self.index, epoch: None }))
    }

    fn recover(&mut self, _: &[PreparedHandle]) -> Result<(), ConnectorError> {
        self.outside.lock().may_fail("a sink cannot recover", 100)
    }

    fn commit(&mut self, _: &[PreparedHandle]) -> Result<(), ConnectorError> {
        Ok(())
    }
}

struct MemoryWriter {
    outside: Shared,
    producer: Producer,
    index: usize,
    epoch: Option<Epoch>,
}

impl SinkWriter for MemoryWriter {
    fn begin(&mut self, epoch: Epoch) -> Result<(), ConnectorError> {
        self.epoch = Some(epoch);
        Ok(())
    }

    fn write(&mut self, batch: &Batch, from: usize) -> Result<Written, ConnectorError> {
        let epoch = self.epoch.expect("C2: a write outside of an epoch");
        let mut outside = self.outside.lock();
        outside.check_fence(self.producer.number())?;
        outside.may_fail("a record cannot be delivered", 2000)?;
        if from == 0 && outside.plants(Defect::LoseBatch, 20) {
            return Ok(Written::All);
        }
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut records: Vec<Record> = (from..batch.rows)
            .map(|row| Record {
                sink: self.index,
                key: text(batch.keys.bytes(row)),
                value: text(batch.values.bytes(row)),
            })
            .collect();
        if outside.plants(Defect::ReorderRows, 3) {
            records.reverse();
        }
        if outside.plants(Defect::DoubleBatch, 20) {
            let transaction = outside.transaction(self.producer.number(), epoch);
            transaction.extend(records.iter().cloned());
        }
        // A full buffer makes the pump sleep, so it is seldom full.
        let full = records.len() > 1 && outside.fault("a sink's buffer is full", 500);
        if full {
            records.truncate(1);
        }
        outside.transaction(self.producer.number(), epoch).extend(records);
        Ok(if full { Written::Until(from + 1) } else { Written::All })
    }

    fn prepare(&mut self, epoch: Epoch) -> Result<Vec<PreparedHandle>, ConnectorError> {
        assert_eq!(self.epoch.take(), Some(epoch), "C2: prepared for another epoch");
        Ok(vec![])
    }
}
