//! What the host says of its formats.

use crate::store::Schemas;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// The feature level of the data directory, and what this weir knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UpgradeStatus {
    /// The weir that serves.
    pub weir: String,
    /// The feature level in force: everything is written in its formats.
    pub level: u32,
    /// The oldest that this weir reads.
    pub oldest_level: u32,
    /// The newest, which `finalize` puts in force.
    pub newest_level: u32,
    /// True where the newest is in force: weirs that do not know it refuse the data directory.
    pub finalized: bool,
    /// The first weir that can open the data directory as it is now.
    pub readable_by: String,
    /// The version of each persistent format that is written now.
    pub formats: BTreeMap<String, u32>,
    /// The newest schema of the store that this weir reads.
    #[serde(skip)]
    #[schema(ignore)]
    pub control_known: u32,
}

impl UpgradeStatus {
    /// What the store is to be.
    pub(crate) fn schemas(&self) -> Schemas {
        let written = self.formats.get("control").copied().unwrap_or(self.control_known);
        Schemas { written: written as usize, known: self.control_known as usize }
    }
}
