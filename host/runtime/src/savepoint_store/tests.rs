//! Savepoints of a pipeline whose checkpoints come and go meanwhile.

use super::*;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use weir_protocol::epoch::{CheckpointId, Epoch, Incarnation};
use weir_protocol::key_group::KeyGroups;
use weir_protocol::manifest::KeyedStates;
use weir_protocol::state::{KeyedState, Migrator, OpenState, Restored, StateFile, StatePart};

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
        savepoint: None,
        operator_watermarks: BTreeMap::new(),
        written_by: None,
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

#[test]
fn a_file_that_goes_before_its_checkpoint_does_is_tried_with_the_next_and_a_lost_one_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path();
    let (_, savepoint) = savepoint_with_state(place);
    let checkpoint = CheckpointStore::open(place, 2).unwrap().path(&savepoint.id);
    fs::remove_file(checkpoint.join(keyed().parts[0].directory()).join("000012.sst")).unwrap();
    // Its manifest is there, a file of its state is not.
    let error = create(place, "t", false, 0).unwrap_err();
    assert!(
        error.message.contains("000012.sst") && !error.message.contains("newest checkpoint went"),
        "{error}"
    );
    assert!(!place.join("savepoints/t.tmp").exists());
}

fn keyed() -> KeyedStates {
    let part = StatePart {
        operator: "sum".to_owned(),
        subtask: 0,
        ordinal_start: 0,
        ordinal_end: 60,
        next_list_position: 0,
        files: vec![StateFile {
            name: "000012.sst".to_owned(),
            size: 5,
            checksum: "xxh3:00112233445566ff".to_owned(),
        }],
    };
    KeyedStates { groups: KeyGroups::plain(60), operators: BTreeMap::new(), parts: vec![part] }
}

/// Takes every file of state for whole.
struct Trusting;

impl StateBackend for Trusting {
    fn open(
        &self,
        _: &OpenState<'_>,
        _: Option<&mut dyn Migrator>,
    ) -> Result<(Box<dyn KeyedState>, Restored), ConnectorError> {
        Err(ConnectorError::permanent("it opens nothing"))
    }

    fn decided(&self, _: i64) {}

    fn check_quickly(&self, _: &Path, _: &StatePart) -> Result<(), String> {
        Ok(())
    }

    fn check_wholly(&self, _: &Path, _: &StatePart) -> Result<(), String> {
        Ok(())
    }
}

/// A savepoint with a file of state, in a directory of its own.
fn savepoint_with_state(place: &Path) -> (PathBuf, Savepoint) {
    let store = CheckpointStore::open(place, 2).unwrap();
    let mut manifest = manifest(0);
    let states = keyed();
    let directory = store.temporary(&manifest.id).join(states.parts[0].directory());
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("000012.sst"), "table").unwrap();
    manifest.keyed = Some(states);
    let hash = store.store(&manifest).unwrap();
    let record = DecisionRecord { owner: Owner::of("", ""), id: manifest.id.clone(), manifest: hash };
    store.write_hint(&record).unwrap();
    let savepoint = create(place, "s", false, 0).unwrap();
    (place.join("savepoints/s"), savepoint)
}

#[test]
fn nothing_is_called_verified_that_was_not_compared() {
    let directory = tempfile::tempdir().unwrap();
    let (path, savepoint) = savepoint_with_state(directory.path());
    verify(&path, &savepoint, &Trusting).unwrap();
    fs::create_dir(path.join("components")).unwrap();
    fs::write(path.join("components/x.wasm"), "anything").unwrap();
    let changed = |change: &dyn Fn(&mut Vec<SavepointFile>)| {
        let mut changed = savepoint.clone();
        change(&mut changed.files);
        verify(&path, &changed, &Trusting).unwrap_err()
    };
    let extra = |checksum: &str| SavepointFile {
        path: "components/x.wasm".to_owned(),
        size: 8,
        checksum: checksum.to_owned(),
    };
    for checksum in ["md5:00", "", "xxh3:00112233445566ff", "SHA256:00"] {
        let error = changed(&|files| files.push(extra(checksum)));
        assert!(error.message.contains("components/x.wasm has the checksum"), "{error}");
    }
    let error = changed(&|files| files.push(extra("sha256:00")));
    assert!(error.message.contains("expected sha256:00"), "{error}");
    let of_state = |files: &mut Vec<SavepointFile>| {
        files.iter().position(|file| file.path.ends_with("000012.sst")).unwrap()
    };
    let error = changed(&|files| {
        let at = of_state(files);
        files[at].checksum = "xxh3:0000000000000000".to_owned();
    });
    assert!(error.message.contains("000012.sst has 5 bytes and xxh3:0000000000000000"), "{error}");
    let error = changed(&|files| {
        let at = of_state(files);
        files.push(files[at].clone());
    });
    assert!(error.message.contains("is listed twice"), "{error}");
    let error = changed(&|files| {
        let at = of_state(files);
        files.remove(at);
    });
    assert!(error.message.contains("is in the manifest, but not part of the savepoint"), "{error}");
}

#[test]
fn a_changed_description_is_not_imported() {
    let directory = tempfile::tempdir().unwrap();
    let (path, _) = savepoint_with_state(directory.path());
    let file = path.join("savepoint.json");
    let text = fs::read_to_string(&file).unwrap().replace("\"scheduled\": false", "\"scheduled\": true ");
    fs::write(&file, text).unwrap();
    let store = SavepointStore::at(directory.path().join("elsewhere"));
    let error = store.import(&path, &SavepointName::parse("s").unwrap(), &Trusting).unwrap_err();
    assert!(error.message.contains("sha256"), "{error}");
}

#[test]
fn what_killed_processes_left_unfinished_goes_with_the_next_change() {
    let directory = tempfile::tempdir().unwrap();
    decide(&CheckpointStore::open(directory.path(), 2).unwrap(), 0);
    let place = directory.path().join("savepoints");
    let store = SavepointStore::at(place.clone());
    let held = store.unpacking().unwrap();
    fs::write(held.directory().join("CURRENT"), "x").unwrap();
    // An import and a savepoint whose processes are gone.
    fs::create_dir_all(place.join("import-1-7.tmp/content/state")).unwrap();
    fs::write(place.join("import-1-7.tmp/LOCK"), "").unwrap();
    fs::create_dir_all(place.join("half.tmp/state")).unwrap();
    assert!(store.list().unwrap().is_empty(), "nothing of it is a savepoint");
    create(directory.path(), "s", false, 0).unwrap();
    assert!(!place.join("import-1-7.tmp").exists() && !place.join("half.tmp").exists());
    assert!(held.directory().join("CURRENT").exists(), "who unpacks is not disturbed");
    drop(held);
    let mut left: Vec<String> = fs::read_dir(&place)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(left, ["LOCK", "s"]);
}

#[test]
fn a_directory_without_a_description_is_told_as_one() {
    let error = load(Path::new("/etc")).unwrap_err();
    assert!(error.message.starts_with("/etc: no savepoint.json in it"), "{error}");
}

#[test]
fn a_description_of_version_1_that_names_another_pipeline_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let (path, savepoint) = savepoint_with_state(directory.path());
    let old = Savepoint { version: 1, ..savepoint };
    fs::write(path.join("savepoint.json"), old.encode()).unwrap();
    verify(&path, &load(&path).unwrap(), &Trusting).unwrap();
    let changed = Savepoint { pipeline: "other".to_owned(), ..old };
    fs::write(path.join("savepoint.json"), changed.encode()).unwrap();
    let error = verify(&path, &load(&path).unwrap(), &Trusting).unwrap_err();
    assert!(error.message.contains("it is of pipeline p, savepoint.json says other"), "{error}");
}
