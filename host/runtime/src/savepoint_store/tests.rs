//! Savepoints of a pipeline whose checkpoints come and go meanwhile.

use super::*;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use weir_protocol::epoch::{CheckpointId, Epoch, Incarnation};

const INCARNATION: &str = "01J9ZQ3W5X7Y8Z9A0B1C2D3E4F";

fn manifest(epoch: u64) -> Manifest {
    Manifest {
        version: 2,
        pipeline: "p".to_owned(),
        id: CheckpointId { epoch: Epoch(epoch), incarnation: Incarnation::parse(INCARNATION).unwrap() },
        parent: None,
        positions: vec![],
        now_ms: 0,
        operators: BTreeMap::new(),
        prepared: vec![],
        slots: 2,
        watermarks: vec![],
        keyed: None,
        finished: false,
        started_from: None,
        operator_watermarks: BTreeMap::new(),
    }
}

/// Decides a checkpoint and drops old ones, as the host does.
fn decide(store: &CheckpointStore, epoch: u64) {
    let manifest = manifest(epoch);
    let hash = store.store(&manifest).unwrap();
    let record = DecisionRecord { owner: Owner::of("", ""), id: manifest.id.clone(), manifest: hash };
    store.write_hint(&record).unwrap();
    store.delete_old(&manifest.id).unwrap();
}

fn create(place: &Path, name: &str, scheduled: bool, created_ms: i64) -> Result<Savepoint, ConnectorError> {
    let name = SavepointName::parse(name).unwrap();
    let (pipeline, components) = (place, place);
    SavepointStore::at(place.join("savepoints")).create(&NewSavepoint {
        name: &name,
        pipeline,
        components,
        scheduled,
        created_ms,
    })
}

#[test]
fn a_checkpoint_that_goes_while_it_is_linked_is_replaced_by_the_newest() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path();
    let store = CheckpointStore::open(place, 2).unwrap();
    decide(&store, 0);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for epoch in 1.. {
                if done.load(Ordering::Relaxed) {
                    return;
                }
                decide(&store, epoch);
            }
        });
        for number in 0..50 {
            let made = create(place, &format!("s{number}"), false, number);
            if made.is_err() {
                done.store(true, Ordering::Relaxed);
            }
            let savepoint = made.unwrap();
            let path = place.join("savepoints").join(savepoint.name.as_str());
            assert_eq!(super::manifest(&path, &savepoint).unwrap().id, savepoint.id);
        }
        done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_name_that_is_taken_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    decide(&CheckpointStore::open(directory.path(), 2).unwrap(), 0);
    create(directory.path(), "s", false, 0).unwrap();
    let error = create(directory.path(), "s", false, 0).unwrap_err();
    assert!(error.message.contains("is there already"), "{error}");
}

#[test]
fn nothing_is_made_before_a_checkpoint_is_decided() {
    let directory = tempfile::tempdir().unwrap();
    let error = create(directory.path(), "s", false, 0).unwrap_err();
    assert!(error.message.contains("no checkpoint is decided yet"), "{error}");
    assert!(SavepointStore::at(directory.path().join("savepoints")).list().unwrap().is_empty());
}

#[test]
fn only_old_savepoints_of_the_schedule_go() {
    let directory = tempfile::tempdir().unwrap();
    decide(&CheckpointStore::open(directory.path(), 2).unwrap(), 0);
    for (name, scheduled, created_ms) in [("c", true, 1), ("b", true, 2), ("asked", false, 0), ("a", true, 3)]
    {
        create(directory.path(), name, scheduled, created_ms).unwrap();
    }
    let store = SavepointStore::at(directory.path().join("savepoints"));
    assert_eq!(store.prune(2).unwrap(), ["c"]);
    let left: Vec<String> = store.list().unwrap().into_iter().map(|listed| listed.name).collect();
    assert_eq!(left, ["asked", "b", "a"]);
}
