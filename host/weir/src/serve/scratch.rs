//! The directory of a trial: in the pipeline's, so that links of its checkpoints can be made; gone with the trial, and
//! with the next start of the host where that one was killed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Where commands and trials link what they read, below a pipeline's directory.
const READING: &str = "reading";
/// How the names of directories of trials begin; commands have others.
const PREFIX: &str = "dry-run-";

/// The directory, which goes with this.
pub struct Scratch {
    pipeline: PathBuf,
    own: PathBuf,
}

impl Scratch {
    /// Makes it below the directory of a pipeline.
    pub fn in_pipeline(pipeline: &Path) -> io::Result<Scratch> {
        let own = pipeline.join(READING).join(format!("{PREFIX}{}", ulid::Ulid::generate()));
        let scratch = Scratch { pipeline: pipeline.to_owned(), own };
        fs::create_dir_all(&scratch.own)?;
        Ok(scratch)
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.own
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed is removed by the next start.
        let _ = fs::remove_dir_all(&self.own);
        // Both fail where anything else is in them, which is right: the pipeline may not have been there, or may have
        // been deleted meanwhile.
        let _ = fs::remove_dir(self.pipeline.join(READING));
        let _ = fs::remove_dir(&self.pipeline);
    }
}

/// Removes what trials of killed hosts have left, for whoever holds the lock of the data directory: nobody else tries
/// anything in it.
pub fn remove_left_behind(data_dir: &Path) {
    for pipeline in entries(&data_dir.join("pipelines")) {
        let reading = pipeline.join(READING);
        for left in entries(&reading) {
            let name = left.file_name().unwrap_or_default();
            if !name.as_encoded_bytes().starts_with(PREFIX.as_bytes()) {
                continue;
            }
            if let Err(error) = fs::remove_dir_all(&left) {
                tracing::warn!("{}: {error}; it is of no use any more and may be deleted", left.display());
            }
        }
        // Fails while a command reads.
        let _ = fs::remove_dir(&reading);
    }
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    // There need not be any yet.
    fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_leaves_nothing_and_what_a_killed_one_left_goes_without_what_commands_read() {
        let data_dir = tempfile::tempdir().unwrap();
        let pipeline = data_dir.path().join("pipelines/orders");
        fs::create_dir_all(pipeline.join("reading/read-1")).unwrap();
        let trial = Scratch::in_pipeline(&pipeline).unwrap();
        fs::create_dir(trial.path().join("live")).unwrap();
        let own = trial.path().to_owned();
        drop(trial);
        assert!(!own.exists());
        fs::create_dir_all(own.join("live")).unwrap();
        remove_left_behind(data_dir.path());
        assert!(!own.exists());
        assert!(pipeline.join("reading/read-1").exists(), "a command reads there");
        let other = data_dir.path().join("pipelines/deleted");
        drop(Scratch::in_pipeline(&other).unwrap());
        assert!(!other.exists(), "a trial makes no pipeline");
    }
}
