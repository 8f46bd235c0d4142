//! Where a command links what it reads: a directory of its own, on the file system of the checkpoints.
//!
//! Who reads holds the lock in its directory. A lock that can be taken is of a command that was killed, also where it ran
//! in another container on the same volume.

use crate::failure::Failure;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

const LOCK: &str = "LOCK";
/// A directory without a lock that is older than this is no longer about to get one.
const UNLOCKED_FOR_AT_MOST: Duration = Duration::from_secs(3600);
/// A directory may be taken for one left behind in the moment before its lock is held.
const ATTEMPTS_MAX: usize = 10;

/// The directory, which goes with this.
pub struct Scratch {
    reading: PathBuf,
    own: PathBuf,
    _lock: File,
}

impl Scratch {
    /// Makes it in `reading`, which need not exist, and removes what killed commands left there.
    pub fn in_directory(reading: &Path) -> Result<Scratch, Failure> {
        remove_left_behind(reading);
        let mut attempt = 1;
        loop {
            match Scratch::make(reading) {
                Ok(scratch) => return Ok(scratch),
                Err(_) if attempt < ATTEMPTS_MAX => attempt += 1,
                Err(error) => return Err(Failure::failed(format!("{}: {error}", reading.display()))),
            }
        }
    }

    fn make(reading: &Path) -> io::Result<Scratch> {
        fs::create_dir_all(reading)?;
        let own = tempfile::Builder::new().prefix("read-").tempdir_in(reading)?.keep();
        let lock = File::create_new(own.join(LOCK))?;
        lock.try_lock()?;
        if !own.join(LOCK).exists() {
            return Err(io::Error::other("it went while it was made"));
        }
        Ok(Scratch { reading: reading.to_owned(), own, _lock: lock })
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.own
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays is removed by the next command.
        let _ = fs::remove_dir_all(&self.own);
        // Fails while another command reads, which is right.
        let _ = fs::remove_dir(&self.reading);
    }
}

/// Removes links of commands that were killed.
fn remove_left_behind(reading: &Path) {
    for entry in fs::read_dir(reading).into_iter().flatten().flatten() {
        let lock = File::open(entry.path().join(LOCK));
        let is_left = match &lock {
            Ok(lock) => lock.try_lock().is_ok(),
            Err(_) => is_old(&entry.path()),
        };
        if is_left {
            // Another command may be doing the same.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn is_old(path: &Path) -> bool {
    let changed = path.metadata().and_then(|found| found.modified()).ok();
    let age = changed.and_then(|changed| SystemTime::now().duration_since(changed).ok());
    age.is_some_and(|age| age > UNLOCKED_FOR_AT_MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_of_a_reader_stay_and_those_of_a_killed_one_go() {
        let directory = tempfile::tempdir().unwrap();
        let reading = directory.path().join("reading");
        let reader = Scratch::in_directory(&reading).unwrap();
        fs::write(reader.directory().join("000012.sst"), "x").unwrap();
        // A killed one, whose process id nobody can tell anything by.
        let killed = reading.join("read-1");
        fs::create_dir(&killed).unwrap();
        fs::write(killed.join(LOCK), "").unwrap();
        // One that is just being made.
        let young = reading.join("read-2");
        fs::create_dir(&young).unwrap();
        let other = Scratch::in_directory(&reading).unwrap();
        assert!(reader.directory().join("000012.sst").exists());
        assert!(!killed.exists() && young.exists());
        drop(other);
        fs::remove_dir(young).unwrap();
        drop(reader);
        assert!(!reading.exists(), "nothing is left behind");
    }

    #[test]
    fn a_directory_that_never_got_its_lock_goes_when_it_is_old() {
        let directory = tempfile::tempdir().unwrap();
        let left = directory.path().join("4711-0");
        fs::create_dir(&left).unwrap();
        let long_ago = SystemTime::now() - 2 * UNLOCKED_FOR_AT_MOST;
        File::open(&left).unwrap().set_modified(long_ago).unwrap();
        remove_left_behind(directory.path());
        assert!(!left.exists());
    }
}
