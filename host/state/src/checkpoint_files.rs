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

/// Gives a file that never changes a second name, or copies it durably where the file system does not link it: another
/// one, one without links, or a file that has as many names as it can. True = linked.
pub(crate) fn link_or_copy(from: &Path, to: &Path) -> io::Result<bool> {
    link_with(|from, to| fs::hard_link(from, to), from, to)
}

fn link_with(link: impl FnOnce(&Path, &Path) -> io::Result<()>, from: &Path, to: &Path) -> io::Result<bool> {
    match link(from, to) {
        Ok(()) => Ok(true),
        // A copy over a link of the same file would destroy it.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::AlreadyExists) => {
            Err(error)
        }
        Err(_) => {
            let mut target = File::create_new(to)?;
            io::copy(&mut File::open(from)?, &mut target)?;
            target.sync_all()?;
            Ok(false)
        }
    }
}

/// True for a table of RocksDB: never changed once written.
pub(crate) fn is_sst(name: &str) -> bool {
    name.ends_with(".sst")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_be_linked_is_copied_and_never_over_itself() {
        let directory = tempfile::tempdir().unwrap();
        let (from, to) = (directory.path().join("1.sst"), directory.path().join("2.sst"));
        fs::write(&from, "table").unwrap();
        // EPERM, EMLINK, EXDEV, EOPNOTSUPP.
        for errno in [1, 31, 18, 95] {
            let linked = link_with(|_, _| Err(io::Error::from_raw_os_error(errno)), &from, &to);
            assert!(!linked.unwrap());
            assert_eq!(fs::read(&to).unwrap(), b"table", "{errno}");
            fs::remove_file(&to).unwrap();
        }
        assert!(link_or_copy(&from, &to).unwrap());
        assert_eq!(link_or_copy(&from, &to).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&from).unwrap(), b"table");
    }
}
