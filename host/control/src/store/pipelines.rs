//! `pipelines`: the draft, which revision is applied, and what is desired. A deleted one keeps its row as long as its
//! state is in the trash.

use super::{Page, paged, rows_to_read};
use crate::host::LettersSelected;
use crate::problem::Problem;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

/// A pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pipeline {
    /// Its key: a name that is used again is another pipeline.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// Rises with every change of the draft or of what is applied.
    pub generation: i64,
    /// The document as it was put.
    pub draft: String,
    /// The revision that is applied.
    pub applied: Option<i64>,
    /// True where it is to run.
    pub desired_running: bool,
    /// How its next start begins.
    pub start: StartFrom,
    /// When it was made.
    pub created_at: i64,
    /// When the draft or the revision was changed.
    pub changed_at: i64,
}

/// How a start begins, once: a life that was launched with it takes it away when it begins, and no other does.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartFrom {
    /// From this savepoint.
    pub savepoint: Option<String>,
    /// Output beyond it may be published again.
    #[serde(default)]
    pub replay_output: bool,
    /// Also where the pipeline has started from this savepoint before.
    #[serde(default)]
    pub again: bool,
    /// A pipeline that has come to its end starts again.
    #[serde(default)]
    pub restart_finished: bool,
    /// Dead letters come back before anything is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay: Option<LettersSelected>,
    /// When that was asked for, so that the same asked twice is two wishes; 0 where nothing was.
    #[serde(default)]
    pub asked_at: i64,
}

impl Pipeline {
    /// What `If-Match` compares.
    pub fn etag(&self) -> String {
        format!("\"{}-{}\"", self.id, self.generation)
    }
}

const COLUMNS: &str = "id, name, generation, draft, applied, desired, start, created_at, changed_at";

fn from_row(row: &Row<'_>) -> rusqlite::Result<Pipeline> {
    let start: Option<String> = row.get(6)?;
    Ok(Pipeline {
        id: row.get(0)?,
        name: row.get(1)?,
        generation: row.get(2)?,
        draft: row.get(3)?,
        applied: row.get(4)?,
        desired_running: row.get::<_, String>(5)? == "running",
        start: start.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default(),
        created_at: row.get(7)?,
        changed_at: row.get(8)?,
    })
}

/// A new pipeline with its draft.
pub fn insert(connection: &Connection, name: &str, draft: &str, at: i64) -> Result<(), Problem> {
    connection.execute(
        "INSERT INTO pipelines (name, generation, draft, desired, created_at, changed_at) VALUES (?1, 1, ?2, 'stopped', ?3, ?3)",
        params![name, draft, at],
    )?;
    Ok(())
}

/// One that is not deleted.
pub fn find(connection: &Connection, name: &str) -> Result<Option<Pipeline>, Problem> {
    let statement = format!("SELECT {COLUMNS} FROM pipelines WHERE name = ?1 AND deleted_at IS NULL");
    Ok(connection.query_row(&statement, params![name], from_row).optional()?)
}

/// Those that are not deleted, by name.
pub fn page(connection: &Connection, page: &Page) -> Result<(Vec<Pipeline>, Option<String>), Problem> {
    let statement = format!(
        "SELECT {COLUMNS} FROM pipelines WHERE deleted_at IS NULL AND name > coalesce(?1, '') ORDER BY name LIMIT ?2"
    );
    let mut prepared = connection.prepare_cached(&statement)?;
    let rows = prepared.query_map(params![page.after, rows_to_read(page)], from_row)?;
    Ok(paged(rows.collect::<Result<_, _>>()?, page.limit, |row| row.name.clone()))
}

/// All that are not deleted.
pub fn all(connection: &Connection) -> Result<Vec<Pipeline>, Problem> {
    let statement = format!("SELECT {COLUMNS} FROM pipelines WHERE deleted_at IS NULL ORDER BY name");
    let mut prepared = connection.prepare_cached(&statement)?;
    Ok(prepared.query_map([], from_row)?.collect::<Result<_, _>>()?)
}

/// Another draft.
pub fn set_draft(connection: &Connection, id: i64, draft: &str, at: i64) -> Result<(), Problem> {
    connection.execute(
        "UPDATE pipelines SET draft = ?2, changed_at = ?3, generation = generation + 1 WHERE id = ?1",
        params![id, draft, at],
    )?;
    Ok(())
}

/// Another revision is applied.
pub fn set_applied(connection: &Connection, id: i64, revision: i64, at: i64) -> Result<(), Problem> {
    connection.execute(
        "UPDATE pipelines SET applied = ?2, changed_at = ?3, generation = generation + 1 WHERE id = ?1",
        params![id, revision, at],
    )?;
    Ok(())
}

/// It is to run, or not.
pub fn set_desired(connection: &Connection, id: i64, running: bool) -> Result<(), Problem> {
    let desired = if running { "running" } else { "stopped" };
    connection.execute("UPDATE pipelines SET desired = ?2 WHERE id = ?1", params![id, desired])?;
    Ok(())
}

/// How its next start begins.
pub fn set_start(connection: &Connection, id: i64, start: &StartFrom) -> Result<(), Problem> {
    let text = serde_json::to_string(start).map_err(Problem::internal)?;
    connection.execute("UPDATE pipelines SET start = ?2 WHERE id = ?1", params![id, text])?;
    Ok(())
}

/// A start has begun as it was asked to. What was asked for since then is for the start that follows.
pub fn forget_start(connection: &Connection, id: i64, begun: &StartFrom) -> Result<(), Problem> {
    let row =
        connection.query_row("SELECT start FROM pipelines WHERE id = ?1", params![id], |row| row.get(0));
    let text: Option<String> = row.optional()?.flatten();
    if text.and_then(|text| serde_json::from_str::<StartFrom>(&text).ok()).as_ref() == Some(begun) {
        connection.execute("UPDATE pipelines SET start = NULL WHERE id = ?1", params![id])?;
    }
    Ok(())
}

/// It is deleted.
pub fn set_deleted(connection: &Connection, id: i64, at: i64) -> Result<(), Problem> {
    connection.execute(
        "UPDATE pipelines SET deleted_at = ?2, desired = 'stopped' WHERE id = ?1",
        params![id, at],
    )?;
    Ok(())
}

/// Rows of pipelines that were deleted before this time go, with all that hangs on them. Returns their names.
pub fn forget_deleted(connection: &Connection, before: i64) -> Result<Vec<String>, Problem> {
    let statement = "DELETE FROM pipelines WHERE deleted_at < ?1 RETURNING name";
    let mut prepared = connection.prepare_cached(statement)?;
    Ok(prepared.query_map(params![before], |row| row.get(0))?.collect::<Result<_, _>>()?)
}
