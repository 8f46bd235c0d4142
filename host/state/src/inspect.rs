//! Reads what a checkpoint holds, beside a running host: one part at a time, through links of its own.
//!
//! RocksDB opens no directory without writing to it, so a part is never opened where it lies: its tables are linked into
//! a scratch directory, its small files are copied, and the copy is opened for reading.

use crate::checkpoint_files::is_sst;
use crate::column_family::FamilyName;
use crate::failure;
use crate::key_layout::{ordinal_bytes, push_map_prefix, push_value_key, split_map_key, split_value_key};
use crate::ordered::{TimerKey, split_stored_value};
use crate::origin::Origin;
use crate::tuning::Tuning;
use rocksdb::{ColumnFamilyDescriptor, DB, ReadOptions};
use std::fs;
use std::path::{Path, PathBuf};
use weir_protocol::connector::ConnectorError;
use weir_protocol::key_group::{KeyGroups, murmur2};
use weir_protocol::state::{StateDeclaration, StateKind, StatePart, TimerDeclaration};

/// Blocks that a reader keeps in memory, in bytes.
const BLOCKS_BYTES: usize = 8 << 20;

/// An entry of a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredEntry<'a> {
    /// The record key; none = the null key.
    pub key: Option<&'a [u8]>,
    /// Map: the subkey. List: the position, 8 bytes big-endian. Value: empty.
    pub subkey: &'a [u8],
    /// The value.
    pub value: &'a [u8],
    /// Processing time at which it was written, in milliseconds; none where the state had no TTL then.
    pub written_ms: Option<i64>,
}

/// A timer that is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredTimer<'a> {
    /// The record key; none = the null key.
    pub key: Option<&'a [u8]>,
    /// When it fires, in milliseconds.
    pub time_ms: i64,
}

/// One part of a checkpoint, open for reading.
pub struct PartReader {
    db: DB,
    origin: Origin,
    /// Dropped behind the database, which has its files open.
    _scratch: Scratch,
}

/// The links, which go with the reader.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed is of no use to anybody and takes no room of its own.
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl PartReader {
    /// Opens the part that lies in `directory` by way of `scratch`, which does not exist yet and is removed at the end.
    pub fn open(directory: &Path, part: &StatePart, scratch: &Path) -> Result<PartReader, ConnectorError> {
        let link = || -> std::io::Result<()> {
            fs::create_dir_all(scratch)?;
            for file in &part.files {
                let (from, to) = (directory.join(&file.name), scratch.join(&file.name));
                if !(is_sst(&file.name) && fs::hard_link(&from, &to).is_ok()) {
                    fs::copy(&from, &to)?;
                }
            }
            Ok(())
        };
        let scratch = Scratch(scratch.to_owned());
        link().map_err(|error| failure::of_io("linking for reading", directory, &error))?;
        let tuning = Tuning::new(BLOCKS_BYTES);
        let options = tuning.database_options();
        let origin = Origin::new(&scratch.0, directory, part);
        let failed =
            |error: rocksdb::Error| origin.of_rocksdb("opening a part of the checkpoint", directory, &error);
        let names = DB::list_cf(&options, &scratch.0).map_err(failed)?;
        let families = names.iter().map(|name| ColumnFamilyDescriptor::new(name, tuning.family_options(0)));
        let db = DB::open_cf_descriptors_read_only(&options, &scratch.0, families, false).map_err(failed)?;
        Ok(PartReader { db, origin, _scratch: scratch })
    }

    /// Shows the entries of a state, those of one key in order; all entries where no key is asked for. Ends early when
    /// `visit` returns false.
    pub fn entries(
        &self,
        state: &StateDeclaration,
        only: Option<(Option<&[u8]>, &KeyGroups)>,
        visit: &mut dyn FnMut(StoredEntry<'_>) -> bool,
    ) -> Result<(), ConnectorError> {
        let prefix = only.map_or_else(Vec::new, |(key, groups)| prefix_of(state.kind, key, groups));
        let exact = only.is_some() && state.kind == StateKind::Value;
        self.walk(&FamilyName::of_state(state).text(), &prefix, |stored_key, stored| {
            if exact && stored_key != prefix {
                return Ok(false);
            }
            let split = match state.kind {
                StateKind::Value => split_value_key(stored_key)?,
                StateKind::Map | StateKind::List => split_map_key(stored_key)?,
            };
            let (written_ms, value) = split_stored_value(stored)?;
            Ok(visit(StoredEntry { key: split.key, subkey: split.subkey, value, written_ms }))
        })
    }

    /// Shows the timers of a declaration in order of time, then of key, until `visit` returns false.
    pub fn timers(
        &self,
        timer: &TimerDeclaration,
        visit: &mut dyn FnMut(StoredTimer<'_>) -> bool,
    ) -> Result<(), ConnectorError> {
        self.walk(&FamilyName::of_timer(timer).text(), &[], |stored_key, _| {
            let timer = TimerKey::from_stored(stored_key)?;
            Ok(visit(StoredTimer { key: timer.key(), time_ms: timer.time_ms() }))
        })
    }

    /// Shows the entries of a family that begin with a prefix. A family that is not there has none.
    fn walk(
        &self,
        family: &str,
        prefix: &[u8],
        mut visit: impl FnMut(&[u8], &[u8]) -> Result<bool, String>,
    ) -> Result<(), ConnectorError> {
        let Some(handle) = self.db.cf_handle(family) else { return Ok(()) };
        let place = self.origin.checkpoint();
        let mut entries = self.db.raw_iterator_cf_opt(handle, ReadOptions::default());
        entries.seek(prefix);
        while let Some((key, value)) = entries.item() {
            if !key.starts_with(prefix) {
                break;
            }
            let go_on = visit(key, value).map_err(|what| {
                ConnectorError::refused(format!("{}: column family {family}: {what}", place.display()))
            })?;
            if !go_on {
                return Ok(());
            }
            entries.next();
        }
        entries.status().map_err(|error| self.origin.of_rocksdb("reading", place, &error))
    }
}

/// What the stored keys of a record key begin with.
fn prefix_of(kind: StateKind, key: Option<&[u8]>, groups: &KeyGroups) -> Vec<u8> {
    let ordinal = groups.ordinal(murmur2(key.unwrap_or_default()));
    let mut prefix = Vec::new();
    match kind {
        StateKind::Value => push_value_key(ordinal, key, &mut prefix),
        StateKind::Map | StateKind::List => push_map_prefix(ordinal, key, &mut prefix),
    }
    debug_assert!(prefix.starts_with(&ordinal_bytes(ordinal)));
    prefix
}
