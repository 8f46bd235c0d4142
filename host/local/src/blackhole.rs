//! The blackhole: a sink that counts and forgets, for measuring what a pipeline costs without its output.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use weir_protocol::batch::Batch;
use weir_protocol::connector::{ConnectorError, Sink, SinkPromise, SinkWriter, Written};
use weir_protocol::epoch::Epoch;
use weir_protocol::manifest::PreparedHandle;

/// What a blackhole has swallowed since the process started, replays included.
#[derive(Debug, Default)]
pub struct BlackholeCounts {
    records: AtomicU64,
    bytes: AtomicU64,
}

impl BlackholeCounts {
    /// Records.
    pub fn records(&self) -> u64 {
        self.records.load(Ordering::Relaxed)
    }

    /// Bytes of keys, values and headers.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// The sink. It stores nothing, so nothing can appear twice: it promises what a staged sink does.
#[derive(Debug, Default)]
pub struct Blackhole {
    counts: Arc<BlackholeCounts>,
}

impl Blackhole {
    /// An empty one.
    pub fn new() -> Blackhole {
        Blackhole::default()
    }

    /// The counts, which go on rising.
    pub fn counts(&self) -> Arc<BlackholeCounts> {
        self.counts.clone()
    }
}

impl Sink for Blackhole {
    fn promise(&self) -> SinkPromise {
        SinkPromise::Staged
    }

    fn record_bytes_max(&self) -> Option<usize> {
        None
    }

    fn writer(&mut self, _subtask: usize) -> Result<Box<dyn SinkWriter>, ConnectorError> {
        Ok(Box::new(BlackholeWriter { counts: self.counts.clone() }))
    }

    fn recover(&mut self, _decided: &[PreparedHandle]) -> Result<(), ConnectorError> {
        Ok(())
    }

    fn commit(&mut self, _decided: &[PreparedHandle]) -> Result<(), ConnectorError> {
        Ok(())
    }
}

struct BlackholeWriter {
    counts: Arc<BlackholeCounts>,
}

impl SinkWriter for BlackholeWriter {
    fn begin(&mut self, _epoch: Epoch) -> Result<(), ConnectorError> {
        Ok(())
    }

    fn write(&mut self, batch: &Batch, from: usize) -> Result<Written, ConnectorError> {
        let bytes: usize = (from..batch.rows).map(|row| batch.record_bytes(row)).sum();
        self.counts.records.fetch_add(batch.rows.saturating_sub(from) as u64, Ordering::Relaxed);
        self.counts.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        Ok(Written::All)
    }

    fn prepare(&mut self, _epoch: Epoch) -> Result<Vec<PreparedHandle>, ConnectorError> {
        Ok(Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_counted_from_where_the_write_begins() {
        let mut sink = Blackhole::new();
        let mut batch = Batch::default();
        batch.push(1, Some(b"k"), Some(b"left out"), None);
        batch.push(1, Some(b"k"), Some(b"four"), None);
        sink.writer(0).unwrap().write(&batch, 1).unwrap();
        assert_eq!((sink.counts().records(), sink.counts().bytes()), (1, 5));
    }
}
