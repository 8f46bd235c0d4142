//! What a barrier takes, and what a checkpoint costs.

use crate::harness::{GROUPS, Harness, begin, column, get, one_of_each, put};
use std::os::unix::fs::MetadataExt;
use weir_protocol::epoch::Epoch;
use weir_protocol::state::{KeyedState, StateBackend, StatePart};

fn put_numbers(state: &mut dyn KeyedState, numbers: std::ops::Range<u32>, value: &[u8]) {
    let keys: Vec<_> = numbers.map(|number| Some(format!("key-{number}").into_bytes())).collect();
    let slots = begin(state, &keys, 0);
    state.value_put_many("v", &slots.rows, (&column(keys.iter().map(|_| Some(value)))).into()).unwrap();
    state.commit_call().unwrap();
}

#[test]
fn what_was_written_after_the_barrier_is_not_in_its_checkpoint() {
    let harness = Harness::new(one_of_each(0), 64 << 20);
    let mut state = harness.open(&[]);
    put(&mut *state, "v", b"k", Some(b"before"), 0);
    let mut frozen = state.freeze(Epoch(1)).unwrap();
    put(&mut *state, "v", b"k", Some(b"behind"), 0);
    put(&mut *state, "v", b"other", Some(b"behind"), 0);
    let (part, _) = harness.persist(&mut *frozen, 0, 0..GROUPS);
    assert_eq!(get(&mut *state, "v", b"k", 0).as_deref(), Some(&b"behind"[..]));
    let mut restored = harness.open(&[part]);
    assert_eq!(get(&mut *restored, "v", b"k", 0).as_deref(), Some(&b"before"[..]));
    assert_eq!(get(&mut *restored, "v", b"other", 0), None);
}

#[test]
fn a_checkpoint_shares_the_tables_that_did_not_change() {
    let harness = Harness::new(one_of_each(0), 64 << 20);
    let mut state = harness.open(&[]);
    put_numbers(&mut *state, 0..3000, &[7; 500]);
    let mut frozen = state.freeze(Epoch(1)).unwrap();
    let (first, first_bytes) = harness.persist(&mut *frozen, 0, 0..GROUPS);
    drop(frozen);
    put_numbers(&mut *state, 0..1, b"small");
    let mut frozen = state.freeze(Epoch(2)).unwrap();
    let (second, second_bytes) = harness.persist(&mut *frozen, 0, 0..GROUPS);
    assert!(second_bytes * 2 < first_bytes, "{second_bytes} new bytes after {first_bytes}");
    let shared = first.1.files.iter().find(|file| file.name.ends_with(".sst")).unwrap();
    assert!(second.1.files.contains(shared));
    let inode = |directory: &std::path::Path| directory.join(&shared.name).metadata().unwrap().ino();
    assert_eq!(inode(&first.0), inode(&second.0));
    harness.backend.check_wholly(&second.0, &second.1).unwrap();
}

#[test]
fn a_frozen_set_that_is_given_up_ends_the_state() {
    let harness = Harness::new(one_of_each(0), 64 << 20);
    let mut state = harness.open(&[]);
    put(&mut *state, "v", b"k", Some(b"v"), 0);
    drop(state.freeze(Epoch(1)).unwrap());
    let error = state.freeze(Epoch(2)).err().expect("its writes would be in no checkpoint");
    assert!(error.message.contains("given up before it was persisted"), "{error}");
}

#[test]
fn a_second_frozen_set_is_refused_while_the_first_waits() {
    let harness = Harness::new(one_of_each(0), 64 << 20);
    let mut state = harness.open(&[]);
    let mut first = state.freeze(Epoch(1)).unwrap();
    assert!(state.freeze(Epoch(2)).is_err());
    harness.persist(&mut *first, 0, 0..GROUPS);
    assert!(state.freeze(Epoch(2)).is_ok());
}

#[test]
fn writing_early_waits_for_the_frozen_set() {
    // The cache holds nothing, so the first commit behind the barrier has to write early.
    let harness = Harness::new(one_of_each(0), 0);
    let mut state = harness.open(&[]);
    put(&mut *state, "v", b"k", Some(b"before"), 0);
    let mut frozen = state.freeze(Epoch(1)).unwrap();
    let (part, is_persisted) = std::thread::scope(|scope| {
        let writer = scope.spawn(|| put(&mut *state, "v", b"k", Some(b"behind"), 0));
        let (part, _) = harness.persist(&mut *frozen, 0, 0..GROUPS);
        writer.join().unwrap();
        (part, true)
    });
    assert!(is_persisted);
    let mut restored = harness.open(&[part]);
    assert_eq!(get(&mut *restored, "v", b"k", 0).as_deref(), Some(&b"before"[..]));
    assert_eq!(get(&mut *state, "v", b"k", 0).as_deref(), Some(&b"behind"[..]));
}

#[test]
fn entries_that_ran_out_before_the_decided_checkpoint_leave_the_disk() {
    let harness = Harness::new(one_of_each(1), 64 << 20);
    let mut state = harness.open(&[]);
    put_numbers(&mut *state, 0..2000, &[9; 300]);
    let tables = |part: &StatePart| {
        part.files.iter().filter(|file| file.name.ends_with(".sst")).map(|file| file.size).sum::<u64>()
    };
    let full = tables(&harness.checkpoint(&mut *state).1);
    harness.backend.decided(5_000);
    // RocksDB compacts when enough tables lie over one another; each checkpoint adds one.
    for _ in 0..40 {
        put_numbers(&mut *state, 0..2, b"x");
        let part = harness.checkpoint(&mut *state);
        if tables(&part.1) * 4 < full {
            return;
        }
    }
    panic!("{full} bytes did not shrink");
}
