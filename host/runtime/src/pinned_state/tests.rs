//! Parts of a checkpoint that goes while they are linked.

use super::*;
use std::collections::BTreeMap;
use std::fs;
use weir_protocol::epoch::{CheckpointId, Epoch, Incarnation};
use weir_protocol::key_group::KeyGroups;
use weir_protocol::manifest::KeyedStates;
use weir_protocol::state::StateFile;

fn part(operator: &str, subtask: usize) -> StatePart {
    let file =
        StateFile { name: "000012.sst".to_owned(), size: 5, checksum: "xxh3:00112233445566ff".to_owned() };
    StatePart {
        operator: operator.to_owned(),
        subtask,
        ordinal_start: 0,
        ordinal_end: 60,
        next_list_position: 0,
        files: vec![file],
    }
}

/// A checkpoint on disk with two parts of `sum` and one of another operator, each with the epoch in its file.
fn stored(store: &CheckpointStore, epoch: u64) -> Manifest {
    let incarnation = Incarnation::parse("01J9ZQ3W5X7Y8Z9A0B1C2D3E4F").unwrap();
    let parts = vec![part("sum", 0), part("sum", 1), part("other", 0)];
    let id = CheckpointId { epoch: Epoch(epoch), incarnation };
    for part in &parts {
        let directory = store.path(&id).join(part.directory());
        create_dir_all(&directory).unwrap();
        fs::write(directory.join("000012.sst"), epoch.to_string()).unwrap();
    }
    Manifest {
        version: 2,
        pipeline: "p".to_owned(),
        id,
        parent: None,
        positions: vec![],
        now_ms: 0,
        operators: BTreeMap::new(),
        prepared: vec![],
        slots: 2,
        watermarks: vec![],
        keyed: Some(KeyedStates { groups: KeyGroups::plain(60), operators: BTreeMap::new(), parts }),
        finished: false,
        started_from: None,
        savepoint: None,
        operator_watermarks: BTreeMap::new(),
        written_by: None,
    }
}

fn place() -> (tempfile::TempDir, CheckpointStore) {
    let directory = tempfile::tempdir().unwrap();
    let store = CheckpointStore::open(directory.path(), 2).unwrap();
    (directory, store)
}

#[test]
fn parts_of_one_checkpoint_are_held_whatever_goes_while_they_are_linked() {
    let (directory, store) = place();
    let into = directory.path().join("pinned");
    let epochs = std::cell::Cell::new(0);
    // The first two are going: of the first a part is left, of the second nothing.
    let newest = || {
        let epoch = epochs.replace(epochs.get() + 1);
        let manifest = stored(&store, epoch);
        match epoch {
            0 => fs::remove_dir_all(store.path(&manifest.id).join(part("sum", 1).directory())).unwrap(),
            1 => fs::remove_dir_all(store.path(&manifest.id)).unwrap(),
            _ => {}
        }
        Ok(manifest)
    };
    let manifest = pin(newest, &store, &into, |part| part.operator == "sum").unwrap();
    assert_eq!(manifest.id.epoch, Epoch(2));
    fs::remove_dir_all(store.path(&manifest.id)).unwrap();
    for subtask in 0..2 {
        let file = into.join(part("sum", subtask).directory()).join("000012.sst");
        assert_eq!(fs::read(file).unwrap(), b"2", "{subtask}");
    }
    assert!(!into.join(part("other", 0).directory()).exists(), "nobody wants it");
}

#[test]
fn a_lost_file_is_named_and_checkpoints_that_always_go_are_given_up() {
    let (directory, store) = place();
    let into = directory.path().join("pinned");
    let lost = stored(&store, 7);
    fs::remove_dir_all(store.path(&lost.id).join(part("sum", 0).directory())).unwrap();
    let error = pin(|| Ok(lost.clone()), &store, &into, |_| true).unwrap_err();
    assert!(error.message.contains(&lost.id.to_string()), "{error}");
    let epochs = std::cell::Cell::new(10);
    let newest = || {
        let manifest = stored(&store, epochs.replace(epochs.get() + 1));
        fs::remove_dir_all(store.path(&manifest.id)).unwrap();
        Ok(manifest)
    };
    let error = pin(newest, &store, &into, |_| true).unwrap_err();
    assert!(error.message.contains("10 times the newest checkpoint went"), "{error}");
}
