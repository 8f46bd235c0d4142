//! `weir savepoint export`: one tar file, which any tar can read.

use super::{StoreOptions, verifier};
use crate::failure::{Exit, Failure};
use crate::pipeline_place::locate;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use weir_protocol::savepoint::{DESCRIPTION, Savepoint};
use weir_runtime::savepoint_store::{load, verify};

const BUFFER_BYTES: usize = 1 << 18;

/// Options of `weir savepoint export`.
#[derive(Debug, clap::Args)]
pub struct Options {
    #[command(flatten)]
    store: StoreOptions,
    /// Its name, or the path of its directory; with --server its name
    savepoint: String,
    /// The tar file, which must not exist
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
}

/// Verifies and writes it. The file has its name only when it is complete.
pub fn run(options: &Options) -> Result<Exit, Failure> {
    if let Some(remote) = options.store.remote()? {
        return remote.export(&options.savepoint, &options.to);
    }
    let path = locate(&options.savepoint, &options.store.store()?)?;
    export(&path, &options.to)?;
    println!("{}", options.to.display());
    Ok(Exit::Done)
}

/// Verifies the savepoint in a directory and writes it.
pub fn export(path: &Path, to: &Path) -> Result<(), Failure> {
    let savepoint = load(path)?;
    verify(path, &savepoint, &verifier())?;
    if to.exists() {
        // As an existing name of `create` and `import`.
        return Err(Failure::failed(format!("{} exists already", to.display())));
    }
    let mut temporary = to.to_owned().into_os_string();
    temporary.push(".tmp");
    let temporary = PathBuf::from(temporary);
    let written = write(path, &savepoint, &temporary).and_then(|()| std::fs::rename(&temporary, to));
    written.map_err(|error| {
        // What was written so far is of no use.
        let _ = std::fs::remove_file(&temporary);
        Failure::failed(format!("{} cannot be written: {error}", to.display()))
    })
}

/// The description goes first, so that a reader knows what follows.
fn write(from: &Path, savepoint: &Savepoint, to: &Path) -> io::Result<()> {
    let mut archive = tar::Builder::new(BufWriter::with_capacity(BUFFER_BYTES, File::create(to)?));
    archive.mode(tar::HeaderMode::Deterministic);
    archive.follow_symlinks(false);
    let paths = savepoint.files.iter().map(|file| file.path.as_str());
    for path in std::iter::once(DESCRIPTION).chain(paths) {
        archive.append_path_with_name(from.join(path), path)?;
    }
    let mut file = archive.into_inner()?;
    file.flush()?;
    file.get_ref().sync_all()
}
