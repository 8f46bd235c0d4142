//! Random calls, barriers and restarts, compared with the model after each step.

use crate::harness::{GROUPS, Harness, Key, begin, column, one_of_each};
use crate::model::{Model, read_all};
use proptest::prelude::*;
use std::path::PathBuf;
use std::thread::JoinHandle;
use weir_protocol::epoch::Epoch;
use weir_protocol::state::{FrozenState, KeyedState, StateBackend, StatePart};

/// What a call does to one key.
#[derive(Debug, Clone)]
enum Write {
    Value(Option<usize>),
    MapEntry(u8, Option<usize>),
    ClearMap,
    Append(usize),
    ClearList,
    Timer(i64, bool),
    Nothing,
}

/// When the frozen set of a barrier is persisted.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Persist {
    AtOnce,
    AfterAFailure,
    Beside,
}

#[derive(Debug, Clone)]
enum Step {
    Call { writes: Vec<(u8, Write)>, later_ms: i64, succeeds: bool, fires: bool },
    Barrier(Persist),
    Restart,
}

fn write() -> impl Strategy<Value = Write> {
    let length = || 0usize..50;
    prop_oneof![
        4 => prop::option::weighted(0.8, length()).prop_map(Write::Value),
        2 => (0u8..4, prop::option::weighted(0.7, length())).prop_map(|(subkey, value)| Write::MapEntry(subkey, value)),
        1 => Just(Write::ClearMap),
        2 => length().prop_map(Write::Append),
        1 => Just(Write::ClearList),
        2 => (-5i64..20, any::<bool>()).prop_map(|(time, set)| Write::Timer(time, set)),
        1 => Just(Write::Nothing),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let call = (
        prop::collection::vec((0u8..40, write()), 1..30),
        0i64..900,
        prop::bool::weighted(0.8),
        any::<bool>(),
    );
    prop_oneof![
        6 => call.prop_map(|(writes, later_ms, succeeds, fires)| Step::Call { writes, later_ms, succeeds, fires }),
        2 => prop_oneof![Just(Persist::AtOnce), Just(Persist::AfterAFailure), Just(Persist::Beside)]
            .prop_map(Step::Barrier),
        1 => Just(Step::Restart),
    ]
}

/// The null key, the empty one, short ones and long ones.
fn key(number: u8) -> Key {
    match number {
        0 => None,
        1 => Some(Vec::new()),
        _ if number.is_multiple_of(5) => {
            Some(format!("a-key-that-is-longer-than-a-cache-line-{number}").into_bytes())
        }
        _ => Some(format!("key-{number}").into_bytes()),
    }
}

/// The part that a thread has persisted.
type Persisted = Result<(PathBuf, StatePart), String>;

/// A state, its model, and the checkpoint that both can go back to.
struct Run {
    harness: Harness,
    state: Box<dyn KeyedState>,
    model: Model,
    now_ms: i64,
    ttl_ms: i64,
    decided: Option<((PathBuf, StatePart), Model)>,
    /// A frozen set that is being persisted beside the calls, and what it holds.
    beside: Option<(JoinHandle<Persisted>, Model)>,
    values_written: u8,
}

impl Run {
    fn new(ttl_seconds: u32, cache_bytes_max: usize) -> Run {
        let harness = Harness::new(one_of_each(ttl_seconds), cache_bytes_max);
        let state = harness.open(&[]);
        let ttl_ms = i64::from(ttl_seconds) * 1000;
        Run {
            harness,
            state,
            model: Model::default(),
            now_ms: 0,
            ttl_ms,
            decided: None,
            beside: None,
            values_written: 0,
        }
    }

    fn value(&mut self, length: usize) -> Vec<u8> {
        self.values_written = self.values_written.wrapping_add(1);
        vec![self.values_written; length]
    }

    fn call(&mut self, writes: &[(u8, Write)], succeeds: bool, fires: bool) {
        let mut after = self.model.clone();
        if fires {
            let due = self.state.due(0, 10, 5).unwrap();
            for row in 0..due.rows {
                let timer = (due.timestamp(row), due.keys.get(row).map(<[u8]>::to_vec));
                assert!(after.timers.remove(&timer), "a timer that is not set fired");
            }
        }
        let keys: Vec<Key> = writes.iter().map(|(number, _)| key(*number)).collect();
        let slots = begin(&mut *self.state, &keys, self.now_ms);
        for (row, (_, write)) in writes.iter().enumerate() {
            let slot = &slots.rows[row * 4..row * 4 + 4];
            self.write(slot, &keys[row], write, &mut after);
            let alive = after.at(self.now_ms, self.ttl_ms);
            let read = self.state.value_get_many("v", slot).unwrap();
            assert_eq!(read.get(0), alive.values.get(&keys[row]).map(|written| &written.0[..]), "in a call");
        }
        if succeeds {
            self.state.commit_call().unwrap();
            self.model = after;
        } else {
            self.state.discard_call().unwrap();
        }
    }

    fn write(&mut self, slot: &[u8], key: &Key, write: &Write, after: &mut Model) {
        let now_ms = self.now_ms;
        match write {
            Write::Value(length) => {
                let value = length.map(|length| self.value(length));
                let values = column([value.as_deref()].into_iter());
                self.state.value_put_many("v", slot, (&values).into()).unwrap();
                match value {
                    Some(value) => after.values.insert(key.clone(), (value, now_ms)),
                    None => after.values.remove(key),
                };
            }
            Write::MapEntry(subkey, length) => {
                let value = length.map(|length| self.value(length));
                let subkey = vec![*subkey; usize::from(*subkey)];
                let (subkeys, values) =
                    (column([Some(&subkey[..])].into_iter()), column([value.as_deref()].into_iter()));
                self.state.map_put_many("m", slot, (&subkeys).into(), (&values).into()).unwrap();
                match value {
                    Some(value) => after.maps.insert((key.clone(), subkey), (value, now_ms)),
                    None => after.maps.remove(&(key.clone(), subkey)),
                };
            }
            Write::ClearMap => {
                self.state.map_clear_many("m", slot).unwrap();
                after.maps.retain(|(known, _), _| known != key);
            }
            Write::Append(length) => {
                let value = self.value(*length);
                self.state
                    .list_append_many("l", slot, (&column([Some(&value[..])].into_iter())).into())
                    .unwrap();
                after.lists.entry(key.clone()).or_default().push((value, now_ms));
            }
            Write::ClearList => {
                self.state.list_clear_many("l", slot).unwrap();
                after.lists.remove(key);
            }
            Write::Timer(time, true) => {
                self.state.timer_register_many("t", slot, &time.to_le_bytes()).unwrap();
                after.timers.insert((*time, key.clone()));
            }
            Write::Timer(time, false) => {
                self.state.timer_delete_many("t", slot, &time.to_le_bytes()).unwrap();
                after.timers.remove(&(*time, key.clone()));
            }
            Write::Nothing => {}
        }
    }

    fn barrier(&mut self, persist: Persist) {
        self.join();
        let mut frozen = self.state.freeze(Epoch(1)).unwrap();
        match persist {
            Persist::Beside => {
                let directory = self.harness.fresh("beside").join("state");
                let thread = std::thread::spawn(move || persist_whole(&mut *frozen, directory));
                self.beside = Some((thread, self.model.clone()));
            }
            _ => {
                if persist == Persist::AfterAFailure {
                    // A file stands where a directory is needed: the database has the set, the checkpoint fails.
                    let in_the_way = self.harness.fresh("in-the-way");
                    std::fs::write(&in_the_way, "").unwrap();
                    frozen.persist(&in_the_way.join("state")).unwrap_err();
                }
                let part =
                    persist_whole(&mut *frozen, self.harness.fresh("checkpoint").join("state")).unwrap();
                self.decide(part, self.model.clone());
            }
        }
    }

    fn join(&mut self) {
        if let Some((thread, model)) = self.beside.take() {
            let part = thread.join().unwrap().unwrap();
            self.decide(part, model);
        }
    }

    fn decide(&mut self, part: (PathBuf, StatePart), model: Model) {
        self.harness.backend.check_quickly(&part.0, &part.1).unwrap();
        self.harness.backend.check_wholly(&part.0, &part.1).unwrap();
        self.harness.backend.decided(self.now_ms);
        self.decided = Some((part, model));
    }

    fn restart(&mut self) {
        self.join();
        let (restore, model) = match &self.decided {
            Some((part, model)) => (vec![part.clone()], model.clone()),
            None => (Vec::new(), Model::default()),
        };
        self.state = self.harness.open(&restore);
        self.model = model;
    }

    fn check(&mut self) {
        let keys: Vec<Key> = (0..40).map(key).collect();
        let read = read_all(&mut *self.state, &keys, self.now_ms);
        read.assert_is(&self.model.at(self.now_ms, self.ttl_ms).plain(), "all");
    }
}

fn persist_whole(frozen: &mut dyn FrozenState, directory: PathBuf) -> Persisted {
    let persisted = frozen.persist(&directory).map_err(|error| error.to_string())?;
    let part = StatePart {
        operator: "count".to_owned(),
        subtask: 0,
        ordinal_start: 0,
        ordinal_end: GROUPS,
        next_list_position: persisted.next_list_position,
        files: persisted.files,
    };
    Ok((directory, part))
}

fn run(steps: &[Step], ttl_seconds: u32, cache_bytes_max: usize) {
    let mut run = Run::new(ttl_seconds, cache_bytes_max);
    for step in steps {
        match step {
            Step::Call { writes, later_ms, succeeds, fires } => {
                run.now_ms += later_ms;
                run.call(writes, *succeeds, *fires);
            }
            Step::Barrier(persist) => run.barrier(*persist),
            Step::Restart => run.restart(),
        }
        run.check();
    }
    run.barrier(Persist::AtOnce);
    run.restart();
    run.check();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn calls_barriers_and_restarts_leave_what_the_model_says(
        steps in prop::collection::vec(step(), 1..40), ttl_seconds in prop_oneof![Just(0u32), 1u32..4]
    ) {
        run(&steps, ttl_seconds, 64 << 20);
    }

    #[test]
    fn a_cache_that_is_far_too_small_changes_nothing(
        steps in prop::collection::vec(step(), 1..40), ttl_seconds in prop_oneof![Just(0u32), 1u32..4],
        cache_bytes_max in prop_oneof![Just(0usize), Just(8 << 10), Just(24 << 10)]
    ) {
        run(&steps, ttl_seconds, cache_bytes_max);
    }
}
