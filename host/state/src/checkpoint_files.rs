//! Files of a checkpoint: their checksums, and that they are on the disk for good.

use crate::failure;
use std::fs::{self, File};
use std::hash::Hasher;
use std::io::{self, Read};
use std::path::Path;
use twox_hash::XxHash3_64;
use weir_protocol::connector::ConnectorError;
use weir_protocol::state::StateFile;

const BUFFER_BYTES: usize = 1 << 18;

/// `xxh3:` and 16 hex digits: XXH3-64 of all bytes of a file.
pub(crate) fn checksum(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = XxHash3_64::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(format!("xxh3:{:016x}", hasher.finish())),
            read => hasher.write(&buffer[..read]),
        }
    }
}

/// The names in a directory, in order.
pub(crate) fn names(directory: &Path) -> Result<Vec<String>, ConnectorError> {
    let list = || -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(directory)? {
            let name = entry?.file_name();
            names.push(name.into_string().map_err(|name| {
                io::Error::other(format!("unexpected file name {}", name.to_string_lossy()))
            })?);
        }
        names.sort_unstable();
        Ok(names)
    };
    list().map_err(|error| failure::of_io("listing", directory, &error))
}

/// Makes a file durable and describes it.
pub(crate) fn seal(directory: &Path, name: &str) -> Result<StateFile, ConnectorError> {
    let path = directory.join(name);
    let seal = || -> io::Result<StateFile> {
        let file = File::open(&path)?;
        file.sync_all()?;
        let (size, checksum) = (file.metadata()?.len(), checksum(&path)?);
        Ok(StateFile { name: name.to_owned(), size, checksum })
    };
    seal().map_err(|error| failure::of_io("syncing and reading back", &path, &error))
}

/// Makes the names in a directory durable.
pub(crate) fn sync_directory(directory: &Path) -> Result<(), ConnectorError> {
    File::open(directory)
        .and_then(|opened| opened.sync_all())
        .map_err(|error| failure::of_io("syncing", directory, &error))
}

/// True for a table of RocksDB: never changed once written.
pub(crate) fn is_sst(name: &str) -> bool {
    name.ends_with(".sst")
}
