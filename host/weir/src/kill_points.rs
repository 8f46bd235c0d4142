//! Where a test ends the process: `WEIR_KILL_AT=name[:n]` is the n-th passing of a named place.
//!
//! With `WEIR_KILL_MARK=FILE` it happens once: the file is made before dying, and where it is there already nothing
//! happens, so that the restarted process goes on. With `WEIR_KILL_BY=panic` the thread panics there, with
//! `WEIR_KILL_BY=hang` it goes no further, and the process lives.
//!
//! `WEIR_NEWEST_LEVEL=1` makes the process the weir before this one: it knows no newer feature level.

use rustix::process::{Signal, getpid, kill_process};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use weir_protocol::feature_level::{self, FeatureLevel};
use weir_protocol::kill_point;

struct Chosen {
    name: String,
    passing: u64,
    mark: Option<PathBuf>,
    panics: bool,
    hangs: bool,
    passed: AtomicU64,
}

static CHOSEN: OnceLock<Chosen> = OnceLock::new();

/// Reads the environment and installs the hook.
pub fn install() {
    if let Ok(newest) = std::env::var("WEIR_NEWEST_LEVEL") {
        let newest = newest.parse().expect("WEIR_NEWEST_LEVEL is a number");
        feature_level::lower_newest(FeatureLevel(newest));
    }
    let Ok(text) = std::env::var("WEIR_KILL_AT") else { return };
    let mark = std::env::var_os("WEIR_KILL_MARK").map(PathBuf::from);
    if mark.as_ref().is_some_and(|mark| mark.exists()) {
        return;
    }
    let (name, passing) = match text.split_once(':') {
        Some((name, number)) => (name, number.parse().unwrap_or(1)),
        None => (text.as_str(), 1),
    };
    assert!(
        kill_point::KILL_POINTS.iter().any(|(known, _)| *known == name),
        "WEIR_KILL_AT={name}: there is no such kill point"
    );
    let by = std::env::var("WEIR_KILL_BY").unwrap_or_default();
    let (panics, hangs) = (by == "panic", by == "hang");
    let passed = AtomicU64::new(0);
    let _ = CHOSEN.set(Chosen { name: name.to_owned(), passing, mark, panics, hangs, passed });
    kill_point::install(reached);
}

fn reached(name: &'static str) {
    let Some(chosen) = CHOSEN.get().filter(|chosen| chosen.name == name) else { return };
    if chosen.passed.fetch_add(1, Ordering::SeqCst) + 1 != chosen.passing {
        return;
    }
    if let Some(mark) = &chosen.mark {
        let made = std::fs::File::create(mark).and_then(|file| file.sync_all());
        made.expect("WEIR_KILL_MARK can be written: a test that dies twice would prove nothing");
    }
    assert!(!chosen.panics, "a panic at {name}, as WEIR_KILL_BY asks");
    if !chosen.hangs {
        // Nothing after this line runs, on any thread.
        let _ = kill_process(getpid(), Signal::KILL);
    }
    loop {
        std::thread::park();
    }
}
