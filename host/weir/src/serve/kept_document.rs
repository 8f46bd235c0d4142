//! `pipeline.toml` in the directory of a pipeline that runs: which document goes with its state, for savepoints. It is
//! written at a start, when a swap is completed, and when limits are set. Where the host dies between a decision and
//! this, the next start writes it.

use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use weir_runtime::checkpoint_store::write_durably;
use weir_runtime::savepoint_store::PIPELINE_FILE;

/// The file, and the documents that may have to be written into it.
pub struct KeptDocument {
    directory: PathBuf,
    waiting: Mutex<Waiting>,
}

struct Waiting {
    /// Of a swap whose end the process before did not hear of: the decision may name it.
    candidate: Option<String>,
    /// Of a swap that is under way.
    swap: Option<String>,
}

impl KeptDocument {
    /// That of a pipeline which starts.
    pub fn new(directory: PathBuf, candidate: Option<String>) -> KeptDocument {
        KeptDocument { directory, waiting: Mutex::new(Waiting { candidate, swap: None }) }
    }

    /// Also keeps two from writing at once.
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, toml: &str) -> io::Result<()> {
        write_durably(&self.directory, PIPELINE_FILE, toml.as_bytes())
    }

    /// What runs goes on all the same: only savepoints are described by it, and the next start writes it again.
    fn write_or_warn(&self, toml: &str) {
        if let Err(error) = self.write(toml) {
            tracing::warn!(
                "{}: {error}; savepoints name the document before until the pipeline is started again",
                self.directory.join(PIPELINE_FILE).display()
            );
        }
    }

    /// At a start: nothing has been decided with this document yet.
    pub fn start(&self, toml: &str) -> io::Result<()> {
        let _waiting = self.waiting();
        self.write(toml)
    }

    /// A swap to this document is asked for while `ask` runs; where that is refused, the one before counts.
    pub fn ask<E>(&self, toml: &str, ask: impl FnOnce() -> Result<(), E>) -> Result<(), E> {
        // Its end may come before the answer.
        let before = self.waiting().swap.replace(toml.to_owned());
        ask().inspect_err(|_| self.waiting().swap = before)
    }

    /// The swap is completed.
    pub fn complete(&self) {
        let mut waiting = self.waiting();
        if let Some(toml) = waiting.swap.take() {
            self.write_or_warn(&toml);
        }
    }

    /// The swap has ended otherwise.
    pub fn forget(&self) {
        self.waiting().swap = None;
    }

    /// An incarnation runs. Once, the decision has told which version.
    pub fn runs(&self, is_candidate: bool) {
        let mut waiting = self.waiting();
        if let Some(toml) = waiting.candidate.take()
            && is_candidate
        {
            self.write_or_warn(&toml);
        }
    }

    /// Limits are others from now on.
    pub fn set(&self, toml: &str) {
        let _waiting = self.waiting();
        self.write_or_warn(toml);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_names_what_was_decided() {
        let directory = tempfile::tempdir().unwrap();
        let read = || std::fs::read_to_string(directory.path().join(PIPELINE_FILE)).unwrap();
        let kept = KeptDocument::new(directory.path().to_owned(), Some("candidate".to_owned()));
        kept.start("start").unwrap();
        kept.ask("refused", || Err(())).unwrap_err();
        kept.complete();
        assert_eq!(read(), "start");
        kept.ask("asked", || Ok::<(), ()>(())).unwrap();
        kept.ask("another", || Err(())).unwrap_err();
        kept.runs(true);
        assert_eq!(read(), "candidate");
        kept.complete();
        assert_eq!(read(), "asked");
        kept.set("limits");
        // A later incarnation of the same start says the same of the candidate.
        kept.runs(true);
        kept.ask("rolled back", || Ok::<(), ()>(())).unwrap();
        kept.forget();
        kept.complete();
        assert_eq!(read(), "limits");
    }

    #[test]
    fn a_candidate_that_was_not_decided_is_never_written() {
        let directory = tempfile::tempdir().unwrap();
        let kept = KeptDocument::new(directory.path().to_owned(), Some("candidate".to_owned()));
        kept.start("start").unwrap();
        kept.runs(false);
        kept.runs(true);
        let file = std::fs::read_to_string(directory.path().join(PIPELINE_FILE)).unwrap();
        assert_eq!(file, "start");
    }
}
