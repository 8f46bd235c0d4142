//! The data directory: who may use it, and where everything in it is.
//!
//! `LOCK` is held by one host at a time. `pipelines/<name>/` belongs to one pipeline under one id prefix, which the
//! file `OWNER` in it tells. `format.json` says in which formats all of it is written.

use crate::format_file::{self, LevelInForce};
use rustix::fs::{FlockOperation, flock};
use std::fs::{File, OpenOptions, create_dir_all};
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use weir_protocol::connector::ConnectorError;
use weir_protocol::decision::Owner;
use weir_protocol::feature_level::{FeatureLevel, Known, Marking, next};
use weir_protocol::remedy::Remedy;

/// A data directory that this process holds.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    level: LevelInForce,
    _lock: File,
}

impl DataDir {
    /// Makes the directory if need be and takes its lock. One whose level this weir does not read is refused, as it is.
    pub fn open(path: &Path) -> Result<DataDir, ConnectorError> {
        let failed = |what: &str, error: std::io::Error| {
            ConnectorError::permanent(format!("data directory {}: {what}: {error}", path.display()))
        };
        create_dir_all(path).map_err(|error| failed("cannot be made", error))?;
        let mut lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(path.join("LOCK"))
            .map_err(|error| failed("LOCK cannot be opened", error))?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            let mut holder = String::new();
            let _ = lock.read_to_string(&mut holder);
            let holder = holder.trim();
            let who = if holder.is_empty() { String::new() } else { format!(" (process {holder})") };
            return Err(ConnectorError::permanent(format!(
                "data directory {} is in use by another weir{who}: stop it, or give this one its own --data-dir",
                path.display()
            )));
        }
        let marking = format_file::read(path)?;
        let level = format_file::level(path, &marking)?;
        if marking == Marking::New {
            format_file::write(path, level)?;
        }
        lock.set_len(0).map_err(|error| failed("LOCK cannot be written", error))?;
        writeln!(lock, "{}", std::process::id()).map_err(|error| failed("LOCK cannot be written", error))?;
        Ok(DataDir { path: path.to_owned(), level: LevelInForce::new(level), _lock: lock })
    }

    /// Refuses a directory that this weir cannot read, as an open would; nothing is locked or made.
    pub fn look(path: &Path) -> Result<FeatureLevel, ConnectorError> {
        format_file::level(path, &format_file::read(path)?)
    }

    /// The level in which everything below is written now.
    pub fn level(&self) -> &LevelInForce {
        &self.level
    }

    /// Puts the newest level in force, durably: from now on an older weir refuses this directory. None where it is in
    /// force already.
    pub fn finalize(&self) -> Result<Option<FeatureLevel>, ConnectorError> {
        let Some(level) = next(self.level.level(), Known::by_this_weir()) else { return Ok(None) };
        format_file::write(&self.path, level)?;
        self.level.raise(level);
        Ok(Some(level))
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where compiled components are kept; may be deleted at any time.
    pub fn compiled(&self) -> PathBuf {
        self.path.join("compiled")
    }

    /// Where the directory of a pipeline is in a data directory that nobody need hold.
    pub fn pipeline_path(data_dir: &Path, name: &str) -> PathBuf {
        data_dir.join("pipelines").join(name)
    }

    /// The directory of a pipeline, made if need be; refused where another pipeline owns it.
    pub fn pipeline(&self, name: &str, owner: &Owner) -> Result<PathBuf, ConnectorError> {
        let path = DataDir::pipeline_path(&self.path, name);
        let failed = |error: std::io::Error| {
            ConnectorError::permanent(format!("pipeline directory {}: {error}", path.display()))
        };
        create_dir_all(&path).map_err(failed)?;
        if !DataDir::is_owned(&path, owner)? {
            crate::checkpoint_store::write_durably(&path, "OWNER", format!("{owner}\n").as_bytes())
                .map_err(failed)?;
        }
        Ok(path)
    }

    /// Whether a pipeline's directory is its own already; refused where it is another's.
    pub fn is_owned(path: &Path, owner: &Owner) -> Result<bool, ConnectorError> {
        match std::fs::read_to_string(path.join("OWNER")) {
            Ok(found) if found.trim() == owner.to_string() => Ok(true),
            Ok(found) => Err(ConnectorError::refused(format!(
                "{} belongs to another pipeline (owner {}, this one is {owner}: name or id_prefix differ); use another --data-dir, or move it away",
                path.display(),
                found.trim()
            ))
            .helped_by(Remedy::OwnDataDir)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(error) => {
                Err(ConnectorError::permanent(format!("pipeline directory {}: {error}", path.display())))
            }
        }
    }

    /// The process that holds a data directory, without trying to take it: that would disturb one that starts.
    pub fn holder(data_dir: &Path) -> Option<u32> {
        let inode = std::fs::metadata(data_dir.join("LOCK")).ok()?.ino();
        let locks = std::fs::read_to_string("/proc/locks").ok()?;
        // `1: FLOCK  ADVISORY  WRITE 4711 fd:01:1234 0 EOF`
        locks.lines().find_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let held =
                words.get(1) == Some(&"FLOCK") && words.get(5)?.rsplit(':').next()?.parse() == Ok(inode);
            held.then(|| words[4].parse().ok()).flatten()
        })
    }
}
