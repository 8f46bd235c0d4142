//! What a guest asks of its host. Natively, `testing/imports.rs` stands in for this file.

pub use crate::bindings::log::Level;
use crate::bindings::map_state::Page;
use crate::bindings::types::Column;
use crate::bindings::{self, list_state, map_state, timers, value_state};

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

pub(crate) fn value_get_many(state: &str, slots: &[u8]) -> Column {
    value_state::get_many(state, slots)
}

pub(crate) fn value_put_many(state: &str, slots: &[u8], values: &Column) {
    value_state::put_many(state, slots, values);
}

pub(crate) fn map_get_many(state: &str, slots: &[u8], subkeys: &Column) -> Column {
    map_state::get_many(state, slots, subkeys)
}

pub(crate) fn map_put_many(state: &str, slots: &[u8], subkeys: &Column, values: &Column) {
    map_state::put_many(state, slots, subkeys, values);
}

pub(crate) fn map_scan(state: &str, slots: &[u8], starts: &Column, ends: &Column, limit: u32) -> Page {
    map_state::scan(state, slots, starts, ends, limit)
}

pub(crate) fn map_clear_many(state: &str, slots: &[u8]) {
    map_state::clear_many(state, slots);
}

pub(crate) fn list_append_many(state: &str, slots: &[u8], values: &Column) {
    list_state::append_many(state, slots, values);
}

pub(crate) fn list_scan(state: &str, slots: &[u8], starts: &Column, limit: u32) -> Page {
    list_state::scan(state, slots, starts, limit)
}

pub(crate) fn list_clear_many(state: &str, slots: &[u8]) {
    list_state::clear_many(state, slots);
}

pub(crate) fn timers_register_many(timer: &str, slots: &[u8], times: &[u8]) {
    timers::register_many(timer, slots, times);
}

pub(crate) fn timers_delete_many(timer: &str, slots: &[u8], times: &[u8]) {
    timers::delete_many(timer, slots, times);
}
