//! The middle step of a record's path: calls an operator with a batch, and carries out its error policy.

mod instance_meter;
mod refusals;
mod timers;

pub use self::timers::{Fired, FiredRound, TimerPlace};

use self::instance_meter::InstanceMeter;
use self::timers::TimerSearch;
use crate::clock::Clock;
use crate::keyed_calls::KeyedCalls;
use crate::meters::{Meters, OperatorMeters};
use crate::successor::Successor;
use crate::version_tally::VersionTally;
use std::sync::Arc;
use std::time::Duration;
use weir_protocol::batch::Batch;
use weir_protocol::breaker::Breaker;
use weir_protocol::connector::{
    CallContext, CallError, CallFailure, ConnectorError, ErrorKind, FailureKind, Operator,
};
use weir_protocol::error_policy::FailedRow;
use weir_protocol::output::Output;
use weir_protocol::plan::{OperatorLimits, OperatorSpec};
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

/// When a call began.
#[derive(Clone, Copy)]
struct Started {
    monotonic: Duration,
    thread_cpu: Duration,
}

/// Rows that calls have handled (none = all that were given) with what became of them, and the rows at fault.
type Handling = (Vec<(Option<Batch>, Output)>, Vec<FailedRow>);

/// What an operator task is made of.
pub struct OperatorTaskOptions {
    /// The pipeline, with its id prefix.
    pub pipeline: String,
    /// Index in the plan.
    pub index: usize,
    /// Its part of the plan.
    pub spec: OperatorSpec,
    /// SHA-256 of its bytes, in hex.
    pub digest: String,
    /// Names of the input ports.
    pub input_ports: Vec<String>,
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
    /// What this version has done.
    tally: Arc<VersionTally>,
    /// When something came out of it last.
    put_out_at: Option<Duration>,
    timer_searches: Vec<TimerSearch>,
    instances: InstanceMeter,
}

impl OperatorTask {
    /// A task around an operator; `keyed` is its state, where it declares any.
    pub fn new(
        operator: Box<dyn Operator>,
        keyed: Option<KeyedCalls>,
        options: OperatorTaskOptions,
    ) -> OperatorTask {
        let breaker = Breaker::new(options.spec.breaker.clone());
        let tally = options.meters.operators[options.index].tally();
        let instances = InstanceMeter::new(options.meters.clone(), options.index);
        OperatorTask {
            operator,
            options,
            breaker,
            keyed,
            no_slots: Slots::default(),
            tally,
            put_out_at: None,
            timer_searches: Vec::new(),
            instances,
        }
    }

    /// A new version takes over, with the state as it is. `spec` is its part of the new plan.
    pub fn replace(&mut self, successor: Successor) {
        let spec = successor.plan.spec.operators[self.options.index].clone();
        self.operator = successor.instance;
        self.instances = InstanceMeter::new(self.options.meters.clone(), self.options.index);
        self.breaker = Breaker::new(spec.breaker.clone());
        self.options.spec = spec;
        self.options.digest = successor.digest;
        self.tally = successor.tally;
    }

    /// The limits from the next call on.
    pub fn set_limits(&mut self, limits: &OperatorLimits) {
        self.options.spec.limits = limits.clone();
        self.operator.set_limits(limits);
    }

    /// What this version has done.
    pub fn tally(&self) -> &VersionTally {
        &self.tally
    }

    fn meters(&self) -> &OperatorMeters {
        &self.options.meters.operators[self.options.index]
    }

    /// An error that no restart mends is this version's own: a swap on probation must know.
    fn blamed<T>(&self, result: Result<T, ConnectorError>) -> Result<T, ConnectorError> {
        if let Err(error) = &result
            && error.kind == ErrorKind::Permanent
        {
            self.tally.stop(&error.message);
        }
        result
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
        let result = self.handle_all(batch, moment);
        self.blamed(result)
    }

    fn handle_all(&mut self, batch: Batch, moment: Moment) -> Result<Handled, ConnectorError> {
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
            input = self.refuse_without_key(input, &without_key, moment, handled)?;
            if input.rows == 0 {
                return self.count(moment.now_ms, rows, rows);
            }
        }
        let without_key = without_key.len() as u64;
        let (parts, failed) = match self.attempt(&input, moment, None)? {
            Ok((mut parts, failed)) if failed.is_empty() && parts.len() == 1 => {
                self.count(moment.now_ms, rows, without_key)?;
                if let Some((_, output)) = parts.pop() {
                    self.put_out(&output);
                    push_output(handled, input, output, self.options.ports);
                }
                return Ok(());
            }
            Ok(handling) => handling,
            Err(failure) => self.search(&input, &failure, moment)?,
        };
        self.refuse(&input, &failed, (moment, None), handled)?;
        self.count(moment.now_ms, rows, without_key + failed.len() as u64)?;
        for (part, output) in parts {
            self.put_out(&output);
            push_output(handled, part.unwrap_or_else(|| input.clone()), output, self.options.ports);
        }
        Ok(())
    }

    /// Takes out the rows that have no key, under the error policy.
    fn refuse_without_key(
        &mut self,
        input: Batch,
        rows: &[usize],
        moment: Moment,
        handled: &mut Handled,
    ) -> Result<Batch, ConnectorError> {
        let message = "the record has no key, and the operator keeps state per key; set null_key = \"group\" to let such records share one";
        let failed: Vec<FailedRow> = rows
            .iter()
            .map(|row| FailedRow { row: *row, kind: FailureKind::NullKey, message: message.to_owned() })
            .collect();
        self.refuse(&input, &failed, (moment, None), handled)?;
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
        let before = self.starts();
        let result = self.operator.call(input, slots, context);
        self.called(before, result)
    }

    fn starts(&self) -> Started {
        let clock = &self.options.clock;
        Started { monotonic: clock.monotonic(), thread_cpu: clock.thread_cpu() }
    }

    /// Counts a call and tells its failures apart.
    fn called(
        &mut self,
        before: Started,
        result: Result<Output, CallError>,
    ) -> Result<Result<Output, CallFailure>, ConnectorError> {
        let now = self.options.clock.monotonic();
        let (meters, took_ns) = (self.meters(), (now - before.monotonic).as_nanos() as u64);
        meters.busy_ns.add(took_ns);
        meters.calls.add(1);
        // A machine that is busy with something else makes no version slower than another.
        let cpu = self.options.clock.thread_cpu().saturating_sub(before.thread_cpu);
        meters.cpu_ns.add(cpu.as_nanos() as u64);
        self.tally.busy_ns.add(cpu.as_nanos() as u64);
        self.tally.calls.add(1);
        if let Err(CallError::Failed(failure)) = &result {
            meters.failed_calls.add(1);
            meters.failures.add(failure.kind);
            self.tally.failures.add(failure.kind);
        } else if result.as_ref().is_ok_and(|output| !output.is_empty()) {
            if let Some(last) = self.put_out_at {
                meters.gap(now.saturating_sub(last));
            }
            self.put_out_at = Some(now);
        }
        self.instances.read(self.operator.instance_use());
        if result.is_err()
            && let Some(keyed) = &mut self.keyed
        {
            // A database that failed is no fault of the row.
            keyed.discard()?;
        }
        match result {
            Ok(output) => Ok(Ok(output)),
            Err(CallError::Failed(failure)) => Ok(Err(failure)),
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

    fn put_out(&self, output: &Output) {
        self.meters().output_rows.add(output.len() as u64);
        self.tally.output_rows.add(output.len() as u64);
    }

    fn count(&mut self, now_ms: i64, rows: u64, failed: u64) -> Result<(), ConnectorError> {
        self.meters().rows.add(rows);
        self.tally.rows.add(rows);
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
