//! Checkpoints on disk: a directory each, complete or not there, and the hint beside them.
//!
//! ```text
//! checkpoints/<epoch>-<incarnation>/manifest.json   complete (was `.tmp` until its files were durable)
//!                                   state/<operator>/<subtask>/   the files of keyed state
//! LAST_COMMITTED                                    the decision seen last: a hint, never the decision
//! ```

use crate::format_file::LevelInForce;
use crate::retention;
use std::fs::{File, create_dir_all, read_dir, remove_dir_all, rename};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use weir_protocol::connector::ConnectorError;
use weir_protocol::decision::DecisionRecord;
use weir_protocol::epoch::{CheckpointId, Epoch};
use weir_protocol::kill_point::reached;
use weir_protocol::manifest::{Manifest, ManifestError, ManifestHash};
use weir_protocol::state::StatePart;
use weir_protocol::verdict::{FoundManifest, Hint};

/// How often the removal of a directory to which something is added meanwhile is begun.
const REMOVE_ATTEMPTS_MAX: u32 = 100;

const MANIFEST: &str = "manifest.json";
const LAST_COMMITTED: &str = "LAST_COMMITTED";

/// The checkpoints of one pipeline.
#[derive(Debug)]
pub struct CheckpointStore {
    directory: PathBuf,
    retain: usize,
    level: LevelInForce,
}

impl CheckpointStore {
    /// The store in a pipeline's directory, for those who read, and for writing in the newest formats.
    pub fn open(directory: &Path, retain: u32) -> Result<CheckpointStore, ConnectorError> {
        CheckpointStore::open_at(directory, retain, LevelInForce::newest())
    }

    /// The same for writing in the formats of the level that is in force at each moment.
    pub fn open_at(
        directory: &Path,
        retain: u32,
        level: LevelInForce,
    ) -> Result<CheckpointStore, ConnectorError> {
        let store =
            CheckpointStore { directory: directory.to_owned(), retain: retain.max(2) as usize, level };
        create_dir_all(store.checkpoints()).map_err(|error| {
            ConnectorError::permanent(format!("{}: {error}", store.checkpoints().display()))
        })?;
        Ok(store)
    }

    /// The same to look only: nothing is made, and a directory that is not there is an empty store.
    pub fn beside(directory: &Path) -> CheckpointStore {
        CheckpointStore { directory: directory.to_owned(), retain: 2, level: LevelInForce::newest() }
    }

    fn checkpoints(&self) -> PathBuf {
        self.directory.join("checkpoints")
    }

    /// Where a complete checkpoint is.
    pub fn path(&self, id: &CheckpointId) -> PathBuf {
        self.checkpoints().join(id.to_string())
    }

    /// Where a checkpoint is made.
    pub fn temporary(&self, id: &CheckpointId) -> PathBuf {
        self.checkpoints().join(format!("{id}.tmp"))
    }

    /// Where the manifest of a checkpoint is.
    pub fn manifest_path(&self, id: &CheckpointId) -> PathBuf {
        self.path(id).join(MANIFEST)
    }

    /// Puts the state of a complete checkpoint, or of a savepoint, into the one that is being made: by hard links, or as
    /// copies where the file system makes none.
    pub fn link_state(&self, from: &Path, to: &CheckpointId, parts: &[StatePart]) -> io::Result<()> {
        let to = self.temporary(to);
        for part in parts {
            let (from, to) = (from.join(part.directory()), to.join(part.directory()));
            create_dir_all(&to)?;
            for file in &part.files {
                link_or_copy(&from.join(&file.name), &to.join(&file.name))?;
            }
            File::open(&to)?.sync_all()?;
        }
        Ok(())
    }

    /// Stores a checkpoint: after this returns it survives a crash, complete. Its state is in [`Self::temporary`]
    /// already, synced file by file.
    pub fn store(&self, manifest: &Manifest) -> io::Result<ManifestHash> {
        let bytes = manifest.in_formats(&self.level.formats()).encode();
        let (name, parent) = (manifest.id.to_string(), self.checkpoints());
        let temporary = self.temporary(&manifest.id);
        create_dir_all(&temporary)?;
        for part in manifest.keyed.iter().flat_map(|keyed| &keyed.parts) {
            for above in temporary.join(part.directory()).ancestors().skip(1) {
                if above == temporary {
                    break;
                }
                File::open(above)?.sync_all()?;
            }
        }
        let mut file = File::create(temporary.join(MANIFEST))?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        reached("manifest_written");
        File::open(&temporary)?.sync_all()?;
        rename(&temporary, parent.join(&name))?;
        File::open(&parent)?.sync_all()?;
        reached("manifest_durable");
        Ok(ManifestHash::of(&bytes))
    }

    /// The manifest that a decision names, judged against its hash.
    pub fn load(&self, record: &DecisionRecord) -> FoundManifest {
        let path = self.manifest_path(&record.id);
        match std::fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => FoundManifest::Missing,
            Err(error) => FoundManifest::Damaged(format!("{}: {error}", path.display())),
            Ok(bytes) => match Manifest::decode_decided(&bytes, &record.manifest) {
                Ok(manifest) => FoundManifest::Found(manifest),
                Err(error @ ManifestError::Future { .. }) => {
                    FoundManifest::Future(format!("{}: {error}", path.display()))
                }
                Err(error) => FoundManifest::Damaged(format!("{}: {error}", path.display())),
            },
        }
    }

    /// Notes which decision was seen last.
    pub fn write_hint(&self, record: &DecisionRecord) -> io::Result<()> {
        write_durably(
            &self.directory,
            LAST_COMMITTED,
            format!("{} {}\n", record.id, record.manifest).as_bytes(),
        )
    }

    /// The decision that was seen last. A hint that cannot be read is a damaged data directory.
    pub fn hint(&self) -> Result<Option<Hint>, ConnectorError> {
        let path = self.directory.join(LAST_COMMITTED);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(ConnectorError::permanent(format!("{}: {error}", path.display()))),
        };
        let parsed = text.trim().split_once(' ').and_then(|(id, manifest)| {
            Some(Hint { id: CheckpointId::parse(id)?, manifest: ManifestHash::parse(manifest)? })
        });
        parsed.map(Some).ok_or_else(|| {
            ConnectorError::refused(format!(
                "{} is damaged: expected `<epoch>-<incarnation> <hash>`, found {:?}; if the data directory is otherwise right, delete this file",
                path.display(),
                text.chars().take(60).collect::<String>()
            ))
        })
    }

    /// True where a complete checkpoint of an epoch after the first exists.
    pub fn has_later_checkpoint(&self) -> Result<bool, ConnectorError> {
        Ok(self.complete()?.iter().any(|id| id.epoch > Epoch::FIRST))
    }

    /// All complete checkpoints, oldest first.
    pub fn complete(&self) -> Result<Vec<CheckpointId>, ConnectorError> {
        let mut found = Vec::new();
        for name in self.names().map_err(|error| self.unreadable(&error))? {
            found.extend(CheckpointId::parse(&name));
        }
        found.sort();
        Ok(found)
    }

    fn unreadable(&self, error: &io::Error) -> ConnectorError {
        ConnectorError::permanent(format!("{}: {error}", self.checkpoints().display()))
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        let entries = match read_dir(self.checkpoints()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(names),
            entries => entries?,
        };
        for entry in entries {
            names.extend(entry?.file_name().into_string());
        }
        Ok(names)
    }

    /// After recovery: deletes what was never decided.
    pub fn delete_undecided(&self, decided: Option<&CheckpointId>) -> io::Result<()> {
        for name in self.names()? {
            let undecided = match CheckpointId::parse(&name) {
                Some(id) => decided.is_none_or(|decided| {
                    id.epoch > decided.epoch || (id.epoch == decided.epoch && id != *decided)
                }),
                None => name.ends_with(".tmp"),
            };
            if undecided {
                self.remove(&name)?;
            }
        }
        Ok(())
    }

    /// Deletes one that certainly was not decided.
    pub fn delete(&self, undecided: &CheckpointId) -> io::Result<()> {
        self.remove(&undecided.to_string())
    }

    /// True for the decision of a start: its state is that of the checkpoint before it.
    fn is_start(&self, id: &CheckpointId) -> bool {
        let manifest = std::fs::read(self.manifest_path(id)).ok();
        manifest.and_then(|bytes| Manifest::decode(&bytes).ok()).is_some_and(|manifest| manifest.is_start())
    }

    /// After the decision of a start: the start that it repeats is needless, all else stays.
    pub fn delete_repeated(&self, parent: &CheckpointId) -> io::Result<()> {
        if self.is_start(parent) { self.remove(&parent.to_string()) } else { Ok(()) }
    }

    /// After a decision that is no start: keeps the last `retain` checkpoints, for which starts do not count.
    pub fn delete_old(&self, decided: &CheckpointId) -> io::Result<()> {
        let mut ids: Vec<CheckpointId> =
            self.names()?.iter().filter_map(|name| CheckpointId::parse(name)).collect();
        ids.retain(|id| id.epoch <= decided.epoch);
        ids.sort();
        let old = retention::expired(&ids, self.retain, |id| self.is_start(id));
        ids[..old].iter().try_for_each(|id| self.remove(&id.to_string()))
    }

    /// A checkpoint goes as a whole: who reads beside the host finds all of it, or no such directory.
    fn remove(&self, name: &str) -> io::Result<()> {
        let place = self.checkpoints().join(name);
        if name.ends_with(".tmp") {
            return remove_if_there(&place);
        }
        let going = self.checkpoints().join(format!("{name}.tmp"));
        // One that was going when the host was killed.
        remove_if_there(&going)?;
        rename(&place, &going)?;
        remove_whole(&going)
    }
}

fn remove_if_there(directory: &Path) -> io::Result<()> {
    match remove_whole(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// Removes a directory into which a life that was left behind may still write: what it adds meanwhile goes too, and once
/// the directory is gone it can add nothing more.
fn remove_whole(directory: &Path) -> io::Result<()> {
    for _ in 1..REMOVE_ATTEMPTS_MAX {
        match remove_dir_all(directory) {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {}
            result => return result,
        }
    }
    remove_dir_all(directory)
}

/// Gives a file that never changes a second name, or copies it durably where the file system does not link it: another
/// one, one without links, or a file that has as many names as it can. A file that is gone, or a name that is taken, is
/// an error: a copy over a link of the same file would destroy it.
pub(crate) fn link_or_copy(from: &Path, to: &Path) -> io::Result<()> {
    link_with(|from, to| std::fs::hard_link(from, to), from, to)
}

fn link_with(link: impl FnOnce(&Path, &Path) -> io::Result<()>, from: &Path, to: &Path) -> io::Result<()> {
    match link(from, to) {
        Ok(()) => Ok(()),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::AlreadyExists) => {
            Err(error)
        }
        Err(_) => copy_durably(from, to),
    }
}

/// Copies into a file that is not there yet. What could not be copied wholly is not there afterwards either.
pub(crate) fn copy_durably(from: &Path, to: &Path) -> io::Result<()> {
    let mut source = File::open(from)?;
    let mut target = File::create_new(to)?;
    let copied = io::copy(&mut source, &mut target).and_then(|_| target.sync_all());
    if copied.is_err() {
        // The reason counts; another try must find the name free.
        let _ = std::fs::remove_file(to);
    }
    copied
}

/// Writes a small file such that after a crash it is either the old or the new one.
pub fn write_durably(directory: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let temporary = directory.join(format!("{name}.tmp"));
    let mut file = File::create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    rename(&temporary, directory.join(name))?;
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests;
