//! Which file of a checkpoint a link in a live directory is: an error that names the link would name what is gone soon.

use crate::failure;
use rocksdb::ErrorKind;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use weir_protocol::connector::ConnectorError;
use weir_protocol::state::StatePart;

/// The part of a checkpoint that a directory of links was made of.
#[derive(Debug)]
pub(crate) struct Origin {
    links: PathBuf,
    checkpoint: PathBuf,
    files: BTreeSet<String>,
}

impl Origin {
    /// `links` has the files of the part that lies in `checkpoint`.
    pub(crate) fn new(links: &Path, checkpoint: &Path, part: &StatePart) -> Origin {
        Origin {
            links: links.to_owned(),
            checkpoint: checkpoint.to_owned(),
            files: part.files.iter().map(|file| file.name.clone()).collect(),
        }
    }

    /// Where the part lies.
    pub(crate) fn checkpoint(&self) -> &Path {
        &self.checkpoint
    }

    /// An error of RocksDB that read the links while `doing` something with `place`.
    pub(crate) fn of_rocksdb(&self, doing: &str, place: &Path, error: &rocksdb::Error) -> ConnectorError {
        let text = error.as_ref();
        if error.kind() != ErrorKind::Corruption {
            return failure::of_text(doing, place, error.kind(), text);
        }
        match self.file_in(text) {
            Some(name) => {
                let link = self.links.join(name).display().to_string();
                let file = self.checkpoint.join(name);
                let text = text.replace(&link, &file.display().to_string());
                failure::of_text(doing, &file, error.kind(), &text)
            }
            None => failure::of_text(doing, place, error.kind(), text),
        }
    }

    /// The file of the part that a text names by its link.
    fn file_in<'a>(&'a self, text: &str) -> Option<&'a str> {
        let head = format!("{}/", self.links.display());
        let (_, behind) = text.split_once(&head)?;
        let known = self.files.iter().filter(|name| behind.starts_with(name.as_str()));
        known.max_by_key(|name| name.len()).map(String::as_str)
    }
}
