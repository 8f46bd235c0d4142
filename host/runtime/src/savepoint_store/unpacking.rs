//! A place for what is unpacked on its way into a store: nobody takes it for a savepoint, and it does not outlive who
//! made it for longer than until the store is written to again.
//!
//! ```text
//! savepoints/import-<pid>-<number>.tmp/LOCK      held as long as somebody unpacks
//!                                      content/  what was unpacked
//! ```

use super::{SavepointStore, unwritable};
use rustix::fs::{FlockOperation, flock};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use weir_protocol::connector::ConnectorError;

const LOCK: &str = "LOCK";
const CONTENT: &str = "content";

/// The place, which goes with this.
#[derive(Debug)]
pub struct Unpacking {
    place: PathBuf,
    content: PathBuf,
    _lock: File,
}

impl Unpacking {
    /// The directory to unpack into.
    pub fn directory(&self) -> &Path {
        &self.content
    }
}

impl Drop for Unpacking {
    fn drop(&mut self) {
        // What is left is removed by who writes to the store next.
        let _ = fs::remove_dir_all(&self.place);
    }
}

impl SavepointStore {
    /// Makes a place to unpack into.
    pub fn unpacking(&self) -> Result<Unpacking, ConnectorError> {
        let _store = self.lock()?;
        let make = |place: &Path| -> io::Result<Unpacking> {
            fs::create_dir(place)?;
            let lock = File::create_new(place.join(LOCK))?;
            flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
            let content = place.join(CONTENT);
            fs::create_dir(&content)?;
            Ok(Unpacking { place: place.to_owned(), content, _lock: lock })
        };
        let mut number = 0;
        loop {
            // Hosts that share the store may share the number of a process as well.
            let place = self.directory.join(format!("import-{}-{number}.tmp", std::process::id()));
            match make(&place) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
                made => return made.map_err(|error| unwritable(&place, &error)),
            }
        }
    }

    /// Removes what was left unfinished by processes that are gone. Who holds the store's lock makes none.
    pub(super) fn remove_left_behind(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.directory)? {
            let path = entry?.path();
            let is_unfinished = path.extension().is_some_and(|ending| ending == "tmp") && path.is_dir();
            if is_unfinished && !is_held(&path) {
                fs::remove_dir_all(&path)?;
            }
        }
        Ok(())
    }
}

/// Somebody unpacks here.
fn is_held(place: &Path) -> bool {
    File::open(place.join(LOCK))
        .is_ok_and(|lock| flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err())
}
