//! `operators` and `versions`: what was uploaded. A row is never changed; numbers are never given twice.

use super::{Page, paged, rows_to_read};
use crate::host::Inspected;
use crate::problem::Problem;
use rusqlite::{Connection, OptionalExtension, Row, params};

/// A version of an operator.
#[derive(Debug, Clone, PartialEq)]
pub struct Version {
    /// The operator's name.
    pub operator: String,
    /// Its number, from 1.
    pub version: i64,
    /// What the component says of itself.
    pub inspected: Inspected,
    /// When it was uploaded.
    pub created_at: i64,
    /// By whom.
    pub created_by: String,
}

const COLUMNS: &str = "operator, version, sha256, size, world, imports, describe, created_at, created_by";

fn from_row(row: &Row<'_>) -> rusqlite::Result<Version> {
    let imports: String = row.get(5)?;
    let describe: String = row.get(6)?;
    Ok(Version {
        operator: row.get(0)?,
        version: row.get(1)?,
        inspected: Inspected {
            sha256: row.get(2)?,
            size: u64::try_from(row.get::<_, i64>(3)?).unwrap_or(0),
            world: row.get(4)?,
            // Written below: an unreadable one would be the file's damage, and is shown as empty.
            imports: serde_json::from_str(&imports).unwrap_or_default(),
            describe: serde_json::from_str(&describe).unwrap_or_default(),
        },
        created_at: row.get(7)?,
        created_by: row.get(8)?,
    })
}

/// The next number of an operator, which is given away by this.
pub fn take_number(connection: &Connection, operator: &str) -> Result<i64, Problem> {
    connection
        .execute("INSERT INTO operators VALUES (?1, 1) ON CONFLICT (name) DO NOTHING", params![operator])?;
    Ok(connection.query_row(
        "UPDATE operators SET next_version = next_version + 1 WHERE name = ?1 RETURNING next_version - 1",
        params![operator],
        |row| row.get(0),
    )?)
}

/// A new version.
pub fn insert(connection: &Connection, version: &Version) -> Result<(), Problem> {
    let inspected = &version.inspected;
    connection.execute(
        &format!("INSERT INTO versions ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"),
        params![
            version.operator,
            version.version,
            inspected.sha256,
            i64::try_from(inspected.size).unwrap_or(i64::MAX),
            inspected.world,
            serde_json::Value::from(inspected.imports.clone()).to_string(),
            inspected.describe.to_string(),
            version.created_at,
            version.created_by,
        ],
    )?;
    Ok(())
}

/// One version, or the highest.
pub fn find(
    connection: &Connection,
    operator: &str,
    version: Option<i64>,
) -> Result<Option<Version>, Problem> {
    let statement = format!(
        "SELECT {COLUMNS} FROM versions WHERE operator = ?1 AND (?2 IS NULL OR version = ?2) ORDER BY version DESC LIMIT 1"
    );
    Ok(connection.query_row(&statement, params![operator, version], from_row).optional()?)
}

/// The version with these bytes.
pub fn find_digest(
    connection: &Connection,
    operator: &str,
    sha256: &str,
) -> Result<Option<Version>, Problem> {
    let statement = format!("SELECT {COLUMNS} FROM versions WHERE operator = ?1 AND sha256 = ?2");
    Ok(connection.query_row(&statement, params![operator, sha256], from_row).optional()?)
}

/// True where any operator has these bytes.
pub fn digest_is_used(connection: &Connection, sha256: &str) -> Result<bool, Problem> {
    let statement = "SELECT EXISTS (SELECT 1 FROM versions WHERE sha256 = ?1)";
    Ok(connection.query_row(statement, params![sha256], |row| row.get(0))?)
}

/// The highest version of each operator, by name.
pub fn page(connection: &Connection, page: &Page) -> Result<(Vec<Version>, Option<String>), Problem> {
    let statement = format!(
        "SELECT {COLUMNS} FROM versions AS v WHERE operator > coalesce(?1, '')
         AND version = (SELECT max(version) FROM versions WHERE operator = v.operator) ORDER BY operator LIMIT ?2"
    );
    let mut prepared = connection.prepare_cached(&statement)?;
    let rows = prepared.query_map(params![page.after, rows_to_read(page)], from_row)?;
    Ok(paged(rows.collect::<Result<_, _>>()?, page.limit, |row| row.operator.clone()))
}

/// The versions of one operator, newest first.
pub fn versions(
    connection: &Connection,
    operator: &str,
    page: &Page,
) -> Result<(Vec<Version>, Option<String>), Problem> {
    let statement = format!(
        "SELECT {COLUMNS} FROM versions WHERE operator = ?1 AND (?2 IS NULL OR version < ?2) ORDER BY version DESC LIMIT ?3"
    );
    let mut prepared = connection.prepare_cached(&statement)?;
    let rows = prepared.query_map(params![operator, page.after_number()?, rows_to_read(page)], from_row)?;
    Ok(paged(rows.collect::<Result<_, _>>()?, page.limit, |row| row.version.to_string()))
}

/// Removes a version.
pub fn delete(connection: &Connection, operator: &str, version: i64) -> Result<(), Problem> {
    connection
        .execute("DELETE FROM versions WHERE operator = ?1 AND version = ?2", params![operator, version])?;
    Ok(())
}
