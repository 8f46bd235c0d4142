//! Damage of a checkpoint is found, and told by file.

use crate::harness::{GROUPS, Harness, begin, one_of_each, put};
use std::fs;
use std::path::PathBuf;
use weir_protocol::connector::ErrorKind;
use weir_protocol::state::{StateBackend, StatePart};
use weir_state::inspect::PartReader;

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

/// Flips a bit of a table that has many blocks, in the middle of its data.
fn damaged_table(harness: &Harness) -> (PathBuf, StatePart, PathBuf) {
    let mut state = harness.open(&[]);
    for number in 0..2000u32 {
        put(&mut *state, "v", &number.to_be_bytes(), Some(&[7; 100]), 0);
    }
    let (directory, part) = harness.checkpoint(&mut *state);
    let table = part.files.iter().filter(|file| file.name.ends_with(".sst")).max_by_key(|file| file.size);
    let path = directory.join(&table.unwrap().name);
    replace(&path, |bytes| {
        let middle = bytes.len() / 4;
        bytes[middle..middle + 3000].iter_mut().for_each(|byte| *byte ^= 4);
    });
    (directory, part, path)
}

#[track_caller]
fn names_the_checkpoint(message: &str, table: &std::path::Path) {
    let file = table.display().to_string();
    assert!(message.starts_with(&file) && message.contains("restore an earlier checkpoint"), "{message}");
    assert!(!message.contains("/db/") && !message.contains("/part-"), "{message}");
}

#[test]
fn damage_that_is_met_while_the_stream_runs_names_the_file_of_the_checkpoint() {
    let harness = Harness::new(one_of_each(0), 1 << 20);
    let (directory, part, table) = damaged_table(&harness);
    let mut state = harness.try_open(0, 0..GROUPS, &[(directory, part)], None).unwrap().0;
    let mut errors = Vec::new();
    for number in 0..2000u32 {
        let slots = begin(&mut *state, &[Some(number.to_be_bytes().to_vec())], 0);
        let read = state.value_get_many("v", &slots.rows);
        let ended = state.commit_call();
        if read.is_err() {
            errors.push(ended.unwrap_err());
        }
    }
    assert!(!errors.is_empty());
    for error in errors {
        assert_eq!(error.kind, ErrorKind::Refused, "{error}");
        names_the_checkpoint(&error.message, &table);
    }
}

#[test]
fn damage_that_is_met_while_parts_are_copied_or_inspected_names_the_file_of_the_checkpoint() {
    let harness = Harness::new(one_of_each(0), 1 << 20);
    let (directory, part, table) = damaged_table(&harness);
    // A larger part becomes the database, so that the damaged one is copied.
    let mut state = harness.open(&[]);
    for number in 0..6000u32 {
        put(&mut *state, "v", &(10_000 + number).to_be_bytes(), Some(&[8; 100]), 0);
    }
    let other = harness.checkpoint(&mut *state);
    drop(state);
    let restore = [(directory.clone(), part.clone()), other];
    let error = harness.try_open(0, 0..GROUPS, &restore, None).err().unwrap();
    assert_eq!(error.kind, ErrorKind::Refused, "{error}");
    names_the_checkpoint(&error.message, &table);
    let scratch = harness.fresh("scratch");
    let reader = PartReader::open(&directory, &part, &scratch).unwrap();
    let state = harness.shape.states[0].clone();
    let error = reader.entries(&state, None, &mut |_| true).unwrap_err();
    names_the_checkpoint(&error.message, &table);
    assert!(!error.message.contains(&scratch.display().to_string()), "{error}");
}
