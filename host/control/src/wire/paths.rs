//! The parts of paths, checked when they are read.

use crate::name::{Id, Name, SavepointName};
use serde::Deserialize;
use utoipa::IntoParams;

/// `/v1/operators/{name}` and `/v1/pipelines/{name}`.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct Named {
    /// Its name.
    #[param(value_type = String, pattern = "^[a-z][a-z0-9-]{0,62}$")]
    pub name: Name,
}

/// `…/versions/{version}`.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct Versioned {
    /// The operator's name.
    #[param(value_type = String, pattern = "^[a-z][a-z0-9-]{0,62}$")]
    pub name: Name,
    /// The version's number.
    #[param(minimum = 1)]
    pub version: i64,
}

/// `…/operators/{id}`, `…/swaps/{id}`.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct NamedId {
    /// The pipeline's name.
    #[param(value_type = String, pattern = "^[a-z][a-z0-9-]{0,62}$")]
    pub name: Name,
    /// The id of the operator in the pipeline, or of the swap.
    #[param(value_type = String, pattern = "^[A-Za-z0-9_-]{1,100}$")]
    pub id: Id,
}

/// `…/savepoints/{savepoint}`.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct NamedSavepoint {
    /// The pipeline's name.
    #[param(value_type = String, pattern = "^[a-z][a-z0-9-]{0,62}$")]
    pub name: Name,
    /// The savepoint's name.
    #[param(value_type = String, pattern = "^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$")]
    pub savepoint: SavepointName,
}

/// `/v1/tokens/{id}`.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct TokenId {
    /// The token's id.
    #[param(value_type = String, pattern = "^[A-Za-z0-9_-]{1,100}$")]
    pub id: Id,
}
