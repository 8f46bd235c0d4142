//! Parts of a checkpoint on other subtasks than those that wrote them.

use crate::harness::{GROUPS, Harness, Key, begin, column, groups, one_of_each};
use crate::model::{Model, read_all};
use std::path::PathBuf;
use weir_protocol::epoch::Epoch;
use weir_protocol::key_group::{GroupOrder, KeyGroups, murmur2};
use weir_protocol::state::{KeyedState, StatePart};

fn keys() -> Vec<Key> {
    let some = (0..300u32).map(|number| Some(format!("key-{number}").into_bytes()));
    [None, Some(Vec::new())].into_iter().chain(some).collect()
}

fn owned_by(key: &Key, subtask: usize, subtasks: usize) -> bool {
    let ordinal = groups().ordinal(murmur2(key.as_deref().unwrap_or_default()));
    groups().owner(ordinal, subtasks) == subtask
}

/// Writes to each of the subtask's keys in all kinds of state.
fn write(state: &mut dyn KeyedState, keys: &[Key], round: u8, model: &mut Model) {
    let slots = begin(state, keys, 0);
    let values: Vec<Vec<u8>> = keys.iter().map(|key| format!("{round}-{key:?}").into_bytes()).collect();
    let values_column = column(values.iter().map(|value| Some(&value[..])));
    let subkey = vec![round];
    let subkeys = column(keys.iter().map(|_| Some(&subkey[..])));
    let times: Vec<u8> =
        (0..keys.len() as i64).flat_map(|row| (row % 17 + i64::from(round)).to_le_bytes()).collect();
    state.value_put_many("v", &slots.rows, (&values_column).into()).unwrap();
    state.map_put_many("m", &slots.rows, (&subkeys).into(), (&values_column).into()).unwrap();
    state.list_append_many("l", &slots.rows, (&values_column).into()).unwrap();
    state.timer_register_many("t", &slots.rows, &times).unwrap();
    state.commit_call().unwrap();
    for (row, (key, value)) in keys.iter().zip(values).enumerate() {
        model.values.insert(key.clone(), (value.clone(), 0));
        model.maps.insert((key.clone(), subkey.clone()), (value.clone(), 0));
        model.lists.entry(key.clone()).or_default().push((value, 0));
        model.timers.insert((row as i64 % 17 + i64::from(round), key.clone()));
    }
}

#[test]
fn from_one_subtask_to_two_to_four_to_three_to_one_nothing_is_lost_or_doubled() {
    let harness = Harness::new(one_of_each(0), 64 << 20);
    let keys = keys();
    let mut model = Model::default();
    let mut parts: Vec<(PathBuf, StatePart)> = Vec::new();
    for (round, subtasks) in [1, 2, 4, 3, 1].into_iter().enumerate() {
        let mut written = Vec::new();
        for subtask in 0..subtasks {
            let range = groups().owned(subtask, subtasks);
            let overlaps =
                |part: &StatePart| part.ordinal_start < range.end && range.start < part.ordinal_end;
            let restore: Vec<_> = parts.iter().filter(|(_, part)| overlaps(part)).cloned().collect();
            let (mut state, _) = harness.try_open(subtask, range.clone(), &restore, None).unwrap();
            // All keys are asked for, so what other subtasks own would be found.
            let read = read_all(&mut *state, &keys, 0);
            let owned = model.of(|key| owned_by(key, subtask, subtasks));
            read.assert_is(&owned, &format!("subtask {subtask} of {subtasks}"));
            let mine: Vec<Key> =
                keys.iter().filter(|key| owned_by(key, subtask, subtasks)).cloned().collect();
            // Only half of them are written anew, so that files of several rounds are read together.
            let mut after = model.of(|key| owned_by(key, subtask, subtasks));
            write(&mut *state, &mine[..mine.len() / (1 + usize::from(round > 0))], round as u8, &mut after);
            let mut frozen = state.freeze(Epoch(round as u64)).unwrap();
            written.push((harness.persist(&mut *frozen, subtask, range).0, after));
        }
        model = Model::default();
        parts.clear();
        for (part, after) in written {
            parts.push(part);
            model.values.extend(after.values);
            model.maps.extend(after.maps);
            model.lists.extend(after.lists);
            model.timers.extend(after.timers);
        }
    }
    let mut state = harness.open(&parts);
    read_all(&mut *state, &keys, 0).assert_is(&model, "in the end");
}

#[test]
fn the_same_range_again_is_linked_and_not_copied() {
    let harness = Harness::new(one_of_each(0), 64 << 20);
    let mut state = harness.open(&[]);
    let mut model = Model::default();
    write(&mut *state, &keys(), 0, &mut model);
    let part = harness.checkpoint(&mut *state);
    let tables: u64 =
        part.1.files.iter().filter(|file| file.name.ends_with(".sst")).map(|file| file.size).sum();
    let (_, restored) = harness.try_open(0, 0..GROUPS, &[part], None).unwrap();
    assert_eq!(restored.linked_bytes, tables);
    assert!(tables > 0);
}

#[test]
fn list_positions_go_on_behind_the_highest_of_all_parts() {
    let harness = Harness::new(one_of_each(0), 64 << 20);
    let mut state = harness.open(&[]);
    let mut model = Model::default();
    write(&mut *state, &keys(), 0, &mut model);
    let part = harness.checkpoint(&mut *state);
    assert_eq!(part.1.next_list_position, keys().len() as u64);
    let mut state = harness.open(&[part]);
    write(&mut *state, &keys()[..1], 1, &mut model);
    assert_eq!(harness.checkpoint(&mut *state).1.next_list_position, keys().len() as u64 + 1);
}

#[test]
fn keys_that_are_divided_anew_are_all_found_by_their_new_owners() {
    let mut harness = Harness::new(one_of_each(0), 64 << 20);
    let co_partitioned =
        KeyGroups { max_parallelism: GROUPS, order: GroupOrder::CoPartitioned { partitions: 4 } };
    harness.groups = co_partitioned;
    let (keys, mut model) = (keys(), Model::default());
    let mut parts = Vec::new();
    for subtask in 0..2 {
        let range = co_partitioned.owned(subtask, 2);
        let mine =
            |key: &Key| range.contains(&co_partitioned.ordinal(murmur2(key.as_deref().unwrap_or_default())));
        let mine: Vec<Key> = keys.iter().filter(|key| mine(key)).cloned().collect();
        let (mut state, _) = harness.try_open(subtask, range.clone(), &[], None).unwrap();
        write(&mut *state, &mine, 0, &mut model);
        let mut frozen = state.freeze(Epoch(0)).unwrap();
        parts.push(harness.persist(&mut *frozen, subtask, range).0);
    }
    (harness.groups, harness.restored_groups) = (groups(), Some(co_partitioned));
    for subtask in 0..3 {
        let (mut state, restored) =
            harness.try_open(subtask, groups().owned(subtask, 3), &parts, None).unwrap();
        assert!(restored.copied_bytes > 0);
        let owned = model.of(|key| owned_by(key, subtask, 3));
        read_all(&mut *state, &keys, 0).assert_is(&owned, &format!("subtask {subtask} of 3"));
    }
}
