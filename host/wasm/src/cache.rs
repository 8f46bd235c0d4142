//! Machine code on disk: `<sha256 of the operator>-<engine>.cwasm`, which may be deleted at any time.
//!
//! Machine code is run as it is read, so it is read only from a directory and from files that nobody else can write,
//! and only if its checksum holds. Anything else is compiled again.
//!
//! Another weir may be another engine: its files are not read. Those of the engine that was here last stay, so that going
//! back to it compiles nothing; those of all engines before it go when the cache is opened.

use crate::digest::Digest;
use rustix::fs::{Mode, OFlags};
use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

const MAGIC: &[u8; 16] = b"weir-cwasm-v1\n\0\0";
const OTHERS_MAY: u32 = 0o077;
/// Engines besides this one whose machine code stays: that of the weir to which one may go back.
const OTHER_ENGINES_KEPT: usize = 1;

/// The directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// Somebody else could put machine code there.
    #[error(
        "{path}: the compile cache belongs to user {owner}, expected {expected}; remove it or name another directory"
    )]
    ForeignOwner {
        /// The directory.
        path: PathBuf,
        /// Who owns it.
        owner: u32,
        /// Who runs weir.
        expected: u32,
    },
    /// A link or a file where the directory should be.
    #[error("{path}: the compile cache must be a directory, and is none")]
    NoDirectory {
        /// The path.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("{path}: the compile cache cannot be used: {error}")]
    Io {
        /// The directory.
        path: PathBuf,
        /// What it said.
        error: io::Error,
    },
}

/// The cache of one engine configuration.
pub struct Cache {
    directory: PathBuf,
    engine: u64,
    temporary: AtomicU64,
}

impl Cache {
    /// Opens the directory, making it if need be. `engine` names all that machine code depends on besides the bytes.
    pub fn open(directory: PathBuf, engine: u64) -> Result<Cache, CacheError> {
        let wrap = |error| CacheError::Io { path: directory.clone(), error };
        DirBuilder::new().recursive(true).mode(0o700).create(&directory).map_err(wrap)?;
        let found = std::fs::symlink_metadata(&directory).map_err(wrap)?;
        if !found.is_dir() {
            return Err(CacheError::NoDirectory { path: directory });
        }
        let expected = rustix::process::geteuid().as_raw();
        if found.uid() != expected {
            return Err(CacheError::ForeignOwner { path: directory, owner: found.uid(), expected });
        }
        if found.mode() & OTHERS_MAY != 0 {
            tracing::warn!(path = %directory.display(), "others had access to the compile cache; taken away");
            std::fs::set_permissions(&directory, Permissions::from_mode(0o700)).map_err(wrap)?;
        }
        let cache = Cache { directory, engine, temporary: AtomicU64::new(0) };
        if let Err(error) = cache.forget_engines() {
            tracing::warn!(path = %cache.directory.display(), %error, "machine code of earlier engines stays");
        }
        Ok(cache)
    }

    /// Removes the machine code of all engines but this one and those that wrote last.
    fn forget_engines(&self) -> io::Result<()> {
        let mut engines: BTreeMap<u64, (SystemTime, Vec<PathBuf>)> = BTreeMap::new();
        for entry in std::fs::read_dir(&self.directory)? {
            let path = entry?.path();
            let Some(engine) = engine_of(&path).filter(|engine| *engine != self.engine) else { continue };
            let written = std::fs::symlink_metadata(&path)?.modified()?;
            let (last, files) = engines.entry(engine).or_insert((SystemTime::UNIX_EPOCH, Vec::new()));
            *last = written.max(*last);
            files.push(path);
        }
        let mut engines: Vec<_> = engines.into_values().collect();
        engines.sort_by_key(|(last, _)| std::cmp::Reverse(*last));
        engines
            .iter()
            .skip(OTHER_ENGINES_KEPT)
            .flat_map(|(_, files)| files)
            .try_for_each(std::fs::remove_file)
    }

    fn path(&self, operator: Digest) -> PathBuf {
        self.directory.join(format!("{operator}-{:016x}.cwasm", self.engine))
    }

    /// The machine code of an operator, if it is there and whole.
    pub fn load(&self, operator: Digest) -> Option<Vec<u8>> {
        let path = self.path(operator);
        match read_private(&path) {
            Ok(mut bytes) => {
                let header = self.header(operator, bytes.get(MAGIC.len() + 32..)?);
                if bytes.starts_with(&header) {
                    bytes.drain(..header.len());
                    return Some(bytes);
                }
                tracing::warn!(path = %path.display(), "cached machine code is damaged; compiling again");
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "cached machine code cannot be used; compiling again");
            }
        }
        None
    }

    /// Keeps machine code. A cache that cannot be written costs time and nothing else.
    pub fn store(&self, operator: Digest, code: &[u8]) {
        if let Err(error) = self.try_store(operator, code) {
            tracing::warn!(path = %self.directory.display(), %error, "the compile cache cannot be written");
        }
    }

    fn try_store(&self, operator: Digest, code: &[u8]) -> io::Result<()> {
        let number = self.temporary.fetch_add(1, Ordering::Relaxed);
        let temporary = self.directory.join(format!(".{operator}-{}-{number}.tmp", std::process::id()));
        let written = self.write_and_rename(operator, code, &temporary);
        if written.is_err() {
            // What is left over is a few megabytes of garbage, not worth a second error.
            let _ = std::fs::remove_file(&temporary);
        }
        written
    }

    fn write_and_rename(&self, operator: Digest, code: &[u8], temporary: &Path) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(temporary)?;
        file.write_all(&self.header(operator, code))?;
        file.write_all(code)?;
        file.sync_all()?;
        std::fs::rename(temporary, self.path(operator))?;
        File::open(&self.directory)?.sync_all()
    }

    /// What stands in front of the code: a checksum over it and over what it was compiled from and for, so that a
    /// file under another's name is no more believed than a damaged one.
    fn header(&self, operator: Digest, code: &[u8]) -> Vec<u8> {
        let subject =
            [operator.as_bytes().as_slice(), &self.engine.to_le_bytes(), Digest::of(code).as_bytes()]
                .concat();
        [MAGIC.as_slice(), Digest::of(&subject).as_bytes()].concat()
    }
}

/// The engine for which a file of the cache was written; none for any other file.
fn engine_of(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?.strip_suffix(".cwasm")?;
    let (operator, engine) = name.rsplit_once('-')?;
    let hex = |text: &str, digits| text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    (hex(operator, 64) && hex(engine, 16)).then(|| u64::from_str_radix(engine, 16).ok())?
}

/// Reads a file that is a plain one, ours, and closed to others' writing. Asked of the open file, not of its name.
fn read_private(path: &Path) -> io::Result<Vec<u8>> {
    let descriptor =
        rustix::fs::open(path, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    let mut file = File::from(descriptor);
    let found = file.metadata()?;
    let ours = found.uid() == rustix::process::geteuid().as_raw();
    if !found.is_file() || !ours || found.mode() & 0o022 != 0 {
        return Err(io::Error::other("others could have written it"));
    }
    let mut bytes = Vec::with_capacity(found.len() as usize);
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().mode() & 0o777
    }

    fn cache() -> (tempfile::TempDir, Cache, Digest) {
        let parent = tempfile::tempdir().unwrap();
        let cache = Cache::open(parent.path().join("compiled"), 7).unwrap();
        (parent, cache, Digest::of(b"operator"))
    }

    #[test]
    fn what_was_stored_is_found_by_the_same_engine_only() {
        let (_parent, cache, operator) = cache();
        assert_eq!(cache.load(operator), None);
        cache.store(operator, b"machine code");
        assert_eq!(cache.load(operator).unwrap(), b"machine code");
        let other = Cache::open(cache.directory.clone(), 8).unwrap();
        assert_eq!(other.load(operator), None);
        assert_eq!((mode(&cache.directory), mode(&cache.path(operator))), (0o700, 0o600));
        assert_eq!(std::fs::read_dir(&cache.directory).unwrap().count(), 1);
    }

    #[test]
    fn machine_code_of_the_engine_before_stays_for_going_back_and_that_of_earlier_ones_goes() {
        let (_parent, first, operator) = cache();
        let open = |engine| Cache::open(first.directory.clone(), engine).unwrap();
        let (one, other) = (operator, Digest::of(b"other"));
        let began = SystemTime::UNIX_EPOCH;
        let store = |engine: u64, operator, hour: u64| {
            let cache = open(engine);
            cache.store(operator, b"machine code");
            let written = began + std::time::Duration::from_secs(3600 * hour);
            File::options().write(true).open(cache.path(operator)).unwrap().set_modified(written).unwrap();
        };
        store(7, one, 1);
        store(8, one, 2);
        store(8, other, 3);
        std::fs::write(first.directory.join("notes.txt"), "not ours").unwrap();
        let there = |engine| open(engine).path(one).exists();
        assert!(there(7) && there(8), "one goes forward and back between two");
        store(9, one, 4);
        let cache = open(9);
        let (of_7, of_8) = (format!("{one}-{:016x}.cwasm", 7), format!("{other}-{:016x}.cwasm", 8));
        assert!(!first.directory.join(of_7).exists(), "two engines ago");
        assert!(first.directory.join(of_8).exists() && cache.load(one).is_some());
        assert!(first.directory.join("notes.txt").exists());
    }

    #[test]
    fn damaged_shortened_and_misplaced_code_is_not_used() {
        let (_parent, cache, operator) = cache();
        cache.store(operator, b"machine code");
        let whole = std::fs::read(cache.path(operator)).unwrap();
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            std::fs::write(cache.path(operator), damaged).unwrap();
            assert_eq!(cache.load(operator), None);
            std::fs::write(cache.path(operator), &whole[..at]).unwrap();
            assert_eq!(cache.load(operator), None);
        }
        let other = Digest::of(b"other");
        std::fs::write(cache.path(other), &whole).unwrap();
        std::fs::set_permissions(cache.path(other), Permissions::from_mode(0o600)).unwrap();
        assert_eq!(cache.load(other), None);
    }

    #[test]
    fn files_that_others_may_write_and_links_are_not_used() {
        let (parent, cache, operator) = cache();
        cache.store(operator, b"machine code");
        std::fs::set_permissions(cache.path(operator), Permissions::from_mode(0o666)).unwrap();
        assert_eq!(cache.load(operator), None);
        std::fs::set_permissions(cache.path(operator), Permissions::from_mode(0o600)).unwrap();
        assert!(cache.load(operator).is_some());
        let elsewhere = parent.path().join("elsewhere");
        std::fs::rename(cache.path(operator), &elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, cache.path(operator)).unwrap();
        assert_eq!(cache.load(operator), None);
    }

    #[test]
    fn an_open_directory_is_closed_and_a_link_is_refused() {
        let (parent, cache, _) = cache();
        std::fs::set_permissions(&cache.directory, Permissions::from_mode(0o777)).unwrap();
        let again = Cache::open(cache.directory.clone(), 7).unwrap();
        assert_eq!(mode(&again.directory), 0o700);
        let link = parent.path().join("link");
        std::os::unix::fs::symlink(&cache.directory, &link).unwrap();
        assert!(matches!(Cache::open(link, 7), Err(CacheError::NoDirectory { .. })));
    }
}
