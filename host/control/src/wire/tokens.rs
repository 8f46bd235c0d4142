//! Tokens, and the audit log.

use crate::clock::time_text;
use crate::name::Name;
use crate::security::Role;
use crate::store::audit::Line;
use crate::store::tokens::Token;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Asks for a token.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenRequest {
    /// What it is called; the audit log shows it.
    #[schema(value_type = String, pattern = "^[a-z][a-z0-9-]{0,62}$")]
    pub name: Name,
    /// What it may do.
    pub role: Role,
    /// How long it is valid, such as `"90d"`.
    #[schema(example = "90d")]
    pub expires_in: String,
}

/// A token without its secret.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Token)]
pub struct TokenView {
    /// Its id, a part of the token.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// RFC 3339.
    pub created_at: String,
    /// Until when it is valid, RFC 3339; none is forever.
    pub expires_at: Option<String>,
    /// Since when it is not, RFC 3339.
    pub revoked_at: Option<String>,
}

/// A token that was made.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct NewToken {
    /// The token itself: shown now, and never again.
    pub token: String,
    /// What is remembered of it.
    #[serde(flatten)]
    pub view: TokenView,
}

impl From<Token> for TokenView {
    fn from(row: Token) -> TokenView {
        TokenView {
            id: row.id,
            name: row.name,
            role: row.role,
            created_at: time_text(row.created_at),
            expires_at: row.expires_at.map(time_text),
            revoked_at: row.revoked_at.map(time_text),
        }
    }
}

/// A line of the audit log.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = AuditLine)]
pub struct AuditView {
    /// Its number.
    pub id: i64,
    /// RFC 3339.
    pub at: String,
    /// The token's name and id; `weir` where the service acted by itself.
    pub who: String,
    /// What was asked.
    pub action: String,
    /// On what.
    pub target: String,
    /// The component's digest.
    pub digest: Option<String>,
    /// The plan's hash.
    pub plan_hash: Option<String>,
    /// `ok`, how a swap has ended, or the code of the refusal.
    pub outcome: String,
}

impl From<Line> for AuditView {
    fn from(row: Line) -> AuditView {
        AuditView {
            id: row.id,
            at: time_text(row.at),
            who: row.who,
            action: row.action,
            target: row.target,
            digest: row.digest,
            plan_hash: row.plan_hash,
            outcome: row.outcome,
        }
    }
}
