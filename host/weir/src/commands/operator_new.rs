//! `weir operator new`: the directory of a new operator in Rust, from the template of the guest SDK.

use crate::failure::{Exit, Failure};
use std::path::{Path, PathBuf};

/// The template: path in the new directory, and text with `{{…}}` to fill in.
const TEMPLATE: &[(&str, &str)] = &[
    ("Cargo.toml", include_str!("../../../../guest-sdk/template/Cargo.toml.txt")),
    ("README.md", include_str!("../../../../guest-sdk/template/README.md")),
    ("src/lib.rs", include_str!("../../../../guest-sdk/template/src/lib.rs")),
    ("pipeline.toml", include_str!("../../../../guest-sdk/template/pipeline.toml")),
    ("input.jsonl", include_str!("../../../../guest-sdk/template/input.jsonl")),
    ("expected.jsonl", include_str!("../../../../guest-sdk/template/expected.jsonl")),
];

/// Options of `weir operator new`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Its name, which is also the directory's
    name: String,
    /// A checkout of the guest SDK, instead of the published one
    #[arg(long, value_name = "DIR")]
    sdk_path: Option<PathBuf>,
}

/// Makes the directory.
pub fn run(options: &Options) -> Result<Exit, Failure> {
    let name = options.name.as_str();
    if !is_package_name(name) {
        return Err(Failure::configuration(format!(
            "{name:?} cannot be a package: expected a lower-case letter, then a-z 0-9 _ -"
        )));
    }
    let directory = Path::new(name);
    if directory.exists() {
        return Err(Failure::configuration(format!("{name} is there already")));
    }
    let sdk = match &options.sdk_path {
        None => format!("{:?}", env!("CARGO_PKG_VERSION")),
        Some(path) => {
            let absolute = path
                .canonicalize()
                .map_err(|error| Failure::configuration(format!("--sdk-path {}: {error}", path.display())))?;
            format!("{{ path = {:?} }}", absolute.display().to_string())
        }
    };
    write_template(directory, name, &sdk)
        .map_err(|error| Failure::failed(format!("{name} cannot be written: {error}")))?;
    println!("made {name}/");
    println!("  cd {name}");
    println!("  cargo test    # natively, in a second");
    println!("  weir test     # builds the component and compares input.jsonl with expected.jsonl");
    Ok(Exit::Done)
}

fn write_template(directory: &Path, name: &str, sdk: &str) -> std::io::Result<()> {
    for (path, text) in TEMPLATE {
        let path = directory.join(path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(path, fill(text, name, sdk))?;
    }
    Ok(())
}

fn fill(text: &str, name: &str, sdk: &str) -> String {
    text.replace("{{name}}", name).replace("{{module}}", &name.replace('-', "_")).replace("{{sdk}}", sdk)
}

fn is_package_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_the_template_is_left_to_fill_in() {
        for (path, text) in TEMPLATE {
            let filled = fill(text, "word-count", "\"1\"");
            assert!(!filled.contains("{{"), "{path}");
        }
    }

    #[test]
    fn a_name_is_one_that_cargo_takes() {
        assert!(is_package_name("word-count2"));
        assert!(!is_package_name("2words") && !is_package_name("Words") && !is_package_name("a/b"));
    }
}
