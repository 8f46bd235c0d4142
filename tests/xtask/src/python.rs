//! Tools of Python that tests use, each in a virtual environment of its own, made once by pip: schemathesis, which sends
//! generated requests to a live server, and confluent-kafka, which reads what weir has written.

use crate::checkout::Checkout;
use crate::debian::Need;
use crate::run;
use crate::stop::Stop;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A tool and all that it depends on.
#[derive(Debug)]
pub struct Tool {
    /// Its folder in the cache.
    folder: &'static str,
    /// What it is called where it is fetched.
    name: &'static str,
    /// All packages, each in one version, below the checkout.
    requirements: &'static str,
    /// What it is imported as.
    module: &'static str,
    /// What it takes on disk.
    size: &'static str,
}

/// Sends generated requests.
pub const SCHEMATHESIS: Tool = Tool {
    folder: "schemathesis",
    name: "schemathesis",
    requirements: "tests/it/schemathesis/requirements.txt",
    module: "schemathesis",
    size: "100 MB",
};
/// A Kafka client.
pub const CONFLUENT_KAFKA: Tool = Tool {
    folder: "confluent-kafka",
    name: "confluent-kafka",
    requirements: "tests/it/judges/requirements.txt",
    module: "confluent_kafka",
    size: "30 MB",
};

/// Ends with 0 where this Python is new enough for these tools and can make an environment with pip in it.
const PROBE: &str = "import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 10))";

/// The Python of an environment that has what the requirements say. Another list, or another Python, makes it anew.
pub fn ensure(checkout: &Checkout, tool: &Tool) -> Result<PathBuf, Stop> {
    let home = checkout.python_home(tool.folder);
    let wanted = checkout.root().join(tool.requirements);
    let wanted = fs::read_to_string(&wanted).map_err(Stop::file(&wanted))?;
    let python = home.join("bin/python");
    if installed(&home, &wanted) && works(&python, tool.module) {
        return Ok(python);
    }
    eprintln!("fetching {} ({} on disk, once)", tool.name, tool.size);
    if home.is_dir() {
        fs::remove_dir_all(&home).map_err(Stop::file(&home))?;
    }
    run::visibly(
        Command::new("python3").args(["-m", "venv"]).arg(&home).stdout(io::stderr()),
        "Python cannot make a virtual environment",
    )?;
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-input"]);
    // Nothing but what is in the list, and nothing that has to be compiled.
    pip.args(["--no-deps", "--only-binary", ":all:", "-r"]).arg(checkout.root().join(tool.requirements));
    run::visibly(pip.stdout(io::stderr()), &format!("pip cannot fetch {}", tool.name))?;
    // Written last: what an interrupted download leaves does not count.
    let list = list(&home);
    fs::write(&list, wanted).map_err(Stop::file(&list))?;
    Ok(python)
}

/// What the environment was made of.
fn list(home: &Path) -> PathBuf {
    home.join("requirements.txt")
}

fn installed(home: &Path, wanted: &str) -> bool {
    fs::read_to_string(list(home)).is_ok_and(|present| present == wanted)
}

/// An environment outlives the Python that it was made with.
fn works(python: &Path, module: &str) -> bool {
    run::output(Command::new(python).args(["-c", &format!("import {module}")])).is_some()
}

/// What is missing to make the environment.
pub fn needs() -> Vec<Need> {
    match run::output(Command::new("python3").args(["-c", PROBE])) {
        Some(_) => Vec::new(),
        None => vec![Need { what: "Python 3.10 or newer with venv", packages: "python3-venv" }],
    }
}

#[cfg(test)]
mod tests {
    use super::{CONFLUENT_KAFKA, SCHEMATHESIS, installed, list};
    use std::path::Path;
    use std::{env, fs, process};

    #[test]
    fn every_requirement_has_one_version() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        for tool in [SCHEMATHESIS, CONFLUENT_KAFKA] {
            let text = fs::read_to_string(root.join(tool.requirements)).unwrap();
            let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
            assert!(lines.iter().any(|line| line.starts_with(&format!("{}==", tool.name))));
            for line in lines {
                assert_eq!(line.split("==").filter(|part| !part.is_empty()).count(), 2, "{line}");
            }
        }
    }

    #[test]
    fn an_environment_of_another_list_does_not_count() {
        let home = env::temp_dir().join(format!("weir-xtask-python-{}", process::id()));
        fs::create_dir_all(&home).unwrap();
        assert!(!installed(&home, "a==1\n"), "nothing was installed yet");
        fs::write(list(&home), "a==1\n").unwrap();
        assert!(installed(&home, "a==1\n"));
        assert!(!installed(&home, "a==2\n"));
        fs::remove_dir_all(&home).unwrap();
    }
}
