//! What is in the directory of a savepoint: reading it, comparing every byte of it, copying it.

use super::writer::{Writer, sha256, sync};
use super::{MANIFEST, unreadable, unwritable};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use weir_protocol::connector::ConnectorError;
use weir_protocol::manifest::Manifest;
use weir_protocol::remedy::Remedy;
use weir_protocol::savepoint::{DESCRIPTION, Savepoint, SavepointFile, stays_inside};
use weir_protocol::state::{StateBackend, StateFile};

/// Reads the description of the savepoint in a directory.
pub fn load(directory: &Path) -> Result<Savepoint, ConnectorError> {
    let path = directory.join(DESCRIPTION);
    let bytes = fs::read(&path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => ConnectorError::permanent(format!(
            "{}: no {DESCRIPTION} in it, expected a savepoint",
            directory.display()
        )),
        _ => unreadable(&path, &error),
    })?;
    Savepoint::decode(&bytes).map_err(|error| ConnectorError::refused(format!("{}: {error}", path.display())))
}

/// The manifest of a savepoint, checked against its description.
pub fn manifest(directory: &Path, savepoint: &Savepoint) -> Result<Manifest, ConnectorError> {
    let path = directory.join(MANIFEST);
    let bytes = fs::read(&path).map_err(|error| unreadable(&path, &error))?;
    let damaged =
        |what: String| ConnectorError::refused(format!("{}: {what}; use another copy", path.display()));
    let hash = savepoint.manifest_hash().ok_or_else(|| damaged("its hash is not known".to_owned()))?;
    let manifest = Manifest::decode_decided(&bytes, &hash).map_err(|error| damaged(error.to_string()))?;
    if manifest.id != savepoint.id {
        return Err(damaged(format!("it is of checkpoint {}, expected {}", manifest.id, savepoint.id)));
    }
    // A description of version 1 has no hash of its own that would tell.
    if manifest.pipeline != savepoint.pipeline {
        let (found, said) = (&manifest.pipeline, &savepoint.pipeline);
        return Err(damaged(format!("it is of pipeline {found}, {DESCRIPTION} says {said}")));
    }
    Ok(manifest)
}

/// Reads every byte of a savepoint and compares. The error names the first file that is not as it was, or that nothing
/// says enough about to compare it.
pub fn verify(
    directory: &Path,
    savepoint: &Savepoint,
    backend: &dyn StateBackend,
) -> Result<Manifest, ConnectorError> {
    let manifest = manifest(directory, savepoint)?;
    let mut listed: BTreeMap<&str, &SavepointFile> = BTreeMap::new();
    for file in &savepoint.files {
        if listed.insert(&file.path, file).is_some() {
            return Err(not_whole(directory, &file.path, "is listed twice"));
        }
    }
    for part in manifest.keyed.iter().flat_map(|keyed| &keyed.parts) {
        let own = part.directory();
        for file in &part.files {
            // The names come from a file that somebody may have sent.
            let path = own.join(&file.name).to_string_lossy().into_owned();
            match listed.remove(path.as_str()) {
                Some(listed) if stays_inside(&path) => check_alike(directory, listed, file)?,
                _ => {
                    return Err(not_whole(
                        directory,
                        &path,
                        "is in the manifest, but not part of the savepoint",
                    ));
                }
            }
        }
        backend.check_wholly(&directory.join(own), part).map_err(ConnectorError::refused)?;
    }
    // What the manifest does not vouch for has a hash of its own.
    listed.values().try_for_each(|file| check_hash(directory, file))?;
    Ok(manifest)
}

/// Description and manifest say the same of a file of state.
fn check_alike(directory: &Path, listed: &SavepointFile, file: &StateFile) -> Result<(), ConnectorError> {
    if (listed.size, &listed.checksum) == (file.size, &file.checksum) {
        return Ok(());
    }
    let what = format!(
        "has {} bytes and {} in {DESCRIPTION}, {} bytes and {} in the manifest",
        listed.size, listed.checksum, file.size, file.checksum
    );
    Err(not_whole(directory, &listed.path, &what))
}

fn check_hash(directory: &Path, file: &SavepointFile) -> Result<(), ConnectorError> {
    if !file.checksum.starts_with("sha256:") {
        let what = format!(
            "has the checksum {:?}, expected sha256: for what the manifest does not list",
            file.checksum
        );
        return Err(not_whole(directory, &file.path, &what));
    }
    let path = directory.join(&file.path);
    let found = sha256(&path).map_err(|error| unreadable(&path, &error))?;
    if found == file.checksum {
        return Ok(());
    }
    Err(ConnectorError::refused(format!(
        "{}: found {found}, expected {}; the savepoint is damaged, use another copy",
        path.display(),
        file.checksum
    ))
    .helped_by(Remedy::Savepoints))
}

fn not_whole(directory: &Path, file: &str, what: &str) -> ConnectorError {
    ConnectorError::refused(format!(
        "{}: {file} {what}; the savepoint is damaged, use another copy",
        directory.display()
    ))
    .helped_by(Remedy::Savepoints)
}

/// Copies the files of a savepoint into a directory that exists, and makes them durable.
pub fn copy(from: &Path, to: &Path, savepoint: &Savepoint) -> Result<(), ConnectorError> {
    let mut writer = Writer { root: to, files: Vec::new() };
    for file in &savepoint.files {
        let path = from.join(&file.path);
        writer.copy(&path, &file.path).map_err(|error| match error.kind() {
            io::ErrorKind::StorageFull => unwritable(to, &error),
            _ => unreadable(&path, &error),
        })?;
    }
    seal(to, savepoint).map_err(|error| unwritable(to, &error))
}

/// Writes the description and makes all names durable.
pub(super) fn seal(directory: &Path, savepoint: &Savepoint) -> io::Result<()> {
    let mut file = File::create(directory.join(DESCRIPTION))?;
    file.write_all(&savepoint.encode())?;
    file.sync_all()?;
    let mut directories: Vec<PathBuf> = vec![directory.to_owned()];
    while let Some(next) = directories.pop() {
        for entry in fs::read_dir(&next)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                directories.push(entry.path());
            }
        }
        sync(&next)?;
    }
    Ok(())
}
