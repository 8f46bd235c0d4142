//! What the control plane asks of the host around it. The binary answers; control sees neither wasmtime nor the keys of
//! a pipeline file nor a thread of the runtime.
//!
//! All calls block. None of them is made on a thread of the HTTP server's executor.

mod letters;
mod offsets;
mod status;
mod upgrade;

pub use letters::{LettersAsked, LettersFound, LettersOfKind, LettersOfReason, LettersSelected};
pub use offsets::{
    ChosenTopic, OffsetMove, OffsetsReset, OffsetsTarget, PartitionOffset, PipelineOffsets, ResetOffsets,
    ResetState, TopicOffset,
};
pub use status::{OperatorStatus, RunningStatus, SubtaskStatus};
pub use upgrade::UpgradeStatus;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use utoipa::ToSchema;

/// Why the host did not do what it was asked: an expected outcome that a client can act on.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct Refused {
    /// Which one.
    pub reason: Reason,
    /// One line for a person.
    pub message: String,
    /// What to do, where that is not in the message.
    pub hint: Option<String>,
    /// One entry per problem, where there are several.
    pub problems: Vec<String>,
}

/// What kind of refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The bytes are no component that weir can run.
    InvalidComponent,
    /// The child process needed more time or memory than it may.
    LimitExceeded,
    /// The pipeline file has problems.
    InvalidPipeline,
    /// The state cannot go with the new components.
    StateIncompatible,
    /// The change cannot be made on a running pipeline.
    NotASwap,
    /// It is not in a state in which that can be done.
    Conflict,
    /// There is no such thing.
    NotFound,
    /// Something outside (disk, Kafka) does not answer as it should.
    Unavailable,
}

/// What a component says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Inspected {
    /// SHA-256 of the uploaded bytes, 64 hex digits.
    pub sha256: String,
    /// Bytes.
    pub size: u64,
    /// `mapper` or `processor`, with its version.
    pub world: String,
    /// Interfaces that it imports.
    pub imports: Vec<String>,
    /// Ports, states, timers, configuration keys.
    pub describe: Value,
}

/// Sample records for an operator.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OperatorTest {
    /// Lines as `weir test` reads them: records, `{"advance_watermark": …}`, `{"advance_now": …}`.
    pub input: Vec<Value>,
    /// Configuration keys.
    #[serde(default)]
    pub config: BTreeMap<String, String>,
}

/// What became of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OperatorTested {
    /// Output records.
    pub output: Vec<Value>,
    /// Rejected and failed records.
    pub rejections: Vec<Value>,
    /// Lines that the operator logged.
    pub logs: Vec<String>,
    /// CPU time of the child process in microseconds.
    pub cpu_us: u64,
    /// Peak memory of the child process in bytes.
    pub memory_bytes: u64,
}

/// A pipeline document with its components.
#[derive(Debug, Clone, PartialEq)]
pub struct PipelineDocument {
    /// The pipeline's name.
    pub name: String,
    /// TOML, every `component` pinned as `name@version`.
    pub toml: String,
    /// The file and the digest of each `name@version` that is in it.
    pub components: BTreeMap<String, ComponentFile>,
}

/// The bytes of a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComponentFile {
    /// Where they are.
    pub path: PathBuf,
    /// SHA-256, hex.
    pub sha256: String,
}

/// What a change to a pipeline means, before it is made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Comparison {
    /// How it would be made.
    pub way: Way,
    /// Per line, what differs: `checkpoint.interval: 5s -> 1s`, `operator.count: count@1 -> count@2`.
    pub changes: Vec<String>,
    /// Per state of each operator, what becomes of it.
    pub states: Vec<StateFate>,
    /// What a reader should know before: sinks that cannot take output back, and the like.
    pub warnings: Vec<String>,
    /// Why it cannot be made; empty where it can.
    pub refusals: Vec<String>,
    /// Why a start from the newest checkpoint would not take it: refusals where applying starts the pipeline. One that
    /// stays stopped may still be started from a savepoint.
    #[serde(default, skip)]
    pub start_refusals: Vec<String>,
}

/// One check of a start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OnlineCheck {
    /// What was looked at.
    pub check: String,
    /// What came of it.
    pub outcome: CheckOutcome,
    /// What was found, or the line that a start would give.
    pub message: String,
}

/// What came of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckOutcome {
    /// As it should be.
    Ok,
    /// A start would say this, and go on.
    Warning,
    /// A start would end with this.
    Failed,
    /// A start would end with this, and a person has to decide.
    Refused,
    /// Only a start can tell.
    Unasked,
}

/// How a change is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// Nothing differs.
    Nothing,
    /// Only limits of operators differ: they are set on the running pipeline.
    Limits,
    /// Only the version of one operator differs: it is swapped between two checkpoints.
    Swap,
    /// A graceful stop and a start.
    Restart,
    /// The pipeline does not exist yet.
    Start,
}

/// What becomes of a state or a timer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StateFate {
    /// The operator's id in the pipeline.
    pub operator: String,
    /// The state's name.
    pub state: String,
    /// `kept`, `new`, `migrated`, `dropped` or `refused`.
    pub fate: String,
    /// Why, or from which version to which.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// A pipeline that is to run.
#[derive(Debug, Clone)]
pub struct StartPipeline {
    /// What.
    pub document: PipelineDocument,
    /// A swap that was under way when the host went down: where the decision names this document's digests instead, the
    /// swap had come to its end, and this is what runs.
    pub candidate: Option<PipelineDocument>,
    /// Start from this savepoint, by name.
    pub from_savepoint: Option<String>,
    /// Output beyond the savepoint may be published again.
    pub replay_output: bool,
    /// Also where the pipeline has started from this savepoint before.
    pub again: bool,
    /// A pipeline that was drained to its end may start again.
    pub restart_finished: bool,
    /// Before anything else is read, these dead letters come back.
    pub replay: Option<LettersSelected>,
}

/// The rules of a swap.
#[derive(Debug, Clone, PartialEq)]
pub struct SwapAsked {
    /// The operator's id in the pipeline.
    pub operator: String,
    /// The document with the new version.
    pub document: PipelineDocument,
    /// `probation.time`; default 3 checkpoint intervals.
    pub probation_time: Option<Duration>,
    /// `probation.records`; default 1,000.
    pub probation_records: Option<u64>,
    /// Rejected share in percentage points above the old version; default 1.
    pub rejection_points_max: Option<f64>,
    /// Time per record as a multiple of the old version's; default 5.
    pub slowdown_max: Option<f64>,
    /// Output rows per input row, as a share that may differ from the old version's; off by default.
    pub output_share_change_max: Option<f64>,
}

/// What a dry run of a swap found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DryRun {
    /// What becomes of the state.
    pub states: Vec<StateFate>,
    /// Entries that were migrated on a copy.
    pub migrated_entries: u64,
    /// Some entries before and after.
    pub samples: Vec<Value>,
    /// The pause to expect at the barrier, in milliseconds.
    pub pause_ms: u64,
}

/// Something that happened to a running pipeline.
#[derive(Debug, Clone, PartialEq)]
pub enum PipelineEvent {
    /// A life has begun: its start is decided. These digests run, by operator id.
    Running {
        /// The incarnation.
        incarnation: String,
        /// The epoch of the decision that it started with.
        epoch: u64,
        /// SHA-256 by operator id.
        operators: BTreeMap<String, String>,
        /// True where `candidate` of the start is what runs.
        candidate: bool,
    },
    /// A life has ended, another begins after a while.
    Restarting {
        /// Why.
        cause: String,
        /// After how long.
        wait_ms: u64,
    },
    /// A life in which a new version was on probation has ended, the old version goes on at once. That is no restart.
    GoingBack {
        /// Why.
        cause: String,
    },
    /// A life has begun in which dead letters come back, before the pipeline goes on.
    Replaying {
        /// The incarnation.
        incarnation: String,
        /// How many are to come back.
        letters: u64,
    },
    /// Dead letters have come back, and it goes on.
    Replayed {
        /// How many.
        letters: u64,
        /// Records of them that failed again, each of which is a new letter.
        failed_again: u64,
        /// What keeps others from coming back, a line each.
        notes: Vec<String>,
    },
    /// That life has ended before all of them had come back.
    ReplayEnded {
        /// How many have; none where nobody can tell.
        letters: Option<u64>,
        /// How many have not.
        left: Option<u64>,
        /// Records that failed again, each of which is a new letter.
        failed_again: u64,
        /// Why; none where somebody has stopped it.
        cause: Option<String>,
    },
    /// It is over.
    Ended(Ending),
    /// A swap has come further.
    Swap(SwapEvent),
}

/// How a pipeline ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// All sources have ended and all is decided.
    Finished,
    /// A graceful stop.
    Stopped,
    /// Another weir has taken over.
    Superseded(String),
    /// It cannot go on.
    Failed(String),
}

/// How far a swap has come.
#[derive(Debug, Clone, PartialEq)]
pub enum SwapEvent {
    /// The new version is instantiated, and waits for the next barrier.
    Prepared,
    /// The old version has let go at this epoch's barrier; the next epoch is probation.
    Probation {
        /// The last epoch of the old version.
        epoch: u64,
    },
    /// The first epoch of the new version is decided.
    Completed {
        /// That epoch.
        epoch: u64,
    },
    /// Probation has failed. The old version starts only after this event is taken in.
    RolledBack {
        /// The health rule that was broken, in one line.
        reason: String,
        /// Records that show it, where there are any.
        samples: Vec<String>,
    },
    /// The incarnation ended in probation for another reason; the old version goes on.
    Interrupted {
        /// Why.
        reason: String,
    },
    /// It did not come to probation: cancelled, or not to be prepared.
    Abandoned {
        /// Why.
        reason: String,
    },
}

/// Told of everything that happens to pipelines. Called on the pipeline's own threads, in order; when it returns, the
/// event is durable where it must be.
pub trait Listener: Send + Sync {
    /// An event.
    fn happened(&self, pipeline: &str, event: PipelineEvent);
}

/// A pipeline that runs.
pub trait RunningPipeline: Send + Sync {
    /// Asks for a graceful stop; its end comes as an event.
    fn stop(&self);

    /// Counters.
    fn status(&self) -> RunningStatus;

    /// Begins a swap; what becomes of it comes as events.
    fn swap(&self, asked: &SwapAsked) -> Result<(), Refused>;

    /// Cancels a swap that has not come to probation. [`Reason::NotFound`] where there is no swap.
    fn cancel_swap(&self) -> Result<(), Refused>;

    /// Sets the limits of operators as the document has them.
    fn set_limits(&self, document: &PipelineDocument) -> Result<(), Refused>;
}

/// A checkpoint on disk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CheckpointInfo {
    /// `<epoch>-<incarnation>`.
    pub id: String,
    /// Its epoch.
    pub epoch: u64,
    /// Bytes of its files.
    pub bytes: u64,
    /// SHA-256 by operator id.
    pub operators: BTreeMap<String, String>,
    /// True for the newest one known to be decided.
    pub decided: bool,
    /// The weir that wrote it; none where the feature level was below 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub written_by: Option<String>,
}

/// A savepoint on disk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SavepointInfo {
    /// Its name.
    pub name: String,
    /// The checkpoint that it is a copy of.
    pub checkpoint: String,
    /// When it was made, RFC 3339.
    pub created: String,
    /// Bytes.
    pub bytes: u64,
}

/// The host.
pub trait Host: Send + Sync + 'static {
    /// Looks at an uploaded component, in a child process with limits: validates, compiles, describes.
    fn inspect(&self, component: &Path) -> Result<Inspected, Refused>;

    /// Runs sample records through a component, in such a child.
    fn test(&self, component: &Path, asked: &OperatorTest) -> Result<OperatorTested, Refused>;

    /// Checks a document: all problems at once.
    fn check(&self, document: &PipelineDocument) -> Result<(), Refused>;

    /// What a document becomes: threads, promises, names, permissions. Nothing is connected.
    fn explain(&self, document: &PipelineDocument) -> Result<Value, Refused>;

    /// Makes every check of a start, beside whatever runs: nobody is fenced and nothing is written.
    fn look(&self, document: &PipelineDocument) -> Result<Vec<OnlineCheck>, Refused>;

    /// The JSON Schema of the pipeline file.
    fn schema(&self) -> Value;

    /// What it would mean to go from `old` (what is applied, none before the first time) to `new`. The state is that of
    /// the newest decided checkpoint, where there is one.
    fn compare(&self, old: Option<&PipelineDocument>, new: &PipelineDocument) -> Result<Comparison, Refused>;

    /// Starts a pipeline. Returns when its threads are started; how it goes comes as events.
    fn start(
        &self,
        start: StartPipeline,
        listener: Arc<dyn Listener>,
    ) -> Result<Box<dyn RunningPipeline>, Refused>;

    /// Tries a swap's migration on a copy of the newest decided checkpoint.
    fn dry_run(&self, asked: &SwapAsked) -> Result<DryRun, Refused>;

    /// Dead letters of a pipeline, beside whatever runs.
    fn letters(&self, document: &PipelineDocument, asked: &LettersAsked) -> Result<LettersFound, Refused>;

    /// Checkpoints on disk, newest first.
    fn checkpoints(&self, pipeline: &str) -> Result<Vec<CheckpointInfo>, Refused>;

    /// Savepoints, newest first.
    fn savepoints(&self, pipeline: &str) -> Result<Vec<SavepointInfo>, Refused>;

    /// Makes a savepoint of the newest decided checkpoint; without a name one is made up.
    fn create_savepoint(&self, pipeline: &str, name: Option<&str>) -> Result<SavepointInfo, Refused>;

    /// Deletes a savepoint.
    fn delete_savepoint(&self, pipeline: &str, name: &str) -> Result<(), Refused>;

    /// Writes a savepoint as one tar file.
    fn export_savepoint(&self, pipeline: &str, name: &str, to: &Path) -> Result<(), Refused>;

    /// Where a pipeline goes on. It may run meanwhile: nobody is fenced.
    fn offsets(&self, document: &PipelineDocument) -> Result<PipelineOffsets, Refused>;

    /// Lets a stopped pipeline go on elsewhere, or hands it over.
    fn reset_offsets(
        &self,
        document: &PipelineDocument,
        asked: &ResetOffsets,
    ) -> Result<OffsetsReset, Refused>;

    /// Moves what a stopped pipeline has on disk to the trash.
    fn discard(&self, pipeline: &str) -> Result<(), Refused>;

    /// Removes from the trash what is older than this.
    fn empty_trash(&self, older_than: Duration) -> Result<(), Refused>;

    /// In which formats the data directory is written, and by which weir.
    fn upgrade(&self) -> UpgradeStatus;

    /// Puts the newest feature level in force, durably; nothing where it is already.
    fn finalize_upgrade(&self) -> Result<(), Refused>;
}
