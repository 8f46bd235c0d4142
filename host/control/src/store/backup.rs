//! `control.backup.sqlite`: the store as one file that is always whole, so that the data directory can be copied by
//! anything while the host runs. A database that is being written cannot: its file and its log are read one after the
//! other.
//!
//! The file is written beside its place and renamed. Where `control.sqlite` is missing, it takes its place at the start.

use super::Store;
use crate::problem::Problem;
use rusqlite::{Connection, params};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// The store itself.
pub const STORE: &str = "control.sqlite";
/// Its whole copy.
const BACKUP: &str = "control.backup.sqlite";

/// Writes the copy anew, where there is something that it does not have. Writers do not wait for it.
pub fn write(store: &Store, data_dir: &Path) -> Result<bool, Problem> {
    let Some(permit) = store.begin_backup() else { return Ok(false) };
    let part = data_dir.join(format!("{BACKUP}.part"));
    remove(&part)?;
    let connection = Connection::open(data_dir.join(STORE))?;
    connection.execute("VACUUM INTO ?1", params![part.display().to_string()])?;
    File::open(&part)?.sync_all()?;
    fs::rename(&part, data_dir.join(BACKUP))?;
    File::open(data_dir)?.sync_all()?;
    store.end_backup(permit);
    Ok(true)
}

/// Before the store is opened: a copy of a data directory without `control.sqlite` goes on with the backup.
pub fn restore(data_dir: &Path) -> Result<(), Problem> {
    let (path, backup) = (data_dir.join(STORE), data_dir.join(BACKUP));
    if path.exists() || !backup.exists() {
        return Ok(());
    }
    // What belonged to the missing file is of no use to another.
    for suffix in ["-wal", "-shm"] {
        remove(&data_dir.join(format!("{STORE}{suffix}")))?;
    }
    let part = data_dir.join(format!("{STORE}.part"));
    fs::copy(&backup, &part)?;
    File::open(&part)?.sync_all()?;
    fs::rename(&part, &path)?;
    tracing::info!("{STORE} was not there: {BACKUP} has taken its place");
    Ok(())
}

/// Refuses a file that is not whole, such as a plain copy of one that was being written.
pub fn check(connection: &Connection, path: &Path) -> Result<(), Problem> {
    let found: rusqlite::Result<String> = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0));
    match found {
        Ok(found) if found == "ok" => Ok(()),
        Ok(found) => Err(damaged(path, &found)),
        Err(error) => Err(damaged(path, &error.to_string())),
    }
}

fn damaged(path: &Path, found: &str) -> Problem {
    let shown = path.display();
    Problem::internal(format!("{shown} is damaged ({found})")).hint(format!(
        "if this directory is a copy that was made while the host ran, remove {shown}, {shown}-wal and {shown}-shm: {BACKUP} takes their place"
    ))
}

fn remove(path: &PathBuf) -> Result<(), Problem> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(store: &Store, name: &str) {
        let insert = |c: &rusqlite::Transaction<'_>| {
            c.execute("INSERT INTO operators VALUES (?1, 1)", params![name])?;
            Ok(())
        };
        store.write(insert).unwrap();
    }

    fn names(store: &Store) -> i64 {
        store.read(|c| Ok(c.query_row("SELECT count(*) FROM operators", [], |row| row.get(0))?)).unwrap()
    }

    #[test]
    fn the_backup_takes_the_place_of_a_store_that_is_missing() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join(STORE)).unwrap();
        put(&store, "a");
        assert!(write(&store, directory.path()).unwrap());
        assert!(!write(&store, directory.path()).unwrap(), "nothing has changed");
        put(&store, "b");
        assert!(write(&store, directory.path()).unwrap());
        let copy = tempfile::tempdir().unwrap();
        fs::copy(directory.path().join(BACKUP), copy.path().join(BACKUP)).unwrap();
        fs::write(copy.path().join("control.sqlite-wal"), "of another file").unwrap();
        restore(copy.path()).unwrap();
        assert_eq!(names(&Store::open(&copy.path().join(STORE)).unwrap()), 2);
    }

    #[test]
    fn a_torn_store_is_refused_with_the_way_out() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(STORE);
        let store = Store::open(&path).unwrap();
        (0..2000).for_each(|number| put(&store, &format!("operator-{number}")));
        drop(store);
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle..middle + 8192].fill(0x5a);
        fs::write(&path, bytes).unwrap();
        let Err(problem) = Store::open(&path) else { panic!("it was opened") };
        assert!(problem.hint.unwrap().contains(BACKUP));
    }
}
