//! Whether the files of a checkpoint are what its manifest says.

use crate::checkpoint_files::{checksum, is_sst};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use weir_protocol::state::{StateFile, StatePart};

/// The last bytes of a block-based table of RocksDB, little-endian.
const TABLE_MAGIC: u64 = 0x88e2_41b7_85f4_cff7;
const WAY_OUT: &str = "restore an earlier checkpoint, or bring the file back from a copy";

/// Every file is there, with its size, and a table ends as a table does. The error names the file.
pub(crate) fn check_quickly(directory: &Path, part: &StatePart) -> Result<(), String> {
    part.files.iter().try_for_each(|file| {
        check_size(directory, file)?;
        if is_sst(&file.name) { check_end(&directory.join(&file.name)) } else { Ok(()) }
    })
}

/// Every byte is as it was. The error names the file.
pub(crate) fn check_wholly(directory: &Path, part: &StatePart) -> Result<(), String> {
    part.files.iter().try_for_each(|file| {
        check_size(directory, file)?;
        let path = directory.join(&file.name);
        let found = checksum(&path).map_err(|error| unreadable(&path, &error))?;
        if found == file.checksum {
            return Ok(());
        }
        Err(format!("{}: found checksum {found}, expected {}; {WAY_OUT}", path.display(), file.checksum))
    })
}

fn check_size(directory: &Path, file: &StateFile) -> Result<(), String> {
    let path = directory.join(&file.name);
    let found = path.metadata().map_err(|error| unreadable(&path, &error))?.len();
    if found == file.size {
        return Ok(());
    }
    Err(format!("{}: found {found} bytes, expected {}; {WAY_OUT}", path.display(), file.size))
}

fn check_end(path: &Path) -> Result<(), String> {
    let read = || {
        let mut file = File::open(path)?;
        let mut end = [0; 8];
        file.seek(SeekFrom::End(-8))?;
        file.read_exact(&mut end)?;
        Ok(u64::from_le_bytes(end))
    };
    let found = read().map_err(|error: std::io::Error| unreadable(path, &error))?;
    if found == TABLE_MAGIC {
        return Ok(());
    }
    Err(format!(
        "{}: found {found:#018x} as its last 8 bytes, expected {TABLE_MAGIC:#018x} of a RocksDB table; {WAY_OUT}",
        path.display()
    ))
}

fn unreadable(path: &Path, error: &std::io::Error) -> String {
    format!("{}: cannot be read: {error}, expected a file of the checkpoint; {WAY_OUT}", path.display())
}
