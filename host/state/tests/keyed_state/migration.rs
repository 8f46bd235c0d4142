//! Components that declare another version of a state, or another state.

use crate::harness::{Harness, begin, column, get, one_of_each, put, state};
use crate::model::read_all;
use std::path::PathBuf;
use weir_protocol::batch::Column;
use weir_protocol::connector::{CallError, ErrorKind};
use weir_protocol::state::{Entries, MigrateState, Migrated, Migrator, StateKind, StatePart};

type Make = fn(&Entries) -> Migrated;

/// Rewrites values, drops what begins with `x`, and notes what it was asked.
struct Rewriter {
    pages: Vec<usize>,
    make: Make,
}

impl Migrator for Rewriter {
    fn migrate(&mut self, state: &str, from_version: u32, page: &Entries) -> Result<Migrated, CallError> {
        assert_eq!((state, from_version), ("v", 1));
        self.pages.push(page.count);
        Ok((self.make)(page))
    }
}

fn rows(page: &Entries, keep: impl Fn(usize) -> bool) -> Vec<u32> {
    (0..page.count).filter(|row| keep(*row)).map(|row| row as u32).collect()
}

fn migrated(rows: &[u32], values: Column, subkeys: Column) -> Migrated {
    Migrated {
        count: rows.len(),
        rows: rows.iter().flat_map(|row| row.to_le_bytes()).collect(),
        subkeys,
        values,
    }
}

/// A checkpoint of 2,500 values of version 1.
fn checkpoint(harness: &Harness, ttl_now_ms: i64) -> (PathBuf, StatePart) {
    let mut opened = harness.open(&[]);
    let keys: Vec<_> = (0..2500u32)
        .map(|number| Some(format!("{}{number}", if number % 5 == 0 { "x" } else { "k" }).into_bytes()))
        .collect();
    let slots = begin(&mut *opened, &keys, ttl_now_ms);
    opened.value_put_many("v", &slots.rows, (&column(keys.iter().map(|_| Some(&b"1"[..])))).into()).unwrap();
    opened.commit_call().unwrap();
    harness.checkpoint(&mut *opened)
}

fn raised(harness: &mut Harness, version: u32) {
    harness.shape.states[0] = state("v", StateKind::Value, version, harness.shape.states[0].ttl_seconds);
    harness.migrate = vec![MigrateState { state: "v".to_owned(), from_version: 1 }];
}

#[test]
fn every_entry_goes_through_the_migration_once_and_the_old_family_is_gone() {
    let mut harness = Harness::new(one_of_each(0), 64 << 20);
    let part = checkpoint(&harness, 0);
    raised(&mut harness, 2);
    let mut rewriter = Rewriter {
        pages: Vec::new(),
        make: |page| {
            let rows = rows(page, |row| !page.keys.bytes(row).starts_with(b"x"));
            let values = column(rows.iter().map(|_| Some(&b"two"[..])));
            migrated(&rows, values, Column::default())
        },
    };
    let (mut opened, restored) =
        harness.try_open(0, 0..60, std::slice::from_ref(&part), Some(&mut rewriter)).unwrap();
    assert_eq!(rewriter.pages, [1000, 1000, 500]);
    assert_eq!(restored.migrated_entries, 2500);
    assert_eq!(get(&mut *opened, "v", b"k1", 0).as_deref(), Some(&b"two"[..]));
    assert_eq!(get(&mut *opened, "v", b"x5", 0), None);
    // The next checkpoint holds the new version only: version 1 is not found in it.
    let next = harness.checkpoint(&mut *opened);
    harness.migrate.clear();
    let mut opened = harness.open(std::slice::from_ref(&next));
    assert_eq!(get(&mut *opened, "v", b"k1", 0).as_deref(), Some(&b"two"[..]));
    raised(&mut harness, 3);
    let error = harness.try_open(0, 0..60, &[next], Some(&mut rewriter)).err().unwrap();
    assert!(
        error.message.contains("as value of version 2, the component declares value of version 3"),
        "{error}"
    );
    // The checkpoint that was migrated from is as it was.
    harness.shape = one_of_each(0);
    harness.migrate.clear();
    assert_eq!(get(&mut *harness.open(&[part]), "v", b"x5", 0).as_deref(), Some(&b"1"[..]));
}

#[test]
fn a_migrated_entry_keeps_its_time_of_writing() {
    let mut harness = Harness::new(one_of_each(10), 64 << 20);
    let part = checkpoint(&harness, 5_000);
    raised(&mut harness, 2);
    let mut same =
        Rewriter { pages: Vec::new(), make: |page| Migrated { count: page.count, ..Migrated::default() } };
    let (mut opened, _) = harness.try_open(0, 0..60, &[part], Some(&mut same)).unwrap();
    assert_eq!(get(&mut *opened, "v", b"k1", 14_999).as_deref(), Some(&b"1"[..]));
    assert_eq!(get(&mut *opened, "v", b"k1", 15_000), None);
}

#[test]
fn a_migration_that_makes_no_sense_is_refused_with_what_was_expected() {
    let mut harness = Harness::new(one_of_each(0), 64 << 20);
    let part = checkpoint(&harness, 0);
    raised(&mut harness, 2);
    let wrong: [(Make, &str); 5] = [
        (
            |_| Migrated { count: 3, ..Migrated::default() },
            "found 3 new entries without rows, expected 0 or 1000",
        ),
        (
            |_| migrated(&[1000], Column::default(), Column::default()),
            "row 0 names entry 1000, expected one below 1000",
        ),
        (|_| migrated(&[1, 1], Column::default(), Column::default()), "entry 1 is named twice"),
        (|_| migrated(&[1], column([None].into_iter()), Column::default()), "values: entry 0 is null"),
        (
            |_| migrated(&[1], Column::default(), column([Some(&b"s"[..])].into_iter())),
            "found subkeys, expected none for value state",
        ),
    ];
    for (make, says) in wrong {
        let mut rewriter = Rewriter { pages: Vec::new(), make };
        let error =
            harness.try_open(0, 0..60, std::slice::from_ref(&part), Some(&mut rewriter)).err().unwrap();
        assert_eq!(error.kind, ErrorKind::Permanent);
        assert!(error.message.contains(says) && error.message.contains("state \"v\""), "{error}");
    }
}

#[test]
fn a_dropped_state_is_gone_and_a_new_one_is_empty() {
    let mut harness = Harness::new(one_of_each(0), 64 << 20);
    let part = checkpoint(&harness, 0);
    harness.drop_states = vec!["v".to_owned()];
    harness.shape.states[0].name = "fresh".to_owned();
    let mut opened = harness.open(std::slice::from_ref(&part));
    assert_eq!(get(&mut *opened, "fresh", b"k1", 0), None);
    put(&mut *opened, "fresh", b"k1", Some(b"new"), 0);
    let next = harness.checkpoint(&mut *opened);
    // Declared again under the dropped name, it is empty as well, dropped or not.
    harness.shape = one_of_each(0);
    harness.drop_states.clear();
    assert_eq!(get(&mut *harness.open(&[next]), "v", b"k1", 0), None);
    harness.drop_states = vec!["v".to_owned()];
    let mut opened = harness.open(&[part]);
    assert!(read_all(&mut *opened, &[Some(b"k1".to_vec())], 0).values.is_empty());
}

#[test]
fn a_state_that_is_not_declared_any_more_stays_in_the_checkpoint() {
    let mut harness = Harness::new(one_of_each(0), 64 << 20);
    let part = checkpoint(&harness, 0);
    harness.shape.states.remove(0);
    let mut opened = harness.open(&[part]);
    let next = harness.checkpoint(&mut *opened);
    harness.shape = one_of_each(0);
    assert_eq!(get(&mut *harness.open(&[next]), "v", b"k1", 0).as_deref(), Some(&b"1"[..]));
}
