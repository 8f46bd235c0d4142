//! A reader of published files: each is whole when it appears, and never changes.

use super::readers::Look;
use crate::failure::Failure;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// A change of the directory that is younger may have the same time as one that comes after it.
const CLOCK_STEP: Duration = Duration::from_millis(50);

/// A reader of a directory, which need not be there yet.
pub fn reader(directory: &Path) -> Look {
    let mut files = PublishedFiles { directory: directory.to_owned(), changed: None, known: BTreeSet::new() };
    Box::new(move || {
        files.look().map_err(|error| Failure::failed(format!("{}: {error}", files.directory.display())))
    })
}

struct PublishedFiles {
    directory: PathBuf,
    /// The directory's time of change, up to which everything is known.
    changed: Option<SystemTime>,
    known: BTreeSet<OsString>,
}

impl PublishedFiles {
    /// Lines of the files that were not there before.
    fn look(&mut self) -> std::io::Result<u64> {
        let modified = match std::fs::metadata(&self.directory) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
            metadata => metadata?.modified()?,
        };
        if self.changed == Some(modified) {
            return Ok(0);
        }
        let settled = modified.elapsed().is_ok_and(|age| age > CLOCK_STEP);
        let mut lines = 0;
        for entry in std::fs::read_dir(&self.directory)? {
            let entry = entry?;
            if entry.file_type()?.is_file() && self.known.insert(entry.file_name()) {
                let bytes = std::fs::read(entry.path())?;
                lines += bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
            }
        }
        self.changed = settled.then_some(modified);
        Ok(lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_seen_once_whenever_its_file_appears() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("out");
        let mut look = reader(&directory);
        assert_eq!(look().unwrap(), 0, "it need not be there yet");
        std::fs::create_dir_all(directory.join(".weir-staged")).unwrap();
        std::fs::write(directory.join("a"), "1\n2\n").unwrap();
        assert_eq!(look().unwrap(), 2);
        // Likely in the same step of the file system's clock.
        std::fs::write(directory.join("b"), "3\n").unwrap();
        assert_eq!(look().unwrap(), 1);
        assert_eq!(look().unwrap(), 0);
    }
}
