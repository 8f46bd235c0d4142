//! Reads dead letters as the records that they were: own headers, the place that the record came from, and which way it
//! goes.

use super::ROUTE;
use std::sync::Arc;
use std::time::Duration;
use weir_protocol::batch::{Batch, push_header};
use weir_protocol::connector::{BatchLimits, ConnectorError, PartitionProgress, Polled, SourceReader};
use weir_protocol::plan::replay::STAYS;
use weir_protocol::position::{Partition, Positions};
use weir_protocol::replay::{Letter, Replay};

/// Reads the letters of one sink for one subtask.
pub struct LettersReader {
    inner: Box<dyn SourceReader>,
    replay: Replay,
    letters: Batch,
}

impl LettersReader {
    /// Reads what `inner` reads.
    pub fn new(inner: Box<dyn SourceReader>, replay: Replay) -> LettersReader {
        LettersReader { inner, replay, letters: Batch::default() }
    }

    fn push(&self, batch: &mut Batch, row: usize) {
        let letters = &self.letters;
        let entry = if letters.headers.is_absent() { &[][..] } else { letters.headers.bytes(row) };
        let timestamp = letters.timestamp(row);
        let key = letters.keys.get(row);
        let value = if letters.values.is_absent() { None } else { letters.values.get(row) };
        let letter = Letter::read(entry);
        let target = self.replay.target(letter.as_ref(), timestamp);
        if matches!(&target, Err(stays) if stays.is_passed_over()) {
            return;
        }
        let (mut headers, route, origin) = match (&letter, target) {
            (Some(letter), Ok(target)) => {
                (letter.headers_of_return(), target as u8 + 1, letter.origin.as_ref())
            }
            (_, stays) => {
                tracing::debug!(
                    row,
                    "a dead letter stays: {}",
                    stays.err().map(|s| s.to_string()).unwrap_or_default()
                );
                (entry.to_vec(), STAYS, None)
            }
        };
        push_header(&mut headers, ROUTE, Some(&[route]));
        batch.push(timestamp, key, value, Some(&headers));
        match (origin, letters.origins.of(row)) {
            // What is said of it names the record, as it did the first time.
            (Some((topic, partition, offset)), _) => {
                batch.origins.push(&Arc::from(topic.as_str()), *partition, *offset);
            }
            (None, Some(own)) => batch.origins.push(&own.partition.topic, own.partition.number, own.offset),
            (None, None) => {}
        }
    }
}

impl SourceReader for LettersReader {
    fn poll(
        &mut self,
        batch: &mut Batch,
        limits: BatchLimits,
        wait: Duration,
    ) -> Result<Polled, ConnectorError> {
        self.letters.clear();
        let polled = self.inner.poll(&mut self.letters, limits, wait)?;
        for row in 0..self.letters.rows {
            self.push(batch, row);
        }
        Ok(if polled == Polled::Rows && batch.rows == 0 { Polled::Idle } else { polled })
    }

    fn positions(&self) -> Positions {
        self.inner.positions()
    }

    fn add(&mut self, start: &Positions) -> Result<(), ConnectorError> {
        self.inner.add(start)
    }

    fn lag(&self) -> Option<u64> {
        self.inner.lag()
    }

    fn progress(&self, visit: &mut dyn FnMut(&Partition, PartitionProgress)) {
        self.inner.progress(visit);
    }
}
