//! What a pipeline runs, kept in the data directory: the bytes of its operators, and its file as it was written.
//!
//! So a savepoint can be made of what the host has, and a later look does not depend on files that were changed since.

use crate::pipeline_place;
use sha2::{Digest, Sha256};
use std::fs;
use std::io;
use std::path::Path;
use weir_protocol::connector::ConnectorError;
use weir_runtime::checkpoint_store::write_durably;
use weir_runtime::savepoint_store::PIPELINE_FILE;

/// Keeps the bytes of an operator under their digest. `path` is where they were read from.
pub fn keep_component(data_dir: &Path, path: &Path, digest: &str) -> Result<(), ConnectorError> {
    let directory = pipeline_place::components(data_dir);
    let name = format!("{digest}.wasm");
    if directory.join(&name).exists() {
        return Ok(());
    }
    let bytes = fs::read(path)
        .map_err(|error| ConnectorError::permanent(format!("{} cannot be read: {error}", path.display())))?;
    let found: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    if found != digest {
        return Err(ConnectorError::transient(format!(
            "{} was changed while the pipeline started; start it again",
            path.display()
        )));
    }
    let write = || -> io::Result<()> {
        fs::create_dir_all(&directory)?;
        write_durably(&directory, &name, &bytes)
    };
    write().map_err(|error| {
        ConnectorError::transient(format!("{} cannot be written: {error}", directory.join(&name).display()))
    })
}

/// Keeps the pipeline file beside the checkpoints: as it was written, with nothing filled in. Of `--set` only the keys
/// are noted, because a value may be a secret.
pub fn keep_pipeline_file(pipeline: &Path, file: &Path, overrides: &[String]) -> Result<(), ConnectorError> {
    let text = fs::read_to_string(file)
        .map_err(|error| ConnectorError::permanent(format!("{} cannot be read: {error}", file.display())))?;
    let keys = overrides.iter().map(|set| set.split_once('=').map_or(set.as_str(), |(key, _)| key));
    let notes: String = keys.map(|key| format!("# started with --set {key}=...\n")).collect();
    write_durably(pipeline, PIPELINE_FILE, (notes + &text).as_bytes()).map_err(|error| {
        ConnectorError::transient(format!(
            "{} cannot be written: {error}",
            pipeline.join(PIPELINE_FILE).display()
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_is_kept_under_its_digest_and_only_if_it_has_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.wasm");
        fs::write(&path, b"abc").unwrap();
        let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        keep_component(directory.path(), &path, digest).unwrap();
        let kept = directory.path().join("components").join(format!("{digest}.wasm"));
        assert_eq!(fs::read(&kept).unwrap(), b"abc");
        let error = keep_component(directory.path(), &path, &digest.replace('b', "c")).unwrap_err();
        assert!(error.message.contains("was changed while the pipeline started"), "{error}");
    }

    #[test]
    fn values_that_were_set_on_the_command_line_are_not_kept() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("p.toml");
        fs::write(&path, "name = \"${env:N}\"\n").unwrap();
        let overrides = ["kafka.main.properties.\"sasl.password\"=secret".to_owned()];
        keep_pipeline_file(directory.path(), &path, &overrides).unwrap();
        let kept = fs::read_to_string(directory.path().join("pipeline.toml")).unwrap();
        assert_eq!(
            kept,
            "# started with --set kafka.main.properties.\"sasl.password\"=...\nname = \"${env:N}\"\n"
        );
    }
}
