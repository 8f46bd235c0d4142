//! `format.json` of a data directory, and the level in force that everything which writes looks at.

use crate::checkpoint_store::write_durably;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use weir_protocol::connector::ConnectorError;
use weir_protocol::feature_level::{
    FILE_NAME, FeatureLevel, FormatFile, Formats, Known, Marking, formats, judge,
};

/// What only a directory that was in use has; `format.json` is looked for first.
const IN_USE: &[&str] = &["pipelines", "components", "control.sqlite", "control.backup.sqlite"];

/// The level in which this process writes now. Clones are the same level; it rises while pipelines run.
#[derive(Debug, Clone)]
pub struct LevelInForce(Arc<AtomicU32>);

impl LevelInForce {
    /// A level.
    pub fn new(level: FeatureLevel) -> LevelInForce {
        LevelInForce(Arc::new(AtomicU32::new(level.0)))
    }

    /// The newest that this weir knows.
    pub fn newest() -> LevelInForce {
        LevelInForce::new(Known::by_this_weir().newest)
    }

    /// Now.
    pub fn level(&self) -> FeatureLevel {
        FeatureLevel(self.0.load(Ordering::SeqCst))
    }

    /// What is written now.
    pub fn formats(&self) -> Formats {
        formats(self.level())
    }

    /// It never falls.
    pub(crate) fn raise(&self, to: FeatureLevel) {
        self.0.fetch_max(to.0, Ordering::SeqCst);
    }
}

/// What a directory says of itself. Nothing is locked or made.
pub fn read(data_dir: &Path) -> Result<Marking, ConnectorError> {
    let path = data_dir.join(FILE_NAME);
    match std::fs::read(&path) {
        Ok(bytes) => FormatFile::decode(&bytes).map(Marking::Marked).map_err(|why| {
            ConnectorError::refused(format!(
                "{} is damaged ({why}): bring it back as it was, from a copy; if there is none, remove it: then everything is read that this weir can read, level 1 is written, and `weir upgrade finalize` makes the file anew",
                path.display()
            ))
            .without_command()
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            match IN_USE.iter().any(|name| data_dir.join(name).exists()) {
                true => Ok(Marking::Unmarked),
                false => Ok(Marking::New),
            }
        }
        Err(error) => Err(ConnectorError::permanent(format!("{}: {error}", path.display()))),
    }
}

/// The level of a directory that this weir may open.
pub fn level(data_dir: &Path, marking: &Marking) -> Result<FeatureLevel, ConnectorError> {
    judge(marking, Known::by_this_weir()).map_err(|refusal| {
        ConnectorError::refused(format!("data directory {} cannot be opened: {refusal}", data_dir.display()))
            .without_command()
    })
}

/// Puts a level in force, durably.
pub(crate) fn write(data_dir: &Path, level: FeatureLevel) -> Result<(), ConnectorError> {
    write_durably(data_dir, FILE_NAME, &FormatFile::of(level).encode()).map_err(|error| {
        ConnectorError::transient(format!(
            "{} cannot be written: {error}",
            data_dir.join(FILE_NAME).display()
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data_dir::DataDir;

    fn level_of(path: &Path) -> u32 {
        DataDir::open(path).unwrap().level().level().0
    }

    #[test]
    fn a_new_directory_is_marked_and_one_that_was_in_use_stays_as_it_is_until_it_is_finalized() {
        let new = tempfile::tempdir().unwrap();
        assert_eq!(level_of(new.path()), 2);
        assert!(new.path().join(FILE_NAME).exists());
        for in_use in IN_USE {
            let old = tempfile::tempdir().unwrap();
            std::fs::create_dir(old.path().join(in_use)).unwrap();
            assert_eq!(level_of(old.path()), 1, "{in_use}");
            assert!(!old.path().join(FILE_NAME).exists(), "{in_use}");
            let open = DataDir::open(old.path()).unwrap();
            let shared = open.level().clone();
            assert_eq!(open.finalize(), Ok(Some(FeatureLevel(2))));
            assert_eq!(shared.level(), FeatureLevel(2), "what runs goes over at once");
            assert_eq!(open.finalize(), Ok(None));
            drop(open);
            assert_eq!(level_of(old.path()), 2, "{in_use}");
        }
    }

    #[test]
    fn a_directory_of_an_unknown_level_is_refused_with_the_weir_that_is_needed_and_stays_as_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let text = r#"{"version":7,"level":3,"readable_by":"0.3.0","written_by":"0.3.1","more":{}}"#;
        std::fs::write(directory.path().join(FILE_NAME), text).unwrap();
        let refused = DataDir::open(directory.path()).unwrap_err();
        assert!(refused.message.contains("run weir 0.3.0 or newer"), "{refused}");
        assert!(refused.message.contains(directory.path().to_str().unwrap()), "{refused}");
        assert_eq!(std::fs::read_to_string(directory.path().join(FILE_NAME)).unwrap(), text);
    }

    #[test]
    fn a_damaged_file_is_refused_with_its_path_and_the_way_out() {
        let directory = tempfile::tempdir().unwrap();
        for damaged in ["", "{", "{\"level\": \"2\"}", "[]"] {
            std::fs::write(directory.path().join(FILE_NAME), damaged).unwrap();
            let refused = DataDir::open(directory.path()).unwrap_err();
            assert!(refused.message.contains("format.json is damaged"), "{refused}");
            assert!(refused.message.contains("remove it"), "{refused}");
        }
    }
}
