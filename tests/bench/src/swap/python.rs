//! A large component: an operator in Python, made with componentize-py in a virtual environment of its own.

use crate::failure::Failure;
use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

/// The operator.
const SOURCE: &str = include_str!("operator.py");
/// What makes a component of it, from PyPI.
const COMPONENTIZE: &str = "componentize-py==0.25.1";

/// Builds the component in a folder. The virtual environment stays for the next bench.
pub fn component(folder: &Path, wit: &Path) -> Result<Vec<u8>, Failure> {
    let environment = env::temp_dir().join("weir-bench-componentize-py");
    let tool = environment.join("bin/componentize-py");
    if !tool.is_file() {
        run(Command::new("python3").args(["-m", "venv"]).arg(&environment))?;
        run(Command::new(environment.join("bin/pip")).args(["install", "--quiet", COMPONENTIZE]))?;
    }
    fs::create_dir_all(folder).map_err(Failure::of(folder.display()))?;
    // Not `operator.py`: that is a module of Python itself.
    let (source, built) = (folder.join("passing.py"), folder.join("passing.wasm"));
    fs::write(&source, SOURCE).map_err(Failure::of(source.display()))?;
    let mut command = Command::new(tool);
    command.current_dir(folder).arg("-d").arg(wit).args(["-w", "mapper", "componentize", "--stub-wasi"]);
    run(command.args(["passing", "-o"]).arg(&built))?;
    fs::read(&built).map_err(Failure::of(built.display()))
}

fn run(command: &mut Command) -> Result<(), Failure> {
    let program = command.get_program().display().to_string();
    let output = command.output().map_err(Failure::of(&program))?;
    if output.status.success() {
        return Ok(());
    }
    Err(Failure::new(format!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim())))
}
