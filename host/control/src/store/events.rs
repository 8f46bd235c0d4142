//! `events`: what happened to each pipeline, numbered from 1 without a gap; the oldest go first.

use super::{Page, paged, rows_to_read};
use crate::problem::Problem;
use rusqlite::{Connection, Row, params};
use serde_json::Value;

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Its number in the pipeline.
    pub seq: i64,
    /// When.
    pub at: i64,
    /// What.
    pub kind: String,
    /// More of it.
    pub body: Value,
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Event> {
    Ok(Event {
        seq: row.get(0)?,
        at: row.get(1)?,
        kind: row.get(2)?,
        body: serde_json::from_str(&row.get::<_, String>(3)?).unwrap_or_default(),
    })
}

/// Adds one.
pub fn insert(
    connection: &Connection,
    pipeline: i64,
    at: i64,
    kind: &str,
    body: &Value,
) -> Result<(), Problem> {
    connection.execute(
        "INSERT INTO events VALUES (?1, (SELECT coalesce(max(seq), 0) + 1 FROM events WHERE pipeline = ?1), ?2, ?3, ?4)",
        params![pipeline, at, kind, body.to_string()],
    )?;
    Ok(())
}

/// Those of a pipeline, oldest first.
pub fn page(
    connection: &Connection,
    pipeline: i64,
    page: &Page,
) -> Result<(Vec<Event>, Option<String>), Problem> {
    let mut prepared = connection.prepare_cached(
        "SELECT seq, at, kind, body FROM events WHERE pipeline = ?1 AND seq > coalesce(?2, 0) ORDER BY seq LIMIT ?3",
    )?;
    let rows = prepared.query_map(params![pipeline, page.after_number()?, rows_to_read(page)], from_row)?;
    Ok(paged(rows.collect::<Result<_, _>>()?, page.limit, |row| row.seq.to_string()))
}

/// All but the newest of each pipeline go.
pub fn forget_old(connection: &Connection, kept_max: u32) -> Result<usize, Problem> {
    Ok(connection.execute(
        "DELETE FROM events WHERE seq <= (SELECT max(seq) FROM events AS e WHERE e.pipeline = events.pipeline) - ?1",
        params![kept_max],
    )?)
}
