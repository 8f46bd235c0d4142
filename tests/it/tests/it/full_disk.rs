//! A disk that is full when the manifest is written: nothing is decided, and the pipeline goes on when there is room.

use crate::harness::guests;
use crate::harness::job::{Job, PARTITIONS};
use crate::harness::load::Load;
use crate::harness::model;
use crate::harness::weir::Weir;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Makes the data directory a small disk that only this process sees, and becomes weir.
const ON_A_SMALL_DISK: &str =
    r#"mkdir -p "$1" && mount -t tmpfs -o size=8m tmpfs "$1" && shift && exec "$@""#;

/// weir in a namespace of its own, which needs no privilege where user namespaces are allowed.
fn start_on_a_small_disk(job: &Job) -> Weir {
    let file = job.path("pipeline.toml");
    fs::write(&file, &job.text).unwrap();
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", ON_A_SMALL_DISK, "sh"]);
    command.arg(job.data_dir()).arg(guests::weir()).arg("run").arg(file);
    command.arg("--data-dir").arg(job.data_dir());
    Weir::spawn(command, &[], &job.path("small-disk.log"))
}

/// Writes until there is no room.
fn fill(path: &Path) {
    let mut file = File::create(path).unwrap();
    for size in [1 << 16, 1 << 10, 1] {
        let block = vec![0; size];
        while file.write_all(&block).is_ok() {}
    }
}

#[test]
fn a_disk_that_is_full_at_the_manifest_decides_nothing_and_is_survived() {
    let job = Job::processed("full-disk");
    let load = Load::start(&job.cluster, &job.topic("in"), PARTITIONS, 2);
    let mut weir = start_on_a_small_disk(&job);
    job.await_output(&mut weir, &job.topic("out"));
    // The disk as the process sees it.
    let inside = PathBuf::from(format!("/proc/{}/root", weir.id()));
    let filler = inside.join(job.data_dir().strip_prefix("/").unwrap()).join("filler");
    fill(&filler);
    weir.await_log("No space left on device");
    fs::remove_file(&filler).unwrap();
    let before = job.cluster.read_stable(&job.topic("out")).len();
    job.await_outputs(&mut weir, &job.topic("out"), before + 1);
    let input = load.stop();
    weir.signal(libc::SIGTERM);
    weir.ends_with(0);
    job.run_to_end();
    model::prefixed(&input, &job.cluster.read_committed(&job.topic("out")), PARTITIONS);
}
