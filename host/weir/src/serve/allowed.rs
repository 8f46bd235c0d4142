//! What a pipeline document that came over HTTP may reach on this machine: nothing, unless the operator of the server
//! says so.

use crate::pipeline_file::Surroundings;
use std::path::{Component, Path, PathBuf};
use weir_protocol::plan::{PipelineSpec, Problem, SinkKind, SourceKind};

/// What is allowed.
#[derive(Debug, Clone)]
pub struct Allowed {
    /// Relative paths of documents are in here; always allowed.
    pub files: PathBuf,
    /// Directories that may be named, with all that is in them.
    pub paths: Vec<PathBuf>,
    /// Environment variables that may be filled in.
    pub variables: Vec<String>,
}

impl Allowed {
    /// True where the path lies in an allowed directory. `..` is not followed: it is refused.
    fn path(&self, path: &Path) -> bool {
        let plain = path.components().all(|part| !matches!(part, Component::ParentDir));
        let real = real(path);
        plain
            && std::iter::once(&self.files)
                .chain(&self.paths)
                .any(|allowed| real.starts_with(self::real(allowed)))
    }

    /// Paths of the specification that it may not name.
    pub fn problems(&self, spec: &PipelineSpec) -> Vec<Problem> {
        let mut named: Vec<(String, String)> = Vec::new();
        for source in &spec.sources {
            if let SourceKind::Files { paths, .. } = &source.kind {
                named.extend(paths.iter().map(|path| (format!("source.{}.path", source.name), path.clone())));
            }
        }
        for sink in &spec.sinks {
            if let SinkKind::Files { directory, .. } = &sink.kind {
                named.push((format!("sink.{}.directory", sink.name), directory.clone()));
            }
        }
        named.extend(spec.savepoint.dir.iter().map(|dir| ("savepoint.dir".to_owned(), dir.clone())));
        let refused = named.into_iter().filter(|(_, path)| !self.path(Path::new(path)));
        refused
            .map(|(key, path)| Problem {
                path: key,
                message: format!(
                    "{path} may not be reached from here: relative paths lie in {}, other directories are allowed by weir serve --allow-path DIR",
                    self.files.display()
                ),
            })
            .collect()
    }
}

impl Surroundings for Allowed {
    fn variable(&self, name: &str) -> Option<String> {
        let allowed = self.variables.iter().any(|allowed| allowed == name);
        allowed.then(|| std::env::var(name).ok()).flatten()
    }

    fn file(&self, path: &str) -> Result<String, String> {
        let path = self.files.join(path);
        if !self.path(&path) {
            return Err(format!(
                "it may not be reached from here: relative paths lie in {}, other directories are allowed by weir serve --allow-path DIR",
                self.files.display()
            ));
        }
        std::fs::read_to_string(path).map_err(|error| error.to_string())
    }
}

/// The path with symbolic links followed as far as it exists.
fn real(path: &Path) -> PathBuf {
    let mut missing = Vec::new();
    let mut known = path;
    loop {
        if let Ok(real) = known.canonicalize() {
            return missing.iter().rev().fold(real, |path, part| path.join(part));
        }
        match (known.parent(), known.file_name()) {
            (Some(parent), Some(name)) => {
                missing.push(name.to_owned());
                known = parent;
            }
            _ => return path.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_allowed_directories_are_reached_also_through_links() {
        let root = tempfile::tempdir().unwrap();
        let (files, extra, secret) =
            (root.path().join("files"), root.path().join("extra"), root.path().join("secret"));
        for directory in [&files, &extra, &secret] {
            std::fs::create_dir(directory).unwrap();
        }
        std::os::unix::fs::symlink(&secret, files.join("link")).unwrap();
        std::fs::write(secret.join("key"), "s").unwrap();
        std::fs::write(files.join("open"), "o").unwrap();
        let allowed = Allowed { files: files.clone(), paths: vec![extra.clone()], variables: vec![] };
        assert!(allowed.path(&files.join("new/deep")) && allowed.path(&extra.join("x")));
        for path in
            [files.join("../secret/key"), files.join("link/key"), secret.join("key"), "/etc/passwd".into()]
        {
            assert!(!allowed.path(&path), "{}", path.display());
        }
        assert_eq!(allowed.file("open").unwrap(), "o");
        assert!(allowed.file("link/key").unwrap_err().contains("--allow-path"));
        assert!(allowed.file("/etc/passwd").is_err());
    }

    #[test]
    fn only_named_variables_are_filled_in() {
        let allowed = |variables: Vec<String>| Allowed { files: "/".into(), paths: vec![], variables };
        assert_eq!(allowed(vec![]).variable("PATH"), None);
        assert!(allowed(vec!["PATH".to_owned()]).variable("PATH").is_some());
    }
}
