//! What a guest asks of its host. Natively, `testing/imports.rs` stands in for this file.

use crate::bindings;
pub use crate::bindings::log::Level;

pub(crate) fn config(name: &str) -> Option<String> {
    bindings::config::get(name)
}

pub(crate) fn log(level: Level, message: &str) {
    bindings::log::write(level, message);
}

pub(crate) fn metrics_add(name: &str, delta: f64) {
    bindings::metrics::add(name, delta);
}

pub(crate) fn metrics_set(name: &str, value: f64) {
    bindings::metrics::set(name, value);
}
