//! Names of a files sink: of a staged file, of the file that it becomes, and the handle that stands in the manifest.
//!
//! Persisted, keep stable. Staged: `<dir>/.weir-staged/<pipeline>/<sink>-<subtask>-<epoch>-<incarnation>.part`.
//! Published: `<dir>/<sink>-<epoch, 20 digits>-<subtask>.jsonl` (`.txt` for raw lines). The marker
//! `<dir>/.weir-staged/<pipeline>/<sink>.published` holds `<epoch>-<incarnation>` of the last publication.

use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use weir_protocol::connector::ConnectorError;
use weir_protocol::epoch::{CheckpointId, Epoch, Incarnation};
use weir_protocol::manifest::PreparedHandle;
use weir_protocol::plan::FileFormat;

/// Where a sink keeps what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Places {
    pub(crate) directory: PathBuf,
    pub(crate) staging: PathBuf,
    pub(crate) sink: String,
    pub(crate) extension: &'static str,
}

impl Places {
    pub(crate) fn new(directory: &Path, pipeline: &str, sink: &str, format: FileFormat) -> Places {
        Places {
            directory: directory.to_owned(),
            staging: directory.join(".weir-staged").join(pipeline),
            sink: sink.to_owned(),
            extension: match format {
                FileFormat::JsonLines => "jsonl",
                FileFormat::RawLines => "txt",
            },
        }
    }

    pub(crate) fn staged_name(&self, subtask: usize, id: &CheckpointId) -> String {
        format!("{}-{subtask}-{}-{}.part", self.sink, id.epoch, id.incarnation)
    }

    pub(crate) fn published_name(&self, subtask: usize, epoch: Epoch) -> String {
        format!("{}-{:020}-{subtask}.{}", self.sink, epoch.0, self.extension)
    }

    pub(crate) fn marker(&self) -> PathBuf {
        self.staging.join(format!("{}.published", self.sink))
    }

    /// True for the name of a staged file of this sink, not of one whose name merely begins like it.
    pub(crate) fn is_ours(&self, name: &str) -> bool {
        staged_by(name).is_some_and(|(sink, _)| sink == self.sink)
    }
}

/// The sink and the checkpoint that a staged file's name tells. Read from the end: names may contain `-`.
fn staged_by(name: &str) -> Option<(&str, CheckpointId)> {
    let mut parts = name.strip_suffix(".part")?.rsplitn(4, '-');
    let incarnation = Incarnation::parse(parts.next()?)?;
    let epoch = Epoch(parts.next()?.parse().ok()?);
    parts.next()?.parse::<usize>().ok()?;
    Some((parts.next()?, CheckpointId { epoch, incarnation }))
}

/// What a sink needs to publish a staged file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StagedFile {
    /// The name in the staging directory.
    pub(crate) staged: String,
    /// The name in the target directory.
    pub(crate) published: String,
    /// The size.
    pub(crate) bytes: u64,
}

impl StagedFile {
    pub(crate) fn to_handle(&self, sink: &str) -> PreparedHandle {
        let handle = serde_json::to_string(self).expect("text and a number are always JSON");
        PreparedHandle { sink: sink.to_owned(), handle }
    }

    pub(crate) fn from_handle(handle: &PreparedHandle) -> Result<StagedFile, ConnectorError> {
        let unreadable = |why: String| {
            let PreparedHandle { sink, handle } = handle;
            ConnectorError::refused(format!(
                "sink {sink} cannot read what its checkpoint prepared ({why}): {handle}. Was it made by another kind \
                 of sink? Go back to the pipeline file that made the checkpoint"
            ))
        };
        let file: StagedFile =
            serde_json::from_str(&handle.handle).map_err(|error| unreadable(error.to_string()))?;
        let plain = |name: &str| !name.is_empty() && !name.contains('/');
        if !plain(&file.published) || !plain(&file.staged) || staged_by(&file.staged).is_none() {
            return Err(unreadable("a name is not one of ours".to_owned()));
        }
        Ok(file)
    }

    /// The checkpoint that the file belongs to.
    pub(crate) fn id(&self) -> CheckpointId {
        staged_by(&self.staged).expect("made by `staged_name` or checked by `from_handle`").1
    }
}
