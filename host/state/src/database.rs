//! One RocksDB: how it is opened, read and written. The write-ahead log is off, for a live database is disposable.

use crate::failure;
use crate::ordered::Stored;
use crate::origin::Origin;
use crate::tuning::Tuning;
use rocksdb::{DB, IngestExternalFileOptions, ReadOptions, WriteBatch, WriteOptions};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use weir_protocol::connector::ConnectorError;
use weir_protocol::state::StateFile;

/// Where RocksDB lies in the live directory.
pub(crate) fn database_directory(live: &Path) -> PathBuf {
    live.join("db")
}

/// Where SST files are written before they are ingested.
pub(crate) fn scratch_directory(live: &Path) -> PathBuf {
    live.join("sst")
}

/// An open database of one operator on one subtask.
pub(crate) struct Database {
    db: DB,
    live: PathBuf,
    tuning: Tuning,
    read_options: ReadOptions,
    write_options: WriteOptions,
    scratch_files: AtomicU64,
    /// Files whose checksum is known. SST files never change, and their names are not used twice.
    checksums: Mutex<BTreeMap<String, StateFile>>,
    /// What the files that it began with are links of.
    origin: Option<Origin>,
    /// The last failure of a read, with what follows from it.
    failure: Mutex<Option<ConnectorError>>,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").field("live", &self.live).finish_non_exhaustive()
    }
}

/// Options of every write: without a write-ahead log.
pub(crate) fn without_log() -> WriteOptions {
    let mut options = WriteOptions::default();
    options.disable_wal(true);
    options
}

impl Database {
    /// A database that was opened in [`database_directory`], with origin and checksums of the files that it began with.
    pub(crate) fn new(
        db: DB,
        live: &Path,
        tuning: Tuning,
        origin: Option<Origin>,
        checksums: BTreeMap<String, StateFile>,
    ) -> Database {
        Database {
            db,
            live: live.to_owned(),
            tuning,
            read_options: ReadOptions::default(),
            write_options: without_log(),
            scratch_files: AtomicU64::new(0),
            checksums: Mutex::new(checksums),
            origin,
            failure: Mutex::default(),
        }
    }

    pub(crate) fn rocks(&self) -> &DB {
        &self.db
    }

    pub(crate) fn tuning(&self) -> &Tuning {
        &self.tuning
    }

    /// The directory that RocksDB has.
    pub(crate) fn directory(&self) -> PathBuf {
        database_directory(&self.live)
    }

    /// A new name for an SST file.
    pub(crate) fn scratch_file(&self) -> PathBuf {
        let number = self.scratch_files.fetch_add(1, Ordering::Relaxed);
        scratch_directory(&self.live).join(format!("{number}.sst"))
    }

    pub(crate) fn checksums(&self) -> MutexGuard<'_, BTreeMap<String, StateFile>> {
        self.checksums.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the last failed read means. The layers above know only its text.
    pub(crate) fn take_failure(&self) -> Option<ConnectorError> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn note(&self, error: ConnectorError) -> ConnectorError {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.clone());
        error
    }

    fn failed(&self, doing: &str, error: &rocksdb::Error) -> ConnectorError {
        self.note(self.failure_of(doing, &self.directory(), error))
    }

    /// What an error of the database means, which was about to do something with `place`.
    pub(crate) fn failure_of(&self, doing: &str, place: &Path, error: &rocksdb::Error) -> ConnectorError {
        match &self.origin {
            Some(origin) => origin.of_rocksdb(doing, place, error),
            None => failure::of_rocksdb(doing, place, error),
        }
    }

    /// Drops a column family that nothing reads any more.
    pub(crate) fn drop_family(&mut self, name: &str) -> Result<(), ConnectorError> {
        let place = self.directory();
        self.db.drop_cf(name).map_err(|error| failure::of_rocksdb("dropping a column family", &place, &error))
    }

    pub(crate) fn write(&self, batch: WriteBatch) -> Result<(), ConnectorError> {
        self.db.write_opt(batch, &self.write_options).map_err(|error| self.failed("writing", &error))
    }
}

/// One column family.
#[derive(Debug, Clone)]
pub(crate) struct Family {
    pub(crate) database: Arc<Database>,
    /// Its name on disk.
    pub(crate) name: String,
}

impl Family {
    pub(crate) fn handle(&self) -> &rocksdb::ColumnFamily {
        self.database
            .db
            .cf_handle(&self.name)
            .expect("a family is made when its database is opened, and stays")
    }

    /// Stored bytes that make no sense.
    pub(crate) fn damaged(&self, what: String) -> ConnectorError {
        let place = self.database.directory();
        self.database.note(ConnectorError::refused(format!(
            "{}: column family {}: {what}",
            place.display(),
            self.name
        )))
    }

    /// Shows the stored bytes of each key. `keys` are sorted, none comes twice.
    pub(crate) fn get_sorted<'a>(
        &self,
        keys: impl Iterator<Item = &'a [u8]>,
        mut visit: impl FnMut(usize, Option<&[u8]>),
    ) -> Result<(), ConnectorError> {
        let database = &*self.database;
        let found = database.db.batched_multi_get_cf_opt(self.handle(), keys, true, &database.read_options);
        for (index, found) in found.into_iter().enumerate() {
            let stored = found.map_err(|error| database.failed("reading", &error))?;
            visit(index, stored.as_deref());
        }
        Ok(())
    }

    /// Takes over a finished SST file, which is moved.
    pub(crate) fn ingest(&self, file: &Path) -> Result<(), ConnectorError> {
        let mut options = IngestExternalFileOptions::default();
        options.set_move_files(true);
        let ingested = self.database.db.ingest_external_file_cf_opts(self.handle(), &options, vec![file]);
        // Moving links the file; the name that is left is of no use, and nor is a file that was not taken.
        let _ = fs::remove_file(file);
        ingested.map_err(|error| self.database.failed("taking over an SST file", &error))
    }
}

impl Stored for Family {
    fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, String> {
        let mut values = Vec::with_capacity(keys.len());
        self.get_sorted(keys.iter().map(Vec::as_slice), |_, stored| values.push(stored.map(<[u8]>::to_vec)))
            .map_err(|error| error.message)?;
        Ok(values)
    }

    fn scan(
        &self,
        from: &[u8],
        until: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), String> {
        let mut options = ReadOptions::default();
        options.set_iterate_upper_bound(until);
        let mut entries = self.database.db.raw_iterator_cf_opt(self.handle(), options);
        entries.seek(from);
        while let Some((key, value)) = entries.item() {
            if !visit(key, value) {
                return Ok(());
            }
            entries.next();
        }
        entries.status().map_err(|error| self.database.failed("reading", &error).message)
    }
}
