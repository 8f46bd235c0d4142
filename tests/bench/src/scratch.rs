//! A folder for one bench, removed afterwards.

use crate::failure::Failure;
use std::fs;
use std::path::{Path, PathBuf};

/// The folder.
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes it among the temporary files.
    pub fn make(name: &str) -> Result<Scratch, Failure> {
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).map_err(Failure::of(folder.display()))?;
        Ok(Scratch(folder))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays lies among the temporary files.
        let _ = fs::remove_dir_all(&self.0);
    }
}
