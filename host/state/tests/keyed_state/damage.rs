//! Damage of a checkpoint is found, and told by file.

use crate::harness::{Harness, one_of_each, put};
use std::fs;
use std::path::PathBuf;
use weir_protocol::connector::ErrorKind;
use weir_protocol::state::{StateBackend, StatePart};

fn checkpoint(harness: &Harness) -> (PathBuf, StatePart, PathBuf) {
    let mut state = harness.open(&[]);
    put(&mut *state, "v", b"k", Some(b"v"), 0);
    let (directory, part) = harness.checkpoint(&mut *state);
    let table = part.files.iter().find(|file| file.name.ends_with(".sst")).unwrap();
    let path = directory.join(&table.name);
    (directory, part, path)
}

/// Replaces a file, so that links to it elsewhere stay as they are.
fn replace(path: &PathBuf, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::remove_file(path).unwrap();
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_flipped_byte_is_found_by_the_whole_look() {
    let harness = Harness::new(one_of_each(0), 1 << 20);
    let (directory, part, table) = checkpoint(&harness);
    harness.backend.check_wholly(&directory, &part).unwrap();
    replace(&table, |bytes| bytes[3] ^= 1);
    harness.backend.check_quickly(&directory, &part).unwrap();
    let error = harness.backend.check_wholly(&directory, &part).unwrap_err();
    assert!(error.contains(&table.display().to_string()) && error.contains("expected xxh3:"), "{error}");
}

#[test]
fn a_cut_off_a_missing_and_an_overwritten_file_are_found_by_the_quick_look() {
    let harness = Harness::new(one_of_each(0), 1 << 20);
    let (directory, part, table) = checkpoint(&harness);
    let says = |what: &str| {
        let error = harness.backend.check_quickly(&directory, &part).unwrap_err();
        assert!(error.contains(&table.display().to_string()) && error.contains(what), "{error}");
    };
    let whole = fs::read(&table).unwrap();
    replace(&table, |bytes| bytes.truncate(whole.len() - 1));
    says(&format!("found {} bytes, expected {}", whole.len() - 1, whole.len()));
    replace(&table, |bytes| *bytes = vec![0; whole.len()]);
    says("expected 0x88e241b785f4cff7");
    fs::remove_file(&table).unwrap();
    says("cannot be read");
}

#[test]
fn opening_damaged_files_refuses_and_names_the_place() {
    let harness = Harness::new(one_of_each(0), 1 << 20);
    let (directory, part, _) = checkpoint(&harness);
    let manifest = part.files.iter().find(|file| file.name.starts_with("MANIFEST")).unwrap();
    replace(&directory.join(&manifest.name), |bytes| bytes.iter_mut().skip(20).for_each(|byte| *byte = 0xaa));
    let error = harness.try_open(0, 0..60, &[(directory, part)], None).err().unwrap();
    assert_eq!(error.kind, ErrorKind::Refused, "{error}");
    assert!(error.message.contains("restore an earlier checkpoint"), "{error}");
}
