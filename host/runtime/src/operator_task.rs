//! The middle step of a record's path: calls an operator with a batch, and carries out its error policy.

mod timers;

pub use self::timers::{Fired, FiredRound, TimerPlace};

use self::timers::TimerSearch;
use crate::clock::Clock;
use crate::keyed_calls::KeyedCalls;
use crate::meters::Meters;
use std::sync::Arc;
use weir_protocol::batch::Batch;
use weir_protocol::breaker::Breaker;
use weir_protocol::connector::{CallContext, CallError, CallFailure, ConnectorError, FailureKind, Operator};
use weir_protocol::error_policy::{Blamed, FailedRow, one_line, push_dead_letter};
use weir_protocol::output::Output;
use weir_protocol::plan::{OnError, OperatorSpec};
use weir_protocol::poison::{Search, SearchLimits};
use weir_protocol::slots::Slots;

/// What one batch became.
#[derive(Debug, Default)]
pub struct Handled {
    /// Output port and rows, in the order of the input.
    pub outputs: Vec<(usize, Batch)>,
    /// Records for the sink of dead letters.
    pub dead_letters: Option<Batch>,
}

/// The time at which rows are handled, and the port that they come in by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The operator's input port.
    pub port: u32,
    /// Processing time in milliseconds; never goes down.
    pub now_ms: i64,
    /// The operator's watermark in milliseconds.
    pub watermark_ms: i64,
}

/// Rows that calls have handled (none = all that were given) with what became of them, and the rows at fault.
type Handling = (Vec<(Option<Batch>, Output)>, Vec<FailedRow>);

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
    keyed: Option<KeyedCalls>,
    no_slots: Slots,
    timer_searches: Vec<TimerSearch>,
}

impl OperatorTask {
    /// A task around an operator; `keyed` is its state, where it declares any.
    pub fn new(
        operator: Box<dyn Operator>,
        keyed: Option<KeyedCalls>,
        options: OperatorTaskOptions,
    ) -> OperatorTask {
        let breaker = Breaker::new(options.spec.breaker.clone());
        OperatorTask {
            operator,
            options,
            breaker,
            keyed,
            no_slots: Slots::default(),
            timer_searches: Vec::new(),
        }
    }

    /// The state, where the operator has any.
    pub fn keyed(&mut self) -> Option<&mut KeyedCalls> {
        self.keyed.as_mut()
    }

    /// Its index in the plan.
    pub fn index(&self) -> usize {
        self.options.index
    }

    /// Its part of the plan.
    pub fn spec(&self) -> &OperatorSpec {
        &self.options.spec
    }

    /// Handles a batch, in calls of at most `batch_rows_max` rows and about `batch_bytes_max` bytes.
    pub fn handle(&mut self, batch: Batch, moment: Moment) -> Result<Handled, ConnectorError> {
        let limits = &self.options.spec.limits;
        let mut handled = Handled::default();
        if batch.rows <= limits.batch_rows_max
            && batch.size_bytes() <= limits.batch_bytes_max.saturating_mul(2)
        {
            self.handle_part(batch, moment, &mut handled)?;
            return Ok(handled);
        }
        let share = batch.size_bytes().div_ceil(limits.batch_bytes_max).max(1);
        let rows = batch.rows.div_ceil(share).clamp(1, limits.batch_rows_max);
        let mut start = 0;
        while start < batch.rows {
            let end = (start + rows).min(batch.rows);
            self.handle_part(batch.slice(start..end), moment, &mut handled)?;
            start = end;
        }
        Ok(handled)
    }

    fn handle_part(
        &mut self,
        mut input: Batch,
        moment: Moment,
        handled: &mut Handled,
    ) -> Result<(), ConnectorError> {
        let rows = input.rows as u64;
        let without_key = self.keyed.as_ref().map(|keyed| keyed.rows_without_key(&input)).unwrap_or_default();
        if !without_key.is_empty() {
            input = self.refuse_without_key(input, &without_key, handled)?;
            if input.rows == 0 {
                return self.count(moment.now_ms, rows, rows);
            }
        }
        let without_key = without_key.len() as u64;
        let (parts, failed) = match self.attempt(&input, moment, None)? {
            Ok((mut parts, failed)) if failed.is_empty() && parts.len() == 1 => {
                self.count(moment.now_ms, rows, without_key)?;
                if let Some((_, output)) = parts.pop() {
                    push_output(handled, input, output, self.options.ports);
                }
                return Ok(());
            }
            Ok(handling) => handling,
            Err(failure) => self.search(&input, &failure, moment)?,
        };
        self.refuse(&input, &failed, handled)?;
        self.count(moment.now_ms, rows, without_key + failed.len() as u64)?;
        for (part, output) in parts {
            push_output(handled, part.unwrap_or_else(|| input.clone()), output, self.options.ports);
        }
        Ok(())
    }

    /// Takes out the rows that have no key, under the error policy.
    fn refuse_without_key(
        &mut self,
        input: Batch,
        rows: &[usize],
        handled: &mut Handled,
    ) -> Result<Batch, ConnectorError> {
        let message = "the record has no key, and the operator keeps state per key; set null_key = \"group\" to let such records share one";
        let failed: Vec<FailedRow> = rows
            .iter()
            .map(|row| FailedRow { row: *row, kind: FailureKind::NullKey, message: message.to_owned() })
            .collect();
        self.refuse(&input, &failed, handled)?;
        let others: Vec<usize> = (0..input.rows).filter(|row| !input.keys.is_null(*row)).collect();
        Ok(input.gather(&others))
    }

    /// One call that either happens or does not. In a keyed operator a row whose output no sink could take must leave
    /// no trace in the state, so the call is undone and made again without it.
    fn attempt(
        &mut self,
        input: &Batch,
        moment: Moment,
        time: Option<std::time::Duration>,
    ) -> Result<Result<Handling, CallFailure>, ConnectorError> {
        let output = match self.call(input, moment, time)? {
            Ok(output) => output,
            Err(failure) => return Ok(Err(failure)),
        };
        let (output, failed) = self.refused_rows(input, output);
        let Some(keyed) = &mut self.keyed else { return Ok(Ok((vec![(None, output)], failed))) };
        let too_large = |failed: &&FailedRow| failed.kind == FailureKind::TooLarge;
        if !failed.iter().any(|failed| too_large(&failed)) {
            keyed.commit()?;
            return Ok(Ok((vec![(None, output)], failed)));
        }
        keyed.discard()?;
        let mut at_fault: Vec<FailedRow> = failed.iter().filter(too_large).cloned().collect();
        let others: Vec<usize> =
            (0..input.rows).filter(|row| at_fault.iter().all(|failed| failed.row != *row)).collect();
        if others.is_empty() {
            return Ok(Ok((vec![], at_fault)));
        }
        let rest = input.gather(&others);
        Ok(self.attempt(&rest, moment, time)?.map(|(parts, failed)| {
            let parts =
                parts.into_iter().map(|(part, output)| (Some(part.unwrap_or_else(|| rest.clone())), output));
            let parts = parts.collect();
            at_fault.extend(failed.into_iter().map(|f| FailedRow { row: others[f.row], ..f }));
            at_fault.sort_by_key(|failed| failed.row);
            (parts, at_fault)
        }))
    }

    /// One call: outer error = the operator cannot run at all, inner = this call failed. A keyed call is still to be
    /// committed.
    fn call(
        &mut self,
        input: &Batch,
        moment: Moment,
        time: Option<std::time::Duration>,
    ) -> Result<Result<Output, CallFailure>, ConnectorError> {
        let Moment { port, now_ms, watermark_ms } = moment;
        let context = CallContext { port, now_ms, watermark_ms, time };
        if let Some(keyed) = &mut self.keyed {
            keyed.begin(input, now_ms)?;
        }
        let slots = self.keyed.as_ref().map_or(&self.no_slots, KeyedCalls::slots);
        let before = self.options.clock.monotonic();
        let result = self.operator.call(input, slots, context);
        self.called(before, result)
    }

    /// Counts a call and tells its failures apart.
    fn called(
        &mut self,
        before: std::time::Duration,
        result: Result<Output, CallError>,
    ) -> Result<Result<Output, CallFailure>, ConnectorError> {
        let meters = &self.options.meters.operators[self.options.index];
        meters.busy_ns.add((self.options.clock.monotonic() - before).as_nanos() as u64);
        meters.calls.add(1);
        if result.is_err()
            && let Some(keyed) = &mut self.keyed
        {
            // A database that failed is no fault of the row.
            keyed.discard()?;
        }
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
    fn search(
        &mut self,
        input: &Batch,
        failure: &CallFailure,
        moment: Moment,
    ) -> Result<Handling, ConnectorError> {
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
            let result = self.attempt(&part, moment, attempt.time)?;
            let took = self.options.clock.thread_cpu().saturating_sub(before);
            match result {
                Ok((handled, failed)) => {
                    refused.extend(
                        failed.into_iter().map(|f| FailedRow { row: f.row + attempt.rows.start, ..f }),
                    );
                    let whole = |of: Option<Batch>| Some(of.unwrap_or_else(|| part.clone()));
                    parts.extend(handled.into_iter().map(|(of, output)| (whole(of), output)));
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
pub(crate) fn place(input: &Batch, row: usize) -> String {
    match input.origins.of(row) {
        Some(origin) => {
            format!(
                "topic {}, partition {}, offset {}",
                origin.partition.topic, origin.partition.number, origin.offset
            )
        }
        None => {
            let key = String::from_utf8_lossy(input.keys.bytes(row)).chars().take(60).collect::<String>();
            format!("key {key:?}, time {}", input.timestamp(row))
        }
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
