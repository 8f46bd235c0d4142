//! schemathesis, which sends generated requests to a live server: a virtual environment of Python, made once by pip.

use crate::checkout::Checkout;
use crate::debian::Need;
use crate::run;
use crate::stop::Stop;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// All packages, each in one version, below the checkout.
const REQUIREMENTS: &str = "tests/it/schemathesis/requirements.txt";
/// Ends with 0 where this Python is new enough for schemathesis and can make an environment with pip in it.
const PROBE: &str = "import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 10))";

/// The Python of an environment that has what the requirements say. Another list, or another Python, makes it anew.
pub fn ensure(checkout: &Checkout) -> Result<PathBuf, Stop> {
    let home = checkout.schemathesis_home();
    let wanted = checkout.root().join(REQUIREMENTS);
    let wanted = fs::read_to_string(&wanted).map_err(Stop::file(&wanted))?;
    let python = home.join("bin/python");
    if installed(&home, &wanted) && works(&python) {
        return Ok(python);
    }
    eprintln!("fetching schemathesis (100 MB on disk, once)");
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
    pip.args(["--no-deps", "--only-binary", ":all:", "-r"]).arg(checkout.root().join(REQUIREMENTS));
    run::visibly(pip.stdout(io::stderr()), "pip cannot fetch schemathesis")?;
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
fn works(python: &Path) -> bool {
    run::output(Command::new(python).args(["-c", "import schemathesis"])).is_some()
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
    use super::{REQUIREMENTS, installed, list};
    use std::path::Path;
    use std::{env, fs, process};

    #[test]
    fn every_requirement_has_one_version() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let text = fs::read_to_string(root.join(REQUIREMENTS)).unwrap();
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert!(lines.iter().any(|line| line.starts_with("schemathesis==")));
        for line in lines {
            assert_eq!(line.split("==").filter(|part| !part.is_empty()).count(), 2, "{line}");
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
