//! Savepoints on disk: made beside a running host out of the newest decided checkpoint, verified, copied, removed.
//!
//! ```text
//! savepoints/<name>/   a complete savepoint (was `<name>.tmp` until all of it was durable)
//!            <…>.tmp/  unfinished; one that nobody is at is removed by who takes the lock next
//!            LOCK      held while one is made, imported or removed
//! ```
//!
//! A checkpoint that is being linked may go because newer ones were decided: then the newest is taken again. The files
//! of a savepoint are links where the file system allows it, and copies where it is another one.

use crate::checkpoint_store::CheckpointStore;
use contents::seal;
use rustix::fs::{FlockOperation, flock};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use weir_protocol::connector::ConnectorError;
use weir_protocol::decision::{DecisionRecord, Owner};
use weir_protocol::epoch::CheckpointId;
use weir_protocol::kill_point::reached;
use weir_protocol::manifest::{Manifest, ManifestHash};
use weir_protocol::savepoint::{Savepoint, SavepointFile, SavepointName, VERSION};
use weir_protocol::state::StateBackend;
use weir_protocol::verdict::FoundManifest;
use writer::{Writer, sync};

mod contents;
mod unpacking;
mod writer;

pub use contents::{copy, load, manifest, verify};
pub use unpacking::Unpacking;

const MANIFEST: &str = "manifest.json";
/// The pipeline file, in a savepoint and in the pipeline's directory.
pub const PIPELINE_FILE: &str = "pipeline.toml";
/// How often the newest checkpoint may go while it is linked.
const ATTEMPTS_MAX: usize = 10;

/// The savepoints of one pipeline in one place.
#[derive(Debug)]
pub struct SavepointStore {
    directory: PathBuf,
}

/// What a savepoint is made of.
#[derive(Debug)]
pub struct NewSavepoint<'a> {
    /// Its name.
    pub name: &'a SavepointName,
    /// The pipeline's directory.
    pub pipeline: &'a Path,
    /// Where the bytes of operators are.
    pub components: &'a Path,
    /// The schedule makes it.
    pub scheduled: bool,
    /// Milliseconds since 1970.
    pub created_ms: i64,
}

/// A savepoint of a store, or what is wrong with it.
#[derive(Debug)]
pub struct Listed {
    /// The name of its directory.
    pub name: String,
    /// What it says of itself.
    pub savepoint: Result<Savepoint, ConnectorError>,
}

/// A copy that an attempt could not finish.
enum Interrupted {
    /// A file of the checkpoint went meanwhile, and most likely all of it.
    Gone(CheckpointId, ConnectorError),
    Failed(ConnectorError),
}

impl SavepointStore {
    /// The store in this directory, which need not exist.
    pub fn at(directory: PathBuf) -> SavepointStore {
        SavepointStore { directory }
    }

    /// Where a savepoint is.
    pub fn path(&self, name: &SavepointName) -> PathBuf {
        self.directory.join(name.as_str())
    }

    /// Makes a savepoint of the newest decided checkpoint. When this returns it survives a crash.
    pub fn create(&self, new: &NewSavepoint<'_>) -> Result<Savepoint, ConnectorError> {
        let _lock = self.lock()?;
        self.refuse_existing(new.name)?;
        let store = CheckpointStore::open(new.pipeline, 1)?;
        let mut gone: Option<CheckpointId> = None;
        for _ in 0..ATTEMPTS_MAX {
            let temporary = self.fresh_temporary(new.name)?;
            match self.link_newest(new, &store, &temporary) {
                Ok(savepoint) => {
                    reached("savepoint_linked");
                    self.publish(new.name, &temporary)?;
                    return Ok(savepoint);
                }
                // A checkpoint that goes is not the newest any more; the same again has lost a file.
                Err(Interrupted::Gone(id, error)) if gone.as_ref() == Some(&id) => {
                    let _ = fs::remove_dir_all(&temporary);
                    return Err(error);
                }
                Err(Interrupted::Gone(id, _)) => gone = Some(id),
                Err(Interrupted::Failed(error)) => {
                    // What was linked so far is of no use; the reason counts.
                    let _ = fs::remove_dir_all(&temporary);
                    return Err(error);
                }
            }
        }
        Err(ConnectorError::transient(format!(
            "{}: {ATTEMPTS_MAX} times the newest checkpoint went while it was linked: make checkpoint.interval longer, or checkpoint.retain larger",
            new.pipeline.display()
        )))
    }

    fn link_newest(
        &self,
        new: &NewSavepoint<'_>,
        store: &CheckpointStore,
        temporary: &Path,
    ) -> Result<Savepoint, Interrupted> {
        let (manifest, hash) = newest_decided(new.pipeline, store).map_err(Interrupted::Failed)?;
        let checkpoint = store.path(&manifest.id);
        let mut writer = Writer { root: temporary, files: Vec::new() };
        let gone = |error: io::Error, path: &Path| match error.kind() {
            io::ErrorKind::NotFound => Interrupted::Gone(manifest.id.clone(), unreadable(path, &error)),
            _ => Interrupted::Failed(unreadable(path, &error)),
        };
        writer.take(&checkpoint.join(MANIFEST), MANIFEST).map_err(|error| gone(error, &checkpoint))?;
        for part in manifest.keyed.iter().flat_map(|keyed| &keyed.parts) {
            for file in &part.files {
                let path = part.directory().join(&file.name);
                let text = path.to_string_lossy().into_owned();
                let from = checkpoint.join(&path);
                writer.link(&from, &text).map_err(|error| gone(error, &from))?;
                writer.files.push(SavepointFile {
                    path: text,
                    size: file.size,
                    checksum: file.checksum.clone(),
                });
            }
        }
        for (operator, digest) in &manifest.operators {
            let name = format!("{digest}.wasm");
            let path = format!("components/{name}");
            if writer.files.iter().any(|file| file.path == path) {
                continue;
            }
            let from = new.components.join(&name);
            writer.take(&from, &path).map_err(|error| {
                Interrupted::Failed(ConnectorError::permanent(format!(
                    "{}: {error}; expected the bytes of operator {operator}: start the pipeline again with this weir, which keeps them",
                    from.display()
                )))
            })?;
        }
        let file = new.pipeline.join(PIPELINE_FILE);
        if file.exists() {
            writer
                .take(&file, PIPELINE_FILE)
                .map_err(|error| Interrupted::Failed(unreadable(&file, &error)))?;
        }
        let savepoint = describe(new, &manifest, &hash, writer.files);
        seal(temporary, &savepoint).map_err(|error| Interrupted::Failed(unwritable(temporary, &error)))?;
        Ok(savepoint)
    }

    /// All savepoints, oldest first.
    pub fn list(&self) -> Result<Vec<Listed>, ConnectorError> {
        let mut listed = Vec::new();
        let entries = match fs::read_dir(&self.directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(listed),
            Err(error) => return Err(unreadable(&self.directory, &error)),
        };
        for entry in entries {
            let entry = entry.map_err(|error| unreadable(&self.directory, &error))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if SavepointName::parse(&name).is_ok() && entry.path().is_dir() {
                listed.push(Listed { savepoint: load(&entry.path()), name });
            }
        }
        listed.sort_by_cached_key(|listed| {
            (
                listed.savepoint.as_ref().map_or(i64::MIN, |savepoint| savepoint.created_ms),
                listed.name.clone(),
            )
        });
        Ok(listed)
    }

    /// Copies a savepoint from elsewhere, verified before and as it arrived.
    pub fn import(
        &self,
        from: &Path,
        name: &SavepointName,
        backend: &dyn StateBackend,
    ) -> Result<Savepoint, ConnectorError> {
        let savepoint = load(from)?;
        verify(from, &savepoint, backend)?;
        let _lock = self.lock()?;
        self.refuse_existing(name)?;
        let temporary = self.fresh_temporary(name)?;
        copy(from, &temporary, &savepoint)?;
        verify(&temporary, &savepoint, backend)?;
        reached("savepoint_imported");
        self.publish(name, &temporary)?;
        Ok(savepoint)
    }

    /// Removes a savepoint.
    pub fn delete(&self, name: &SavepointName) -> Result<(), ConnectorError> {
        let _lock = self.lock()?;
        self.remove(name)
    }

    /// Removes savepoints that the schedule made, but for the newest `keep`; returns their names.
    pub fn prune(&self, keep: usize) -> Result<Vec<String>, ConnectorError> {
        let _lock = self.lock()?;
        let listed = self.list()?;
        let scheduled: Vec<SavepointName> = listed
            .iter()
            .filter(|listed| listed.savepoint.as_ref().is_ok_and(|savepoint| savepoint.scheduled))
            .filter_map(|listed| SavepointName::parse(&listed.name).ok())
            .collect();
        let old = &scheduled[..scheduled.len().saturating_sub(keep)];
        old.iter().map(|name| self.remove(name).map(|()| name.to_string())).collect()
    }

    /// A savepoint that is half removed has no name that anybody would read.
    fn remove(&self, name: &SavepointName) -> Result<(), ConnectorError> {
        let path = self.path(name);
        if !path.is_dir() {
            return Err(ConnectorError::permanent(format!(
                "{}: there is no such savepoint; `weir savepoint list` shows them",
                path.display()
            )));
        }
        let temporary = self.clear_temporary(name)?;
        let removed = fs::rename(&path, &temporary)
            .and_then(|()| sync(&self.directory))
            .and_then(|()| fs::remove_dir_all(&temporary));
        removed.map_err(|error| unwritable(&path, &error))
    }

    /// The right to write to the store. What earlier holders left unfinished is gone.
    fn lock(&self) -> Result<File, ConnectorError> {
        let path = self.directory.join("LOCK");
        let open = || -> io::Result<File> {
            fs::create_dir_all(&self.directory)?;
            let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&path)?;
            flock(&lock, FlockOperation::LockExclusive)?;
            self.remove_left_behind()?;
            Ok(lock)
        };
        open().map_err(|error| unwritable(&path, &error))
    }

    fn refuse_existing(&self, name: &SavepointName) -> Result<(), ConnectorError> {
        match self.path(name).exists() {
            false => Ok(()),
            true => Err(ConnectorError::permanent(format!(
                "savepoint {name} is there already, in {}: choose another name, or remove it with `weir savepoint delete`",
                self.directory.display()
            ))),
        }
    }

    fn clear_temporary(&self, name: &SavepointName) -> Result<PathBuf, ConnectorError> {
        let temporary = self.directory.join(format!("{name}.tmp"));
        match fs::remove_dir_all(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(unwritable(&temporary, &error)),
            _ => Ok(temporary),
        }
    }

    fn fresh_temporary(&self, name: &SavepointName) -> Result<PathBuf, ConnectorError> {
        let temporary = self.clear_temporary(name)?;
        fs::create_dir_all(&temporary).map_err(|error| unwritable(&temporary, &error))?;
        Ok(temporary)
    }

    fn publish(&self, name: &SavepointName, temporary: &Path) -> Result<(), ConnectorError> {
        let path = self.path(name);
        let published = fs::rename(temporary, &path).and_then(|()| sync(&self.directory));
        published.map_err(|error| unwritable(&path, &error))
    }
}

/// The manifest of the newest decided checkpoint that this pipeline's directory knows.
pub fn newest_decided(
    pipeline: &Path,
    store: &CheckpointStore,
) -> Result<(Manifest, ManifestHash), ConnectorError> {
    let mut last = None;
    // The hint may be of a checkpoint that is gone a moment later.
    for _ in 0..ATTEMPTS_MAX {
        let hint = store.hint()?.ok_or_else(|| {
            ConnectorError::permanent(format!(
                "{}: no checkpoint is decided yet: start the pipeline first",
                pipeline.display()
            ))
        })?;
        // The owner has no part in loading.
        let record =
            DecisionRecord { owner: Owner::of("", ""), id: hint.id.clone(), manifest: hint.manifest };
        let why = match store.load(&record) {
            FoundManifest::Found(manifest) => return Ok((manifest, record.manifest)),
            FoundManifest::Missing | FoundManifest::NotNamed => "its manifest is missing".to_owned(),
            FoundManifest::Damaged(why) | FoundManifest::Future(why) => why,
        };
        if last.as_ref() == Some(&hint.id) {
            return Err(ConnectorError::refused(format!("checkpoint {} cannot be read: {why}", hint.id)));
        }
        last = Some(hint.id);
    }
    Err(ConnectorError::transient(format!(
        "{}: checkpoints go faster than they are read",
        pipeline.display()
    )))
}

fn describe(
    new: &NewSavepoint<'_>,
    manifest: &Manifest,
    hash: &ManifestHash,
    mut files: Vec<SavepointFile>,
) -> Savepoint {
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Savepoint {
        version: VERSION,
        name: new.name.clone(),
        pipeline: manifest.pipeline.clone(),
        id: manifest.id.clone(),
        manifest: hash.to_string(),
        created_ms: new.created_ms,
        scheduled: new.scheduled,
        files,
    }
}

fn unreadable(path: &Path, error: &io::Error) -> ConnectorError {
    ConnectorError::permanent(format!("{}: cannot be read: {error}", path.display()))
}

fn unwritable(path: &Path, error: &io::Error) -> ConnectorError {
    let hint = if error.kind() == io::ErrorKind::StorageFull { "; free some space" } else { "" };
    ConnectorError::transient(format!("{}: cannot be written: {error}{hint}", path.display()))
}

#[cfg(test)]
mod tests;
