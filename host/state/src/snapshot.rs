//! A frozen set on its way into a checkpoint: into the database first, then hard links.
//!
//! Nothing newer gets into the database meanwhile (S4), so a repeat after a failure finds it as the failure left it and
//! goes on from there (S3).

use crate::checkpoint_files::{is_sst, names, seal, sync_directory};
use crate::database::{Database, Family};
use crate::failure;
use crate::freeze_gate::FreezeGate;
use crate::ordered::FrozenLayer;
use crate::ordered_families::write_layer;
use crate::sst::ingest_log;
use crate::value::cache::FrozenValues;
use rocksdb::checkpoint::Checkpoint;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use weir_protocol::connector::ConnectorError;
use weir_protocol::key_group::KeyGroups;
use weir_protocol::kill_point::reached;
use weir_protocol::state::{FrozenState, PersistedState, StateFile};

/// `state/<operator>/<subtask>` and the checkpoint's directory, which has the first of these names.
const DIRECTORIES_MADE: usize = 4;

/// What the database is to take over.
#[derive(Default)]
pub(crate) struct Frozen {
    pub(crate) values: Vec<(Family, FrozenValues)>,
    pub(crate) layers: Vec<(Family, Arc<FrozenLayer>)>,
}

impl Frozen {
    /// Brings everything into the database. What an earlier try has brought there is not in it any more.
    pub(crate) fn write(&mut self, groups: &KeyGroups) -> Result<(), ConnectorError> {
        while let Some((family, frozen)) = self.values.last() {
            ingest_log(family, &frozen.log, groups)?;
            frozen.settle();
            self.values.pop();
        }
        while let Some((family, layer)) = self.layers.last() {
            write_layer(family, layer)?;
            self.layers.pop();
        }
        Ok(())
    }
}

/// The state of one operator's subtask at a barrier.
pub(crate) struct Snapshot {
    pub(crate) database: Arc<Database>,
    pub(crate) groups: KeyGroups,
    pub(crate) frozen: Frozen,
    pub(crate) next_list_position: u64,
    pub(crate) gate: Arc<FreezeGate>,
    /// Set when the database has everything: the layers above it may be dropped.
    pub(crate) written: Arc<AtomicBool>,
    pub(crate) persisted: bool,
}

impl FrozenState for Snapshot {
    fn persist(&mut self, directory: &Path) -> Result<PersistedState, ConnectorError> {
        self.frozen.write(&self.groups)?;
        self.written.store(true, Ordering::Release);
        reached("state_frozen_written");
        link(&self.database, directory)?;
        reached("state_linked");
        let (files, new_bytes) = describe(&self.database, directory)?;
        self.persisted = true;
        self.gate.open();
        Ok(PersistedState { files, new_bytes, next_list_position: self.next_list_position })
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        self.gate.dropped(self.persisted);
    }
}

/// Makes the directory: RocksDB flushes its memtables, links tables and copies the small rest.
fn link(database: &Database, directory: &Path) -> Result<(), ConnectorError> {
    let failed = |error: &rocksdb::Error| database.failure_of("taking a checkpoint", directory, error);
    if let Some(parent) = directory.parent() {
        fs::create_dir_all(parent).map_err(|error| failure::of_io("creating", parent, &error))?;
    }
    let checkpoint = Checkpoint::new(database.rocks()).map_err(|error| failed(&error))?;
    checkpoint.create_checkpoint(directory).map_err(|error| failed(&error))
}

/// Makes the files durable and lists them; returns the bytes of those that earlier checkpoints do not share.
fn describe(database: &Database, directory: &Path) -> Result<(Vec<StateFile>, u64), ConnectorError> {
    let mut known = database.checksums();
    let (mut files, mut new_bytes) = (Vec::new(), 0);
    for name in names(directory)? {
        let file = match known.get(&name) {
            Some(file) => file.clone(),
            None => {
                let file = seal(directory, &name)?;
                new_bytes += file.size;
                file
            }
        };
        files.push(file);
    }
    // The directory itself, and those that `state_directory` puts above it.
    for made in directory.ancestors().take(DIRECTORIES_MADE) {
        sync_directory(made)?;
    }
    let tables = files.iter().filter(|file| is_sst(&file.name));
    *known = tables.map(|file| (file.name.clone(), file.clone())).collect();
    Ok((files, new_bytes))
}
