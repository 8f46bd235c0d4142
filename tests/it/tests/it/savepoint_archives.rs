//! Tar files that are made to do harm: an import writes nothing outside of the place of savepoints, takes nothing in
//! that is not whole, and ends in words.

use crate::harness::job::Job;
use crate::savepoint_imports::{exported, unfinished};
use crate::savepoints::{done, path_of, savepoint};
use std::path::Path;
use tar::{Builder, EntryType, Header};

/// A block of a tar file.
const BLOCK: usize = 512;

/// An entry, with a name that the library would not write.
fn entry(kind: EntryType, path: &[u8], link: &str, content: &[u8]) -> Vec<u8> {
    with_header(kind, path, link, content, |_| {})
}

fn with_header(
    kind: EntryType,
    path: &[u8],
    link: &str,
    content: &[u8],
    change: impl FnOnce(&mut Header),
) -> Vec<u8> {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(0o777);
    header.set_size(content.len() as u64);
    let gnu = header.as_gnu_mut().unwrap();
    gnu.name[..path.len()].copy_from_slice(path);
    gnu.linkname[..link.len()].copy_from_slice(link.as_bytes());
    change(&mut header);
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
    bytes
}

fn file(path: &str) -> Vec<u8> {
    entry(EntryType::Regular, path.as_bytes(), "", b"evil")
}

/// A file whose name is in an entry of its own, as GNU tar writes long ones.
fn long_name(path: &str) -> Vec<u8> {
    [entry(EntryType::GNULongName, b"././@LongLink", "", path.as_bytes()), file("short")].concat()
}

/// A file with a record of the extended header of POSIX.
fn extended(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = [b" ", key.as_bytes(), b"=", value, b"\n"].concat();
    let length = (1..10_000).find(|length: &usize| length.to_string().len() + rest.len() == *length).unwrap();
    let record = [length.to_string().as_bytes(), &rest].concat();
    [entry(EntryType::XHeader, b"PaxHeader", "", &record), file("short")].concat()
}

/// A size in the encoding for large ones.
fn of_size(size: [u8; 12]) -> Vec<u8> {
    with_header(EntryType::Regular, b"state/huge", "", b"evil", |header| {
        header.as_gnu_mut().unwrap().size = size;
    })
}

/// What stands in front of an otherwise good savepoint, with a name for the message of a failure.
fn tricks(outside: &Path) -> Vec<(&'static str, Vec<u8>)> {
    let absolute = outside.display().to_string();
    let through = |kind| [entry(kind, b"state", "..", b""), file("state/evil")].concat();
    let sparse = |header: &mut Header| header.as_gnu_mut().unwrap().realsize = *b"77777777777\0";
    vec![
        ("upwards", file("../evil")),
        ("upwards behind a directory", file("state/../../evil")),
        ("upwards behind a dot", file("./../evil")),
        ("absolute", file(&absolute)),
        ("backslashes", file("..\\evil")),
        ("a dot within", file("state/./evil")),
        ("an empty part", file("state//evil")),
        ("no name", file("")),
        ("only a dot", file(".")),
        ("bytes that are no text", entry(EntryType::Regular, b"\xff\xfe/../evil", "", b"evil")),
        ("a long name upwards", long_name(&format!("{}evil", "../".repeat(40)))),
        ("a long name that is absolute", long_name(&absolute)),
        ("a name that is too long", long_name(&"a".repeat(5000))),
        ("a path that is too deep", long_name(&"a/".repeat(5000))),
        ("an extended path upwards", extended("path", b"../evil")),
        ("an extended path that is absolute", extended("path", absolute.as_bytes())),
        ("an extended path with a NUL", extended("path", b"state/a\0b")),
        ("an extended size", extended("size", b"9000000000000000000")),
        ("a symbolic link", entry(EntryType::Symlink, b"manifest.json", "/etc/passwd", b"")),
        ("a file through a symbolic link", through(EntryType::Symlink)),
        ("a file through a hard link", through(EntryType::Link)),
        ("a hard link outwards", entry(EntryType::Link, b"manifest.json", "/etc/passwd", b"")),
        ("a hard link within", entry(EntryType::Link, b"state/again", "savepoint.json", b"")),
        ("a character device", entry(EntryType::Char, b"state/null", "", b"")),
        ("a block device", entry(EntryType::Block, b"state/disk", "", b"")),
        ("a pipe", entry(EntryType::Fifo, b"manifest.json", "", b"")),
        ("a sparse file", with_header(EntryType::GNUSparse, b"state/sparse", "", b"", sparse)),
        ("an unknown kind", entry(EntryType::new(b'Z'), b"state/unknown", "", b"evil")),
        ("a file where a directory is to be", file("state")),
        ("a file that comes again", file("manifest.json")),
        ("the description twice", file("savepoint.json")),
        ("a size of 8 GiB", of_size(*b"77777777777\0")),
        ("a size of 8 EiB", of_size([0x80, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])),
        ("a size without end", of_size([0xff; 12])),
        ("a size that is no number", of_size(*b"evil evil ev")),
        ("a checksum that is wrong", {
            let mut bytes = file("state/x");
            bytes[0] ^= 1;
            bytes
        }),
    ]
}

/// Everything below the directory of the job but what the pipeline has.
fn outside(job: &Job) -> Vec<String> {
    let names = |path: &Path| {
        let entries = std::fs::read_dir(path).unwrap().flatten();
        entries.map(|entry| entry.path().display().to_string()).collect::<Vec<_>>()
    };
    let places = [job.path(""), job.data_dir(), job.pipeline_dir(), job.pipeline_dir().join("savepoints")];
    let mut found: Vec<String> = places.iter().flat_map(|place| names(place)).collect();
    found.retain(|path| !path.ends_with(".log"));
    found.sort();
    found
}

#[track_caller]
fn is_refused(job: &Job, tar: &Path, trick: &str) -> String {
    let mut import = savepoint(job, &["import", &tar.display().to_string(), "--name", "again"], &[]);
    let code = import.exit_code();
    let said = import.last_line();
    assert!([1, 4].contains(&code), "{trick}: exit code {code}: {said}");
    assert!(said.contains(&tar.display().to_string()), "{trick}: {said}");
    assert!(said.chars().all(|c| !c.is_control()), "{trick}: {said:?}");
    assert!(!path_of(job, "again").exists() && unfinished(job).is_empty(), "{trick}");
    said
}

#[test]
fn no_trick_of_a_tar_file_writes_outside_or_takes_anything_in() {
    let (job, tar) = exported("archive-tricks");
    let whole = std::fs::read(&tar).unwrap();
    let evil = job.path("evil-file");
    let before = outside(&job);
    for (trick, bytes) in tricks(&evil) {
        std::fs::write(&tar, [&bytes[..], &whole].concat()).unwrap();
        is_refused(&job, &tar, trick);
        assert_eq!(outside(&job), before, "{trick}");
        assert!(!Path::new("/evil").exists(), "{trick}");
    }
    std::fs::write(&tar, &whole).unwrap();
    done(savepoint(&job, &["import", &tar.display().to_string(), "--name", "again"], &[]));
}

#[test]
fn a_tar_file_that_is_cut_off_anywhere_is_refused_and_what_nobody_asked_for_is_left_out() {
    let (job, tar) = exported("archive-cut");
    let whole = std::fs::read(&tar).unwrap();
    // Without the empty blocks at its end a tar file is whole; in front of them everything is missed.
    let end = whole.iter().rposition(|byte| *byte != 0).unwrap();
    for cut in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, whole.len() / 4, whole.len() / 2, end / BLOCK * BLOCK] {
        std::fs::write(&tar, &whole[..cut]).unwrap();
        is_refused(&job, &tar, &format!("{cut} of {} bytes", whole.len()));
    }
    let mut more = Builder::new(Vec::new());
    let mut header = Header::new_gnu();
    header.set_size(4);
    more.append_data(&mut header, "state/nobody/asked", &b"evil"[..]).unwrap();
    let entries = more.into_inner().unwrap()[..2 * BLOCK].to_vec();
    std::fs::write(&tar, [entries, whole].concat()).unwrap();
    done(savepoint(&job, &["import", &tar.display().to_string(), "--name", "again"], &[]));
    assert!(path_of(&job, "again").join("savepoint.json").is_file());
    assert!(!path_of(&job, "again").join("state/nobody").exists());
}
