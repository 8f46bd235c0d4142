//! Opening states, calling them and taking checkpoints, in a directory of the test's own.

use std::cell::Cell;
use std::ops::Range;
use std::path::PathBuf;
use tempfile::TempDir;
use weir_protocol::batch::Column;
use weir_protocol::connector::ConnectorError;
use weir_protocol::epoch::Epoch;
use weir_protocol::key_group::KeyGroups;
use weir_protocol::slots::{SlotNumbering, Slots};
use weir_protocol::state::{
    FrozenState, KeyedState, MigrateState, Migrator, OpenState, OperatorShape, Restored, StateBackend,
    StateDeclaration, StateKind, StatePart, TimerClock, TimerDeclaration, state_directory,
};
use weir_state::backend::{RocksBackend, StateMemory};

pub const GROUPS: u32 = 60;

pub type Key = Option<Vec<u8>>;

/// A backend and the checkpoints that were taken with it.
pub struct Harness {
    directory: TempDir,
    pub backend: RocksBackend,
    used: Cell<usize>,
    pub shape: OperatorShape,
    pub drop_states: Vec<String>,
    pub drop_timers: Vec<String>,
    pub migrate: Vec<MigrateState>,
    pub writes_bytes_max: usize,
    pub reads_bytes_max: usize,
    /// How keys are divided.
    pub groups: KeyGroups,
    /// How keys were divided when the parts were written, where that was otherwise.
    pub restored_groups: Option<KeyGroups>,
}

pub fn state(name: &str, kind: StateKind, version: u32, ttl_seconds: u32) -> StateDeclaration {
    StateDeclaration { name: name.to_owned(), kind, version, ttl_seconds }
}

/// One state of each kind and a timer.
pub fn one_of_each(ttl_seconds: u32) -> OperatorShape {
    OperatorShape {
        inputs: vec!["in".to_owned()],
        states: vec![
            state("v", StateKind::Value, 1, ttl_seconds),
            state("m", StateKind::Map, 1, ttl_seconds),
            state("l", StateKind::List, 1, ttl_seconds),
        ],
        timers: vec![TimerDeclaration { name: "t".to_owned(), clock: TimerClock::EventTime }],
        ..OperatorShape::default()
    }
}

pub fn groups() -> KeyGroups {
    KeyGroups::plain(GROUPS)
}

impl Harness {
    pub fn new(shape: OperatorShape, cache_bytes_max: usize) -> Harness {
        Harness {
            directory: tempfile::tempdir().unwrap(),
            backend: RocksBackend::new(StateMemory { cache_bytes_max, blocks_bytes_max: 16 << 20 }),
            used: Cell::new(0),
            shape,
            drop_states: Vec::new(),
            drop_timers: Vec::new(),
            migrate: Vec::new(),
            writes_bytes_max: 8 << 20,
            reads_bytes_max: 8 << 20,
            groups: groups(),
            restored_groups: None,
        }
    }

    /// A path that does not exist.
    pub fn fresh(&self, what: &str) -> PathBuf {
        self.used.set(self.used.get() + 1);
        self.directory.path().join(format!("{what}-{}", self.used.get()))
    }

    pub fn try_open(
        &self,
        subtask: usize,
        ordinals: Range<u32>,
        restore: &[(PathBuf, StatePart)],
        migrator: Option<&mut dyn Migrator>,
    ) -> Result<(Box<dyn KeyedState>, Restored), ConnectorError> {
        let live = self.fresh("live");
        let open = OpenState {
            operator: "count",
            subtask,
            shape: &self.shape,
            drop_states: &self.drop_states,
            drop_timers: &self.drop_timers,
            migrate: &self.migrate,
            groups: self.groups,
            restored_groups: self.restored_groups.unwrap_or(self.groups),
            ordinals,
            live: &live,
            restore,
            page_bytes_max: 200,
            writes_bytes_max: self.writes_bytes_max,
            reads_bytes_max: self.reads_bytes_max,
        };
        self.backend.open(&open, migrator)
    }

    /// Opens the whole range.
    pub fn open(&self, restore: &[(PathBuf, StatePart)]) -> Box<dyn KeyedState> {
        self.try_open(0, 0..GROUPS, restore, None).unwrap().0
    }

    /// Persists a frozen set as the part of a subtask; returns it with its directory, and the bytes that were new.
    pub fn persist(
        &self,
        frozen: &mut dyn FrozenState,
        subtask: usize,
        ordinals: Range<u32>,
    ) -> ((PathBuf, StatePart), u64) {
        let directory = self.fresh("checkpoint").join(state_directory("count", subtask));
        let persisted = frozen.persist(&directory).unwrap();
        let part = StatePart {
            operator: "count".to_owned(),
            subtask,
            ordinal_start: ordinals.start,
            ordinal_end: ordinals.end,
            next_list_position: persisted.next_list_position,
            files: persisted.files,
        };
        ((directory, part), persisted.new_bytes)
    }

    /// Takes a checkpoint of the whole range.
    pub fn checkpoint(&self, state: &mut dyn KeyedState) -> (PathBuf, StatePart) {
        let mut frozen = state.freeze(Epoch(1)).unwrap();
        self.persist(&mut *frozen, 0, 0..GROUPS).0
    }
}

/// The keys of a call, a row each.
pub fn begin(state: &mut dyn KeyedState, keys: &[Key], now_ms: i64) -> Slots {
    let column = column(keys.iter().map(Option::as_deref));
    let mut slots = Slots::default();
    SlotNumbering::default().assign(&column, &mut slots);
    state.begin_call(&column, &slots, now_ms);
    slots
}

pub fn column<'a>(entries: impl Iterator<Item = Option<&'a [u8]>>) -> Column {
    let mut column = Column::default();
    entries.for_each(|entry| column.push(entry));
    column
}

pub fn entries(column: &Column) -> Vec<Option<Vec<u8>>> {
    (0..column.len()).map(|row| column.get(row).map(<[u8]>::to_vec)).collect()
}

/// Sets one key's value in a call of its own.
pub fn put(state: &mut dyn KeyedState, name: &str, key: &[u8], value: Option<&[u8]>, now_ms: i64) {
    let slots = begin(state, &[Some(key.to_vec())], now_ms);
    state.value_put_many(name, &slots.rows, (&column([value].into_iter())).into()).unwrap();
    state.commit_call().unwrap();
}

/// Reads one key's value in a call of its own.
pub fn get(state: &mut dyn KeyedState, name: &str, key: &[u8], now_ms: i64) -> Option<Vec<u8>> {
    let slots = begin(state, &[Some(key.to_vec())], now_ms);
    let values = state.value_get_many(name, &slots.rows).unwrap();
    state.discard_call().unwrap();
    entries(&values).remove(0)
}
