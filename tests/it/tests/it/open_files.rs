//! Too many open files while state is stored: nothing decided is lost, and the pipeline goes on when it may open some.

use crate::harness::broker;
use crate::harness::keyed_job::KeyedJob;
use crate::harness::waiting::until;
use crate::harness::weir::Weir;
use std::fs;

/// How many files the process may have open.
fn allow(weir: &Weir, files: u64) {
    let limit = libc::rlimit { rlim_cur: files, rlim_max: 1 << 14 };
    // SAFETY: the process is our child and not waited for yet; the new limit is read, the old one is not asked for.
    let set = unsafe {
        libc::prlimit(weir.id() as libc::pid_t, libc::RLIMIT_NOFILE, &raw const limit, std::ptr::null_mut())
    };
    assert_eq!(set, 0, "the limit is set");
}

fn open_files(weir: &Weir) -> u64 {
    fs::read_dir(format!("/proc/{}/fd", weir.id())).unwrap().count() as u64
}

#[test]
fn too_many_open_files_decide_nothing_wrong_and_are_survived() {
    let mut keyed = KeyedJob::start(broker::shared(), "open-files", 1, 0);
    let mut weir = keyed.job.start();
    keyed.job.await_output(&mut weir, &keyed.job.topic("counts"));
    // None more, and then fewer and fewer more, so that it hits other places.
    for more in [0, 3, 12] {
        let failures = || weir.log().matches("oo many open files").count();
        let before = failures();
        allow(&weir, open_files(&weir) + more);
        until("a file that cannot be opened", || (failures() > before).then_some(()));
        allow(&weir, 1 << 14);
        let read = || keyed.model.lock().unwrap().read;
        let seen = read();
        until("more output", || (read() > seen + 100).then_some(()));
        keyed.is_right_so_far("after too many open files");
    }
    weir.signal(libc::SIGTERM);
    weir.ends_with(0);
    keyed.stop_load();
    keyed.job.start_with(&["--until-end", "--drain"], &[]).ends_with(0);
    let findings = keyed.end();
    assert!(findings.is_clean(), "{findings:#?}");
}
