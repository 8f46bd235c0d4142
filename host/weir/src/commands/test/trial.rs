//! An operator with its state, its timers and its clocks, as a pipeline would run it on one subtask.
//!
//! Task, rounds of timers and database are the product's own, so what is seen here is what a pipeline does.

use super::sample::Step;
use super::state_dump;
use crate::failure::Failure;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use weir_local::record_lines::write_row;
use weir_protocol::batch::{Batch, headers};
use weir_protocol::connector::{CallContext, CallError, Operator};
use weir_protocol::error_policy::names;
use weir_protocol::key_group::{DEFAULT_MAX_PARALLELISM, KeyGroups};
use weir_protocol::output::Output;
use weir_protocol::plan::{BreakerSpec, FileFormat, NullKey, OnError, OperatorLimits, OperatorSpec};
use weir_protocol::slots::Slots;
use weir_protocol::state::{OpenState, OperatorShape, SharedState, StateBackend};
use weir_protocol::watermark::Watermark;
use weir_runtime::clock::SystemClock;
use weir_runtime::keyed_calls::{KeyedCalls, KeyedCallsOptions};
use weir_runtime::meters::Meters;
use weir_runtime::operator_task::{Handled, Moment, OperatorTask, OperatorTaskOptions};
use weir_runtime::timer_rounds::{Firing, TimerRounds};
use weir_state::backend::{RocksBackend, StateMemory};
use weir_wasm::{GuestSink, Level, OperatorError, OperatorOptions, Prepared};

const NAME: &str = "test";
/// Memory of the state that an operator is tried with.
const STATE_BYTES: usize = 64 << 20;

/// How an operator is tried.
pub struct TrialOptions {
    /// Its configuration.
    pub config: BTreeMap<String, String>,
    /// Its limits.
    pub limits: OperatorLimits,
    /// What happens to records without a key, where it keeps state.
    pub null_key: NullKey,
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
    /// Records and timers that the operator refused.
    pub rejected: usize,
    /// Records and timers that made a call fail.
    pub failed: usize,
}

/// An operator that is being tried.
pub struct Trial {
    task: OperatorTask,
    rounds: TimerRounds,
    shape: OperatorShape,
    groups: KeyGroups,
    ports: NotedPorts,
    now_ms: i64,
    watermark_ms: i64,
    /// The database, while it is open.
    directory: tempfile::TempDir,
    ran: Ran,
}

impl Trial {
    /// A fresh operator with empty state; processing time is 0, and there is no watermark yet.
    pub fn new(prepared: &Prepared, options: TrialOptions) -> Result<Trial, Failure> {
        let shape = prepared.description().shape();
        let groups = KeyGroups::plain(DEFAULT_MAX_PARALLELISM);
        let directory = tempfile::tempdir()
            .map_err(|error| Failure::failed(format!("no directory for the state: {error}")))?;
        let spec = spec(options);
        let state = match shape.is_keyed() {
            true => Some(open_state(&shape, &spec, groups, &directory)?),
            false => None,
        };
        let started = prepared.operator(OperatorOptions {
            name: spec.name.clone(),
            config: spec.config.clone(),
            limits: spec.limits.clone(),
            keeps_key: false,
            state: state.clone(),
            guest: Arc::new(ToStandardError),
        });
        let operator = started.map_err(|error| match error {
            OperatorError::Ticker(_) => Failure::failed(error.to_string()),
            // The operator does not take this configuration, or starts with none.
            OperatorError::Config { .. } | OperatorError::Start(_) => {
                Failure::configuration(error.to_string())
            }
        })?;
        let ports = NotedPorts::default();
        let operator = Box::new(PortsNoted { operator: Box::new(operator), ports: ports.clone() });
        let keyed = state.map(|state| {
            KeyedCalls::new(KeyedCallsOptions {
                operator: spec.name.clone(),
                state,
                groups,
                ordinals: 0..groups.max_parallelism,
                null_key: spec.null_key,
            })
        });
        let task = OperatorTask::new(operator, keyed, task_options(spec, prepared));
        let (rounds, watermark_ms) = (TimerRounds::new([0].into_iter()), i64::MIN);
        let ran = Ran::default();
        Ok(Trial { task, rounds, shape, groups, ports, now_ms: 0, watermark_ms, directory, ran })
    }

    /// Does one step, and fires the timers that it makes due.
    pub fn step(&mut self, step: Step) -> Result<(), Failure> {
        match step {
            Step::Rows { port, batch } => {
                self.ran.records_in += batch.rows;
                let moment = self.moment(port);
                let handled = self.task.handle(batch, moment)?;
                self.take(handled)?;
            }
            Step::Watermark(to) => {
                self.watermark_ms = to;
                self.rounds.advance(0, Watermark::At(to));
            }
            Step::Now(to) => self.now_ms = to,
        }
        self.fire()
    }

    /// The end: what came of it, and the state as JSON lines where it is asked for.
    pub fn finish(mut self, dump_state: bool) -> Result<(Ran, Vec<String>), Failure> {
        let mut dump = Vec::new();
        if dump_state && let Some(keyed) = self.task.keyed() {
            dump = state_dump::dump(keyed, &self.shape, &self.groups, self.directory.path())?;
        }
        Ok((self.ran, dump))
    }

    fn moment(&self, port: u32) -> Moment {
        Moment { port, now_ms: self.now_ms, watermark_ms: self.watermark_ms }
    }

    fn fire(&mut self) -> Result<(), Failure> {
        let moment = self.moment(0);
        while let Some(firing) = self.rounds.next_step() {
            let Firing::Fire { until_ms, .. } = firing else { continue };
            if let Some(handled) = self.rounds.fire(&mut self.task, &self.shape, until_ms, moment)? {
                self.take(handled)?;
            }
        }
        while let Some(handled) = self.rounds.fire_due(&mut self.task, &self.shape, moment)? {
            self.take(handled)?;
        }
        Ok(())
    }

    fn take(&mut self, handled: Handled) -> Result<(), Failure> {
        if let Some(letters) = handled.dead_letters {
            for row in 0..letters.rows {
                self.complain(&letters, row);
            }
        }
        let ports = self.ports.take();
        for (_, batch) in handled.outputs {
            for row in 0..batch.rows {
                let port = ports.get(row).copied().unwrap_or(0);
                let line = self.line(&batch, row, usize::from(port))?;
                self.ran.output.push(line);
            }
        }
        Ok(())
    }

    fn line(&self, batch: &Batch, row: usize, port: usize) -> Result<String, Failure> {
        let mut text = Vec::new();
        write_row(FileFormat::JsonLines, batch, row, &mut text)
            .map_err(|_| Failure::failed("the operator returned headers that cannot be read"))?;
        let line = String::from_utf8_lossy(&text).trim_end().to_owned();
        let outputs = &self.shape.outputs;
        if outputs.len() < 2 {
            return Ok(line);
        }
        // Where there are several ports, a record says which one it left by.
        let port = outputs.get(port).map_or("", |port| &port.name);
        Ok(format!("{{\"port\":{},{}", serde_json::Value::from(port), &line[1..]))
    }

    /// A dead letter says in its headers what happened.
    fn complain(&mut self, letters: &Batch, row: usize) {
        let mut said: BTreeMap<&str, String> = BTreeMap::new();
        for (name, value) in headers(letters.headers.bytes(row)).flatten() {
            said.insert(name, String::from_utf8_lossy(value.unwrap_or_default()).into_owned());
        }
        let text = |name: &str| said.get(name).map_or("", String::as_str);
        let place = match letters.origins.of(row) {
            Some(origin) => format!("{}:{}", origin.partition.topic, origin.offset),
            None => {
                let key = String::from_utf8_lossy(letters.keys.bytes(row)).into_owned();
                format!("timer of key {key:?} at {}", letters.timestamp(row))
            }
        };
        let kind = text(names::KIND);
        match kind {
            "rejection" | "null_key" => self.ran.rejected += 1,
            _ => self.ran.failed += 1,
        }
        self.ran.complaints.push(format!("{place}: {kind}: {}", text(names::MESSAGE)));
    }
}

fn spec(options: TrialOptions) -> OperatorSpec {
    OperatorSpec {
        name: NAME.to_owned(),
        inputs: Vec::new(),
        component: String::new(),
        config: options.config,
        // Every failure is reported with its place; the trial goes on behind it.
        on_error: OnError::DeadLetter(NAME.to_owned()),
        breaker: BreakerSpec { share: 1.0, rows_min: u64::MAX, ..BreakerSpec::default() },
        limits: options.limits,
        keeps_key: false,
        parallelism: None,
        null_key: options.null_key,
        drop_state: Vec::new(),
    }
}

fn task_options(spec: OperatorSpec, prepared: &Prepared) -> OperatorTaskOptions {
    OperatorTaskOptions {
        pipeline: NAME.to_owned(),
        index: 0,
        spec,
        digest: prepared.digest().to_string(),
        input_ports: prepared.description().shape().inputs,
        // The ports are noted on the way, so that records of several ports stay in order.
        ports: 1,
        record_bytes_max: vec![None],
        dead_letter_bytes_max: None,
        clock: Arc::new(SystemClock::default()),
        meters: Arc::new(Meters::new(1, 1)),
    }
}

fn open_state(
    shape: &OperatorShape,
    spec: &OperatorSpec,
    groups: KeyGroups,
    directory: &tempfile::TempDir,
) -> Result<SharedState, Failure> {
    let backend = RocksBackend::new(StateMemory::of(STATE_BYTES));
    let open = OpenState {
        operator: &spec.name,
        subtask: 0,
        shape,
        drop_states: &[],
        drop_timers: &[],
        migrate: &[],
        groups,
        restored_groups: groups,
        ordinals: 0..groups.max_parallelism,
        live: &directory.path().join("live"),
        restore: &[],
        page_bytes_max: spec.limits.state_page_bytes_max,
        writes_bytes_max: spec.limits.state_writes_bytes,
        reads_bytes_max: spec.limits.state_reads_bytes,
    };
    let (state, _) = backend.open(&open, None)?;
    Ok(Arc::new(Mutex::new(state)))
}

/// The output port of each record of the calls that were made since the last look.
#[derive(Clone, Default)]
struct NotedPorts(Arc<Mutex<Vec<u8>>>);

impl NotedPorts {
    fn all(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.all())
    }

    fn note(&self, result: &Result<Output, CallError>) {
        let Ok(output) = result else { return };
        self.all().extend((0..output.len()).map(|index| output.port(index) as u8));
    }
}

/// The operator, with a look at the ports of what it emits.
struct PortsNoted {
    operator: Box<dyn Operator>,
    ports: NotedPorts,
}

impl Operator for PortsNoted {
    fn call(&mut self, input: &Batch, slots: &Slots, context: CallContext) -> Result<Output, CallError> {
        let result = self.operator.call(input, slots, context);
        self.ports.note(&result);
        result
    }

    fn on_timers(
        &mut self,
        timer: &str,
        fired: &Batch,
        slots: &Slots,
        context: CallContext,
    ) -> Result<Output, CallError> {
        let result = self.operator.on_timers(timer, fired, slots, context);
        self.ports.note(&result);
        result
    }

    fn reset(&mut self) {
        self.operator.reset();
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
