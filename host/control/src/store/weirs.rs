//! `weirs`: which versions of weir have served with this store. It is there from schema 2 on.

use crate::problem::Problem;
use rusqlite::{Connection, Row, params};

/// The schema that brought the table.
pub const SINCE_SCHEMA: u32 = 2;

/// A version that has served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weir {
    /// Its version.
    pub version: String,
    /// When it was first started with this store.
    pub first_start_at: i64,
    /// When it was last started.
    pub last_start_at: i64,
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Weir> {
    Ok(Weir { version: row.get(0)?, first_start_at: row.get(1)?, last_start_at: row.get(2)? })
}

/// Notes a start.
pub fn note(connection: &Connection, version: &str, at: i64) -> Result<(), Problem> {
    connection.execute(
        "INSERT INTO weirs (version, first_start_at, last_start_at) VALUES (?1, ?2, ?2) ON CONFLICT (version) DO UPDATE SET last_start_at = ?2",
        params![version, at],
    )?;
    Ok(())
}

/// All, in the order of their first start.
pub fn all(connection: &Connection) -> Result<Vec<Weir>, Problem> {
    let mut prepared = connection.prepare_cached(
        "SELECT version, first_start_at, last_start_at FROM weirs ORDER BY first_start_at, version",
    )?;
    Ok(prepared.query_map([], from_row)?.collect::<Result<_, _>>()?)
}
