//! Savepoints that come as tar files, whole and otherwise, and what is said of those that cannot be taken in.

use crate::harness::job::Job;
use crate::harness::weir::Weir;
use crate::savepoints::{counted, done, path_of, savepoint};
use std::path::PathBuf;
use std::process::Command;

/// A pipeline that has ended, its savepoint `s`, and a tar file of it.
pub fn exported(stem: &str) -> (Job, PathBuf) {
    let job = counted(stem, 100_000);
    job.run_to_end();
    done(savepoint(&job, &["create", "--name", "s"], &[]));
    let file = job.path("s.tar");
    done(savepoint(&job, &["export", "s", "--to", &file.display().to_string()], &[]));
    (job, file)
}

/// The command ends with this code, and its last line says this.
#[track_caller]
fn ends(job: &Job, words: &[&str], code: i32, says: &str) -> String {
    let mut weir = savepoint(job, words, &[]);
    weir.ends_with(code);
    let said = weir.last_line();
    assert!(said.contains(says), "{says:?} is not in: {said}");
    said
}

pub fn unfinished(job: &Job) -> Vec<String> {
    let entries = std::fs::read_dir(job.pipeline_dir().join("savepoints")).unwrap().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.ends_with(".tmp")).collect()
}

#[test]
fn what_a_killed_import_has_unpacked_goes_with_the_next() {
    let (job, file) = exported("import-killed");
    let words = ["import", &file.display().to_string(), "--name", "again"];
    savepoint(&job, &words, &[("WEIR_KILL_AT", "savepoint_imported:1")]).dies();
    assert_eq!(unfinished(&job).len(), 2, "what was unpacked, and the copy: {:?}", unfinished(&job));
    done(savepoint(&job, &words, &[]));
    assert!(unfinished(&job).is_empty(), "{:?}", unfinished(&job));
    let left = std::fs::read_dir(job.data_dir()).unwrap().flatten();
    let left: Vec<_> = left
        .map(|entry| entry.file_name())
        .filter(|name| name.to_string_lossy().contains("import"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_tar_file_that_cannot_be_taken_in_is_named_with_what_is_wrong_in_it() {
    let (job, file) = exported("import-bad");
    let whole = std::fs::read(&file).unwrap();
    let name = file.display().to_string();
    let import = |code, says: &str| {
        let said = ends(&job, &["import", &name, "--name", "again"], code, says);
        assert!(said.contains(&name) && !said.contains("import-"), "{said}");
        assert!(!path_of(&job, "again").exists() && unfinished(&job).is_empty());
    };
    // The last bytes in front of the end are of a file; those of the first file are the description.
    let with = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        std::fs::write(&file, bytes).unwrap();
    };
    let of = |text: &str| whole.windows(text.len()).position(|bytes| bytes == text.as_bytes()).unwrap();
    with(of("\"scheduled\": false") + 3);
    import(4, "sha256");
    with(of("\"positions\"") + 3);
    import(4, "manifest.json: ");
    assert!(Command::new("gzip").arg("-kf").arg(&file).status().unwrap().success());
    std::fs::rename(job.path("s.tar.gz"), &file).unwrap();
    import(1, "it is compressed with gzip; unpack it with gunzip first");
    std::fs::write(&file, &whole).unwrap();
    done(savepoint(&job, &["import", &name, "--name", "again"], &[]));
}

#[test]
fn a_name_that_is_taken_ends_every_command_alike() {
    let (job, file) = exported("savepoint-taken");
    let file = file.display().to_string();
    ends(&job, &["create", "--name", "s"], 1, "savepoint s is there already");
    ends(&job, &["import", &file], 1, "savepoint s is there already");
    ends(&job, &["export", "s", "--to", &file], 1, "exists already");
    let mut reserved = savepoint(&job, &["create", "--name", "LOCK"], &[]);
    reserved.ends_with(2);
    assert!(reserved.log().contains("cannot be the name of a savepoint"), "{}", reserved.log());
    let mut from = job.start_with(&["--until-end", "--from-savepoint", "/etc"], &[]);
    from.ends_with(4);
    assert!(from.last_line().contains("/etc: no savepoint.json in this directory"), "{}", from.last_line());
}

#[test]
fn state_of_a_savepoint_in_a_place_of_its_own_is_read_by_name() {
    let job = counted("savepoint-place", 100_000);
    job.run_to_end();
    let (data, kept) = (job.data_dir().display().to_string(), job.path("kept").display().to_string());
    done(savepoint(&job, &["create", "--name", "s", "--dir", &kept], &[]));
    let words =
        ["state", "scan", &job.name, "count", "--data-dir", &data, "--savepoint", "s", "--dir", &kept];
    let mut scan = Weir::start(&words, &[], &job.path("scan.log"));
    scan.ends_with(0);
    assert!(scan.log().lines().count() > 1, "{}", scan.log());
}
