//! Savepoints. What is listed is [`crate::host::SavepointInfo`].

use crate::name::SavepointName;
use serde::Deserialize;
use utoipa::ToSchema;

/// Makes a savepoint.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SavepointRequest {
    /// Its name; one is made of the time where it is left out.
    #[schema(pattern = "^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$", value_type = Option<String>)]
    pub name: Option<SavepointName>,
}
