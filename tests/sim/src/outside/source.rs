//! Reads the input of the scenario. It is finite: its end is the end of event time.

use super::{Defect, Shared};
use crate::scenario::TOPIC;
use std::sync::Arc;
use std::time::Duration;
use weir_protocol::batch::Batch;
use weir_protocol::connector::*;
use weir_protocol::position::{Partition, Position, Positions};

/// The source of the plan.
pub struct MemorySource(pub Shared);

impl Source for MemorySource {
    fn is_finite(&self) -> bool {
        true
    }

    fn partitions(&mut self) -> Result<Vec<Partition>, ConnectorError> {
        let mut outside = self.0.lock();
        outside.may_fail("partitions cannot be listed", 60)?;
        let topic: Arc<str> = TOPIC.into();
        let partitions = 0..outside.scenario.partitions();
        Ok(partitions.map(|number| Partition { topic: topic.clone(), number: number as i32 }).collect())
    }

    fn resolve(&mut self, partitions: &[Partition], _: StartPolicy) -> Result<Positions, ConnectorError> {
        Ok(partitions.iter().map(|partition| (partition.clone(), Position::at(0))).collect())
    }

    fn ends(&mut self, _: &[Partition]) -> Result<Positions, ConnectorError> {
        Ok(Positions::new())
    }

    fn reader(
        &mut self,
        start: &Positions,
        _: Option<&Positions>,
    ) -> Result<Box<dyn SourceReader>, ConnectorError> {
        let (outside, positions) = (self.0.clone(), start.clone());
        Ok(Box::new(MemoryReader { outside, positions, next: 0 }))
    }
}

struct MemoryReader {
    outside: Shared,
    positions: Positions,
    /// The partition whose turn it is.
    next: usize,
}

impl SourceReader for MemoryReader {
    fn poll(
        &mut self,
        batch: &mut Batch,
        limits: BatchLimits,
        wait: Duration,
    ) -> Result<Polled, ConnectorError> {
        let mut outside = self.outside.lock();
        outside.may_fail("the source cannot be read", 1500)?;
        let scenario = outside.scenario.clone();
        let (all, readable) = (outside.readable == usize::MAX, outside.readable);
        let length =
            |partition: &Partition| scenario.input[partition.number as usize].len().min(readable) as i64;
        if !all && self.positions.iter().all(|(partition, position)| position.offset >= length(partition)) {
            drop(outside);
            std::thread::park_timeout(wait);
            return Ok(Polled::Idle);
        }
        if self.positions.iter().all(|(partition, position)| position.offset >= length(partition)) {
            return Ok(Polled::End);
        }
        // One partition at a time, so that event time runs apart.
        self.next = (self.next + outside.random.index(2)) % self.positions.len();
        let (partition, position) =
            self.positions.iter_mut().nth(self.next).expect("the index is below the length");
        if position.offset >= length(partition) {
            self.next = (self.next + 1) % self.positions.len();
            return Ok(Polled::Idle);
        }
        let rows_max = 1 + outside.random.index(limits.rows_max);
        while batch.rows < rows_max && position.offset < length(partition) {
            let (number, offset) = (partition.number as usize, position.offset as usize);
            let record = &scenario.input[number][offset];
            let late_by = if outside.plants(Defect::LateRows, 10) { 500 } else { 0 };
            let value = scenario.value(number, offset);
            batch.push(record.timestamp - late_by, Some(record.key.as_bytes()), Some(value.as_bytes()), None);
            batch.origins.push(&partition.topic, partition.number, position.offset);
            position.offset += 1;
        }
        Ok(Polled::Rows)
    }

    fn positions(&self) -> Positions {
        let mut positions = self.positions.clone();
        let mut outside = self.outside.lock();
        let scenario = outside.scenario.clone();
        for (partition, position) in &mut positions {
            let more = position.offset < scenario.input[partition.number as usize].len() as i64;
            if more && outside.plants(Defect::PositionsAhead, 3) {
                position.offset += 1;
            }
        }
        positions
    }

    fn add(&mut self, start: &Positions) -> Result<(), ConnectorError> {
        self.positions.extend(start.clone());
        Ok(())
    }

    fn lag(&self) -> Option<u64> {
        None
    }
}
