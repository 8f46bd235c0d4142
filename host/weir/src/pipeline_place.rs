//! Where a pipeline's checkpoints and savepoints are, for commands that work beside a running host: nothing is locked,
//! and no component is loaded.

use crate::failure::Failure;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use weir_protocol::connector::ConnectorError;
use weir_protocol::manifest::Manifest;
use weir_protocol::savepoint::{DESCRIPTION, SavepointName};
use weir_protocol::state::StatePart;
use weir_runtime::checkpoint_store::CheckpointStore;
use weir_runtime::data_dir::DataDir;
use weir_runtime::savepoint_store::{self, SavepointStore, newest_decided};
use weir_state::inspect::PartReader;

/// How often the newest checkpoint may go while it is opened.
const ATTEMPTS_MAX: usize = 10;

/// Where components are kept in a data directory.
pub fn components(data_dir: &Path) -> PathBuf {
    data_dir.join("components")
}

/// The savepoints of a pipeline: in a place of their own, or in the pipeline's directory.
pub fn savepoints(pipeline: &Path, name: &str, elsewhere: Option<&Path>) -> SavepointStore {
    SavepointStore::at(match elsewhere {
        // One place may hold those of several pipelines.
        Some(place) => place.join(name),
        None => pipeline.join("savepoints"),
    })
}

/// The place of one pipeline.
pub struct PipelinePlace {
    /// The pipeline's name.
    pub name: String,
    /// Its directory.
    pub directory: PathBuf,
    /// The data directory.
    pub data_dir: PathBuf,
    /// `savepoint.dir` of the pipeline file, where a file was named.
    savepoint_dir: Option<PathBuf>,
}

impl PipelinePlace {
    /// `pipeline` is the name of a pipeline or its file.
    pub fn find(pipeline: &str, data_dir: &Path) -> Result<PipelinePlace, Failure> {
        let file = Path::new(pipeline);
        let (name, savepoint_dir) = match file.is_file() {
            true => named_in(file)?,
            false => (pipeline.to_owned(), None),
        };
        let known = !name.contains(['/', '\\']) && !name.starts_with('.');
        let directory = DataDir::pipeline_path(data_dir, &name);
        if !known || !directory.is_dir() {
            let message = format!(
                "{} has no pipeline {name:?}: name a pipeline that has run with this --data-dir, or its file",
                data_dir.display()
            );
            return Err(Failure::configuration(message));
        }
        Ok(PipelinePlace { name, directory, data_dir: data_dir.to_owned(), savepoint_dir })
    }

    /// Its savepoints; `dir` is where `--dir` says, before `savepoint.dir` of the file.
    pub fn savepoints(&self, dir: Option<&Path>) -> SavepointStore {
        savepoints(&self.directory, &self.name, dir.or(self.savepoint_dir.as_deref()))
    }

    /// The newest decided checkpoint.
    pub fn newest(&self) -> Result<StoredCheckpoint, Failure> {
        let store = CheckpointStore::open(&self.directory, 1)?;
        let (manifest, _) = newest_decided(&self.directory, &store)?;
        Ok(StoredCheckpoint { directory: store.path(&manifest.id), manifest })
    }

    /// Opens what is asked for and shows it; takes the newest again where a checkpoint goes meanwhile.
    pub fn read<T>(
        &self,
        savepoint: Option<&str>,
        dir: Option<&Path>,
        mut read: impl FnMut(&StoredCheckpoint) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        if let Some(savepoint) = savepoint {
            return read(&self.savepoint(savepoint, dir)?);
        }
        let mut attempt = 1;
        loop {
            let newest = self.newest()?;
            match read(&newest) {
                Err(_) if attempt < ATTEMPTS_MAX && !newest.directory.exists() => attempt += 1,
                result => return result,
            }
        }
    }

    /// A savepoint by its name, or by the path of its directory.
    pub fn savepoint(&self, savepoint: &str, dir: Option<&Path>) -> Result<StoredCheckpoint, Failure> {
        let path = locate(savepoint, &self.savepoints(dir))?;
        StoredCheckpoint::of_savepoint(path)
    }
}

/// Where a savepoint is that was given by name or by path.
pub fn locate(savepoint: &str, store: &SavepointStore) -> Result<PathBuf, Failure> {
    let path = Path::new(savepoint);
    if path.join(DESCRIPTION).is_file() {
        return Ok(path.to_owned());
    }
    if path.is_file() {
        let message =
            format!("{savepoint} is a file: bring it into a data directory with `weir savepoint import`");
        return Err(Failure::configuration(message));
    }
    if path.is_dir() && SavepointName::parse(savepoint).is_err() {
        return Err(Failure::configuration(format!("{savepoint}: no {DESCRIPTION} in this directory")));
    }
    let name = SavepointName::parse(savepoint).map_err(Failure::configuration)?;
    let found = store.path(&name);
    if found.join(DESCRIPTION).is_file() {
        return Ok(found);
    }
    Err(Failure::configuration(format!(
        "{}: there is no such savepoint; `weir savepoint list` shows them",
        found.display()
    )))
}

/// Name and `savepoint.dir` of a pipeline file, without anything else of it.
fn named_in(file: &Path) -> Result<(String, Option<PathBuf>), Failure> {
    let bad = |what: String| Failure::configuration(format!("{}: {what}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|error| bad(format!("cannot be read: {error}")))?;
    let table: toml::Table = toml::from_str(&text).map_err(|error| bad(error.message().to_owned()))?;
    let text_at = |value: Option<&toml::Value>| value.and_then(toml::Value::as_str).map(str::to_owned);
    let plain = |text: String, key: &str| match text.contains("${") {
        true => Err(bad(format!(
            "{key} is filled in when the pipeline starts: name the pipeline instead, and --dir"
        ))),
        false => Ok(text),
    };
    let name = text_at(table.get("name")).ok_or_else(|| bad("it has no name".to_owned()))?;
    let dir = text_at(table.get("savepoint").and_then(|savepoint| savepoint.get("dir")));
    let dir = dir.map(|dir| plain(dir, "savepoint.dir")).transpose()?;
    let parent = file.parent().unwrap_or(Path::new("")).to_owned();
    Ok((plain(name, "name")?, dir.map(|dir| parent.join(dir))))
}

/// A checkpoint or savepoint that can be read.
pub struct StoredCheckpoint {
    /// Where its files are.
    pub directory: PathBuf,
    /// What it holds.
    pub manifest: Manifest,
}

impl StoredCheckpoint {
    /// The savepoint in a directory.
    pub fn of_savepoint(directory: PathBuf) -> Result<StoredCheckpoint, Failure> {
        let savepoint = savepoint_store::load(&directory)?;
        let manifest = savepoint_store::manifest(&directory, &savepoint)?;
        Ok(StoredCheckpoint { directory, manifest })
    }

    /// Opens a part for reading, by way of links below `scratch`, which is this command's own.
    pub fn open(&self, part: &StatePart, scratch: &Path) -> Result<PartReader, ConnectorError> {
        static OPENED: AtomicU64 = AtomicU64::new(0);
        let number = OPENED.fetch_add(1, Ordering::Relaxed);
        let scratch = scratch.join(number.to_string());
        PartReader::open(&self.directory.join(part.directory()), part, &scratch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("p.toml");
        std::fs::write(&path, text).unwrap();
        (directory, path)
    }

    #[test]
    fn a_pipeline_file_names_the_pipeline_and_where_its_savepoints_go() {
        let (directory, path) =
            file("name = \"p\"\n[savepoint]\ndir = \"points\"\n[kafka.main]\nx = \"${env:S}\"\n");
        let (name, dir) = named_in(&path).unwrap();
        assert_eq!((name.as_str(), dir), ("p", Some(directory.path().join("points"))));
    }

    #[test]
    fn what_is_filled_in_later_cannot_be_used_here() {
        let (_directory, path) = file("name = \"p\"\n[savepoint]\ndir = \"${env:S}\"\n");
        let failure = named_in(&path).unwrap_err();
        assert!(failure.message.contains("savepoint.dir is filled in when the pipeline starts"), "{failure}");
    }

    #[test]
    fn a_directory_that_is_no_savepoint_is_told_as_one() {
        let directory = tempfile::tempdir().unwrap();
        let store = SavepointStore::at(directory.path().join("savepoints"));
        let failure = locate("/etc", &store).err().unwrap();
        assert_eq!(failure.message, "/etc: no savepoint.json in this directory");
    }

    #[test]
    fn a_pipeline_that_is_not_there_is_named() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["nobody", "../x", "."] {
            let failure = PipelinePlace::find(name, directory.path()).err().unwrap();
            assert!(failure.message.contains(&format!("has no pipeline {name:?}")), "{failure}");
        }
    }
}
