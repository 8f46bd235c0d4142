//! Where things are: the checkout, its target directory, and what the chores keep there.

use crate::stop::Stop;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// The checkout that the chore works on.
pub struct Checkout {
    root: PathBuf,
    target: PathBuf,
    cache: Option<PathBuf>,
}

impl Checkout {
    /// The checkout whose xtask cargo is running, or the one around the current directory.
    pub fn find() -> Result<Checkout, Stop> {
        let here = env::current_dir().map_err(Stop::file(Path::new(".")))?;
        let start = env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| here.clone(), PathBuf::from);
        let root = start
            .ancestors()
            .find(|folder| folder.join("tests/xtask/Cargo.toml").is_file())
            .ok_or_else(|| Stop::failed("not inside a checkout of weir"))?
            .to_owned();
        let absolute = |name: &str| env::var_os(name).filter(|v| !v.is_empty()).map(|v| here.join(v));
        let target = absolute("CARGO_TARGET_DIR").unwrap_or_else(|| root.join("target"));
        Ok(Checkout { target, cache: absolute("WEIR_CACHE_DIR"), root })
    }

    /// The folder of the root manifest.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// `CARGO_TARGET_DIR`, or `target` in the checkout.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Where finished guests lie. Always in the checkout, because the host embeds those of the demo by this path.
    pub fn guests(&self) -> PathBuf {
        self.root.join("target/guests")
    }

    /// What the broker is made of, fetched once: `libs/` with the jars. Outlives `cargo clean` if `WEIR_CACHE_DIR` is set.
    pub fn kafka_home(&self) -> PathBuf {
        self.cache.as_ref().unwrap_or(&self.target).join("kafka")
    }

    /// The virtual environment of Python in which a tool is. Outlives `cargo clean` in the same way.
    pub fn python_home(&self, tool: &str) -> PathBuf {
        self.cache.as_ref().unwrap_or(&self.target).join(tool)
    }

    /// Where brokers keep their data, logs and state files.
    pub fn brokers(&self) -> PathBuf {
        self.target.join("brokers")
    }
}

/// Copies a file unless the destination already holds the same bytes, so that its time, which cargo looks at, stays.
///
/// The new file is renamed into place: a program that still runs from the old one is not disturbed.
pub fn copy_if_changed(from: &Path, to: &Path) -> Result<(), Stop> {
    let bytes = fs::read(from).map_err(Stop::file(from))?;
    if fs::read(to).is_ok_and(|present| present == bytes) {
        return Ok(());
    }
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).map_err(Stop::file(folder))?;
    }
    let partial = to.with_extension("partial");
    fs::copy(from, &partial).map_err(Stop::file(&partial))?;
    fs::rename(&partial, to).map_err(Stop::file(to))
}

#[cfg(test)]
mod tests {
    use super::copy_if_changed;
    use std::{env, fs, process};

    #[test]
    fn a_file_with_the_same_bytes_is_not_written_again() {
        let folder = env::temp_dir().join(format!("weir-xtask-copy-{}", process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (from, to) = (folder.join("from"), folder.join("sub/to.wasm"));
        fs::write(&from, "one").unwrap();
        copy_if_changed(&from, &to).unwrap();
        let written = fs::metadata(&to).unwrap().modified().unwrap();
        copy_if_changed(&from, &to).unwrap();
        assert_eq!(fs::metadata(&to).unwrap().modified().unwrap(), written);
        fs::write(&from, "two").unwrap();
        copy_if_changed(&from, &to).unwrap();
        assert_eq!(fs::read_to_string(&to).unwrap(), "two");
        fs::remove_dir_all(&folder).unwrap();
    }
}
