//! What a guest asks wrongly, and what it may not do.

use crate::harness::{Harness, Key, begin, column, entries, get, one_of_each, put};
use weir_protocol::state::{ColumnRef, KeyedState, StateError};

fn misuse<T: std::fmt::Debug>(result: Result<T, StateError>, says: &str) {
    match result {
        Err(StateError::Misuse(message)) => assert!(message.contains(says), "{message}"),
        other => panic!("expected misuse, found {other:?}"),
    }
}

fn two_keys(state: &mut dyn KeyedState) -> Vec<u8> {
    let keys: [Key; 2] = [Some(b"a".to_vec()), Some(b"b".to_vec())];
    begin(state, &keys, 0).rows
}

#[test]
fn unknown_names_slots_and_columns_that_do_not_fit_are_misuse() {
    let harness = Harness::new(one_of_each(0), 1 << 20);
    let mut state = harness.open(&[]);
    let slots = two_keys(&mut *state);
    let two = column([Some(&b"x"[..]), Some(&b"y"[..])].into_iter());
    let one = column([Some(&b"x"[..])].into_iter());
    let absent = ColumnRef::default();
    misuse(state.value_get_many("w", &slots), "found the name \"w\", expected a declared one: v");
    misuse(state.value_get_many("m", &slots), "a declared one: v");
    misuse(state.map_scan("v", &slots, absent, absent, 0), "a declared one: m");
    misuse(state.value_get_many("v", &2u32.to_le_bytes()), "found slot 2, expected one below 2");
    misuse(state.value_get_many("v", &slots[..7]), "7 bytes");
    misuse(state.value_put_many("v", &slots, (&one).into()), "values: offsets have 8 bytes, expected 12");
    misuse(state.map_get_many("m", &slots, (&one).into()), "subkeys: offsets");
    let null = column([Some(&b"x"[..]), None].into_iter());
    misuse(state.map_put_many("m", &slots, (&null).into(), (&two).into()), "subkeys: entry 1 is null");
    misuse(state.list_append_many("l", &slots, (&null).into()), "values: entry 1 is null");
    misuse(state.timer_register_many("t", &slots, &[0; 9]), "times have 9 bytes");
    misuse(state.timer_delete_many("u", &slots, &[0; 16]), "a declared one: t");
    state.discard_call().unwrap();
    misuse(state.value_get_many("v", &slots), "found slot 1, expected one below 0");
}

#[test]
fn a_call_that_writes_too_much_is_misuse_and_leaves_nothing() {
    let mut harness = Harness::new(one_of_each(0), 1 << 20);
    harness.writes_bytes_max = 100;
    let mut state = harness.open(&[]);
    put(&mut *state, "v", b"a", Some(b"small"), 0);
    let slots = two_keys(&mut *state);
    let large = [1; 60];
    let values = column([Some(&large[..]), Some(&large[..])].into_iter());
    misuse(state.value_put_many("v", &slots, (&values).into()), "expected at most 100 (limits.state_writes)");
    state.discard_call().unwrap();
    assert_eq!(get(&mut *state, "v", b"a", 0).as_deref(), Some(&b"small"[..]));
    assert_eq!(get(&mut *state, "v", b"b", 0), None);
}

#[test]
fn the_later_of_two_writes_to_a_slot_holds_and_reads_keep_the_asked_order() {
    let harness = Harness::new(one_of_each(0), 1 << 20);
    let mut state = harness.open(&[]);
    let slots = two_keys(&mut *state);
    let (a, b) = (&slots[..4], &slots[4..]);
    let values = column([Some(&b"1"[..]), Some(&b"2"[..]), Some(&b"3"[..])].into_iter());
    state.value_put_many("v", &[a, b, a].concat(), (&values).into()).unwrap();
    let read = state.value_get_many("v", &[b, a, b].concat()).unwrap();
    assert_eq!(entries(&read), [b"2", b"3", b"2"].map(|value| Some(value.to_vec())));
    state.commit_call().unwrap();
    assert_eq!(get(&mut *state, "v", b"a", 0).as_deref(), Some(&b"3"[..]));
}

#[test]
fn usage_counts_hits_misses_and_what_is_not_frozen() {
    let harness = Harness::new(one_of_each(0), 1 << 20);
    let mut state = harness.open(&[]);
    put(&mut *state, "v", b"a", Some(b"x"), 0);
    get(&mut *state, "v", b"a", 0);
    get(&mut *state, "v", b"b", 0);
    let usage = state.usage();
    assert_eq!((usage.cache_hits, usage.cache_misses, usage.dirty_entries), (1, 1, 1));
    assert!(usage.cache_bytes > 0);
    harness.checkpoint(&mut *state);
    assert_eq!(state.usage().dirty_entries, 0);
}

#[test]
fn an_answer_that_is_too_long_is_misuse() {
    let mut harness = Harness::new(one_of_each(0), 1 << 20);
    harness.reads_bytes_max = 1000;
    let mut state = harness.open(&[]);
    put(&mut *state, "v", b"a", Some(&[1; 100]), 0);
    let slots = two_keys(&mut *state);
    let again: Vec<u8> = slots[..4].repeat(5000);
    misuse(state.value_get_many("v", &again), "longer than 1000 bytes (limits.state_reads)");
    let subkey = column([Some(&b"s"[..])].into_iter());
    let large = column([Some(&[2; 100][..])].into_iter());
    state.map_put_many("m", &slots[..4], (&subkey).into(), (&large).into()).unwrap();
    let subkeys = column((0..5000).map(|_| Some(&b"s"[..])));
    misuse(state.map_get_many("m", &again, (&subkeys).into()), "longer than 1000 bytes (limits.state_reads)");
    state.discard_call().unwrap();
}
