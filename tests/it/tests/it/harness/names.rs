//! Names that no other test, run or checkout uses, so that tests can share a broker.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// `stem` with a suffix that is new.
pub fn unique(stem: &str) -> String {
    static RUN: OnceLock<String> = OnceLock::new();
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let run = RUN.get_or_init(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        format!("{:x}{:x}", std::process::id(), now.as_millis() & 0xff_ffff)
    });
    format!("{stem}-{run}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}
