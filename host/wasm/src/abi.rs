//! The records of the contract as wasmtime copies them: into a guest from borrowed slices, out of it into vectors.

use wasmtime::component::{ComponentType, Lift, Lower};
use weir_protocol::batch::{Batch, Column};
use weir_protocol::connector::CallContext;
use weir_protocol::output::{Output, Rejection};
use weir_protocol::slots::Slots;

/// `types.column` on its way in.
#[derive(ComponentType, Lower)]
#[component(record)]
pub struct LoweredColumn<'a> {
    offsets: &'a [u8],
    data: &'a [u8],
    nulls: &'a [u8],
}

impl<'a> From<&'a Column> for LoweredColumn<'a> {
    fn from(column: &'a Column) -> LoweredColumn<'a> {
        LoweredColumn { offsets: &column.offsets, data: &column.data, nulls: &column.nulls }
    }
}

/// `types.batch` on its way in. The only copy of its columns is the one into linear memory.
#[derive(ComponentType, Lower)]
#[component(record)]
pub struct LoweredBatch<'a> {
    port: u32,
    count: u32,
    now: i64,
    watermark: i64,
    timestamps: &'a [u8],
    keys: LoweredColumn<'a>,
    values: LoweredColumn<'a>,
    headers: LoweredColumn<'a>,
    #[component(name = "slot-count")]
    slot_count: u32,
    slots: &'a [u8],
}

impl<'a> LoweredBatch<'a> {
    /// A batch as the guest sees it. `slots` is empty where the operator has neither state nor timers.
    pub fn new(batch: &'a Batch, slots: &'a Slots, context: &CallContext) -> LoweredBatch<'a> {
        LoweredBatch {
            port: context.port,
            // A batch is cut at `batch_rows_max`, far below 2^32.
            count: batch.rows as u32,
            now: context.now_ms,
            watermark: context.watermark_ms,
            timestamps: &batch.timestamps,
            keys: (&batch.keys).into(),
            values: (&batch.values).into(),
            headers: (&batch.headers).into(),
            // Not more than rows.
            slot_count: slots.count() as u32,
            slots: &slots.rows,
        }
    }
}

/// `types.column` on its way out.
#[derive(ComponentType, Lift)]
#[component(record)]
pub struct LiftedColumn {
    offsets: Vec<u8>,
    data: Vec<u8>,
    nulls: Vec<u8>,
}

impl From<LiftedColumn> for Column {
    fn from(column: LiftedColumn) -> Column {
        Column { offsets: column.offsets, data: column.data, nulls: column.nulls }
    }
}

/// `types.rejection` on its way out.
#[derive(ComponentType, Lift)]
#[component(record)]
pub struct LiftedRejection {
    row: u32,
    reason: String,
}

/// `types.output` on its way out. Its vectors become the next batch's columns.
#[derive(ComponentType, Lift)]
#[component(record)]
pub struct LiftedOutput {
    count: u32,
    rows: Vec<u8>,
    ports: Vec<u8>,
    timestamps: Vec<u8>,
    keys: LiftedColumn,
    values: LiftedColumn,
    headers: LiftedColumn,
    rejections: Vec<LiftedRejection>,
}

impl From<LiftedOutput> for Output {
    fn from(output: LiftedOutput) -> Output {
        let rejections = output.rejections.into_iter();
        Output {
            count: output.count,
            rows: output.rows,
            ports: output.ports,
            timestamps: output.timestamps,
            keys: output.keys.into(),
            values: output.values.into(),
            headers: output.headers.into(),
            rejections: rejections
                .map(|refused| Rejection { row: refused.row, reason: refused.reason })
                .collect(),
        }
    }
}

/// What `mapping.process` and `processing.process` take.
pub type ProcessParameters<'a> = (LoweredBatch<'a>,);
/// What `processing.on-timers` takes: the timer's name, and the fired ones.
pub type OnTimersParameters<'a> = (&'a str, LoweredBatch<'a>);
/// What they all return.
pub type ProcessResults = (Result<LiftedOutput, String>,);

/// `processing.description` on its way out.
#[derive(ComponentType, Lift)]
#[component(record)]
pub struct LiftedDescription {
    pub inputs: Vec<LiftedInputPort>,
    pub outputs: Vec<LiftedOutputPort>,
    pub states: Vec<LiftedState>,
    pub timers: Vec<LiftedTimer>,
    pub config: Vec<LiftedConfigKey>,
}

/// `processing.input-port`.
#[derive(ComponentType, Lift)]
#[component(record)]
pub struct LiftedInputPort {
    pub name: String,
}

/// `processing.output-port`.
#[derive(ComponentType, Lift)]
#[component(record)]
pub struct LiftedOutputPort {
    pub name: String,
    #[component(name = "keeps-key")]
    pub keeps_key: bool,
}

/// `processing.state-kind`.
#[derive(ComponentType, Lift, Clone, Copy)]
#[component(enum)]
#[repr(u8)]
pub enum LiftedStateKind {
    #[component(name = "value")]
    Value,
    #[component(name = "map")]
    Map,
    #[component(name = "list")]
    List,
}

/// `processing.state-declaration`.
#[derive(ComponentType, Lift)]
#[component(record)]
pub struct LiftedState {
    pub name: String,
    pub kind: LiftedStateKind,
    pub version: u32,
    #[component(name = "ttl-seconds")]
    pub ttl_seconds: u32,
}

/// `processing.timer-clock`.
#[derive(ComponentType, Lift, Clone, Copy)]
#[component(enum)]
#[repr(u8)]
pub enum LiftedTimerClock {
    #[component(name = "event-time")]
    EventTime,
    #[component(name = "processing-time")]
    ProcessingTime,
}

/// `processing.timer-declaration`.
#[derive(ComponentType, Lift)]
#[component(record)]
pub struct LiftedTimer {
    pub name: String,
    pub clock: LiftedTimerClock,
}

/// `processing.config-key`.
#[derive(ComponentType, Lift)]
#[component(record)]
pub struct LiftedConfigKey {
    pub name: String,
    pub required: bool,
    pub default: String,
    pub description: String,
}

/// `log.level`.
#[derive(ComponentType, Lift, Clone, Copy)]
#[component(enum)]
#[repr(u8)]
#[expect(dead_code, reason = "wasmtime makes the values by their number")]
pub enum LiftedLevel {
    #[component(name = "debug")]
    Debug,
    #[component(name = "info")]
    Info,
    #[component(name = "warn")]
    Warn,
    #[component(name = "error")]
    Error,
}

/// `console.stream`.
#[derive(ComponentType, Lift, Clone, Copy)]
#[component(enum)]
#[repr(u8)]
#[expect(dead_code, reason = "wasmtime makes the values by their number")]
pub enum LiftedStream {
    #[component(name = "output")]
    Output,
    #[component(name = "error")]
    Error,
}
