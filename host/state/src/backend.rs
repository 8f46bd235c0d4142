//! The database of a process: opens the states of operators' subtasks, and holds the memory that they share.

use crate::column_family::FamilyName;
use crate::database::{Database, Family};
use crate::keyed_state::{RocksState, Stores};
use crate::memory_share::MemoryBudget;
use crate::restore::open_database;
use crate::store::list::ListStore;
use crate::store::map::MapStore;
use crate::store::timer::TimerStore;
use crate::store::value::ValueStore;
use crate::tuning::Tuning;
use crate::verify;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use weir_protocol::connector::ConnectorError;
use weir_protocol::state::{KeyedState, Migrator, OpenState, Restored, StateBackend, StateKind, StatePart};

/// Memory of a pipeline's state, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateMemory {
    /// Write-back caches of all states: what was read and written lately, and what is not in the database yet.
    pub cache_bytes_max: usize,
    /// RocksDB: blocks that were read, their index and filters, and memtables.
    pub blocks_bytes_max: usize,
}

impl StateMemory {
    /// Divides one number of bytes: three quarters for the caches, which spare most reads.
    pub fn of(bytes: usize) -> StateMemory {
        StateMemory { cache_bytes_max: bytes / 4 * 3, blocks_bytes_max: bytes / 4 }
    }
}

/// Memory that the state of several pipelines shares.
#[derive(Clone)]
pub struct SharedStateMemory {
    tuning: Tuning,
    budget: MemoryBudget,
}

impl SharedStateMemory {
    /// So much for all of them.
    pub fn new(memory: StateMemory) -> SharedStateMemory {
        SharedStateMemory {
            tuning: Tuning::new(memory.blocks_bytes_max),
            budget: MemoryBudget::new(memory.cache_bytes_max),
        }
    }
}

/// State in RocksDB.
pub struct RocksBackend {
    tuning: Tuning,
    budget: MemoryBudget,
}

impl RocksBackend {
    /// A backend with this much memory for all states that it opens.
    pub fn new(memory: StateMemory) -> RocksBackend {
        RocksBackend {
            tuning: Tuning::new(memory.blocks_bytes_max),
            budget: MemoryBudget::new(memory.cache_bytes_max),
        }
    }

    /// A backend for one pipeline of several; its caches take `cache_bytes_max` of the shared memory at the most.
    pub fn within(shared: &SharedStateMemory, cache_bytes_max: usize) -> RocksBackend {
        RocksBackend {
            tuning: shared.tuning.of_another_pipeline(),
            budget: shared.budget.part(cache_bytes_max),
        }
    }
}

impl StateBackend for RocksBackend {
    fn open(
        &self,
        open: &OpenState<'_>,
        migrator: Option<&mut dyn Migrator>,
    ) -> Result<(Box<dyn KeyedState>, Restored), ConnectorError> {
        let (database, restored) = open_database(open, migrator, &self.tuning)?;
        let stores = stores(&database, open);
        // Positions of different subtasks may be equal, those of one key may not: the highest is behind all of them.
        let next = open.restore.iter().map(|(_, part)| part.next_list_position).max().unwrap_or(0);
        let memory = self.budget.share();
        let limits = (open.writes_bytes_max, open.reads_bytes_max);
        let state = RocksState::new(database, open.groups, stores, next, limits, memory);
        Ok((Box::new(state), restored))
    }

    fn decided(&self, now_ms: i64) {
        self.tuning.decided_ms.fetch_max(now_ms, Ordering::AcqRel);
    }

    fn check_quickly(&self, directory: &Path, part: &StatePart) -> Result<(), String> {
        verify::check_quickly(directory, part)
    }

    fn check_wholly(&self, directory: &Path, part: &StatePart) -> Result<(), String> {
        verify::check_wholly(directory, part)
    }
}

/// A store per declaration.
fn stores(database: &Arc<Database>, open: &OpenState<'_>) -> Stores {
    let family = |name: FamilyName| Family { database: database.clone(), name: name.text() };
    let (groups, page) = (open.groups, open.page_bytes_max);
    let mut stores = Stores::default();
    for state in &open.shape.states {
        let (name, family) = (state.name.clone(), family(FamilyName::of_state(state)));
        let ttl_ms = i64::from(state.ttl_seconds) * 1000;
        match state.kind {
            StateKind::Value => stores.values.push((name, ValueStore::new(family, ttl_ms, groups))),
            StateKind::Map => stores.maps.push((name, MapStore::new(family, ttl_ms, groups, page))),
            StateKind::List => stores.lists.push((name, ListStore::new(family, ttl_ms, groups, page))),
        }
    }
    for timer in &open.shape.timers {
        stores.timers.push((timer.name.clone(), TimerStore::new(family(FamilyName::of_timer(timer)))));
    }
    stores
}
