//! Numbers for the host's metrics, labelled with pipeline, operator and subtask. Names are `[a-z][a-z0-9_]*`.

use crate::imports;

/// Adds to a counter. Not less than 0.
pub fn add(name: &str, delta: f64) {
    imports::metrics_add(name, delta);
}

/// Sets a gauge.
pub fn set(name: &str, value: f64) {
    imports::metrics_set(name, value);
}
