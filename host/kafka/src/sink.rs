//! A Kafka sink: one topic, a writer per subtask.

use crate::cluster::Shared;
use crate::writer::KafkaWriter;
use std::sync::Arc;
use weir_protocol::connector::{ConnectorError, Sink, SinkPromise, SinkWriter};
use weir_protocol::manifest::PreparedHandle;
use weir_protocol::plan::{Guarantee, SinkTimestamp};

/// What a record batch of one record needs besides key, value and encoded headers: 61 bytes of the batch, at most 36
/// of the record, and room for a header of the broker's or of compression that does not compress.
pub(crate) const RECORD_OVERHEAD_BYTES: usize = 512;

/// One topic.
pub struct KafkaSink {
    pub(crate) shared: Arc<Shared>,
    pub(crate) topic: String,
    pub(crate) timestamp: SinkTimestamp,
    pub(crate) headers: bool,
    pub(crate) message_bytes_max: usize,
}

impl Sink for KafkaSink {
    fn promise(&self) -> SinkPromise {
        match self.shared.guarantee {
            Guarantee::ExactlyOnce => SinkPromise::Transactional,
            Guarantee::AtLeastOnce | Guarantee::AtMostOnce => SinkPromise::AtLeastOnce,
        }
    }

    fn record_bytes_max(&self) -> Option<usize> {
        Some(self.message_bytes_max.saturating_sub(RECORD_OVERHEAD_BYTES))
    }

    fn writer(&mut self, _subtask: usize) -> Result<Box<dyn SinkWriter>, ConnectorError> {
        Ok(Box::new(KafkaWriter::new(self.shared.clone(), &self.topic, self.timestamp, self.headers)))
    }

    fn recover(&mut self, _decided: &[PreparedHandle]) -> Result<(), ConnectorError> {
        // What was not committed is aborted by the fence.
        Ok(())
    }

    fn commit(&mut self, _decided: &[PreparedHandle]) -> Result<(), ConnectorError> {
        // The decision was the commit.
        Ok(())
    }
}
