//! Links that cannot be made, and checkpoints that go while somebody reads them.

use super::*;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use weir_protocol::epoch::Incarnation;

#[test]
fn a_file_that_cannot_be_linked_is_copied() {
    let directory = tempfile::tempdir().unwrap();
    let (from, to) = (directory.path().join("from"), directory.path().join("to"));
    fs::write(&from, "state").unwrap();
    // EPERM, EMLINK, EXDEV, EOPNOTSUPP.
    for errno in [1, 31, 18, 95] {
        link_with(|_, _| Err(io::Error::from_raw_os_error(errno)), &from, &to).unwrap();
        assert_eq!(fs::read(&to).unwrap(), b"state", "{errno}");
        fs::remove_file(&to).unwrap();
    }
}

#[test]
fn a_second_try_never_copies_a_file_over_itself() {
    let directory = tempfile::tempdir().unwrap();
    let (from, to) = (directory.path().join("from"), directory.path().join("to"));
    fs::write(&from, "state").unwrap();
    link_or_copy(&from, &to).unwrap();
    assert_eq!(link_or_copy(&from, &to).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(copy_durably(&from, &to).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(fs::read(&from).unwrap(), b"state");
    let gone = link_or_copy(&directory.path().join("gone"), &directory.path().join("new")).unwrap_err();
    assert_eq!(gone.kind(), io::ErrorKind::NotFound);
}

#[test]
fn an_old_checkpoint_is_whole_as_long_as_it_has_its_name() {
    const FILES: usize = 40;
    let directory = tempfile::tempdir().unwrap();
    let store = CheckpointStore::open(directory.path(), 2).unwrap();
    let incarnation = Incarnation::parse("01J9ZQ3W5X7Y8Z9A0B1C2D3E4F").unwrap();
    let id = |epoch| CheckpointId { epoch: Epoch(epoch), incarnation: incarnation.clone() };
    let fill = |epoch| {
        let temporary = store.temporary(&id(epoch));
        create_dir_all(&temporary).unwrap();
        (0..FILES).for_each(|number| fs::write(temporary.join(number.to_string()), "x").unwrap());
        rename(&temporary, store.path(&id(epoch))).unwrap();
    };
    fill(0);
    // It was being removed when the host was killed, and a copy of it came back.
    create_dir_all(store.temporary(&id(0)).join("state")).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for epoch in 1..200 {
                fill(epoch);
                store.delete_old(&id(epoch)).unwrap();
            }
            done.store(true, Ordering::Release);
        });
        while !done.load(Ordering::Acquire) {
            for id in store.complete().unwrap() {
                let path = store.path(&id);
                // An open directory stays the same one whatever its name is.
                let found = fs::read_dir(&path).map_or(0, |entries| entries.flatten().count());
                assert!(found == FILES || !path.exists(), "{id} has {found} files");
            }
        }
    });
    assert_eq!(store.names().unwrap().len(), 2);
}

#[test]
fn a_directory_goes_also_where_something_is_added_meanwhile() {
    let parent = tempfile::tempdir().unwrap();
    for round in 0..20 {
        let directory = parent.path().join(round.to_string());
        create_dir_all(&directory).unwrap();
        std::thread::scope(|scope| {
            let (begun, begins) = std::sync::mpsc::channel();
            scope.spawn(|| {
                let begun = begun;
                // As a thread of a life that was left behind, until it finds nowhere to write.
                for number in 0.. {
                    if File::create(directory.join(number.to_string())).is_err() {
                        break;
                    }
                    let _ = begun.send(());
                }
            });
            begins.recv().unwrap();
            remove_if_there(&directory).unwrap();
        });
        assert!(!directory.exists());
    }
}
