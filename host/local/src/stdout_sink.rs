//! The standard output sink: records as lines, at once and at least once.

use crate::record_lines::write_row;
use std::io::{self, ErrorKind, Write};
use std::sync::{Arc, Mutex, PoisonError};
use weir_protocol::batch::Batch;
use weir_protocol::connector::{ConnectorError, Sink, SinkPromise, SinkWriter, Written};
use weir_protocol::epoch::Epoch;
use weir_protocol::manifest::PreparedHandle;
use weir_protocol::plan::FileFormat;

/// How standard output is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StdoutSinkOptions {
    /// The sink's name, for messages.
    pub name: String,
    /// How a record is written.
    pub format: FileFormat,
}

/// What all subtasks write to, a batch at a time.
type Output = Arc<Mutex<dyn Write + Send>>;

/// The sink.
pub struct StdoutSink {
    options: StdoutSinkOptions,
    output: Output,
}

impl StdoutSink {
    /// A sink to this process's standard output.
    pub fn new(options: StdoutSinkOptions) -> StdoutSink {
        StdoutSink::to(options, Arc::new(Mutex::new(io::stdout())))
    }

    /// A sink to something else that takes bytes.
    pub fn to(options: StdoutSinkOptions, output: Arc<Mutex<dyn Write + Send>>) -> StdoutSink {
        StdoutSink { options, output }
    }
}

impl Sink for StdoutSink {
    fn promise(&self) -> SinkPromise {
        SinkPromise::AtLeastOnce
    }

    fn record_bytes_max(&self) -> Option<usize> {
        None
    }

    fn writer(&mut self, _subtask: usize) -> Result<Box<dyn SinkWriter>, ConnectorError> {
        let (options, output) = (self.options.clone(), self.output.clone());
        Ok(Box::new(StdoutWriter { options, output, text: Vec::new() }))
    }

    fn recover(&mut self, _decided: &[PreparedHandle]) -> Result<(), ConnectorError> {
        Ok(())
    }

    fn commit(&mut self, _decided: &[PreparedHandle]) -> Result<(), ConnectorError> {
        Ok(())
    }
}

struct StdoutWriter {
    options: StdoutSinkOptions,
    output: Output,
    /// The lines of one batch.
    text: Vec<u8>,
}

impl SinkWriter for StdoutWriter {
    fn begin(&mut self, _epoch: Epoch) -> Result<(), ConnectorError> {
        Ok(())
    }

    fn write(&mut self, batch: &Batch, from: usize) -> Result<Written, ConnectorError> {
        let name = &self.options.name;
        self.text.clear();
        for row in from..batch.rows {
            write_row(self.options.format, batch, row, &mut self.text).map_err(|malformed| {
                ConnectorError::permanent(format!("sink {name}: row {row}: {malformed}"))
            })?;
        }
        // A panic of another subtask inside a write leaves at worst a line cut short.
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        output.write_all(&self.text).and_then(|()| output.flush()).map_err(|error| match error.kind() {
            ErrorKind::BrokenPipe => {
                ConnectorError::permanent(format!("sink {name}: the reader of standard output has gone away"))
            }
            _ => ConnectorError::transient(format!("sink {name}: cannot write to standard output: {error}")),
        })?;
        Ok(Written::All)
    }

    fn prepare(&mut self, _epoch: Epoch) -> Result<Vec<PreparedHandle>, ConnectorError> {
        // Each write is flushed.
        Ok(Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_written_as_whole_lines_at_once() {
        let written = Arc::new(Mutex::new(Vec::<u8>::new()));
        let options = StdoutSinkOptions { name: "out".to_owned(), format: FileFormat::JsonLines };
        let mut sink = StdoutSink::to(options, written.clone());
        let mut writer = sink.writer(0).unwrap();
        let mut batch = Batch::default();
        batch.push(1, None, Some(b"left out"), None);
        batch.push(2, Some(b"k"), Some(b"v"), None);
        writer.begin(Epoch(1)).unwrap();
        assert_eq!(writer.write(&batch, 1).unwrap(), Written::All);
        assert_eq!(writer.prepare(Epoch(1)).unwrap(), []);
        assert_eq!(written.lock().unwrap().as_slice(), b"{\"key\":\"k\",\"value\":\"v\",\"timestamp\":2}\n");
    }

    #[test]
    fn a_reader_that_went_away_is_not_waited_for() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _bytes: &[u8]) -> io::Result<usize> {
                Err(ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let options = StdoutSinkOptions { name: "out".to_owned(), format: FileFormat::RawLines };
        let mut sink = StdoutSink::to(options, Arc::new(Mutex::new(Closed)));
        let mut batch = Batch::default();
        batch.push(1, None, Some(b"v"), None);
        let error = sink.writer(0).unwrap().write(&batch, 0).unwrap_err();
        assert_eq!(error.kind, weir_protocol::connector::ErrorKind::Permanent);
    }
}
