//! What the host remembers: one SQLite file, one connection, full synchronisation. A change that was answered is on disk.
//!
//! Each table is a file of this folder: the row, and the few statements on it. Calls block, and are made on threads that
//! may.

pub mod audit;
pub mod backup;
pub mod events;
pub mod operators;
pub mod pipelines;
mod private;
pub mod rejected;
pub mod revisions;
pub mod swaps;
pub mod tokens;
pub mod weirs;

use crate::problem::{Code, Problem};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Numbered from 1; the file's `user_version` is the last one that it has had. Each belongs to a feature level: the
/// file gets only those of the level in force, so that the weir of that level opens it too.
const MIGRATIONS: &[&str] =
    &[include_str!("store/migrations/0001_begin.sql"), include_str!("store/migrations/0002_weirs.sql")];

/// How long another process (a copy under way) may hold the file.
const BUSY_TIME_MAX: Duration = Duration::from_secs(10);

/// The store.
pub struct Store {
    connection: Mutex<Connection>,
    /// Changes since it was opened, the opening being the first.
    changes: AtomicU64,
    /// Of these, how many the backup has.
    backed_up: AtomicU64,
}

/// Schemas, by their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schemas {
    /// That of the feature level in force: the file is brought to it.
    pub written: usize,
    /// The newest that may be found.
    pub known: usize,
}

/// Which part of a list is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The `next` of the page before.
    pub after: Option<String>,
    /// Rows at most.
    pub limit: u32,
}

impl Page {
    /// `after` where the list goes by number.
    pub fn after_number(&self) -> Result<Option<i64>, Problem> {
        let parsed = self.after.as_deref().map(str::parse::<i64>).transpose();
        parsed.map_err(|_| {
            Problem::new(crate::problem::Code::InvalidParameter, "after: expected the `next` of another page")
        })
    }
}

impl Store {
    /// Opens the file, makes it where it is missing, and brings it to the newest schema.
    #[cfg(test)]
    pub fn open(path: &Path) -> Result<Store, Problem> {
        Store::open_at(path, Schemas { written: MIGRATIONS.len(), known: MIGRATIONS.len() })
    }

    /// Opens the file, makes it where it is missing, and brings it to the schema of the level in force.
    pub fn open_at(path: &Path, schemas: Schemas) -> Result<Store, Problem> {
        private::create(path)?;
        for suffix in ["-wal", "-shm"] {
            let left = path.with_file_name(format!("{}{suffix}", backup::STORE));
            if left.exists() {
                private::restrict(&left)?;
            }
        }
        let mut connection = Connection::open(path)?;
        connection.busy_timeout(BUSY_TIME_MAX)?;
        backup::check(&connection, path)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        migrate(&mut connection, schemas)?;
        Ok(Store {
            connection: Mutex::new(connection),
            changes: AtomicU64::new(1),
            backed_up: AtomicU64::new(0),
        })
    }

    /// Brings the file to the schema of a level that has been put in force.
    pub fn raise(&self, schemas: Schemas) -> Result<(), Problem> {
        migrate(&mut self.lock(), schemas)?;
        self.changes.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    /// Which schema the file has.
    pub fn schema(&self) -> Result<u32, Problem> {
        self.read(|connection| Ok(connection.pragma_query_value(None, "user_version", |row| row.get(0))?))
    }

    /// The changes that a backup that begins now will have; none where the last one has them all.
    fn begin_backup(&self) -> Option<u64> {
        let changes = self.changes.load(Ordering::SeqCst);
        (changes != self.backed_up.load(Ordering::SeqCst)).then_some(changes)
    }

    /// The backup is in its place.
    fn end_backup(&self, changes: u64) {
        self.backed_up.store(changes, Ordering::SeqCst);
    }

    /// Reads.
    pub fn read<T>(&self, body: impl FnOnce(&Connection) -> Result<T, Problem>) -> Result<T, Problem> {
        body(&self.lock())
    }

    /// Writes all of it, or nothing where the body refuses.
    pub fn write<T>(&self, body: impl FnOnce(&Transaction<'_>) -> Result<T, Problem>) -> Result<T, Problem> {
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let result = body(&transaction)?;
        transaction.commit()?;
        self.changes.fetch_add(1, Ordering::SeqCst);
        Ok(result)
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        // A transaction of a thread that panicked was rolled back when it was dropped.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn migrate(connection: &mut Connection, schemas: Schemas) -> Result<(), Problem> {
    let Schemas { written, known } = schemas;
    let done: usize = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if done > known {
        // Told to whoever starts the host, not to a client.
        return Err(Problem::new(
            Code::Internal,
            format!("control.sqlite was written by a newer weir (schema {done}, this one knows {known})"),
        )
        .hint("run the weir that wrote it; `weir upgrade status` of it says which others can"));
    }
    for (index, statements) in MIGRATIONS.iter().enumerate().take(written).skip(done) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(statements)?;
        transaction.pragma_update(None, "user_version", index + 1)?;
        transaction.commit()?;
    }
    Ok(())
}

/// Rows up to the limit, and where the next page begins.
fn paged<T>(mut rows: Vec<T>, limit: u32, cursor: impl Fn(&T) -> String) -> (Vec<T>, Option<String>) {
    let limit = limit as usize;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = if more { rows.last().map(cursor) } else { None };
    (rows, next)
}

/// Rows to read for a page: one more than asked for says whether there is another page.
fn rows_to_read(page: &Page) -> i64 {
    i64::from(page.limit) + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_opened_again_and_refuses_the_file_of_a_newer_weir() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control.sqlite");
        drop(Store::open(&path).unwrap());
        drop(Store::open(&path).unwrap());
        Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
        assert!(Store::open(&path).is_err());
    }

    #[test]
    fn a_store_is_brought_to_the_schema_of_the_level_in_force_and_opened_by_the_weir_of_that_level() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control.sqlite");
        let (new, old) = (Schemas { written: 1, known: 2 }, Schemas { written: 1, known: 1 });
        let schema_by = |schemas| Store::open_at(&path, schemas).and_then(|store| store.schema());
        assert_eq!(schema_by(new).ok(), Some(1));
        assert_eq!(schema_by(old).ok(), Some(1), "the weir before opens what this one has written");
        let store = Store::open_at(&path, new).unwrap();
        store.raise(Schemas { written: 2, known: 2 }).unwrap();
        store.write(|transaction| weirs::note(transaction, "0.2.0", 7)).unwrap();
        store.write(|transaction| weirs::note(transaction, "0.2.0", 9)).unwrap();
        let expected = weirs::Weir { version: "0.2.0".to_owned(), first_start_at: 7, last_start_at: 9 };
        assert_eq!(store.read(weirs::all).ok(), Some(vec![expected]));
        drop(store);
        // The level's file was lost: what is there is read.
        assert_eq!(schema_by(new).ok(), Some(2));
        let refused = schema_by(old).unwrap_err();
        assert!(refused.message.contains("schema 2, this one knows 1"), "{}", refused.message);
    }

    #[test]
    fn a_refused_change_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("control.sqlite")).unwrap();
        let refused: Result<(), Problem> = store.write(|transaction| {
            transaction.execute("INSERT INTO operators VALUES ('a', 1)", [])?;
            Err(Problem::internal("no"))
        });
        assert!(refused.is_err());
        let count: i64 =
            store.read(|c| Ok(c.query_row("SELECT count(*) FROM operators", [], |r| r.get(0))?)).unwrap();
        assert_eq!(count, 0);
    }
}
