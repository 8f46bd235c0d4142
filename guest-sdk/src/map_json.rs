//! The form `map_json!`: `map_values!` with the value decoded and encoded.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bindings::types::{Batch, Output};
use crate::declaration::OutputPort;
use crate::map_values;

/// A function without settings, in the shape of one with.
pub fn without_settings<V, S, F>(function: F) -> impl Fn(&(), V) -> Result<S, String>
where
    F: Fn(V) -> Result<S, String>,
{
    move |_, value| function(value)
}

/// Handles one batch.
pub fn run<T, V, S, F>(
    batch: &Batch,
    outputs: &'static [OutputPort],
    settings: &T,
    function: F,
) -> Result<Output, String>
where
    V: DeserializeOwned,
    S: Serialize,
    F: Fn(&T, V) -> Result<S, String>,
{
    map_values::run(batch, outputs, settings, |settings, value, out| -> Result<(), String> {
        let decoded = serde_json::from_slice(value)
            .map_err(|error| format!("the value is not the expected JSON: {error}"))?;
        let answer = function(settings, decoded)?;
        serde_json::to_writer(out, &answer).map_err(|error| format!("the new value is not JSON: {error}"))
    })
}
