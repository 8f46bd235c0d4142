//! `audit`: a line for every change that was made, and for every one that was refused. Never changed, never removed.

use super::{Page, paged, rows_to_read};
use crate::problem::Problem;
use rusqlite::{Connection, Row, params};

/// A line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its number.
    pub id: i64,
    /// When.
    pub at: i64,
    /// The token: its name and id; `weir` where the service acted by itself.
    pub who: String,
    /// What was asked, such as `pipeline.apply`.
    pub action: String,
    /// On what.
    pub target: String,
    /// The digest of the component, where there is one.
    pub digest: Option<String>,
    /// The hash of the plan, where there is one.
    pub plan_hash: Option<String>,
    /// `ok`, or the code of the refusal.
    pub outcome: String,
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Line> {
    Ok(Line {
        id: row.get(0)?,
        at: row.get(1)?,
        who: row.get(2)?,
        action: row.get(3)?,
        target: row.get(4)?,
        digest: row.get(5)?,
        plan_hash: row.get(6)?,
        outcome: row.get(7)?,
    })
}

/// Adds one; its `id` is not used.
pub fn insert(connection: &Connection, line: &Line) -> Result<(), Problem> {
    connection.execute(
        "INSERT INTO audit (at, who, action, target, digest, plan_hash, outcome) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![line.at, line.who, line.action, line.target, line.digest, line.plan_hash, line.outcome],
    )?;
    Ok(())
}

/// All, newest first.
pub fn page(connection: &Connection, page: &Page) -> Result<(Vec<Line>, Option<String>), Problem> {
    let mut prepared = connection.prepare_cached(
        "SELECT id, at, who, action, target, digest, plan_hash, outcome FROM audit WHERE ?1 IS NULL OR id < ?1 ORDER BY id DESC LIMIT ?2",
    )?;
    let rows = prepared.query_map(params![page.after_number()?, rows_to_read(page)], from_row)?;
    Ok(paged(rows.collect::<Result<_, _>>()?, page.limit, |row| row.id.to_string()))
}
