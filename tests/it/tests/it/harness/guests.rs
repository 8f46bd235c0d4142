//! Where built things are: the binary, the guests, the repository.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use wit_component::{StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// The repository.
pub fn repository() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.canonicalize().expect("the repository is where the tests were built")
}

/// Cargo's target directory.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| repository().join("target"), PathBuf::from)
}

/// The binary under test, built with the feature `kill-points`.
pub fn weir() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let given = std::env::var_os("WEIR_TEST_BIN").map(PathBuf::from);
        let binary = given.unwrap_or_else(|| target().join("test-bin/weir"));
        assert!(binary.is_file(), "{} is not there: run `cargo xtask test`", binary.display());
        // With the feature a place that there is not is refused; without it nobody looks at the variable.
        let mut command = Command::new(&binary);
        let output = command.arg("--version").env("WEIR_KILL_AT", "nowhere").output().expect("weir starts");
        let kills = !output.status.success();
        assert!(
            kills,
            "{} was built without the feature kill-points: run `cargo xtask test`",
            binary.display()
        );
        binary
    })
}

/// A guest by its package's name: a path for a pipeline file.
pub fn guest(name: &str) -> String {
    let directory = std::env::var_os("WEIR_TEST_GUESTS").map(PathBuf::from);
    let file = directory.unwrap_or_else(|| target().join("guests")).join(format!("{name}.wasm"));
    assert!(file.is_file(), "{} is not there: run `cargo xtask test`", file.display());
    file.display().to_string()
}

/// A guest from its WebAssembly text in `tests/guests/wat`, written to `directory` as a core module of the world
/// `mapper`: a path for a pipeline file.
pub fn guest_of_text(name: &str, directory: &Path) -> String {
    let text = repository().join(format!("tests/guests/wat/{name}.wat"));
    let mut module = wat::parse_file(&text).expect("WebAssembly text");
    let mut contract = Resolve::default();
    let (package, _) = contract.push_dir(repository().join("wit")).expect("the contract");
    let world = contract.select_world(&[package], Some("mapper")).expect("the world of mappers");
    embed_component_metadata(&mut module, &contract, world, StringEncoding::UTF8)
        .expect("a module of that world");
    let file = directory.join(format!("{name}.wasm"));
    std::fs::write(&file, module).expect("the guest");
    file.display().to_string()
}

/// The binary for this environment: where it asks for the weir before, and a real one is named, that.
pub fn weir_for(environment: &[(&str, &str)]) -> PathBuf {
    let before = environment.iter().any(|(name, _)| *name == "WEIR_NEWEST_LEVEL");
    real_before().filter(|_| before).unwrap_or_else(|| weir().to_owned())
}

/// True where a real earlier weir takes the place of the weir before.
pub fn is_before_real() -> bool {
    real_before().is_some()
}

fn real_before() -> Option<PathBuf> {
    std::env::var_os("WEIR_TEST_BEFORE").filter(|path| !path.is_empty()).map(PathBuf::from)
}
