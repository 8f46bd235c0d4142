//! `swaps`: every swap and how it went. At most one of a pipeline is open, which an index holds.

use super::{Page, paged, rows_to_read};
use crate::problem::Problem;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How far a swap is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SwapState {
    /// The new version is compiled, opened and compared, beside the running one.
    Preparing,
    /// It waits for the next barrier.
    Prepared,
    /// It processes the epoch by which it is judged.
    Probation,
    /// It runs.
    Completed,
    /// It was judged bad; the old version runs, and nobody has seen its records.
    RolledBack,
    /// The pipeline ended in between; the old version runs.
    Interrupted,
    /// It was cancelled before probation.
    Cancelled,
    /// It could not be prepared.
    Failed,
}

impl SwapState {
    /// True where it may still change.
    pub fn is_open(self) -> bool {
        matches!(self, SwapState::Preparing | SwapState::Prepared | SwapState::Probation)
    }

    fn text(self) -> &'static str {
        match self {
            SwapState::Preparing => "preparing",
            SwapState::Prepared => "prepared",
            SwapState::Probation => "probation",
            SwapState::Completed => "completed",
            SwapState::RolledBack => "rolled_back",
            SwapState::Interrupted => "interrupted",
            SwapState::Cancelled => "cancelled",
            SwapState::Failed => "failed",
        }
    }

    fn parse(text: &str) -> SwapState {
        match text {
            "preparing" => SwapState::Preparing,
            "prepared" => SwapState::Prepared,
            "probation" => SwapState::Probation,
            "completed" => SwapState::Completed,
            "rolled_back" => SwapState::RolledBack,
            "interrupted" => SwapState::Interrupted,
            "cancelled" => SwapState::Cancelled,
            _ => SwapState::Failed,
        }
    }
}

/// A swap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Swap {
    /// A ULID: swaps sort by the time at which they were asked for.
    pub id: String,
    /// The pipeline's key.
    pub pipeline: i64,
    /// The operator's id in the pipeline.
    pub operator: String,
    /// `name@number` before.
    pub from_version: String,
    /// `name@number` after.
    pub to_version: String,
    /// The digest before.
    pub from_sha256: String,
    /// The digest after.
    pub to_sha256: String,
    /// The pinned document before.
    pub from_toml: String,
    /// The pinned document after.
    pub to_toml: String,
    /// Its version is written into the draft when it is completed.
    pub into_draft: bool,
    /// The plan by which it was applied.
    pub plan_hash: Option<String>,
    /// How far it is.
    pub state: SwapState,
    /// Somebody asked to cancel it.
    pub cancel_asked: bool,
    /// Why it did not come to its end.
    pub reason: Option<String>,
    /// Records that show why.
    pub samples: Vec<String>,
    /// The last epoch of the old version.
    pub epoch_before: Option<i64>,
    /// The first decided epoch of the new version.
    pub epoch_completed: Option<i64>,
    /// When it was asked for.
    pub created_at: i64,
    /// By whom.
    pub created_by: String,
    /// When it ended.
    pub ended_at: Option<i64>,
}

const COLUMNS: &str = "id, pipeline, operator, from_version, to_version, from_sha256, to_sha256, from_toml, to_toml, \
    into_draft, plan_hash, state, cancel_asked, reason, samples, epoch_before, epoch_completed, created_at, created_by, ended_at";

fn from_row(row: &Row<'_>) -> rusqlite::Result<Swap> {
    Ok(Swap {
        id: row.get(0)?,
        pipeline: row.get(1)?,
        operator: row.get(2)?,
        from_version: row.get(3)?,
        to_version: row.get(4)?,
        from_sha256: row.get(5)?,
        to_sha256: row.get(6)?,
        from_toml: row.get(7)?,
        to_toml: row.get(8)?,
        into_draft: row.get(9)?,
        plan_hash: row.get(10)?,
        state: SwapState::parse(&row.get::<_, String>(11)?),
        cancel_asked: row.get(12)?,
        reason: row.get(13)?,
        samples: serde_json::from_str(&row.get::<_, String>(14)?).unwrap_or_default(),
        epoch_before: row.get(15)?,
        epoch_completed: row.get(16)?,
        created_at: row.get(17)?,
        created_by: row.get(18)?,
        ended_at: row.get(19)?,
    })
}

/// Writes a swap: a new one, or what has become of it.
pub fn put(connection: &Connection, swap: &Swap) -> Result<(), Problem> {
    connection.execute(
        &format!(
            "INSERT INTO swaps ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20)
             ON CONFLICT (id) DO UPDATE SET state = excluded.state, cancel_asked = excluded.cancel_asked,
             reason = excluded.reason, samples = excluded.samples, epoch_before = excluded.epoch_before,
             epoch_completed = excluded.epoch_completed, ended_at = excluded.ended_at"
        ),
        params![
            swap.id,
            swap.pipeline,
            swap.operator,
            swap.from_version,
            swap.to_version,
            swap.from_sha256,
            swap.to_sha256,
            swap.from_toml,
            swap.to_toml,
            swap.into_draft,
            swap.plan_hash,
            swap.state.text(),
            swap.cancel_asked,
            swap.reason,
            serde_json::Value::from(swap.samples.clone()).to_string(),
            swap.epoch_before,
            swap.epoch_completed,
            swap.created_at,
            swap.created_by,
            swap.ended_at,
        ],
    )?;
    Ok(())
}

/// One of a pipeline.
pub fn find(connection: &Connection, pipeline: i64, id: &str) -> Result<Option<Swap>, Problem> {
    let statement = format!("SELECT {COLUMNS} FROM swaps WHERE pipeline = ?1 AND id = ?2");
    Ok(connection.query_row(&statement, params![pipeline, id], from_row).optional()?)
}

/// The open one of a pipeline.
pub fn find_open(connection: &Connection, pipeline: i64) -> Result<Option<Swap>, Problem> {
    let statement = format!(
        "SELECT {COLUMNS} FROM swaps WHERE pipeline = ?1 AND state IN ('preparing', 'prepared', 'probation')"
    );
    Ok(connection.query_row(&statement, params![pipeline], from_row).optional()?)
}

/// All that are open.
pub fn all_open(connection: &Connection) -> Result<Vec<Swap>, Problem> {
    let statement =
        format!("SELECT {COLUMNS} FROM swaps WHERE state IN ('preparing', 'prepared', 'probation')");
    let mut prepared = connection.prepare_cached(&statement)?;
    Ok(prepared.query_map([], from_row)?.collect::<Result<_, _>>()?)
}

/// Those of a pipeline, newest first.
pub fn page(
    connection: &Connection,
    pipeline: i64,
    page: &Page,
) -> Result<(Vec<Swap>, Option<String>), Problem> {
    let statement = format!(
        "SELECT {COLUMNS} FROM swaps WHERE pipeline = ?1 AND (?2 IS NULL OR id < ?2) ORDER BY id DESC LIMIT ?3"
    );
    let mut prepared = connection.prepare_cached(&statement)?;
    let rows = prepared.query_map(params![pipeline, page.after, rows_to_read(page)], from_row)?;
    Ok(paged(rows.collect::<Result<_, _>>()?, page.limit, |row| row.id.clone()))
}
