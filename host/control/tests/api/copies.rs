//! The data directory is copied while the service works.

use crate::fake_host::FakeHost;
use crate::harness::{Server, orders};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// As `tar --exclude='control.sqlite*'` or `rsync --exclude='control.sqlite*'` would.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
        match path.is_dir() {
            true => copy(&path, &to.join(name)),
            false if name.starts_with("control.sqlite") => {}
            // Files of uploads and backups under way come and go.
            false => drop(std::fs::copy(&path, to.join(name))),
        }
    }
}

#[test]
fn a_copy_that_is_made_while_it_works_opens_with_what_was_answered_before() {
    let server = Server::start_with(|options| options.backup_interval = Duration::from_millis(20));
    server.push("count", b"one").is(201);
    server.put("orders", &orders("count@1")).is(201);
    server.apply("orders").is(202);
    let target = Arc::new(tempfile::tempdir().unwrap());
    std::thread::scope(|scope| {
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let busy = &server;
        scope.spawn(move || {
            let mut number = 0;
            while stopped.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
                number += 1;
                busy.put("orders", &format!("{}# {number}\n", orders("count@1"))).is(200);
            }
        });
        let changed = b"blackhole\"\n# ";
        server.wait("a copy with one of the changes", || {
            copy(&server.path(""), target.path());
            let backup = std::fs::read(target.path().join("control.backup.sqlite")).ok()?;
            backup.windows(changed.len()).any(|bytes| bytes == changed).then_some(())
        });
        drop(stop);
    });
    let copied = Server::open(target, Arc::new(FakeHost::default()), |_| {});
    assert_eq!(copied.get("/v1/pipelines/orders").is(200).json()["applied_revision"], 1);
    assert_eq!(copied.get("/v1/operators/count/versions/1/component").is(200).bytes, b"one");
}
