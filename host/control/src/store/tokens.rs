//! `tokens`: who may do what. Of a token itself only the digest is kept.

use super::{Page, paged, rows_to_read};
use crate::problem::Problem;
use crate::security::Role;
use rusqlite::{Connection, OptionalExtension, Row, params};

/// A token without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Its id, which is a part of it.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// What it may.
    pub role: Role,
    /// SHA-256 of the whole token.
    pub digest: Vec<u8>,
    /// When it was made.
    pub created_at: i64,
    /// Until when it is valid; none is forever.
    pub expires_at: Option<i64>,
    /// Since when it is not.
    pub revoked_at: Option<i64>,
}

impl Token {
    /// True where it may be used at this time.
    pub fn is_valid(&self, now: i64) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|expires| now < expires)
    }
}

const COLUMNS: &str = "id, name, role, digest, created_at, expires_at, revoked_at";

fn from_row(row: &Row<'_>) -> rusqlite::Result<Token> {
    Ok(Token {
        id: row.get(0)?,
        name: row.get(1)?,
        // A role that this build does not know may do least.
        role: Role::parse(&row.get::<_, String>(2)?).unwrap_or(Role::Viewer),
        digest: row.get(3)?,
        created_at: row.get(4)?,
        expires_at: row.get(5)?,
        revoked_at: row.get(6)?,
    })
}

/// A new one.
pub fn insert(connection: &Connection, token: &Token) -> Result<(), Problem> {
    connection.execute(
        &format!("INSERT INTO tokens ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"),
        params![
            token.id,
            token.name,
            token.role.text(),
            token.digest,
            token.created_at,
            token.expires_at,
            token.revoked_at
        ],
    )?;
    Ok(())
}

/// One, valid or not.
pub fn find(connection: &Connection, id: &str) -> Result<Option<Token>, Problem> {
    let statement = format!("SELECT {COLUMNS} FROM tokens WHERE id = ?1");
    Ok(connection.query_row(&statement, params![id], from_row).optional()?)
}

/// True where some admin could still come in.
pub fn has_valid_admin(connection: &Connection, now: i64) -> Result<bool, Problem> {
    Ok(connection.query_row(
        "SELECT EXISTS (SELECT 1 FROM tokens WHERE role = 'admin' AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?1))",
        params![now],
        |row| row.get(0),
    )?)
}

/// All, by id, which is by time.
pub fn page(connection: &Connection, page: &Page) -> Result<(Vec<Token>, Option<String>), Problem> {
    let statement = format!("SELECT {COLUMNS} FROM tokens WHERE id > coalesce(?1, '') ORDER BY id LIMIT ?2");
    let mut prepared = connection.prepare_cached(&statement)?;
    let rows = prepared.query_map(params![page.after, rows_to_read(page)], from_row)?;
    Ok(paged(rows.collect::<Result<_, _>>()?, page.limit, |row| row.id.clone()))
}

/// It is not valid any more; the first time counts.
pub fn revoke(connection: &Connection, id: &str, at: i64) -> Result<(), Problem> {
    connection
        .execute("UPDATE tokens SET revoked_at = coalesce(revoked_at, ?2) WHERE id = ?1", params![id, at])?;
    Ok(())
}
