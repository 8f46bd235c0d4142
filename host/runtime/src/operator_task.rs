//! The middle step of a record's path: calls an operator with a batch, and carries out its error policy.

use crate::clock::Clock;
use crate::meters::Meters;
use std::sync::Arc;
use weir_protocol::batch::Batch;
use weir_protocol::breaker::Breaker;
use weir_protocol::connector::{CallContext, CallError, CallFailure, ConnectorError, FailureKind, Operator};
use weir_protocol::error_policy::{Blamed, FailedRow, one_line, push_dead_letter};
use weir_protocol::output::Output;
use weir_protocol::plan::{OnError, OperatorSpec};
use weir_protocol::poison::{Search, SearchLimits};

/// What one batch became.
#[derive(Debug, Default)]
pub struct Handled {
    /// Output port and rows, in the order of the input.
    pub outputs: Vec<(usize, Batch)>,
    /// Records for the sink of dead letters.
    pub dead_letters: Option<Batch>,
}

/// What an operator task is made of.
pub struct OperatorTaskOptions {
    /// Index in the plan.
    pub index: usize,
    /// Its part of the plan.
    pub spec: OperatorSpec,
    /// SHA-256 of its bytes, in hex.
    pub digest: String,
    /// Number of output ports.
    pub ports: usize,
    /// Per output port the smallest record limit of the sinks that it feeds.
    pub record_bytes_max: Vec<Option<usize>>,
    /// The record limit of the sink of dead letters.
    pub dead_letter_bytes_max: Option<usize>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Counters.
    pub meters: Arc<Meters>,
}

/// Runs one operator of the plan for one subtask.
pub struct OperatorTask {
    operator: Box<dyn Operator>,
    options: OperatorTaskOptions,
    breaker: Breaker,
}

impl OperatorTask {
    /// A task around an operator.
    pub fn new(operator: Box<dyn Operator>, options: OperatorTaskOptions) -> OperatorTask {
        let breaker = Breaker::new(options.spec.breaker.clone());
        OperatorTask { operator, options, breaker }
    }

    /// Handles a batch, in calls of at most `batch_rows_max` rows and about `batch_bytes_max` bytes.
    pub fn handle(&mut self, batch: Batch, now_ms: i64) -> Result<Handled, ConnectorError> {
        let limits = &self.options.spec.limits;
        let mut handled = Handled::default();
        if batch.rows <= limits.batch_rows_max
            && batch.size_bytes() <= limits.batch_bytes_max.saturating_mul(2)
        {
            self.handle_part(batch, now_ms, &mut handled)?;
            return Ok(handled);
        }
        let share = batch.size_bytes().div_ceil(limits.batch_bytes_max).max(1);
        let rows = batch.rows.div_ceil(share).clamp(1, limits.batch_rows_max);
        let mut start = 0;
        while start < batch.rows {
            let end = (start + rows).min(batch.rows);
            self.handle_part(batch.slice(start..end), now_ms, &mut handled)?;
            start = end;
        }
        Ok(handled)
    }

    fn handle_part(
        &mut self,
        input: Batch,
        now_ms: i64,
        handled: &mut Handled,
    ) -> Result<(), ConnectorError> {
        let rows = input.rows as u64;
        let (parts, failed) = match self.call(&input, now_ms, None)? {
            Ok(output) => {
                let (output, failed) = self.refused_rows(&input, output);
                if failed.is_empty() {
                    self.count(now_ms, rows, 0)?;
                    push_output(handled, input, output, self.options.ports);
                    return Ok(());
                }
                (vec![(input.clone(), output)], failed)
            }
            Err(failure) => self.search(&input, &failure, now_ms)?,
        };
        self.refuse(&input, &failed, handled)?;
        self.count(now_ms, rows, failed.len() as u64)?;
        for (part, output) in parts {
            push_output(handled, part, output, self.options.ports);
        }
        Ok(())
    }

    /// One call: outer error = the operator cannot run at all, inner = this call failed.
    fn call(
        &mut self,
        input: &Batch,
        now_ms: i64,
        time: Option<std::time::Duration>,
    ) -> Result<Result<Output, CallFailure>, ConnectorError> {
        let context = CallContext { port: 0, now_ms, watermark_ms: i64::MIN, time };
        let before = self.options.clock.monotonic();
        let result = self.operator.call(input, context);
        let meters = &self.options.meters.operators[self.options.index];
        meters.busy_ns.add((self.options.clock.monotonic() - before).as_nanos() as u64);
        meters.calls.add(1);
        match result {
            Ok(output) => Ok(Ok(output)),
            Err(CallError::Failed(failure)) => {
                meters.failed_calls.add(1);
                Ok(Err(failure))
            }
            Err(CallError::Broken(message)) => {
                let name = &self.options.spec.name;
                Err(ConnectorError::permanent(format!("operator {name} cannot run: {message}")))
            }
        }
    }

    /// Finds the rows at fault; what the others became is in the order of the input.
    #[allow(clippy::type_complexity)]
    fn search(
        &mut self,
        input: &Batch,
        failure: &CallFailure,
        now_ms: i64,
    ) -> Result<(Vec<(Batch, Output)>, Vec<FailedRow>), ConnectorError> {
        let spec = &self.options.spec;
        let limits = SearchLimits { call: spec.limits.call, search: spec.limits.search };
        let mut search = Search::new(input.rows, failure, limits);
        let (mut parts, mut refused) = (Vec::new(), Vec::new());
        while let Some(attempt) = search.next_attempt() {
            if attempt.fresh {
                self.operator.reset();
            }
            let part = input.slice(attempt.rows.clone());
            let before = self.options.clock.thread_cpu();
            let result = self.call(&part, now_ms, attempt.time)?;
            let took = self.options.clock.thread_cpu().saturating_sub(before);
            match result {
                Ok(output) => {
                    let (output, failed) = self.refused_rows(&part, output);
                    refused.extend(
                        failed.into_iter().map(|f| FailedRow { row: f.row + attempt.rows.start, ..f }),
                    );
                    parts.push((part, output));
                    search.passed(took);
                }
                Err(failure) => search.failed(&failure, took).map_err(|exhausted| {
                    let at = place(input, attempt.rows.start);
                    ConnectorError::permanent(format!(
                        "operator {} at {at}: {exhausted}",
                        self.options.spec.name
                    ))
                })?,
            }
        }
        let mut failed = search.into_failed();
        failed.extend(refused);
        failed.sort_by_key(|failed| failed.row);
        Ok((parts, failed))
    }

    /// Rows that the operator rejected, and rows with an output that no sink could take; the output without those.
    fn refused_rows(&self, input: &Batch, output: Output) -> (Output, Vec<FailedRow>) {
        let mut failed = Vec::new();
        self.too_large(input, &output, &mut failed);
        failed.sort_by_key(|failed: &FailedRow| failed.row);
        failed.dedup_by_key(|failed| failed.row);
        let rows: Vec<usize> = failed.iter().map(|failed| failed.row).collect();
        failed.extend(output.rejections.iter().map(|rejection| FailedRow {
            row: rejection.row as usize,
            kind: FailureKind::Rejection,
            message: rejection.reason.clone(),
        }));
        failed.sort_by_key(|failed| failed.row);
        let output = if rows.is_empty() { output } else { output.without_rows(&rows, input.rows) };
        (output, failed)
    }

    fn too_large(&self, input: &Batch, output: &Output, failed: &mut Vec<FailedRow>) {
        // One comparison per batch where nothing can be too large, which is nearly always.
        let Some(smallest) = self.options.record_bytes_max.iter().flatten().min() else { return };
        let own = output.keys.data.len() + output.values.data.len() + output.headers.data.len();
        if own + input.keys.data.len() + input.values.data.len() + input.headers.data.len() <= *smallest {
            return;
        }
        for index in 0..output.len() {
            let row = output.source_row(index);
            let bytes = |own: &weir_protocol::batch::Column, inherited: &weir_protocol::batch::Column| match (
                own.is_absent(),
                inherited.is_absent(),
            ) {
                (false, _) => own.bytes(index).len(),
                (true, false) => inherited.bytes(row).len(),
                (true, true) => 0,
            };
            let size = bytes(&output.keys, &input.keys)
                + bytes(&output.values, &input.values)
                + bytes(&output.headers, &input.headers);
            if let Some(Some(most)) = self.options.record_bytes_max.get(output.port(index))
                && size > *most
            {
                let message = format!("the output record has {size} bytes, the sink takes at most {most}");
                failed.push(FailedRow { row, kind: FailureKind::TooLarge, message });
            }
        }
    }

    /// Carries out the policy for the rows at fault.
    fn refuse(
        &mut self,
        input: &Batch,
        failed: &[FailedRow],
        handled: &mut Handled,
    ) -> Result<(), ConnectorError> {
        let Some(first) = failed.first() else { return Ok(()) };
        let spec = &self.options.spec;
        let meters = &self.options.meters.operators[self.options.index];
        let said = |failed: &FailedRow| {
            format!(
                "operator {} failed at {}: {}: {}",
                spec.name,
                place(input, failed.row),
                failed.kind.name(),
                one_line(&failed.message)
            )
        };
        match &spec.on_error {
            OnError::Fail => {
                let hint = "on_error = fail (the default) stops here; set on_error = { dead_letter = \"SINK\" } or \"skip\" to go on";
                return Err(ConnectorError::permanent(format!("{}; {hint}", said(first))));
            }
            OnError::Skip => {
                meters.skipped.add(failed.len() as u64);
                tracing::warn!(operator = spec.name, rows = failed.len(), "skipped: {}", said(first));
            }
            OnError::DeadLetter(_) => {
                meters.dead_letters.add(failed.len() as u64);
                tracing::debug!(operator = spec.name, rows = failed.len(), "dead letter: {}", said(first));
                let letters = handled.dead_letters.get_or_insert_with(Batch::default);
                let blamed = Blamed { operator: &spec.name, digest: &self.options.digest };
                for row in failed {
                    push_dead_letter(letters, input, row, blamed, self.options.dead_letter_bytes_max);
                }
            }
        }
        Ok(())
    }

    fn count(&mut self, now_ms: i64, rows: u64, failed: u64) -> Result<(), ConnectorError> {
        self.options.meters.operators[self.options.index].rows.add(rows);
        self.breaker.count(now_ms, rows, failed).map_err(|tripped| {
            ConnectorError::permanent(format!("operator {}: {tripped}", self.options.spec.name))
        })
    }
}

/// Topic, partition and offset of a row, for a person.
fn place(input: &Batch, row: usize) -> String {
    match input.origins.of(row) {
        Some(origin) => {
            format!(
                "topic {}, partition {}, offset {}",
                origin.partition.topic, origin.partition.number, origin.offset
            )
        }
        None => format!("row {row}"),
    }
}

/// Adds the records of one call, without those of refused rows, to the outputs by port.
fn push_output(handled: &mut Handled, input: Batch, output: Output, ports: usize) {
    let output_ports = output.ports.clone();
    let batch = output.apply(input);
    if batch.rows == 0 {
        return;
    }
    if output_ports.is_empty() || ports == 1 {
        push_port(handled, 0, batch);
        return;
    }
    for port in 0..ports {
        let rows: Vec<usize> =
            (0..batch.rows).filter(|row| usize::from(output_ports[*row]) == port).collect();
        if !rows.is_empty() {
            push_port(handled, port, batch.gather(&rows));
        }
    }
}

fn push_port(handled: &mut Handled, port: usize, batch: Batch) {
    match handled.outputs.iter_mut().find(|(known, _)| *known == port) {
        Some((_, earlier)) => earlier.append(&batch),
        None => handled.outputs.push((port, batch)),
    }
}
