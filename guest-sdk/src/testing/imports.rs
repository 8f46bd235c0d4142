//! The host that is not there: configuration, log and metrics of the current test thread.

use std::cell::RefCell;
use std::collections::BTreeMap;

pub use crate::bindings::log::Level;

#[derive(Default)]
pub(crate) struct Host {
    pub(crate) config: BTreeMap<String, String>,
    pub(crate) logs: Vec<(Level, String)>,
    pub(crate) counters: BTreeMap<String, f64>,
    pub(crate) gauges: BTreeMap<String, f64>,
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
