//! The host that is not there: configuration, log, metrics, state and timers of the current test thread.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::bindings::map_state::Page;
use crate::bindings::types::Column;
use crate::declaration::StateKind;
use crate::testing::store::Store;

pub use crate::bindings::log::Level;

#[derive(Default)]
pub(crate) struct Host {
    pub(crate) config: BTreeMap<String, String>,
    pub(crate) logs: Vec<(Level, String)>,
    pub(crate) counters: BTreeMap<String, f64>,
    pub(crate) gauges: BTreeMap<String, f64>,
    pub(crate) store: Store,
}

thread_local! {
    static HOST: RefCell<Host> = RefCell::new(Host::default());
}

/// Replaces the thread's host, and returns the one before.
pub(crate) fn replace_host(host: Host) -> Host {
    HOST.replace(host)
}

pub(crate) fn config(name: &str) -> Option<String> {
    HOST.with_borrow(|host| host.config.get(name).cloned())
}

pub(crate) fn log(level: Level, message: &str) {
    HOST.with_borrow_mut(|host| host.logs.push((level, message.to_string())));
}

pub(crate) fn metrics_add(name: &str, delta: f64) {
    assert!(delta >= 0.0, "the counter \"{name}\" cannot go down, and was given {delta}");
    check_name(name);
    HOST.with_borrow_mut(|host| *host.counters.entry(name.to_string()).or_default() += delta);
}

pub(crate) fn metrics_set(name: &str, value: f64) {
    check_name(name);
    HOST.with_borrow_mut(|host| host.gauges.insert(name.to_string(), value));
}

fn check_name(name: &str) {
    let mut letters = name.bytes();
    let well_formed = letters.next().is_some_and(|first| first.is_ascii_lowercase())
        && letters.all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == b'_');
    assert!(well_formed, "\"{name}\" is no metric name: it must be [a-z][a-z0-9_]*");
}

fn with_store<R>(call: impl FnOnce(&mut Store) -> R) -> R {
    HOST.with_borrow_mut(|host| call(&mut host.store))
}

pub(crate) fn value_get_many(state: &str, slots: &[u8]) -> Column {
    with_store(|store| store.get_many(StateKind::Value, state, slots, &Column::default()))
}

pub(crate) fn value_put_many(state: &str, slots: &[u8], values: &Column) {
    with_store(|store| store.put_many(StateKind::Value, state, slots, &Column::default(), values));
}

pub(crate) fn map_get_many(state: &str, slots: &[u8], subkeys: &Column) -> Column {
    with_store(|store| store.get_many(StateKind::Map, state, slots, subkeys))
}

pub(crate) fn map_put_many(state: &str, slots: &[u8], subkeys: &Column, values: &Column) {
    with_store(|store| store.put_many(StateKind::Map, state, slots, subkeys, values));
}

pub(crate) fn map_scan(state: &str, slots: &[u8], starts: &Column, ends: &Column, limit: u32) -> Page {
    with_store(|store| store.scan(StateKind::Map, state, slots, starts, ends, limit))
}

pub(crate) fn map_clear_many(state: &str, slots: &[u8]) {
    with_store(|store| store.clear_many(StateKind::Map, state, slots));
}

pub(crate) fn list_append_many(state: &str, slots: &[u8], values: &Column) {
    with_store(|store| store.append_many(state, slots, values));
}

pub(crate) fn list_scan(state: &str, slots: &[u8], starts: &Column, limit: u32) -> Page {
    with_store(|store| store.scan(StateKind::List, state, slots, starts, &Column::default(), limit))
}

pub(crate) fn list_clear_many(state: &str, slots: &[u8]) {
    with_store(|store| store.clear_many(StateKind::List, state, slots));
}

pub(crate) fn timers_register_many(timer: &str, slots: &[u8], times: &[u8]) {
    with_store(|store| store.change_timers(timer, slots, times, true));
}

pub(crate) fn timers_delete_many(timer: &str, slots: &[u8], times: &[u8]) {
    with_store(|store| store.change_timers(timer, slots, times, false));
}
