//! Reading a restored checkpoint whole, beside the stream: file by file, told now and then, and given up with its
//! incarnation.

use crate::clock::Clock;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use weir_protocol::state::{StateBackend, StatePart};

/// How often a person is told how far it is.
const TOLD_EVERY: Duration = Duration::from_secs(10);

/// All files that an incarnation was restored from.
pub struct Verification {
    /// Reads and compares.
    pub backend: Arc<dyn StateBackend>,
    /// The checkpoint's directory.
    pub checkpoint: PathBuf,
    /// Its parts.
    pub parts: Vec<StatePart>,
    /// Set when the incarnation has ended.
    pub ended: Arc<AtomicBool>,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

impl Verification {
    /// Reads all of it. Returns the first damage, and none too where the incarnation has ended: nobody asks any more.
    pub fn run(&self) -> Option<String> {
        let files = self.parts.iter().flat_map(|part| &part.files);
        let all_bytes: u64 = files.map(|file| file.size).sum();
        let (mut bytes, mut told) = (0, self.clock.monotonic());
        for part in &self.parts {
            let directory = self.checkpoint.join(part.directory());
            for file in &part.files {
                if self.ended.load(Ordering::Relaxed) {
                    return None;
                }
                let alone = StatePart { files: vec![file.clone()], ..part.clone() };
                if let Err(damage) = self.backend.check_wholly(&directory, &alone) {
                    return Some(damage);
                }
                bytes += file.size;
                if self.clock.monotonic() - told >= TOLD_EVERY {
                    told = self.clock.monotonic();
                    tracing::info!("verifying restored state: {bytes} of {all_bytes} bytes");
                }
            }
        }
        None
    }
}
