//! Files that survive a power cut: replaced as a whole, synced together with their directory; and what an I/O error
//! means for a pipeline.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use weir_protocol::connector::ConnectorError;

/// What an I/O error means: a full disk or an interrupted call may pass, a missing file or permission does not.
pub(crate) fn io_error(action: &str, path: &Path, error: &io::Error) -> ConnectorError {
    let message = format!("cannot {action} {}: {error}", path.display());
    match error.kind() {
        ErrorKind::NotFound
        | ErrorKind::PermissionDenied
        | ErrorKind::NotADirectory
        | ErrorKind::IsADirectory
        | ErrorKind::ReadOnlyFilesystem
        | ErrorKind::InvalidFilename
        | ErrorKind::CrossesDevices
        | ErrorKind::AlreadyExists => ConnectorError::permanent(message),
        _ => ConnectorError::transient(message),
    }
}

/// Makes the names in a directory durable.
pub(crate) fn sync_directory(path: &Path) -> Result<(), ConnectorError> {
    let synced = File::open(path).and_then(|directory| directory.sync_all());
    synced.map_err(|error| io_error("sync the directory", path, &error))
}

/// Makes a directory and its parents, and their names durable.
pub(crate) fn create_directory(path: &Path) -> Result<(), ConnectorError> {
    if path.is_dir() {
        return Ok(());
    }
    // A path of one part, `out`, has the empty parent.
    let parent =
        path.parent().map(|parent| if parent.as_os_str().is_empty() { Path::new(".") } else { parent });
    if let Some(parent) = parent {
        create_directory(parent)?;
    }
    match fs::create_dir(path) {
        // Another subtask was faster.
        Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_dir() => {}
        Err(error) => return Err(io_error("make the directory", path, &error)),
        Ok(()) => {}
    }
    parent.map_or(Ok(()), sync_directory)
}

/// Where the next content of a file is written before it is renamed.
pub(crate) fn temporary_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    name.into()
}

/// Replaces a file in one step: readers see the old content or the new one, also after a power cut.
/// `before_rename` is called when the new content is durable under its temporary name.
pub(crate) fn replace(
    path: &Path,
    content: &[u8],
    before_rename: impl FnOnce(),
) -> Result<(), ConnectorError> {
    let temporary = temporary_path(path);
    let written = File::create(&temporary).and_then(|mut file| {
        file.write_all(content)?;
        file.sync_all()
    });
    written.map_err(|error| io_error("write", &temporary, &error))?;
    before_rename();
    fs::rename(&temporary, path).map_err(|error| io_error("rename to", path, &error))?;
    path.parent().map_or(Ok(()), sync_directory)
}

/// Deletes a file that may be gone already.
pub(crate) fn remove_if_there(path: &Path) -> Result<(), ConnectorError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(io_error("delete", path, &error)),
        _ => Ok(()),
    }
}

/// The size of a file, `None` where there is none.
pub(crate) fn size_if_there(path: &Path) -> Result<Option<u64>, ConnectorError> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(Some(metadata.len())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io_error("look at", path, &error)),
    }
}
