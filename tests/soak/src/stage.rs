//! Where the soak runs: in a mount namespace of its own, where it may make the data directory a small disk, and with a link
//! in the place of weir, so that each life can be one of another binary.

use crate::harness::guests;
use crate::harness::small_disk::fill_but;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// Set within the namespace: the directory with the link.
const STAGE: &str = "WEIR_SOAK_STAGE";
/// What the link points at to begin with.
const BINARY: &str = "WEIR_SOAK_BINARY";
/// A tmpfs: large enough for components, checkpoints and uploads, small enough to be filled at once.
const DISK: &str = "size=512m";

/// Begins again within the namespace, unless this is it. Returns only where that cannot be.
pub fn enter() -> Option<ExitCode> {
    if std::env::var_os(STAGE).is_some() {
        return None;
    }
    let stage = tempfile::tempdir().expect("a directory for the stage").keep();
    let binary = guests::weir().canonicalize().expect("the binary is there");
    let link = stage.join("weir");
    symlink(&binary, &link).expect("a link to the binary");
    let mut again = Command::new("unshare");
    again.args(["--user", "--map-root-user", "--mount"]).arg(own_path()).args(std::env::args_os().skip(1));
    again.env(STAGE, &stage).env(BINARY, binary).env("WEIR_TEST_BIN", link);
    let error = again.exec();
    eprintln!("a soak needs `unshare` and user namespaces, for disks that it can fill: {error}");
    Some(ExitCode::FAILURE)
}

fn own_path() -> PathBuf {
    std::env::current_exe().expect("this program has a path")
}

/// The two binaries of weir whose lives take turns.
pub struct Binaries {
    link: PathBuf,
    both: [PathBuf; 2],
    current: usize,
}

impl Binaries {
    /// The one under test, and another version of it; without one the same, told to be the version before.
    pub fn new(other: Option<PathBuf>) -> Binaries {
        let stage = PathBuf::from(std::env::var_os(STAGE).unwrap_or_else(|| OsString::from(".")));
        let own = PathBuf::from(std::env::var_os(BINARY).expect("`enter` has set it"));
        let other = other.map(|other| other.canonicalize().expect("--weir-other names a binary"));
        let other = other.unwrap_or_else(|| before(&stage, &own));
        Binaries { link: stage.join("weir"), both: [own, other], current: 0 }
    }

    /// The next life is one of the other binary.
    pub fn change(&mut self) {
        self.current = 1 - self.current;
        let beside = self.link.with_extension("next");
        let _ = fs::remove_file(&beside);
        let changed =
            symlink(&self.both[self.current], &beside).and_then(|()| fs::rename(&beside, &self.link));
        changed.expect("the link is ours");
    }
}

/// A program that becomes the weir before this one, which knows no newer feature level.
fn before(stage: &Path, own: &Path) -> PathBuf {
    let script = stage.join("weir-before");
    let text = format!("#!/bin/sh\nWEIR_NEWEST_LEVEL=1 exec '{}' \"$@\"\n", own.display());
    fs::write(&script, text).expect("a script");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("the script is ours");
    script
}

impl Drop for Binaries {
    fn drop(&mut self) {
        let _ = self.link.parent().map(fs::remove_dir_all);
    }
}

/// The small disk with the data directory, which is reached by a link.
pub struct Disk {
    at: PathBuf,
    link: PathBuf,
    directory: u32,
}

impl Disk {
    /// Mounts it at `at`; `link` will be the data directory.
    pub fn mount(at: PathBuf, link: PathBuf) -> Disk {
        fs::create_dir_all(&at).expect("a place for the disk");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", DISK, "tmpfs"]).arg(&at).status();
        assert!(
            mounted.is_ok_and(|status| status.success()),
            "a tmpfs can be mounted in a namespace of our own"
        );
        let disk = Disk { at, link, directory: 0 };
        fs::create_dir(disk.current()).expect("a data directory");
        symlink(disk.current(), &disk.link).expect("a link to it");
        disk
    }

    fn numbered(&self, number: u32) -> PathBuf {
        self.at.join(number.to_string())
    }

    fn current(&self) -> PathBuf {
        self.numbered(self.directory)
    }

    fn filler(&self) -> PathBuf {
        self.at.join("filler")
    }

    /// Leaves so many bytes free.
    pub fn fill(&self, free: u64) {
        fs::create_dir_all(self.filler()).expect("a directory on the disk");
        fill_but(&self.filler(), free);
    }

    /// Leaves nothing free of what has become free since.
    pub fn fill_up(&self) {
        let Ok(mut more) = File::options().create(true).append(true).open(self.filler().join("more")) else {
            return;
        };
        while more.write_all(&[0; 4096]).is_ok() {}
    }

    /// There is room again.
    pub fn free(&self) {
        fs::remove_dir_all(self.filler()).expect("what filled the disk");
    }

    /// Copies the data directory as it is, while it is in use, but for what belongs to the process that uses it.
    pub fn copy(&self) -> PathBuf {
        let to = self.numbered(self.directory + 1);
        let _ = fs::remove_dir_all(&to);
        copy(&self.current(), &to).expect("the data directory can be copied");
        to
    }

    /// The copy becomes the data directory.
    pub fn take_copy(&mut self) {
        let old = self.current();
        self.directory += 1;
        fs::remove_file(&self.link).expect("the link is ours");
        symlink(self.current(), &self.link).expect("a link to the copy");
        fs::remove_dir_all(old).expect("nobody uses the old one");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.at).status();
    }
}

/// What goes away meanwhile was not needed.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)?.flatten() {
        let (name, kind) = (entry.file_name(), entry.file_type()?);
        let text = name.to_string_lossy();
        if text == "LOCK" || text == "live" || text.ends_with(".tmp") {
            continue;
        }
        let copied = match kind.is_dir() {
            true => copy(&entry.path(), &to.join(&name)),
            false => fs::copy(entry.path(), to.join(&name)).map(drop),
        };
        match copied {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}
