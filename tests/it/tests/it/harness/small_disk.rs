//! A data directory on a small disk that only one weir sees, and ways to fill it.

use super::guests;
use super::job::Job;
use super::weir::Weir;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Makes the data directory a small disk that only this process sees, and becomes weir.
const ON_A_SMALL_DISK: &str = r#"mkdir -p "$1" && mount -t tmpfs -o "$2" tmpfs "$1" && shift 2 && exec "$@""#;

/// weir in a namespace of its own, which needs no privilege where user namespaces are allowed. `size` is options of a
/// tmpfs.
pub fn start(job: &Job, size: &str, arguments: &[&str]) -> Weir {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", ON_A_SMALL_DISK, "sh"]);
    command.arg(job.data_dir()).arg(size).arg(guests::weir()).args(arguments);
    command.arg("--data-dir").arg(job.data_dir());
    Weir::spawn(command, &[], &job.path("small-disk.log"))
}

/// The data directory as the process sees it.
pub fn inside(job: &Job, weir: &Weir) -> PathBuf {
    let root = PathBuf::from(format!("/proc/{}/root", weir.id()));
    root.join(job.data_dir().strip_prefix("/").expect("an absolute path"))
}

/// Writes until there is no room.
pub fn fill(path: &Path) {
    let mut file = File::create(path).expect("a file on the small disk");
    for size in [1 << 16, 1 << 10, 1] {
        let block = vec![0; size];
        while file.write_all(&block).is_ok() {}
    }
}

/// Leaves so many bytes free.
pub fn fill_but(directory: &Path, free: u64) {
    let spare = directory.join("spare");
    fs::write(&spare, vec![0; free as usize]).expect("room to begin with");
    fill(&directory.join("rest"));
    fs::remove_file(spare).expect("it was just made");
}
