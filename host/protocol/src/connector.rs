//! The seams: what a source, a sink, an operator and a decision log must offer to a running pipeline.
//!
//! The traits stand here, next to the rules, so that the crates that implement them do not know one another. Each
//! value lives for one incarnation at the most; nothing of a failed incarnation is used again.

use crate::batch::Batch;
use crate::decision::{CommittedOffset, Decision};
use crate::epoch::Epoch;
use crate::manifest::PreparedHandle;
use crate::output::Output;
use crate::plan::OperatorLimits;
use crate::position::{Partition, Positions};
use crate::remedy::{Called, Remedy};
use crate::slots::Slots;
use std::time::Duration;

/// Why a connector could not do what it was asked, and what that means for the pipeline.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ConnectorError {
    /// What follows from it.
    pub kind: ErrorKind,
    /// One line for a person: what was found where, what was expected, what to do.
    pub message: String,
    /// The command that helps. Who knows how the pipeline is called adds it to the line: [`ConnectorError::told`].
    pub remedy: Option<Box<Remedy>>,
}

/// What follows from an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// May pass: the incarnation ends and the restart policy applies.
    Transient,
    /// Another producer with our transactional ids is at work, or our transaction timed out: look before restarting.
    Fenced,
    /// Configuration, permission or data that no restart mends.
    Permanent,
    /// Exactly-once cannot be kept with what is there: a person has to decide.
    Refused,
}

impl ConnectorError {
    fn new(kind: ErrorKind, message: String) -> ConnectorError {
        ConnectorError { kind, message, remedy: None }
    }

    /// The same with the command that helps.
    pub fn helped_by(self, remedy: Remedy) -> ConnectorError {
        ConnectorError { remedy: Some(Box::new(remedy)), ..self }
    }

    /// The same without a command: what helps is in the line, and every command would be refused likewise.
    pub fn without_command(self) -> ConnectorError {
        ConnectorError { remedy: None, ..self }
    }

    /// The line with the command that helps, where there is one.
    pub fn told(&self, called: &Called) -> String {
        match &self.remedy {
            Some(remedy) => format!("{}; {}", self.message, remedy.told(called)),
            None => self.message.clone(),
        }
    }

    /// An error that may pass.
    pub fn transient(message: impl Into<String>) -> ConnectorError {
        ConnectorError::new(ErrorKind::Transient, message.into())
    }

    /// An error that no restart mends.
    pub fn permanent(message: impl Into<String>) -> ConnectorError {
        ConnectorError::new(ErrorKind::Permanent, message.into())
    }

    /// Another producer has taken over, or the transaction timed out.
    pub fn fenced(message: impl Into<String>) -> ConnectorError {
        ConnectorError::new(ErrorKind::Fenced, message.into())
    }

    /// A person has to decide.
    pub fn refused(message: impl Into<String>) -> ConnectorError {
        ConnectorError::new(ErrorKind::Refused, message.into()).helped_by(Remedy::Show)
    }
}

/// How much a poll may put into a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchLimits {
    /// `batch_rows_max`.
    pub rows_max: usize,
    /// `batch_bytes_max`; a single larger record is a batch of its own.
    pub bytes_max: usize,
}

/// What a poll found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Polled {
    /// The batch holds rows.
    Rows,
    /// Nothing yet.
    Idle,
    /// All partitions of this reader have reached their end; nothing follows.
    End,
}

/// Where a partition without a committed position starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartPolicy {
    /// The group's plain committed offset where there is one, else the earliest record.
    CommittedOrEarliest,
    /// The group's plain committed offset where there is one, else the end.
    CommittedOrLatest,
    /// The earliest record that is still there.
    Earliest,
    /// The end as it is at the first start.
    Latest,
    /// The first record at or after this time, in milliseconds since 1970; the end where there is none.
    Timestamp(i64),
}

/// One source of the plan, as the coordinator sees it.
pub trait Source: Send {
    /// True where the source ends by itself, for good: nothing is ever added to what it reads.
    fn is_finite(&self) -> bool {
        false
    }

    /// All partitions that exist now. Asked at start and again from time to time.
    fn partitions(&mut self) -> Result<Vec<Partition>, ConnectorError>;

    /// Turns a policy into offsets. Plain committed offsets have been dealt with by the caller, so `Committed…`
    /// means its second half here.
    fn resolve(&mut self, partitions: &[Partition], policy: StartPolicy)
    -> Result<Positions, ConnectorError>;

    /// Where each partition ends now, for a bounded run: the offset behind the last record that a reader of
    /// committed data can see. A source that ends by itself answers what it likes.
    fn ends(&mut self, partitions: &[Partition]) -> Result<Positions, ConnectorError>;

    /// Refuses positions at which a reader could not begin, in the words of that reader, without making one: for a look
    /// before a start.
    fn check_start(&mut self, _start: &Positions) -> Result<(), ConnectorError> {
        Ok(())
    }

    /// A reader for one subtask. It starts at the given positions; with `ends` it answers `End` when all of its
    /// partitions have reached them.
    fn reader(
        &mut self,
        start: &Positions,
        ends: Option<&Positions>,
    ) -> Result<Box<dyn SourceReader>, ConnectorError>;
}

/// Reads the partitions of one source for one subtask.
pub trait SourceReader: Send {
    /// Appends rows to `batch`, which is empty, up to the limits; waits at most `wait` for the first.
    fn poll(
        &mut self,
        batch: &mut Batch,
        limits: BatchLimits,
        wait: Duration,
    ) -> Result<Polled, ConnectorError>;

    /// Per partition the position of the first record not yet returned by `poll`.
    fn positions(&self) -> Positions;

    /// Takes on partitions that appeared while running.
    fn add(&mut self, start: &Positions) -> Result<(), ConnectorError>;

    /// Records between the positions and the end that is known without asking, if the source knows.
    fn lag(&self) -> Option<u64>;

    /// The same per partition, for those who watch. Asked about once a second.
    fn progress(&self, visit: &mut dyn FnMut(&Partition, PartitionProgress)) {
        for (partition, position) in self.positions() {
            visit(&partition, PartitionProgress { position: position.offset, end: None, last_stable: None });
        }
    }
}

/// How far a reader has come in one partition, and how far it could.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionProgress {
    /// The offset of the first record not yet returned.
    pub position: i64,
    /// The offset behind the last record, as far as the reader knows without asking.
    pub end: Option<i64>,
    /// The offset up to which records of transactions are decided, where the source has such.
    pub last_stable: Option<i64>,
}

impl PartitionProgress {
    /// Records up to the end.
    pub fn lag(&self) -> Option<u64> {
        self.end.map(|end| u64::try_from(end - self.position).unwrap_or(0))
    }
}

/// What readers of a sink are promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SinkPromise {
    /// Part of the deciding transaction: exactly once for readers of committed data.
    Transactional,
    /// Staged at the barrier and published after the decision: exactly once.
    Staged,
    /// Written at once: records can appear again after a crash.
    AtLeastOnce,
}

/// One sink of the plan, as the coordinator sees it.
pub trait Sink: Send {
    /// What readers are promised.
    fn promise(&self) -> SinkPromise;

    /// Bytes that one record (key, value and encoded headers) may have, where there is a limit.
    fn record_bytes_max(&self) -> Option<usize>;

    /// A writer for one subtask.
    fn writer(&mut self, subtask: usize) -> Result<Box<dyn SinkWriter>, ConnectorError>;

    /// After recovery: publishes what the decided checkpoint had prepared (again, if need be) and throws away all
    /// other unpublished work of this pipeline.
    fn recover(&mut self, decided: &[PreparedHandle]) -> Result<(), ConnectorError>;

    /// After the decision: publishes what was prepared. Called again after a crash, so it must be idempotent.
    fn commit(&mut self, decided: &[PreparedHandle]) -> Result<(), ConnectorError>;
}

/// What became of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// All rows are taken.
    All,
    /// Rows before this index are taken; the sink's buffer is full, try again with the rest.
    Until(usize),
}

/// Writes to one sink for one subtask.
pub trait SinkWriter: Send {
    /// The writes that follow belong to `epoch`. Called before the first write of each epoch.
    fn begin(&mut self, epoch: Epoch) -> Result<(), ConnectorError>;

    /// Writes the rows from `from` on.
    fn write(&mut self, batch: &Batch, from: usize) -> Result<Written, ConnectorError>;

    /// The barrier: everything written since `begin` belongs to the epoch that ends here. Returns what has to be
    /// published after the decision.
    fn prepare(&mut self, epoch: Epoch) -> Result<Vec<PreparedHandle>, ConnectorError>;
}

/// Where checkpoints become true.
///
/// The order of the calls is a rule of [`crate::checkpoint`] and [`crate::transaction`]; an implementation may rely
/// on it: `look`, `fence`, `read`, then per epoch `begin`, `flush`, `decide`, and `retire` after a successful `decide`.
pub trait DecisionLog: Send {
    /// Reads the decision without fencing. Good for refusing early and for telling whether another has taken over,
    /// never for recovery.
    fn look(&mut self, partitions: &[Partition]) -> Result<Vec<CommittedOffset>, ConnectorError>;

    /// After this returns no earlier incarnation can decide anything, and everything that one had begun is either
    /// completely decided or completely undone.
    fn fence(&mut self) -> Result<(), ConnectorError>;

    /// Reads the decision; only after `fence`.
    fn read(&mut self, partitions: &[Partition]) -> Result<Vec<CommittedOffset>, ConnectorError>;

    /// The partitions that a decision covers when the pipeline reads `partitions`: themselves where the decision is
    /// their committed offset, one stand-in where it is not.
    fn covered(&self, partitions: &[Partition]) -> Vec<Partition>;

    /// True where the decision is one stand-in, whose offset is the epoch: whatever else is called like it.
    fn is_stand_in(&self) -> bool {
        !self.covered(&[]).is_empty()
    }

    /// Opens the transaction of an epoch. From here on its sinks may write.
    fn begin(&mut self, epoch: Epoch) -> Result<(), ConnectorError>;

    /// Waits until all that was written in the epoch is stored, and no write failed.
    fn flush(&mut self, epoch: Epoch) -> Result<(), ConnectorError>;

    /// Decides: offsets, metadata and output become true in one act. Any error means that the outcome is unknown
    /// and the incarnation must end.
    fn decide(&mut self, decision: &Decision) -> Result<(), ConnectorError>;

    /// The incarnation has ended without deciding what is open: gives it up, so that readers need not wait for it.
    /// Best effort; what is in doubt is left to the next fence.
    fn abandon(&mut self) {}

    /// Makes the slot of a decided epoch ready for its next use, beside the stream.
    fn retire(&mut self, epoch: Epoch) -> Result<(), ConnectorError>;
}

/// What a call is given besides its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallContext {
    /// The input port.
    pub port: u32,
    /// Processing time in milliseconds since 1970; never goes down.
    pub now_ms: i64,
    /// The watermark in milliseconds; `i64::MIN` before the first.
    pub watermark_ms: i64,
    /// CPU time that the call may take, where it is not the operator's whole limit (the search after a time-out).
    pub time: Option<Duration>,
}

/// How a call failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FailureKind {
    /// The guest trapped (or panicked).
    Trap,
    /// The call took longer than its limit.
    Timeout,
    /// The guest wanted more memory than its limit, and the call did not survive that.
    Memory,
    /// The call returned more bytes than its limit.
    OutputLimit,
    /// The call returned something that breaks the contract.
    BadOutput,
    /// The call returned `err`.
    Error,
    /// The operator named the row.
    Rejection,
    /// The record is larger than a sink can take.
    TooLarge,
    /// The record has no key, and the operator keeps state per key.
    NullKey,
}

impl FailureKind {
    /// All of them, in the order of their values.
    pub const ALL: [FailureKind; 9] = [
        FailureKind::Trap,
        FailureKind::Timeout,
        FailureKind::Memory,
        FailureKind::OutputLimit,
        FailureKind::BadOutput,
        FailureKind::Error,
        FailureKind::Rejection,
        FailureKind::TooLarge,
        FailureKind::NullKey,
    ];

    /// The name used in dead letters, logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            FailureKind::Trap => "trap",
            FailureKind::Timeout => "timeout",
            FailureKind::Memory => "memory",
            FailureKind::OutputLimit => "output_limit",
            FailureKind::BadOutput => "bad_output",
            FailureKind::Error => "error",
            FailureKind::Rejection => "rejection",
            FailureKind::TooLarge => "too_large",
            FailureKind::NullKey => "null_key",
        }
    }
}

/// A call that failed. Nothing of it has happened; the next call runs in a fresh instance.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", kind.name())]
pub struct CallFailure {
    /// How.
    pub kind: FailureKind,
    /// What the guest or the engine said, in one line.
    pub message: String,
}

/// Why an operator cannot run at all: not a matter of a row.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The call failed because of its input; the error policy applies.
    #[error(transparent)]
    Failed(#[from] CallFailure),
    /// The operator cannot be started again (`open` refused, no memory for an instance): the pipeline stops.
    #[error("{0}")]
    Broken(String),
}

/// What an operator's instances use on one subtask.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct InstanceUse {
    /// Linear memory of the instance of the moment.
    pub memory_bytes: u64,
    /// Used instances that were thrown away so far.
    pub recycled: u64,
}

/// One operator's instance on one subtask.
pub trait Operator: Send {
    /// Handles one batch. On failure nothing has happened, and the next call runs in a fresh instance. The output is
    /// already checked against the contract. `slots` numbers the keys of an operator with state or timers, and is empty
    /// for any other. Writes to state take effect when the caller commits them.
    fn call(&mut self, input: &Batch, slots: &Slots, context: CallContext) -> Result<Output, CallError>;

    /// Handles timers that have fired, all of one declaration: `fired` has keys and timestamps, no values.
    fn on_timers(
        &mut self,
        timer: &str,
        fired: &Batch,
        slots: &Slots,
        context: CallContext,
    ) -> Result<Output, CallError>;

    /// Makes sure that the next call runs in a fresh instance.
    fn reset(&mut self);

    /// The limits from the next call on.
    fn set_limits(&mut self, _limits: &OperatorLimits) {}

    /// What its instances use.
    fn instance_use(&self) -> InstanceUse {
        InstanceUse::default()
    }
}
