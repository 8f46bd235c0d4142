//! `revisions`: every document that was applied, pinned. A row is never changed.

use super::{Page, paged, rows_to_read};
use crate::problem::Problem;
use rusqlite::{Connection, OptionalExtension, Row, params};

/// A document that was applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// Its number, from 1.
    pub revision: i64,
    /// The document; every component is `name@number`.
    pub toml: String,
    /// The plan by which it was applied.
    pub plan_hash: Option<String>,
    /// When.
    pub created_at: i64,
    /// By whom.
    pub created_by: String,
}

/// One that is to be written.
pub struct NewRevision<'a> {
    /// The pipeline's key.
    pub pipeline: i64,
    /// The document.
    pub toml: &'a str,
    /// The plan.
    pub plan_hash: Option<&'a str>,
    /// When.
    pub at: i64,
    /// By whom.
    pub by: &'a str,
}

const COLUMNS: &str = "revision, toml, plan_hash, created_at, created_by";

fn from_row(row: &Row<'_>) -> rusqlite::Result<Revision> {
    Ok(Revision {
        revision: row.get(0)?,
        toml: row.get(1)?,
        plan_hash: row.get(2)?,
        created_at: row.get(3)?,
        created_by: row.get(4)?,
    })
}

/// Writes the next revision, and applies it.
pub fn apply(connection: &Connection, new: &NewRevision<'_>) -> Result<i64, Problem> {
    let revision: i64 = connection.query_row(
        "SELECT coalesce(max(revision), 0) + 1 FROM revisions WHERE pipeline = ?1",
        params![new.pipeline],
        |row| row.get(0),
    )?;
    connection.execute(
        &format!("INSERT INTO revisions (pipeline, {COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"),
        params![new.pipeline, revision, new.toml, new.plan_hash, new.at, new.by],
    )?;
    super::pipelines::set_applied(connection, new.pipeline, revision, new.at)?;
    Ok(revision)
}

/// One of a pipeline.
pub fn find(connection: &Connection, pipeline: i64, revision: i64) -> Result<Option<Revision>, Problem> {
    let statement = format!("SELECT {COLUMNS} FROM revisions WHERE pipeline = ?1 AND revision = ?2");
    Ok(connection.query_row(&statement, params![pipeline, revision], from_row).optional()?)
}

/// Those of a pipeline, newest first.
pub fn page(
    connection: &Connection,
    pipeline: i64,
    page: &Page,
) -> Result<(Vec<Revision>, Option<String>), Problem> {
    let statement = format!(
        "SELECT {COLUMNS} FROM revisions WHERE pipeline = ?1 AND (?2 IS NULL OR revision < ?2) ORDER BY revision DESC LIMIT ?3"
    );
    let mut prepared = connection.prepare_cached(&statement)?;
    let rows = prepared.query_map(params![pipeline, page.after_number()?, rows_to_read(page)], from_row)?;
    Ok(paged(rows.collect::<Result<_, _>>()?, page.limit, |row| row.revision.to_string()))
}
