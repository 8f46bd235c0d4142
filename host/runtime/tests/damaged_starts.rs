//! A pipeline that starts again and again from a damaged checkpoint keeps the older ones that are whole.

#![expect(clippy::unwrap_used, reason = "a test says what it expects")]

use std::collections::BTreeMap;
use weir_protocol::epoch::{CheckpointId, Epoch, Incarnation};
use weir_protocol::manifest::{Manifest, VERSION};
use weir_runtime::checkpoint_store::CheckpointStore;

fn id(life: u64, epoch: u64) -> CheckpointId {
    CheckpointId { epoch: Epoch(epoch), incarnation: Incarnation::parse(&format!("{life:026}")).unwrap() }
}

fn decide(store: &CheckpointStore, id: &CheckpointId, parent: Option<&CheckpointId>) {
    let manifest = Manifest {
        version: VERSION,
        pipeline: "orders".to_owned(),
        id: id.clone(),
        parent: parent.cloned(),
        positions: vec![],
        now_ms: 0,
        operators: BTreeMap::new(),
        prepared: vec![],
        slots: 2,
        watermarks: vec![],
        keyed: None,
        finished: false,
        started_from: None,
        savepoint: None,
        operator_watermarks: BTreeMap::new(),
        written_by: None,
    };
    store.store(&manifest).unwrap();
}

fn epochs(store: &CheckpointStore) -> Vec<u64> {
    store.complete().unwrap().into_iter().map(|id| id.epoch.0).collect()
}

#[test]
fn starts_delete_nothing_but_the_start_that_they_repeat() {
    let directory = tempfile::tempdir().unwrap();
    let store = CheckpointStore::open(directory.path(), 3).unwrap();
    decide(&store, &id(1, 0), None);
    for epoch in 1..5 {
        decide(&store, &id(1, epoch), Some(&id(1, epoch - 1)));
        store.delete_old(&id(1, epoch)).unwrap();
    }
    assert_eq!(epochs(&store), [2, 3, 4]);

    // Ten lives that find the damage and end.
    let mut last = id(1, 4);
    for life in 2..12 {
        let start = id(life, life + 3);
        decide(&store, &start, Some(&last));
        store.delete_repeated(&last).unwrap();
        last = start;
    }
    assert_eq!(epochs(&store), [2, 3, 4, 14]);

    // The file was brought back, and the stream goes on.
    for epoch in 15..18 {
        decide(&store, &id(11, epoch), Some(&id(11, epoch - 1)));
        store.delete_old(&id(11, epoch)).unwrap();
    }
    assert_eq!(epochs(&store), [15, 16, 17]);
}
