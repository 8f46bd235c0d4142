//! What pipelines of the server have on disk: checkpoints, savepoints, and the trash.

use super::host::WeirHost;
use crate::commands::savepoint::{export, name_of_time, now_ms};
use crate::failure::Failure;
use crate::pipeline_place;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};
use weir_control::host::{CheckpointInfo, Reason, Refused, SavepointInfo};
use weir_protocol::connector::{ConnectorError, ErrorKind};
use weir_protocol::manifest::Manifest;
use weir_protocol::savepoint::{Savepoint, SavepointName};
use weir_runtime::checkpoint_store::CheckpointStore;
use weir_runtime::data_dir::DataDir;
use weir_runtime::pinned_state::pin_newest;
use weir_runtime::savepoint_store::{NewSavepoint, SavepointStore, newest_decided};

/// Checkpoints that are kept does not matter to a reader.
const RETAIN: u32 = u32::MAX;

impl WeirHost {
    pub(super) fn directory(&self, pipeline: &str) -> PathBuf {
        DataDir::pipeline_path(self.data_dir().path(), pipeline)
    }

    /// The newest decided checkpoint's manifest, where there is one that can be read.
    pub(super) fn newest_decided(&self, pipeline: &str) -> Option<Manifest> {
        let directory = self.directory(pipeline);
        let store = existing(&directory)?;
        newest_decided(&directory, &store).ok().map(|(manifest, _)| manifest)
    }

    /// Links the state of one operator in the newest decided checkpoint, so that it stays while it is read. None where
    /// nothing is decided yet.
    pub(super) fn pin_newest(
        &self,
        pipeline: &str,
        operator: &str,
        into: &Path,
    ) -> Result<Option<Manifest>, Refused> {
        let directory = self.directory(pipeline);
        let Some(store) = existing(&directory) else { return Ok(None) };
        if store.hint().map_err(refused)?.is_none() {
            return Ok(None);
        }
        let pinned = pin_newest(&directory, &store, into, |part| part.operator == operator);
        pinned.map(Some).map_err(refused)
    }

    pub(super) fn list_checkpoints(&self, pipeline: &str) -> Result<Vec<CheckpointInfo>, Refused> {
        let directory = self.directory(pipeline);
        let Some(store) = existing(&directory) else { return Ok(vec![]) };
        let decided = store.hint().map_err(refused)?.map(|hint| hint.id);
        let mut found = Vec::new();
        for id in store.complete().map_err(refused)?.into_iter().rev() {
            let path = store.path(&id);
            // It may go while it is looked at.
            let Ok(bytes) = fs::read(store.manifest_path(&id)) else { continue };
            let (operators, written_by) = serde_json::from_slice::<Manifest>(&bytes)
                .map(|manifest| (manifest.operators, manifest.written_by))
                .unwrap_or_default();
            found.push(CheckpointInfo {
                id: id.to_string(),
                epoch: id.epoch.0,
                bytes: bytes_in(&path),
                operators,
                decided: decided.as_ref() == Some(&id),
                written_by,
            });
        }
        Ok(found)
    }

    fn savepoint_store(&self, pipeline: &str) -> SavepointStore {
        let elsewhere = self.savepoint_dir(pipeline);
        pipeline_place::savepoints(&self.directory(pipeline), pipeline, elsewhere.as_deref())
    }

    pub(super) fn list_savepoints(&self, pipeline: &str) -> Result<Vec<SavepointInfo>, Refused> {
        let listed = self.savepoint_store(pipeline).list().map_err(refused)?;
        let mut found: Vec<(i64, SavepointInfo)> = listed
            .into_iter()
            .filter_map(|listed| {
                let savepoint = listed.savepoint.ok()?;
                Some((savepoint.created_ms, info(listed.name, &savepoint)))
            })
            .collect();
        found.sort_by(|(one, _), (other, _)| other.cmp(one));
        Ok(found.into_iter().map(|(_, info)| info).collect())
    }

    pub(super) fn make_savepoint(
        &self,
        pipeline: &str,
        name: Option<&str>,
    ) -> Result<SavepointInfo, Refused> {
        let created_ms = now_ms();
        let name = match name {
            Some(name) => parse(name)?,
            None => name_of_time(created_ms),
        };
        let savepoint = self.savepoint_store(pipeline).create(&NewSavepoint {
            name: &name,
            pipeline: &self.directory(pipeline),
            components: &pipeline_place::components(self.data_dir().path()),
            scheduled: false,
            created_ms,
        });
        savepoint.map(|savepoint| info(name.to_string(), &savepoint)).map_err(refused)
    }

    pub(super) fn remove_savepoint(&self, pipeline: &str, name: &str) -> Result<(), Refused> {
        self.savepoint(pipeline, name)?;
        self.savepoint_store(pipeline).delete(&parse(name)?).map_err(refused)
    }

    pub(super) fn write_savepoint(&self, pipeline: &str, name: &str, to: &Path) -> Result<(), Refused> {
        let path = self.savepoint(pipeline, name)?;
        export::export(&path, to).map_err(of_failure)
    }

    /// The directory of a savepoint that exists.
    pub(super) fn savepoint(&self, pipeline: &str, name: &str) -> Result<PathBuf, Refused> {
        let path = self.savepoint_store(pipeline).path(&parse(name)?);
        if path.is_dir() {
            return Ok(path);
        }
        Err(Refused {
            reason: Reason::NotFound,
            message: format!("pipeline {pipeline} has no savepoint {name}"),
            hint: None,
            problems: vec![],
        })
    }

    fn trash(&self) -> PathBuf {
        self.data_dir().path().join("trash")
    }

    pub(super) fn to_trash(&self, pipeline: &str) -> Result<(), Refused> {
        let directory = self.directory(pipeline);
        if !directory.exists() {
            return Ok(());
        }
        let to = self.trash().join(format!("{}-{pipeline}", now_ms()));
        let moved = fs::create_dir_all(self.trash()).and_then(|()| fs::rename(&directory, &to));
        moved.map_err(|error| {
            unavailable(format!("{} cannot be moved to the trash: {error}", directory.display()))
        })
    }

    pub(super) fn take_out_trash(&self, older_than: Duration) -> Result<(), Refused> {
        let oldest = now_ms() - i64::try_from(older_than.as_millis()).unwrap_or(i64::MAX);
        let Ok(entries) = fs::read_dir(self.trash()) else { return Ok(()) };
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let since = name.split_once('-').and_then(|(ms, _)| ms.parse::<i64>().ok());
            if since.is_some_and(|since| since < oldest) {
                fs::remove_dir_all(entry.path()).map_err(|error| {
                    unavailable(format!("{} cannot be removed: {error}", entry.path().display()))
                })?;
            }
        }
        Ok(())
    }
}

/// The checkpoints of a pipeline that has a directory: to look is not to make one.
fn existing(directory: &Path) -> Option<CheckpointStore> {
    directory.join("checkpoints").is_dir().then(|| CheckpointStore::open(directory, RETAIN).ok()).flatten()
}

fn parse(name: &str) -> Result<SavepointName, Refused> {
    SavepointName::parse(name).map_err(|message| Refused {
        reason: Reason::InvalidPipeline,
        message: format!("savepoint {name:?}: {message}"),
        hint: None,
        problems: vec![],
    })
}

fn info(name: String, savepoint: &Savepoint) -> SavepointInfo {
    let created = UNIX_EPOCH + Duration::from_millis(savepoint.created_ms.unsigned_abs());
    SavepointInfo {
        name,
        checkpoint: savepoint.id.to_string(),
        created: humantime::format_rfc3339_seconds(created).to_string(),
        bytes: savepoint.size(),
    }
}

fn bytes_in(path: &Path) -> u64 {
    match fs::read_dir(path) {
        Ok(entries) => entries.flatten().map(|entry| bytes_in(&entry.path())).sum(),
        Err(_) => fs::metadata(path).map_or(0, |metadata| metadata.len()),
    }
}

/// Something outside does not answer as it should.
pub(super) fn unavailable(message: String) -> Refused {
    Refused { reason: Reason::Unavailable, message, hint: None, problems: vec![] }
}

/// What the runtime could not do.
pub(super) fn refused(error: ConnectorError) -> Refused {
    let reason = match error.kind {
        ErrorKind::Refused | ErrorKind::Permanent => Reason::Conflict,
        ErrorKind::Transient | ErrorKind::Fenced => Reason::Unavailable,
    };
    Refused { reason, message: error.message, hint: None, problems: vec![] }
}

/// What a command could not do.
pub(super) fn of_failure(failure: Failure) -> Refused {
    let reason = match failure.exit {
        crate::failure::Exit::Configuration => Reason::InvalidPipeline,
        crate::failure::Exit::NeedsPerson => Reason::Conflict,
        _ => Reason::Unavailable,
    };
    Refused { reason, message: failure.message, hint: None, problems: failure.details }
}
