//! The files source: lines of files as records; it ends where the files end.
//!
//! One file is one partition: its topic is the file's path as given (`*` filled in) and its number is 0, so a file
//! keeps its name when others appear beside it. An offset is the byte at which a line begins. The last line counts
//! also without a line feed; a blank line of JSON does not.
//!
//! A file may grow, but what was read must stay: the position carries a fingerprint of the file's first bytes (up to
//! [`FINGERPRINT_BYTES`], and no further than the position) in the place of the leader epoch, which serves the same
//! end for Kafka. A file that is shorter than its position, begins differently, or was continued inside its last line
//! is refused.

use crate::durable_file::io_error;
use crate::record_lines::LineReader;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use weir_protocol::batch::Batch;
use weir_protocol::connector::{BatchLimits, ConnectorError, Polled, Source, SourceReader, StartPolicy};
use weir_protocol::plan::FileFormat;
use weir_protocol::position::{Partition, Position, Positions};
use weir_protocol::remedy::{Remedy, ResetTo};

/// How much of a file's beginning identifies it.
pub const FINGERPRINT_BYTES: usize = 4096;

/// A longer line is an error: it is most likely not a file of lines.
pub const LINE_BYTES_MAX: u64 = 64 << 20;

const READ_BUFFER_BYTES: usize = 256 << 10;

/// What a files source reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilesSourceOptions {
    /// The source's name, for messages.
    pub name: String,
    /// Paths; `*` in the last part matches several, in the order of their names.
    pub paths: Vec<String>,
    /// How a line is read.
    pub format: FileFormat,
    /// It is no error where no file is there yet.
    pub may_be_empty: bool,
}

/// The source.
#[derive(Debug)]
pub struct FilesSource {
    options: FilesSourceOptions,
}

impl FilesSource {
    /// A source of the given files. They are looked for when the partitions are asked for.
    pub fn new(options: FilesSourceOptions) -> FilesSource {
        FilesSource { options }
    }
}

impl Source for FilesSource {
    fn is_finite(&self) -> bool {
        true
    }

    fn partitions(&mut self) -> Result<Vec<Partition>, ConnectorError> {
        let (mut seen, mut partitions) = (BTreeSet::new(), Vec::new());
        for pattern in &self.options.paths {
            let Some(found) = matching_files(&self.options.name, pattern)? else {
                if self.options.may_be_empty {
                    continue;
                }
                return Err(ConnectorError::permanent(format!(
                    "source.{}.paths: no file matches {pattern}",
                    self.options.name
                )));
            };
            for path in found {
                if seen.insert(path.clone()) {
                    partitions.push(Partition::new(path, 0));
                }
            }
        }
        Ok(partitions)
    }

    fn resolve(
        &mut self,
        partitions: &[Partition],
        policy: StartPolicy,
    ) -> Result<Positions, ConnectorError> {
        match policy {
            StartPolicy::CommittedOrEarliest | StartPolicy::Earliest => {
                Ok(partitions.iter().map(|partition| (partition.clone(), Position::at(0))).collect())
            }
            StartPolicy::CommittedOrLatest | StartPolicy::Latest => self.ends(partitions),
            StartPolicy::Timestamp(_) => Err(ConnectorError::permanent(format!(
                "source.{}: files have no index by time; start at the beginning or the end",
                self.options.name
            ))),
        }
    }

    fn ends(&mut self, partitions: &[Partition]) -> Result<Positions, ConnectorError> {
        let end = |partition: &Partition| {
            let path = Path::new(&*partition.topic);
            let size = fs::metadata(path).map_err(|error| io_error("look at", path, &error))?.len();
            Ok((partition.clone(), Position::at(i64::try_from(size).unwrap_or(i64::MAX))))
        };
        partitions.iter().map(end).collect()
    }

    fn check_start(&mut self, start: &Positions) -> Result<(), ConnectorError> {
        start.iter().try_for_each(|(partition, at)| OpenFile::open(partition, *at, None).map(drop))
    }

    fn reader(
        &mut self,
        start: &Positions,
        ends: Option<&Positions>,
    ) -> Result<Box<dyn SourceReader>, ConnectorError> {
        let mut reader = FilesReader {
            format: self.options.format,
            ends: ends.cloned(),
            files: Vec::new(),
            current: 0,
            lines: LineReader::default(),
        };
        reader.add(start)?;
        Ok(Box::new(reader))
    }
}

/// The files that a path with `*` in its last part means, sorted; none where no file does.
fn matching_files(source: &str, pattern: &str) -> Result<Option<Vec<String>>, ConnectorError> {
    let (directory, name) = pattern.rsplit_once('/').map_or(("", pattern), |(before, name)| (before, name));
    if directory.contains('*') {
        let message =
            format!("source.{source}.paths: {pattern}: `*` may stand in the last part of a path only");
        return Err(ConnectorError::permanent(message));
    }
    if !name.contains('*') {
        fs::metadata(pattern).map_err(|error| io_error("look at", Path::new(pattern), &error))?;
        return Ok(Some(vec![pattern.to_owned()]));
    }
    let prefix = &pattern[..pattern.len() - name.len()];
    let searched = PathBuf::from(if prefix.is_empty() { "." } else { prefix });
    let cannot_list = |error| io_error("list", &searched, &error);
    let mut files = Vec::new();
    let listed = match fs::read_dir(&searched) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        listed => listed.map_err(cannot_list)?,
    };
    for entry in listed {
        let entry = entry.map_err(cannot_list)?;
        // A name that is not UTF-8 cannot be the name of a partition.
        let Ok(found) = entry.file_name().into_string() else { continue };
        let hidden = found.starts_with('.') && !name.starts_with('.');
        if matches(name, &found) && !hidden && entry.path().is_file() {
            files.push(format!("{prefix}{found}"));
        }
    }
    files.sort();
    Ok(if files.is_empty() { None } else { Some(files) })
}

/// True where `name` is `pattern` with each `*` replaced by some text.
fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = name.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let parts: Vec<_> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        // The earliest place leaves the most for the parts behind it.
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

struct FilesReader {
    format: FileFormat,
    ends: Option<Positions>,
    files: Vec<OpenFile>,
    /// The file that is read; those before it have ended.
    current: usize,
    lines: LineReader,
}

impl SourceReader for FilesReader {
    fn poll(
        &mut self,
        batch: &mut Batch,
        limits: BatchLimits,
        _wait: Duration,
    ) -> Result<Polled, ConnectorError> {
        while let Some(file) = self.files.get_mut(self.current) {
            while batch.rows < limits.rows_max {
                if !file.read_line()? {
                    break;
                }
                // A record is hardly ever larger than its line; offsets and timestamp come on top.
                if batch.rows > 0 && batch.size_bytes() + file.line.len() + 24 > limits.bytes_max {
                    return Ok(Polled::Rows);
                }
                file.push_line(self.format, &mut self.lines, batch)?;
            }
            if batch.rows > 0 {
                return Ok(Polled::Rows);
            }
            self.current += 1;
        }
        Ok(Polled::End)
    }

    fn positions(&self) -> Positions {
        self.files.iter().map(|file| (file.partition.clone(), file.position())).collect()
    }

    fn add(&mut self, start: &Positions) -> Result<(), ConnectorError> {
        for (partition, position) in start {
            let end = self.ends.as_ref().and_then(|ends| ends.get(partition)).map(|end| end.offset as u64);
            self.files.push(OpenFile::open(partition, *position, end)?);
        }
        Ok(())
    }

    fn lag(&self) -> Option<u64> {
        // The bytes that are left say nothing about the records that are left.
        None
    }
}

/// One file and where it stands.
struct OpenFile {
    partition: Partition,
    reader: BufReader<File>,
    /// Where the next line begins.
    offset: u64,
    /// Where to stop, if not at the end of the file.
    end: Option<u64>,
    /// The line at `offset`, where it was read already and did not fit into a batch.
    line: Vec<u8>,
    /// The first bytes of the file, no further than `offset`.
    beginning: Vec<u8>,
}

impl OpenFile {
    fn open(partition: &Partition, start: Position, end: Option<u64>) -> Result<OpenFile, ConnectorError> {
        let path = Path::new(&*partition.topic);
        let failed = |error| io_error("read", path, &error);
        let mut file = File::open(path).map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        let offset = u64::try_from(start.offset).unwrap_or(0);
        if size < offset {
            return Err(changed(path, offset, format!("has only {size} bytes")));
        }
        let mut beginning = Vec::with_capacity(FINGERPRINT_BYTES);
        file.by_ref()
            .take(offset.min(FINGERPRINT_BYTES as u64))
            .read_to_end(&mut beginning)
            .map_err(failed)?;
        if start.leader_epoch >= 0 && fingerprint(&beginning) != start.leader_epoch {
            let what = format!("begins with other bytes than it did ({size} bytes in all)");
            return Err(changed(path, offset, what));
        }
        if offset > 0 {
            let mut before = [0];
            file.seek(SeekFrom::Start(offset - 1))
                .and_then(|_| file.read_exact(&mut before))
                .map_err(failed)?;
            if before != *b"\n" && size > offset {
                let what = format!("was continued inside its last line (it has {size} bytes)");
                return Err(changed(path, offset, what));
            }
        }
        let reader = BufReader::with_capacity(READ_BUFFER_BYTES, file);
        Ok(OpenFile { partition: partition.clone(), reader, offset, end, line: Vec::new(), beginning })
    }

    fn path(&self) -> &Path {
        Path::new(&*self.partition.topic)
    }

    fn position(&self) -> Position {
        let leader_epoch = if self.offset == 0 { -1 } else { fingerprint(&self.beginning) };
        Position { offset: self.offset as i64, leader_epoch }
    }

    /// Makes `line` the line at `offset`; false at the end.
    fn read_line(&mut self) -> Result<bool, ConnectorError> {
        if !self.line.is_empty() {
            return Ok(true);
        }
        let left = self.end.map_or(u64::MAX, |end| end.saturating_sub(self.offset));
        let read = self.reader.by_ref().take(left.min(LINE_BYTES_MAX + 1)).read_until(b'\n', &mut self.line);
        let read = read.map_err(|error| io_error("read", self.path(), &error))? as u64;
        if read > LINE_BYTES_MAX {
            let what = format!("the line is longer than {LINE_BYTES_MAX} bytes; expected a file of lines");
            return Err(self.bad_line(&what));
        }
        if read == 0 && self.end.is_some_and(|end| end > self.offset) {
            return Err(changed(self.path(), self.offset, "became shorter while it was read".to_owned()));
        }
        Ok(read > 0)
    }

    /// Adds the line to the batch and goes on behind it.
    fn push_line(
        &mut self,
        format: FileFormat,
        lines: &mut LineReader,
        batch: &mut Batch,
    ) -> Result<(), ConnectorError> {
        match lines.read(format, &self.line) {
            Ok(None) => {}
            Ok(Some(record)) => {
                batch.push(record.timestamp, record.key, record.value, record.headers);
                let topic: &Arc<str> = &self.partition.topic;
                batch.origins.push(topic, self.partition.number, self.offset as i64);
            }
            Err(bad) => return Err(self.bad_line(&bad.to_string())),
        }
        let missing = FINGERPRINT_BYTES - self.beginning.len();
        self.beginning.extend_from_slice(&self.line[..self.line.len().min(missing)]);
        self.offset += self.line.len() as u64;
        self.line.clear();
        Ok(())
    }

    /// An error that names the line. Its number is counted only now.
    fn bad_line(&self, what: &str) -> ConnectorError {
        let before = File::open(self.path()).map(|file| {
            let bytes = BufReader::new(file.take(self.offset)).bytes();
            bytes.filter(|byte| matches!(byte, Ok(b'\n'))).count()
        });
        let path = self.path().display();
        ConnectorError::permanent(match before {
            Ok(before) => format!("{path}:{}: {what}", before + 1),
            Err(_) => format!("{path}: at byte {}: {what}", self.offset),
        })
    }
}

fn changed(path: &Path, offset: u64, what: String) -> ConnectorError {
    ConnectorError::refused(format!(
        "{} was read up to byte {offset}, but {what}: what was read before is not what is there now. Put the file \
         back as it was (it may only grow by whole lines), or give the new content another name",
        path.display()
    ))
    .helped_by(Remedy::Reset { to: ResetTo::Earliest, only: None })
}

/// FNV-1a of 64 bits, folded to a number that is not negative.
fn fingerprint(beginning: &[u8]) -> i32 {
    let mix = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = beginning.iter().fold(0xcbf2_9ce4_8422_2325, mix);
    ((hash ^ hash >> 32) & 0x7fff_ffff) as i32
}

#[cfg(test)]
#[path = "files_source_tests.rs"]
mod tests;
