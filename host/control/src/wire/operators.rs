//! Versions of operators.

use crate::clock::time_text;
use crate::host::Inspected;
use crate::store::operators::Version;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A version of an operator.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = OperatorVersion)]
pub struct VersionView {
    /// The operator's name.
    pub name: String,
    /// The version's number, from 1.
    pub version: i64,
    /// What the component says of itself.
    #[serde(flatten)]
    pub inspected: Inspected,
    /// When it was uploaded, RFC 3339.
    pub created_at: String,
    /// The token by which it was.
    pub created_by: String,
}

impl From<Version> for VersionView {
    fn from(row: Version) -> VersionView {
        VersionView {
            name: row.operator,
            version: row.version,
            inspected: row.inspected,
            created_at: time_text(row.created_at),
            created_by: row.created_by,
        }
    }
}
