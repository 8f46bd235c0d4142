//! Keyed state: what an operator declares, and the seam that the crate with the database implements.
//!
//! A call addresses state and timers by *slot* (see [`crate::slots`]). Its writes stay in an overlay until the call is
//! known to have happened:
//!
//! - **S1** Between [`KeyedState::begin_call`] and [`KeyedState::commit_call`] or [`KeyedState::discard_call`] reads see
//!   the call's own writes; after `discard_call` nothing of them is left.
//! - **S2** What [`KeyedState::freeze`] hands out is the state as it was at that moment, whatever is written later.
//! - **S3** A frozen set can be persisted again after a failure, with the same result.
//! - **S4** Nothing that was written after a freeze reaches the database before that frozen set is persisted.

use crate::batch::{Batch, Column};
use crate::connector::{CallError, ConnectorError};
use crate::epoch::Epoch;
use crate::key_group::KeyGroups;
use crate::slots::Slots;
use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// How a state is shaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StateKind {
    /// One value per key.
    Value,
    /// A sorted map per key.
    Map,
    /// A growing sequence per key.
    List,
}

impl StateKind {
    /// The name used in files and messages.
    pub fn name(self) -> &'static str {
        match self {
            StateKind::Value => "value",
            StateKind::Map => "map",
            StateKind::List => "list",
        }
    }
}

/// A declared state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateDeclaration {
    /// Its name on disk.
    pub name: String,
    /// Its shape.
    pub kind: StateKind,
    /// The version of its encoding.
    pub version: u32,
    /// Seconds of processing time after which an entry reads as absent; 0 = never.
    pub ttl_seconds: u32,
}

/// What a timer goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimerClock {
    /// The watermark.
    EventTime,
    /// Processing time.
    ProcessingTime,
}

/// A declared timer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimerDeclaration {
    /// Its name.
    pub name: String,
    /// What it goes by.
    pub clock: TimerClock,
}

/// An output port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputPort {
    /// Its name.
    pub name: String,
    /// It promises that each record keeps its source row's key.
    pub keeps_key: bool,
}

/// What an operator is to the plan: its ports, and what it keeps per key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OperatorShape {
    /// Names of the input ports.
    pub inputs: Vec<String>,
    /// The output ports.
    pub outputs: Vec<OutputPort>,
    /// What is kept per key.
    pub states: Vec<StateDeclaration>,
    /// The timers.
    pub timers: Vec<TimerDeclaration>,
    /// It exports `migration`.
    pub migrates: bool,
}

impl OperatorShape {
    /// True where rows must be with the subtask that owns their key: the operator has state or timers.
    pub fn is_keyed(&self) -> bool {
        !(self.states.is_empty() && self.timers.is_empty())
    }

    /// True for the name of a state or a timer of the component.
    pub fn declares(&self, name: &str) -> bool {
        self.states.iter().any(|state| state.name == name)
            || self.timers.iter().any(|timer| timer.name == name)
    }
}

/// A column as it lies in a guest's memory. Layout as [`Column`].
#[derive(Debug, Clone, Copy, Default)]
pub struct ColumnRef<'a> {
    /// `u32` x (entries + 1), little-endian; empty = absent.
    pub offsets: &'a [u8],
    /// The bytes of all entries.
    pub data: &'a [u8],
    /// Empty, or a byte per entry, 1 = null.
    pub nulls: &'a [u8],
}

impl<'a> From<&'a Column> for ColumnRef<'a> {
    fn from(column: &'a Column) -> ColumnRef<'a> {
        ColumnRef { offsets: &column.offsets, data: &column.data, nulls: &column.nulls }
    }
}

/// Why a state function did not do what the guest asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// The guest asked for something malformed, or went over a limit: the call traps with this message.
    #[error("{0}")]
    Misuse(String),
    /// The database failed: the call traps, and the incarnation ends.
    #[error("{0}")]
    Broken(String),
}

/// What `scan` found: `types.page` of the contract.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// `u32` per entry: index of the asked range.
    pub ranges: Vec<u8>,
    /// The subkeys; for a list 8 bytes big-endian.
    pub subkeys: Column,
    /// The values.
    pub values: Column,
    /// Every range was read to its end.
    pub complete: bool,
}

/// The state and the timers of one operator on one subtask. Used by one thread at a time.
///
/// `state` and `timer` arguments are declared names; a name that was not declared, or one of another kind, is
/// [`StateError::Misuse`]. `slots` arguments are packed `u32`; one that is out of range is misuse too, as are columns
/// whose layout or length does not fit.
pub trait KeyedState: Send {
    /// A call with these keys begins. `keys` has a row per row of the call, `slots` numbers them.
    fn begin_call(&mut self, keys: &Column, slots: &Slots, now_ms: i64);

    /// The call has happened: its writes are part of the state, as are the removals of [`KeyedState::due`].
    fn commit_call(&mut self) -> Result<(), ConnectorError>;

    /// The call has not happened. Tells of a failure of the database that the call met.
    fn discard_call(&mut self) -> Result<(), ConnectorError>;

    /// `value-state.get-many`.
    fn value_get_many(&mut self, state: &str, slots: &[u8]) -> Result<Column, StateError>;
    /// `value-state.put-many`.
    fn value_put_many(&mut self, state: &str, slots: &[u8], values: ColumnRef<'_>) -> Result<(), StateError>;
    /// `map-state.get-many`.
    fn map_get_many(
        &mut self,
        state: &str,
        slots: &[u8],
        subkeys: ColumnRef<'_>,
    ) -> Result<Column, StateError>;
    /// `map-state.put-many`.
    fn map_put_many(
        &mut self,
        state: &str,
        slots: &[u8],
        subkeys: ColumnRef<'_>,
        values: ColumnRef<'_>,
    ) -> Result<(), StateError>;
    /// `map-state.scan`.
    fn map_scan(
        &mut self,
        state: &str,
        slots: &[u8],
        starts: ColumnRef<'_>,
        ends: ColumnRef<'_>,
        limit: u32,
    ) -> Result<Page, StateError>;
    /// `map-state.clear-many`.
    fn map_clear_many(&mut self, state: &str, slots: &[u8]) -> Result<(), StateError>;
    /// `list-state.append-many`.
    fn list_append_many(
        &mut self,
        state: &str,
        slots: &[u8],
        values: ColumnRef<'_>,
    ) -> Result<(), StateError>;
    /// `list-state.scan`.
    fn list_scan(
        &mut self,
        state: &str,
        slots: &[u8],
        starts: ColumnRef<'_>,
        limit: u32,
    ) -> Result<Page, StateError>;
    /// `list-state.clear-many`.
    fn list_clear_many(&mut self, state: &str, slots: &[u8]) -> Result<(), StateError>;
    /// `timers.register-many`.
    fn timer_register_many(&mut self, timer: &str, slots: &[u8], times: &[u8]) -> Result<(), StateError>;
    /// `timers.delete-many`.
    fn timer_delete_many(&mut self, timer: &str, slots: &[u8], times: &[u8]) -> Result<(), StateError>;

    /// The time of the earliest timer of a declaration (by index), `None` where there is none. Cheap: asked before
    /// every turn. Not between `begin_call` and its end.
    fn next_due(&mut self, timer: usize) -> Result<Option<i64>, ConnectorError>;

    /// Up to `rows_max` timers of a declaration whose time is at most `until_ms`, in order of time, then of key: a batch
    /// of keys and timestamps, values and headers absent. They count as fired, and are gone, when the call that is begun
    /// next is committed; if it is discarded they are still set.
    fn due(&mut self, timer: usize, until_ms: i64, rows_max: usize) -> Result<Batch, ConnectorError>;

    /// Gives up the timers of the last [`KeyedState::due`] for which no call was committed: the operator's error policy
    /// has dealt with those of these rows, and they will not fire again.
    fn drop_due(&mut self, rows: &[usize]) -> Result<(), ConnectorError>;

    /// The barrier: a pointer swap. At most one frozen set exists at a time; it ends when it is dropped.
    fn freeze(&mut self, epoch: Epoch) -> Result<Box<dyn FrozenState>, ConnectorError>;

    /// Numbers for metrics.
    fn usage(&self) -> StateUsage;
}

/// What a state uses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StateUsage {
    /// Bytes of the write-back cache, dirty and frozen entries included.
    pub cache_bytes: usize,
    /// Reads that the cache answered.
    pub cache_hits: u64,
    /// Reads that it did not.
    pub cache_misses: u64,
    /// Entries written and not frozen yet.
    pub dirty_entries: usize,
}

/// A state that several owners on one thread share: the operator's imports and the task around it.
pub type SharedState = Arc<Mutex<Box<dyn KeyedState>>>;

/// The state at a barrier. Persisted beside the stream.
pub trait FrozenState: Send {
    /// Writes a complete, self-contained copy of the state into `directory`, which does not exist yet; files that did
    /// not change since an earlier checkpoint are hard links. Everything is fsynced when this returns. After an error the
    /// caller removes the directory and may call again.
    fn persist(&mut self, directory: &Path) -> Result<PersistedState, ConnectorError>;
}

/// What [`FrozenState::persist`] wrote.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PersistedState {
    /// All files of the directory.
    pub files: Vec<StateFile>,
    /// Bytes that were written for this checkpoint alone.
    pub new_bytes: u64,
    /// The position that the next list append gets.
    pub next_list_position: u64,
}

/// One file of a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateFile {
    /// Its name in the state's directory.
    pub name: String,
    /// Its bytes.
    pub size: u64,
    /// `xxh3:` and 16 hex digits: XXH3-64 of all bytes.
    pub checksum: String,
}

/// State of one operator on one subtask as a checkpoint holds it: part of the manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatePart {
    /// The operator of the plan.
    pub operator: String,
    /// The subtask that wrote it, of so many.
    pub subtask: usize,
    /// The first ordinal that it holds.
    pub ordinal_start: u32,
    /// The ordinal behind the last that it holds.
    pub ordinal_end: u32,
    /// The position that the next list append gets.
    pub next_list_position: u64,
    /// The files, in the directory [`StatePart::directory`].
    pub files: Vec<StateFile>,
}

impl StatePart {
    /// Where the files are, relative to the checkpoint's directory.
    pub fn directory(&self) -> PathBuf {
        state_directory(&self.operator, self.subtask)
    }

    /// The ordinals that it holds.
    pub fn ordinals(&self) -> Range<u32> {
        self.ordinal_start..self.ordinal_end
    }

    /// True where its ordinals are some of these groups, and what it names is in its own directory.
    pub fn is_sound(&self, groups: &KeyGroups) -> bool {
        self.ordinal_start <= self.ordinal_end
            && self.ordinal_end <= groups.max_parallelism
            && is_file_name(&self.operator)
            && self.files.iter().all(|file| is_file_name(&file.name))
    }
}

/// A file says what its directory holds, and anybody may have written it: no path leads out of there.
fn is_file_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && !name.contains(['/', '\\', '\0'])
}

/// Where the state of an operator's subtask is, relative to a checkpoint's directory.
pub fn state_directory(operator: &str, subtask: usize) -> PathBuf {
    Path::new("state").join(operator).join(subtask.to_string())
}

/// What a backend needs to open the state of one operator on one subtask.
#[derive(Debug)]
pub struct OpenState<'a> {
    /// The operator of the plan.
    pub operator: &'a str,
    /// Which subtask.
    pub subtask: usize,
    /// The declarations to open: those of the running component.
    pub shape: &'a OperatorShape,
    /// States that are in the checkpoint and are dropped.
    pub drop_states: &'a [String],
    /// Timers that are in the checkpoint and are dropped.
    pub drop_timers: &'a [String],
    /// States whose entries are rewritten before the first record.
    pub migrate: &'a [MigrateState],
    /// How keys are divided.
    pub groups: KeyGroups,
    /// How they were divided when the parts to restore were written. Another division is copied entry by entry.
    pub restored_groups: KeyGroups,
    /// What this subtask owns.
    pub ordinals: Range<u32>,
    /// A directory that does not exist yet, for the live database.
    pub live: &'a Path,
    /// The parts of the decided checkpoint that overlap `ordinals` (all parts, where the division is another), each with
    /// its absolute directory. Empty: no state.
    pub restore: &'a [(PathBuf, StatePart)],
    /// `state_page_bytes_max` of the operator.
    pub page_bytes_max: usize,
    /// `state_writes` of the operator: bytes that one call may write.
    pub writes_bytes_max: usize,
    /// `state_reads` of the operator: bytes that one `get-many` may answer.
    pub reads_bytes_max: usize,
}

/// A state whose version was raised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrateState {
    /// Its name.
    pub state: String,
    /// The version in the checkpoint.
    pub from_version: u32,
}

/// A page of entries on its way through `migration.migrate`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entries {
    /// Number of entries.
    pub count: usize,
    /// The keys.
    pub keys: Column,
    /// Absent for value state; the subkey, or the list position in 8 bytes big-endian.
    pub subkeys: Column,
    /// The values.
    pub values: Column,
}

/// What a migration made of a page: rows name their sources, absent columns are inherited. Already checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Migrated {
    /// Number of new entries.
    pub count: usize,
    /// `u32` per new entry: its source. Empty = entry `i` comes from entry `i`.
    pub rows: Vec<u8>,
    /// Absent = the source's subkey.
    pub subkeys: Column,
    /// Absent = the source's value.
    pub values: Column,
}

/// Rewrites pages of an older version: an instance of a component's `migration`.
pub trait Migrator: Send {
    /// A function of its arguments.
    fn migrate(&mut self, state: &str, from_version: u32, page: &Entries) -> Result<Migrated, CallError>;
}

/// What opening a state did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Restored {
    /// Bytes of files that were hard-linked.
    pub linked_bytes: u64,
    /// Bytes that were copied or written anew.
    pub copied_bytes: u64,
    /// Entries that a migration rewrote.
    pub migrated_entries: u64,
}

/// The database: opens states, one incarnation long. One per process and pipeline, so that memory is one budget.
pub trait StateBackend: Send + Sync {
    /// Opens the state of one operator's subtask, restored. `migrator` is given where `open.migrate` is not empty.
    fn open(
        &self,
        open: &OpenState<'_>,
        migrator: Option<&mut dyn Migrator>,
    ) -> Result<(Box<dyn KeyedState>, Restored), ConnectorError>;

    /// The highest processing time of a decided checkpoint: entries whose TTL ran out before it may be dropped for good.
    fn decided(&self, now_ms: i64);

    /// Quick look at a part of a checkpoint: every file is there, with its size, and an SST has a readable footer. The
    /// error names the file.
    fn check_quickly(&self, directory: &Path, part: &StatePart) -> Result<(), String>;

    /// Reads every byte of a part and compares checksums. The error names the file.
    fn check_wholly(&self, directory: &Path, part: &StatePart) -> Result<(), String>;
}
