//! `weir savepoint import`: takes in a savepoint from elsewhere, once every byte of it is verified.

use super::{StoreOptions, parse_name, verifier};
use crate::failure::{Exit, Failure};
use crate::pipeline_place::savepoints;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::path::{Path, PathBuf};
use weir_protocol::connector::ConnectorError;
use weir_protocol::savepoint::{DESCRIPTION, SavepointName, stays_inside};
use weir_runtime::data_dir::DataDir;
use weir_runtime::savepoint_store::{SavepointStore, Unpacking, load};

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
    if let Some(remote) = options.store.remote()? {
        return Err(remote.only_beside_its_data("import"));
    }
    let StoreOptions { pipeline, dir, .. } = &options.store;
    // Before the first start there is no directory of the pipeline.
    let store = match options.store.place() {
        Ok(place) => place.savepoints(dir.as_deref()),
        Err(_) if !pipeline.contains(['/', '\\', '.']) => {
            savepoints(&DataDir::pipeline_path(&options.store.data_dir(), pipeline), pipeline, dir.as_deref())
        }
        Err(failure) => return Err(failure),
    };
    let given = &options.from;
    if !given.exists() {
        return Err(Failure::configuration(format!(
            "{}: there is no such file or directory",
            given.display()
        )));
    }
    let unpacked = match given.is_file() {
        true => Some(unpack(given, &store)?),
        false => None,
    };
    let from = unpacked.as_ref().map_or(given.as_path(), Unpacking::directory);
    let imported = load(from).and_then(|savepoint| {
        let name = options.name.clone().unwrap_or(savepoint.name);
        Ok((store.import(from, &name, &verifier())?, name))
    });
    let (savepoint, name) = imported.map_err(|error| match &unpacked {
        Some(unpacked) => in_archive(error, given, unpacked.directory()),
        None => error,
    })?;
    println!("{}", store.path(&name).display());
    eprintln!("savepoint {name} of checkpoint {} of pipeline {}, verified", savepoint.id, savepoint.pipeline);
    Ok(Exit::Done)
}

/// Unpacks a tar file into the store, where nothing of it is a savepoint before it is verified.
fn unpack(file: &Path, store: &SavepointStore) -> Result<Unpacking, Failure> {
    let unpacking = store.unpacking()?;
    match unpack_into(file, unpacking.directory()) {
        Ok(()) => Ok(unpacking),
        Err(error) => Err(Failure::failed(format!("{}: {error}; nothing was taken in", file.display()))),
    }
}

/// What was found wrong is in the tar file: the directory that it was unpacked into is gone when somebody reads this.
fn in_archive(error: ConnectorError, file: &Path, unpacked: &Path) -> ConnectorError {
    let (file, unpacked) = (file.display().to_string(), unpacked.display().to_string());
    // First the files in it, then the directory itself.
    let message =
        error.message.replace(&format!("{unpacked}/"), &format!("{file}: ")).replace(&unpacked, &file);
    ConnectorError { message, ..error }
}

/// First bytes of compressed files, what compresses so, and what unpacks it.
const COMPRESSED: &[(&[u8], &str, &str)] = &[
    (&[0x1f, 0x8b], "gzip", "gunzip"),
    (&[0x28, 0xb5, 0x2f, 0xfd], "zstd", "unzstd"),
    (&[0xfd, b'7', b'z', b'X', b'Z'], "xz", "unxz"),
    (b"BZh", "bzip2", "bunzip2"),
];

/// A tar file that is not compressed.
fn open(file: &Path) -> io::Result<File> {
    let mut opened = File::open(file)?;
    let mut head = Vec::new();
    opened.by_ref().take(8).read_to_end(&mut head)?;
    if let Some((_, with, unpack)) = COMPRESSED.iter().find(|(magic, ..)| head.starts_with(magic)) {
        return Err(io::Error::other(format!("it is compressed with {with}; unpack it with {unpack} first")));
    }
    opened.rewind()?;
    Ok(opened)
}

/// Plain files with plain paths only: a tar file can hold anything.
fn unpack_into(file: &Path, directory: &Path) -> io::Result<()> {
    // What the library says of a bad header may hold bytes of the file.
    let no_tar = |error: io::Error| match error.kind() {
        io::ErrorKind::Other | io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
            io::Error::other("it is no tar file, or a damaged one")
        }
        _ => error,
    };
    let mut archive = tar::Archive::new(BufReader::new(open(file)?));
    for entry in archive.entries().map_err(no_tar)? {
        let mut entry = entry.map_err(no_tar)?;
        let path = entry.path().map_err(no_tar)?.to_string_lossy().into_owned();
        let path = path.trim_start_matches("./").trim_end_matches('/').to_owned();
        if entry.header().entry_type().is_dir() {
            continue;
        }
        if !entry.header().entry_type().is_file() || !(stays_inside(&path) || path == DESCRIPTION) {
            return Err(io::Error::other(format!("{path:?} is no file of a savepoint")));
        }
        let target = directory.join(&path);
        if let Some(parent) = target.parent() {
            std::fs::create_dir_all(parent).map_err(|error| of_entry(&path, &error))?;
        }
        let mut target = File::create_new(target).map_err(|error| of_entry(&path, &error))?;
        io::copy(&mut entry, &mut target).map_err(|error| of_entry(&path, &error))?;
    }
    Ok(())
}

fn of_entry(path: &str, error: &io::Error) -> io::Error {
    let what = match error.kind() {
        io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => {
            "it is there twice, as a file or as a directory".to_owned()
        }
        io::ErrorKind::UnexpectedEof => "the tar file ends in the middle of it".to_owned(),
        _ => error.to_string(),
    };
    io::Error::new(error.kind(), format!("{path:?}: {what}"))
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
    fn what_cannot_be_unpacked_is_told_in_words() {
        let (directory, file) = archive("CURRENT");
        let twice: Vec<u8> = {
            let bytes = std::fs::read(&file).unwrap();
            // An entry is a header and a block; the end is two empty blocks.
            [&bytes[..1024], &bytes].concat()
        };
        let cases: [(&str, Vec<u8>, &str); 3] = [
            (
                "gzip",
                vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3],
                "it is compressed with gzip; unpack it with gunzip first",
            ),
            (
                "noise",
                (0..2048u32).map(|n| (n * 7 + 13) as u8).collect(),
                "it is no tar file, or a damaged one",
            ),
            ("twice", twice, "\"CURRENT\": it is there twice"),
        ];
        for (name, bytes, expected) in cases {
            let file = directory.path().join(name);
            std::fs::write(&file, bytes).unwrap();
            let target = directory.path().join(format!("{name}-target"));
            std::fs::create_dir(&target).unwrap();
            let error = unpack_into(&file, &target).unwrap_err().to_string();
            assert!(error.contains(expected), "{name}: {error}");
            assert!(error.chars().all(|c| !c.is_control() && c != '\u{fffd}'), "{name}: {error}");
        }
    }

    #[test]
    fn an_error_names_the_tar_file_and_what_is_in_it() {
        let error = ConnectorError::refused("/store/import-1-0.tmp/content/state/sum/0/1.sst: found 3 bytes");
        let error = in_archive(error, Path::new("s.tar"), Path::new("/store/import-1-0.tmp/content"));
        assert_eq!(error.message, "s.tar: state/sum/0/1.sst: found 3 bytes");
        let error = ConnectorError::permanent("/store/x.tmp/content: no savepoint.json in it");
        let error = in_archive(error, Path::new("s.tar"), Path::new("/store/x.tmp/content"));
        assert_eq!(error.message, "s.tar: no savepoint.json in it");
    }

    #[test]
    fn a_tar_file_made_of_dot_is_unpacked() {
        let (directory, file) = archive("./state/sum/0/CURRENT");
        unpack_into(&file, directory.path()).unwrap();
        assert_eq!(std::fs::read(directory.path().join("state/sum/0/CURRENT")).unwrap(), b"x");
    }
}
