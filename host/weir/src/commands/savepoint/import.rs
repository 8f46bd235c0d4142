//! `weir savepoint import`: takes in a savepoint from elsewhere, once every byte of it is verified.

use super::{StoreOptions, parse_name, verifier};
use crate::failure::{Exit, Failure};
use crate::pipeline_place::savepoints;
use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};
use weir_protocol::savepoint::{DESCRIPTION, SavepointName, stays_inside};
use weir_runtime::data_dir::DataDir;
use weir_runtime::savepoint_store::load;

/// Options of `weir savepoint import`.
#[derive(Debug, clap::Args)]
pub struct Options {
    #[command(flatten)]
    store: StoreOptions,
    /// The savepoint: its directory, or a tar file of it
    from: PathBuf,
    /// Its name here; the name that it was made with unless given
    #[arg(long, value_name = "NAME", value_parser = parse_name)]
    name: Option<SavepointName>,
}

/// Takes it in and says where it is.
pub fn run(options: &Options) -> Result<Exit, Failure> {
    let StoreOptions { pipeline, data, dir } = &options.store;
    // Before the first start there is no directory of the pipeline.
    let store = match options.store.place() {
        Ok(place) => place.savepoints(dir.as_deref()),
        Err(_) if !pipeline.contains(['/', '\\', '.']) => {
            savepoints(&DataDir::pipeline_path(&data.data_dir, pipeline), pipeline, dir.as_deref())
        }
        Err(failure) => return Err(failure),
    };
    let (from, _unpacked) = match options.from.is_file() {
        true => unpack(&options.from, &data.data_dir)?,
        false => (options.from.clone(), None),
    };
    let name = match &options.name {
        Some(name) => name.clone(),
        None => load(&from)?.name,
    };
    let savepoint = store.import(&from, &name, &verifier())?;
    println!("{}", store.path(&name).display());
    eprintln!("savepoint {name} of checkpoint {} of pipeline {}, verified", savepoint.id, savepoint.pipeline);
    Ok(Exit::Done)
}

/// Unpacks a tar file beside the data, so that nothing of it is where a savepoint could be before it is verified.
fn unpack(file: &Path, data_dir: &Path) -> Result<(PathBuf, Option<tempfile::TempDir>), Failure> {
    let failed = |error: io::Error| Failure::failed(format!("{}: {error}", file.display()));
    std::fs::create_dir_all(data_dir).map_err(failed)?;
    let directory = tempfile::Builder::new().prefix("import-").tempdir_in(data_dir).map_err(failed)?;
    unpack_into(file, directory.path()).map_err(failed)?;
    Ok((directory.path().to_owned(), Some(directory)))
}

/// Plain files with plain paths only: a tar file can hold anything.
fn unpack_into(file: &Path, directory: &Path) -> io::Result<()> {
    let mut archive = tar::Archive::new(BufReader::new(File::open(file)?));
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.to_string_lossy().into_owned();
        let path = path.trim_start_matches("./").trim_end_matches('/').to_owned();
        if entry.header().entry_type().is_dir() {
            continue;
        }
        if !entry.header().entry_type().is_file() || !(stays_inside(&path) || path == DESCRIPTION) {
            return Err(io::Error::other(format!(
                "{path:?} is no file of a savepoint; nothing was taken in"
            )));
        }
        let target = directory.join(&path);
        if let Some(parent) = target.parent() {
            std::fs::create_dir_all(parent)?;
        }
        io::copy(&mut entry, &mut File::create_new(target)?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(path: &str) -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("x.tar");
        let mut builder = tar::Builder::new(File::create(&file).unwrap());
        let mut header = tar::Header::new_gnu();
        header.set_size(1);
        // `set_path` refuses what a hostile archive holds.
        header.as_gnu_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_cksum();
        builder.append(&header, &b"x"[..]).unwrap();
        builder.finish().unwrap();
        (directory, file)
    }

    #[test]
    fn a_tar_file_never_writes_outside_of_its_directory() {
        for path in ["../evil", "/evil", "state/../../evil"] {
            let (directory, file) = archive(path);
            let target = directory.path().join("target");
            std::fs::create_dir(&target).unwrap();
            let error = unpack_into(&file, &target).unwrap_err();
            assert!(error.to_string().contains("no file of a savepoint"), "{error}");
            assert!(!directory.path().join("evil").exists());
        }
    }

    #[test]
    fn a_tar_file_made_of_dot_is_unpacked() {
        let (directory, file) = archive("./state/sum/0/CURRENT");
        unpack_into(&file, directory.path()).unwrap();
        assert_eq!(std::fs::read(directory.path().join("state/sum/0/CURRENT")).unwrap(), b"x");
    }
}
