//! A disk that is full when state or the manifest is written: nothing is decided, and the pipeline goes on when there is
//! room.

use crate::harness::broker;
use crate::harness::job::{Job, PARTITIONS};
use crate::harness::keyed_job::KeyedJob;
use crate::harness::load::Load;
use crate::harness::model;
use crate::harness::small_disk::{self, fill, fill_but, inside};
use crate::harness::waiting::until;
use crate::harness::weir::Weir;
use std::fs::{self, File};
use std::path::Path;

/// `weir run` on a small disk. `size` is options of a tmpfs.
fn start_on_a_small_disk(job: &Job, size: &str) -> Weir {
    let file = job.path("pipeline.toml");
    fs::write(&file, &job.text).unwrap();
    small_disk::start(job, size, &["run", &file.display().to_string()])
}

#[test]
fn a_disk_that_is_full_at_the_manifest_decides_nothing_and_is_survived() {
    let job = Job::processed("full-disk");
    let load = Load::start(&job.cluster, &job.topic("in"), PARTITIONS, 2);
    let mut weir = start_on_a_small_disk(&job, "size=8m");
    job.await_output(&mut weir, &job.topic("out"));
    let filler = inside(&job, &weir).join("filler");
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

/// A disk of this size, which is filled by each of the given acts and emptied again.
/// `again`: what becomes free meanwhile, when old checkpoints go, is filled too.
fn state_survives_a_full_disk(stem: &str, size: &str, fills: &[&dyn Fn(&Path)], again: bool) {
    let mut keyed = KeyedJob::start(broker::shared(), stem, 1, 0);
    let mut weir = start_on_a_small_disk(&keyed.job, size);
    keyed.job.await_output(&mut weir, &keyed.job.topic("counts"));
    let filler = inside(&keyed.job, &weir).join("filler");
    for fill in fills {
        let failures = || weir.log().to_lowercase().matches("no space left on device").count();
        let before = failures();
        fs::create_dir(&filler).unwrap();
        fill(&filler);
        until("something that has no room", || {
            let failed = failures() > before;
            if again && !failed {
                fill(&filler);
            }
            failed.then_some(())
        });
        fs::remove_dir_all(&filler).unwrap();
        let read = || keyed.model.lock().unwrap().read;
        let seen = read();
        until("more output", || (read() > seen + 100).then_some(()));
        keyed.is_right_so_far("after a full disk");
    }
    weir.signal(libc::SIGTERM);
    weir.ends_with(0);
    // What was on that disk is gone with it: the output is judged as far as it goes.
    keyed.stop_load();
    keyed.is_right_so_far("at the end");
}

#[test]
fn state_that_cannot_be_stored_for_want_of_room_decides_nothing_and_is_stored_later() {
    // The less is free, the earlier it fails: tables, then links, then the manifest.
    state_survives_a_full_disk(
        "full-state",
        "size=64m",
        &[&|directory| fill_but(directory, 0), &|directory| fill_but(directory, 16 << 10), &|directory| {
            fill_but(directory, 128 << 10)
        }],
        false,
    );
}

#[test]
fn links_that_cannot_be_made_decide_nothing_and_are_made_later() {
    // Each link and each file of a tmpfs takes one of its inodes.
    let but = |free: usize| {
        move |directory: &Path| {
            let mut made = 0_usize;
            while File::create(directory.join(made.to_string())).is_ok() {
                made += 1;
            }
            for number in made.saturating_sub(free)..made {
                fs::remove_file(directory.join(number.to_string())).unwrap();
            }
        }
    };
    state_survives_a_full_disk("full-links", "size=64m,nr_inodes=3000", &[&but(0), &but(5), &but(20)], true);
}
