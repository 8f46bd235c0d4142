//! Files on their way into the directory of a savepoint.

use crate::checkpoint_store::{copy_durably, link_or_copy};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use weir_protocol::savepoint::SavepointFile;

const BUFFER_BYTES: usize = 1 << 18;

/// Fills the directory of a savepoint.
pub(super) struct Writer<'a> {
    pub(super) root: &'a Path,
    /// What was taken, with its hash, and what was added here.
    pub(super) files: Vec<SavepointFile>,
}

impl Writer<'_> {
    /// Links a file that never changes; copies it where that cannot be.
    pub(super) fn link(&mut self, from: &Path, to: &str) -> io::Result<()> {
        link_or_copy(from, &self.target(to)?)
    }

    /// Copies a file.
    pub(super) fn copy(&mut self, from: &Path, to: &str) -> io::Result<()> {
        copy_durably(from, &self.target(to)?)
    }

    /// Copies a small file and lists it.
    pub(super) fn take(&mut self, from: &Path, to: &str) -> io::Result<()> {
        self.copy(from, to)?;
        let target = self.root.join(to);
        let (size, checksum) = (target.metadata()?.len(), sha256(&target)?);
        self.files.push(SavepointFile { path: to.to_owned(), size, checksum });
        Ok(())
    }

    fn target(&self, to: &str) -> io::Result<PathBuf> {
        let target = self.root.join(to);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        Ok(target)
    }
}

/// Makes the names in a directory durable.
pub(super) fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// `sha256:` and 64 hex digits.
pub(super) fn sha256(path: &Path) -> io::Result<String> {
    let (mut file, mut hash, mut buffer) = (File::open(path)?, Sha256::new(), vec![0; BUFFER_BYTES]);
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            read => hash.update(&buffer[..read]),
        }
    }
    let hex: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("sha256:{hex}"))
}
