//! `rejected`: which bytes have failed probation where. Written before the old version starts again.

use crate::problem::Problem;
use rusqlite::{Connection, OptionalExtension, params};

/// Remembers.
pub fn put(
    connection: &Connection,
    pipeline: i64,
    operator: &str,
    sha256: &str,
    reason: &str,
    at: i64,
) -> Result<(), Problem> {
    connection.execute(
        "INSERT INTO rejected VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (pipeline, operator, sha256) DO UPDATE SET reason = excluded.reason, at = excluded.at",
        params![pipeline, operator, sha256, reason, at],
    )?;
    Ok(())
}

/// Why these bytes were rejected, where they were.
pub fn find(
    connection: &Connection,
    pipeline: i64,
    operator: &str,
    sha256: &str,
) -> Result<Option<String>, Problem> {
    let statement = "SELECT reason FROM rejected WHERE pipeline = ?1 AND operator = ?2 AND sha256 = ?3";
    Ok(connection.query_row(statement, params![pipeline, operator, sha256], |row| row.get(0)).optional()?)
}

/// They were forced, and have come through.
pub fn forget(connection: &Connection, pipeline: i64, operator: &str, sha256: &str) -> Result<(), Problem> {
    connection.execute(
        "DELETE FROM rejected WHERE pipeline = ?1 AND operator = ?2 AND sha256 = ?3",
        params![pipeline, operator, sha256],
    )?;
    Ok(())
}
