//! State of the newest decided checkpoint under names of its own, for who reads it longer than a running pipeline keeps
//! it.

use crate::checkpoint_store::{CheckpointStore, link_or_copy};
use crate::savepoint_store::newest_decided;
use std::fs::{create_dir_all, remove_dir_all};
use std::io;
use std::path::Path;
use weir_protocol::connector::ConnectorError;
use weir_protocol::manifest::Manifest;
use weir_protocol::state::StatePart;

/// How often the newest checkpoint may go while it is linked.
const ATTEMPTS_MAX: usize = 10;

/// Links the parts that `wanted` says into `into`, each in its directory as in a checkpoint, all of the same one: the
/// newest decided one of the pipeline whose directory this is. Where it goes meanwhile, because newer ones were decided,
/// the newest is taken again. `into` is this caller's own.
pub fn pin_newest(
    pipeline: &Path,
    store: &CheckpointStore,
    into: &Path,
    wanted: impl Fn(&StatePart) -> bool,
) -> Result<Manifest, ConnectorError> {
    pin(|| newest_decided(pipeline, store).map(|(manifest, _)| manifest), store, into, wanted)
}

fn pin(
    newest: impl Fn() -> Result<Manifest, ConnectorError>,
    store: &CheckpointStore,
    into: &Path,
    wanted: impl Fn(&StatePart) -> bool,
) -> Result<Manifest, ConnectorError> {
    let mut gone = None;
    for _ in 0..ATTEMPTS_MAX {
        let manifest = newest()?;
        let from = store.path(&manifest.id);
        let parts = manifest.keyed.iter().flat_map(|keyed| &keyed.parts);
        let linked = parts.filter(|part| wanted(part)).try_for_each(|part| link(&from, into, part));
        let error = match linked {
            Ok(()) => return Ok(manifest),
            Err(error) => error,
        };
        let failed =
            |error: &io::Error| ConnectorError::permanent(format!("linking {}: {error}", from.display()));
        // A checkpoint that goes is not the newest any more; the same again has lost a file.
        if error.kind() != io::ErrorKind::NotFound || gone.as_ref() == Some(&manifest.id) {
            return Err(failed(&error));
        }
        match remove_dir_all(into) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(&error)),
            _ => gone = Some(manifest.id),
        }
    }
    Err(ConnectorError::transient(format!(
        "{}: {ATTEMPTS_MAX} times the newest checkpoint went while it was linked: make checkpoint.interval longer, or checkpoint.retain larger",
        into.display()
    )))
}

fn link(from: &Path, into: &Path, part: &StatePart) -> io::Result<()> {
    let (from, into) = (from.join(part.directory()), into.join(part.directory()));
    create_dir_all(&into)?;
    part.files.iter().try_for_each(|file| link_or_copy(&from.join(&file.name), &into.join(&file.name)))
}

#[cfg(test)]
mod tests;
