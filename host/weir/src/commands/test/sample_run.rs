//! Calls an operator with the records of a file, and finds the records that it fails on.

use crate::failure::Failure;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use weir_local::record_lines::{LineReader, write_row};
use weir_protocol::batch::Batch;
use weir_protocol::connector::{CallContext, CallError, CallFailure, Operator};
use weir_protocol::output::Output;
use weir_protocol::plan::{FileFormat, OperatorLimits};
use weir_protocol::slots::Slots;
use weir_wasm::{GuestSink, Level, OperatorOptions, Prepared, WasmOperator};

/// An operator and what it is tried on.
pub struct SampleRun<'a> {
    /// The operator.
    pub prepared: &'a Prepared,
    /// The file of records.
    pub input: &'a Path,
    /// Its configuration.
    pub config: BTreeMap<String, String>,
    /// Its limits.
    pub limits: OperatorLimits,
}

/// What came of it.
#[derive(Default)]
pub struct Ran {
    /// Records read.
    pub records_in: usize,
    /// Output records as JSON lines.
    pub output: Vec<String>,
    /// Rejections and failures, each with the line of its record.
    pub complaints: Vec<String>,
    /// Records that the operator refused.
    pub rejected: usize,
    /// Records that made a call fail.
    pub failed: usize,
}

/// The records of a file, and the line that each stands in.
struct Sample {
    batch: Batch,
    lines: Vec<usize>,
}

impl SampleRun<'_> {
    /// Calls the operator as a pipeline would: in batches, and row by row where a batch fails.
    pub fn run(&self) -> Result<Ran, Failure> {
        let sample = self.read()?;
        let options = OperatorOptions {
            name: "test".to_owned(),
            config: self.config.clone(),
            limits: self.limits.clone(),
            keeps_key: false,
            state: None,
            guest: Arc::new(ToStandardError),
        };
        let started = self.prepared.operator(options);
        let mut operator = started.map_err(|error| Failure::failed(error.to_string()))?;
        let mut ran = Ran { records_in: sample.batch.rows, ..Ran::default() };
        let mut start = 0;
        while start < sample.batch.rows {
            let end = (start + self.limits.batch_rows_max).min(sample.batch.rows);
            let part = sample.batch.slice(start..end);
            match call(&mut operator, &part)? {
                Ok(output) => self.take(&sample, start, part, output, &mut ran)?,
                Err(_) => self.one_by_one(&mut operator, &sample, start..end, &mut ran)?,
            }
            start = end;
        }
        Ok(ran)
    }

    fn one_by_one(
        &self,
        operator: &mut WasmOperator,
        sample: &Sample,
        rows: std::ops::Range<usize>,
        ran: &mut Ran,
    ) -> Result<(), Failure> {
        for row in rows {
            let one = sample.batch.slice(row..row + 1);
            match call(operator, &one)? {
                Ok(output) => self.take(sample, row, one, output, ran)?,
                Err(failure) => {
                    ran.failed += 1;
                    ran.complaints.push(format!("{}: {failure}", self.place(sample, row)));
                }
            }
        }
        Ok(())
    }

    fn place(&self, sample: &Sample, row: usize) -> String {
        format!("{}:{}", self.input.display(), sample.lines[row])
    }

    fn take(
        &self,
        sample: &Sample,
        start: usize,
        input: Batch,
        output: Output,
        ran: &mut Ran,
    ) -> Result<(), Failure> {
        for rejection in &output.rejections {
            ran.rejected += 1;
            let place = self.place(sample, start + rejection.row as usize);
            ran.complaints.push(format!("{place}: rejection: {}", rejection.reason));
        }
        let ports = &self.prepared.description().outputs;
        let names: Vec<usize> = (0..output.len()).map(|index| output.port(index)).collect();
        let emitted = output.apply(input);
        for row in 0..emitted.rows {
            let mut text = Vec::new();
            write_row(FileFormat::JsonLines, &emitted, row, &mut text)
                .map_err(|_| Failure::failed("the operator returned headers that cannot be read"))?;
            let mut line = String::from_utf8_lossy(&text).trim_end().to_owned();
            if ports.len() > 1 {
                let port = names.get(row).and_then(|port| ports.get(*port)).map_or("", |port| &port.name);
                // Where there are several ports, a record says which one it left by.
                line = format!("{{\"port\":{},{}", serde_json::Value::from(port), &line[1..]);
            }
            ran.output.push(line);
        }
        Ok(())
    }

    fn read(&self) -> Result<Sample, Failure> {
        let shown = self.input.display();
        let text = std::fs::read(self.input)
            .map_err(|error| Failure::configuration(format!("{shown} cannot be read: {error}")))?;
        let (mut sample, mut reader) =
            (Sample { batch: Batch::default(), lines: Vec::new() }, LineReader::default());
        let topic: Arc<str> = shown.to_string().into();
        for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
            let read = reader.read(FileFormat::JsonLines, line);
            let record =
                read.map_err(|error| Failure::configuration(format!("{shown}:{}: {error}", index + 1)))?;
            if let Some(record) = record {
                sample.batch.push(record.timestamp, record.key, record.value, record.headers);
                sample.batch.origins.push(&topic, 0, index as i64);
                sample.lines.push(index + 1);
            }
        }
        Ok(sample)
    }
}

/// Outer error: the operator cannot run at all. Inner: this call failed, and the next one runs in a fresh instance.
fn call(operator: &mut WasmOperator, batch: &Batch) -> Result<Result<Output, CallFailure>, Failure> {
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64);
    let context = CallContext { port: 0, now_ms, watermark_ms: i64::MIN, time: None };
    match operator.call(batch, &Slots::default(), context) {
        Ok(output) => Ok(Ok(output)),
        Err(CallError::Failed(failure)) => Ok(Err(failure)),
        Err(CallError::Broken(message)) => Err(Failure::failed(message)),
    }
}

/// What the operator says goes to standard error; metrics are not shown.
struct ToStandardError;

impl GuestSink for ToStandardError {
    fn log(&self, level: Level, line: &str) {
        let level = match level {
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
        };
        eprintln!("log: {level}: {line}");
    }

    fn log_dropped(&self, lines: u64) {
        eprintln!("log: {lines} lines were left out");
    }

    fn metric_add(&self, _: &str, _: f64) {}

    fn metric_set(&self, _: &str, _: f64) {}
}
