//! The files sink: records as lines of files in a directory, exactly once.
//!
//! Each subtask writes one staged file per epoch, in a hidden directory of the same file system. At the barrier it is
//! closed, synced and named in the manifest; after the decision, and again at recovery, it is renamed to its final
//! name. So a reader of the directory sees whole epochs only, and never one that was not decided. An epoch without
//! records has no file.
//!
//! Publishing is idempotent: staged file there = rename it; published file there with the right size = done; neither
//! there, but noted as published in the marker = done (a reader has taken the file away); otherwise refused.

use crate::durable_file::{
    create_directory, io_error, remove_if_there, size_if_there, sync_directory, temporary_path,
};
use crate::record_lines::write_row;
use crate::staged_file::{Places, StagedFile};
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use weir_protocol::batch::Batch;
use weir_protocol::connector::{ConnectorError, Sink, SinkPromise, SinkWriter, Written};
use weir_protocol::epoch::{CheckpointId, Epoch, Incarnation};
use weir_protocol::kill_point;
use weir_protocol::manifest::PreparedHandle;
use weir_protocol::plan::FileFormat;

/// Lines are gathered up to this size before they go to the file.
const WRITE_BUFFER_BYTES: usize = 256 << 10;

/// Where a files sink writes to, and for whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilesSinkOptions {
    /// The pipeline's name.
    pub pipeline: String,
    /// The sink's name: the beginning of the files' names.
    pub name: String,
    /// The directory; made if need be.
    pub directory: PathBuf,
    /// How a record is written.
    pub format: FileFormat,
    /// This life of the pipeline.
    pub incarnation: Incarnation,
}

/// The sink.
#[derive(Debug)]
pub struct FilesSink {
    options: FilesSinkOptions,
    places: Places,
}

impl FilesSink {
    /// A sink that touches nothing yet.
    pub fn new(options: FilesSinkOptions) -> FilesSink {
        let FilesSinkOptions { pipeline, name, directory, format, .. } = &options;
        let places = Places::new(directory, pipeline, name, *format);
        FilesSink { options, places }
    }

    /// The files of this sink among prepared work.
    fn own(&self, handles: &[PreparedHandle]) -> Result<Vec<StagedFile>, ConnectorError> {
        let own = handles.iter().filter(|handle| handle.sink == self.options.name);
        own.map(StagedFile::from_handle).collect()
    }

    fn publish(&self, files: &[StagedFile]) -> Result<(), ConnectorError> {
        let Some(last) = files.last() else { return Ok(()) };
        let marked = fs::read_to_string(self.places.marker()).unwrap_or_default();
        for file in files {
            self.publish_file(file, CheckpointId::parse(&marked))?;
        }
        // Also where nothing was renamed now: a crash may have come between the rename and this.
        sync_directory(&self.places.directory)?;
        let id = last.id();
        if CheckpointId::parse(&marked).as_ref() == Some(&id) { Ok(()) } else { self.mark(&id) }
    }

    fn publish_file(&self, file: &StagedFile, marked: Option<CheckpointId>) -> Result<(), ConnectorError> {
        let staged = self.places.staging.join(&file.staged);
        let published = self.places.directory.join(&file.published);
        let sizes = (size_if_there(&staged)?, size_if_there(&published)?);
        match sizes {
            (Some(found), None) if found == file.bytes => {
                fs::rename(&staged, &published).map_err(|error| io_error("publish", &published, &error))?;
                kill_point::reached("staged_file_renamed");
                Ok(())
            }
            (None, Some(found)) if found == file.bytes => Ok(()),
            (None, None) if marked == Some(file.id()) => {
                tracing::debug!(file = %published.display(), "published earlier and taken away since");
                Ok(())
            }
            _ => Err(unpublishable(file, &staged, &published, sizes)),
        }
    }

    /// Notes what was published, so that its readers may move or delete it. Losing the note is harmless as long as
    /// the files are there, so it is not synced.
    fn mark(&self, id: &CheckpointId) -> Result<(), ConnectorError> {
        let marker = self.places.marker();
        let temporary = temporary_path(&marker);
        let marked = fs::write(&temporary, id.to_string()).and_then(|()| fs::rename(&temporary, &marker));
        marked.map_err(|error| io_error("write", &marker, &error))
    }

    /// Deletes all staged files of this pipeline and sink.
    fn discard(&self) -> Result<(), ConnectorError> {
        let staging = &self.places.staging;
        let entries = match fs::read_dir(staging) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            entries => entries.map_err(|error| io_error("list", staging, &error))?,
        };
        for entry in entries {
            let name = entry.map_err(|error| io_error("list", staging, &error))?.file_name();
            if name.to_str().is_some_and(|name| self.places.is_ours(name)) {
                remove_if_there(&staging.join(&name))?;
            }
        }
        Ok(())
    }
}

fn unpublishable(
    file: &StagedFile,
    staged: &Path,
    published: &Path,
    sizes: (Option<u64>, Option<u64>),
) -> ConnectorError {
    let found =
        |size: Option<u64>| size.map_or("is not there".to_owned(), |size| format!("has {size} bytes"));
    ConnectorError::refused(format!(
        "cannot publish {} bytes that are decided: {} {}, {} {}. Expected one of the two with that size; put the file \
         back, move a file of another pipeline out of the way, or set `directory` back where it was changed",
        file.bytes,
        staged.display(),
        found(sizes.0),
        published.display(),
        found(sizes.1),
    ))
}

impl Sink for FilesSink {
    fn promise(&self) -> SinkPromise {
        SinkPromise::Staged
    }

    fn record_bytes_max(&self) -> Option<usize> {
        None
    }

    fn writer(&mut self, subtask: usize) -> Result<Box<dyn SinkWriter>, ConnectorError> {
        create_directory(&self.places.staging)?;
        Ok(Box::new(FilesWriter {
            name: self.options.name.clone(),
            places: self.places.clone(),
            format: self.options.format,
            incarnation: self.options.incarnation.clone(),
            subtask,
            epoch: None,
            open: None,
            buffer: Vec::with_capacity(WRITE_BUFFER_BYTES + (WRITE_BUFFER_BYTES >> 2)),
        }))
    }

    fn recover(&mut self, decided: &[PreparedHandle]) -> Result<(), ConnectorError> {
        self.publish(&self.own(decided)?)?;
        self.discard()
    }

    fn commit(&mut self, decided: &[PreparedHandle]) -> Result<(), ConnectorError> {
        self.publish(&self.own(decided)?)
    }
}

struct FilesWriter {
    name: String,
    places: Places,
    format: FileFormat,
    incarnation: Incarnation,
    subtask: usize,
    epoch: Option<Epoch>,
    open: Option<OpenStagedFile>,
    /// Lines that are not in the file yet.
    buffer: Vec<u8>,
}

struct OpenStagedFile {
    path: PathBuf,
    handle: File,
    file: StagedFile,
}

impl SinkWriter for FilesWriter {
    fn begin(&mut self, epoch: Epoch) -> Result<(), ConnectorError> {
        assert!(self.open.is_none(), "epoch {epoch} begins while another one is being written");
        self.epoch = Some(epoch);
        Ok(())
    }

    fn write(&mut self, batch: &Batch, from: usize) -> Result<Written, ConnectorError> {
        if from < batch.rows && self.open.is_none() {
            self.open = Some(self.create()?);
        }
        for row in from..batch.rows {
            write_row(self.format, batch, row, &mut self.buffer).map_err(|malformed| {
                ConnectorError::permanent(format!("sink {}: row {row}: {malformed}", self.name))
            })?;
            if self.buffer.len() >= WRITE_BUFFER_BYTES {
                self.flush()?;
            }
        }
        Ok(Written::All)
    }

    fn prepare(&mut self, epoch: Epoch) -> Result<Vec<PreparedHandle>, ConnectorError> {
        self.flush()?;
        let Some(open) = self.open.take() else { return Ok(Vec::new()) };
        assert_eq!(self.epoch, Some(epoch), "the barrier ends the epoch that was begun");
        open.handle.sync_all().map_err(|error| io_error("sync", &open.path, &error))?;
        drop(open.handle);
        sync_directory(&self.places.staging)?;
        Ok(vec![open.file.to_handle(&self.name)])
    }
}

impl FilesWriter {
    fn create(&self) -> Result<OpenStagedFile, ConnectorError> {
        let epoch = self.epoch.expect("`begin` comes before the first write of an epoch");
        let id = CheckpointId { epoch, incarnation: self.incarnation.clone() };
        let file = StagedFile {
            staged: self.places.staged_name(self.subtask, &id),
            published: self.places.published_name(self.subtask, epoch),
            bytes: 0,
        };
        let published = self.places.directory.join(&file.published);
        if size_if_there(&published)?.is_some() {
            // Said now, while nothing is decided, and not when it must be published.
            return Err(ConnectorError::refused(format!(
                "{} is there already, but epoch {epoch} of this pipeline is not decided: another pipeline writes to \
                 this directory with the same sink's name, or this one starts anew. Choose another directory or \
                 sink's name, or move the files away",
                published.display()
            )));
        }
        let path = self.places.staging.join(&file.staged);
        let handle = File::create_new(&path).map_err(|error| io_error("make", &path, &error))?;
        Ok(OpenStagedFile { path, handle, file })
    }

    fn flush(&mut self) -> Result<(), ConnectorError> {
        if let Some(open) = &mut self.open {
            open.handle.write_all(&self.buffer).map_err(|error| io_error("write", &open.path, &error))?;
            open.file.bytes += self.buffer.len() as u64;
        }
        self.buffer.clear();
        Ok(())
    }
}

#[cfg(test)]
#[path = "files_sink_tests.rs"]
mod tests;
