//! The feature level of the data directory.

use crate::clock::time_text;
use crate::host::UpgradeStatus;
use crate::store::weirs::Weir;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// In which formats the data directory is written, and which weirs have served with it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Upgrade)]
pub struct UpgradeView {
    /// The level and its formats.
    #[serde(flatten)]
    pub status: UpgradeStatus,
    /// Versions that have served since level 2 is in force, in the order of their first start.
    pub served_by: Vec<ServedBy>,
}

/// A version that has served.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ServedBy {
    /// Which.
    pub weir: String,
    /// RFC 3339.
    pub first_start: String,
    /// RFC 3339.
    pub last_start: String,
}

impl From<Weir> for ServedBy {
    fn from(row: Weir) -> ServedBy {
        ServedBy {
            weir: row.version,
            first_start: time_text(row.first_start_at),
            last_start: time_text(row.last_start_at),
        }
    }
}
