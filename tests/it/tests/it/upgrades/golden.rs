//! Data directories as the weir of each feature level left them: `tests/it/golden/level-N/*.tar`, made by `make.sh` there.

use crate::harness::weir::Weir;
use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// Makes a process the weir whose newest level is the first; where WEIR_TEST_BEFORE names a real one, that is run.
pub const BEFORE: &[(&str, &str)] = &[("WEIR_NEWEST_LEVEL", "1")];
/// This weir.
pub const NOW: &[(&str, &str)] = &[];

/// One of them, unpacked.
pub struct Golden {
    name: String,
    directory: TempDir,
    started: Cell<u32>,
}

impl Golden {
    /// As a level's weir left it.
    pub fn unpack(level: u32, name: &str) -> Golden {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("golden/level-{level}/{name}.tar"));
        let directory = tempfile::tempdir().expect("a directory");
        let archive =
            std::fs::File::open(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        tar::Archive::new(archive).unpack(directory.path()).expect("a tar file");
        Golden { name: name.to_owned(), directory, started: Cell::new(0) }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(&self.name).join(name)
    }

    pub fn data_dir(&self) -> PathBuf {
        self.path("data")
    }

    /// A place for a log.
    pub fn log(&self) -> PathBuf {
        self.started.set(self.started.get() + 1);
        self.path(&format!("weir-{}.log", self.started.get()))
    }

    /// `weir` with these words, in the unpacked directory.
    pub fn command(&self, words: &[&str], environment: &[(&str, &str)]) -> Weir {
        let mut command = Command::new(crate::harness::guests::weir_for(environment));
        command.args(words).current_dir(self.path(""));
        Weir::spawn(command, environment, &self.log())
    }

    /// `weir run` on the pipeline file.
    pub fn run(&self, options: &[&str], environment: &[&[(&str, &str)]]) -> Weir {
        let words = [&["run", "pipeline.toml", "--data-dir", "data"], options].concat();
        self.command(&words, &environment.concat())
    }

    /// `weir run --until-end`, to its good end.
    #[track_caller]
    pub fn run_to_end(&self, environment: &[(&str, &str)]) {
        self.run(&["--until-end"], &[environment]).ends_with(0);
    }

    /// `weir upgrade` on the data directory; what it says as JSON.
    #[track_caller]
    pub fn upgrade(&self, word: &str) -> serde_json::Value {
        let mut weir = self.command(&["upgrade", word, "--data-dir", "data", "-o", "json"], NOW);
        weir.ends_with(0);
        serde_json::from_str(&weir.log()).expect("an answer in JSON")
    }

    /// The newest manifests that are there, by epoch.
    pub fn manifests(&self) -> Vec<serde_json::Value> {
        let checkpoints = self.data_dir().join("pipelines").join(&self.name).join("checkpoints");
        let found = std::fs::read_dir(checkpoints).expect("checkpoints").flatten();
        let texts = found.filter_map(|entry| std::fs::read(entry.path().join("manifest.json")).ok());
        let mut manifests: Vec<serde_json::Value> =
            texts.map(|text| serde_json::from_slice(&text).expect("a manifest")).collect();
        manifests.sort_by_key(|manifest| manifest["epoch"].as_u64());
        manifests
    }

    /// The last of them.
    pub fn newest_manifest(&self) -> serde_json::Value {
        self.manifests().pop().expect("a checkpoint")
    }

    /// The published values of a files sink.
    pub fn values(&self, sink: &str) -> Vec<String> {
        crate::harness::job::values_in(&self.path(sink))
    }
}
