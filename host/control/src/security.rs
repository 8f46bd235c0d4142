//! Who may do what: roles, bearer tokens, and the gate that every request passes.

pub mod gate;
pub mod roles;
pub mod token;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a token may do; each role may do all that the one before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Reads.
    Viewer,
    /// Uploads operators, changes, starts and stops pipelines.
    Deployer,
    /// Also makes and revokes tokens, and reads the audit log.
    Admin,
}

impl Role {
    /// The word for it.
    pub fn text(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Deployer => "deployer",
            Role::Admin => "admin",
        }
    }

    /// Reads the word.
    pub fn parse(text: &str) -> Option<Role> {
        [Role::Viewer, Role::Deployer, Role::Admin].into_iter().find(|role| role.text() == text)
    }
}

/// Who makes a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The token's name and id, as the audit log has them.
    pub who: String,
    /// What it may.
    pub role: Role,
}
