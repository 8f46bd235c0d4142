//! `weir operator push|list|show|delete|test`: the registry of a server.

use super::connection::ServerOptions;
use super::table;
use crate::commands::test::{artefact, config};
use crate::failure::{Exit, Failure};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Options of `weir operator push`.
#[derive(Debug, clap::Args)]
pub struct Push {
    /// The component; with --build the one that the crate in the current directory becomes
    #[arg(required_unless_present = "build")]
    component: Option<PathBuf>,
    /// Build the crate in the current directory
    #[arg(long, conflicts_with = "component")]
    build: bool,
    /// The operator's name; the file's name unless given
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    server: ServerOptions,
}

/// Options of `weir operator list`.
#[derive(Debug, clap::Args)]
pub struct List {
    #[command(flatten)]
    server: ServerOptions,
}

/// Options of commands about one version.
#[derive(Debug, clap::Args)]
pub struct One {
    /// The operator, or one of its versions as name@version
    operator: String,
    #[command(flatten)]
    server: ServerOptions,
}

/// Options of `weir operator test`.
#[derive(Debug, clap::Args)]
pub struct Test {
    /// The version, as name@version
    operator: String,
    /// Sample records, as `weir test` reads them
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// A configuration key of the operator
    #[arg(long, value_name = "KEY=VALUE")]
    config: Vec<String>,
    #[command(flatten)]
    server: ServerOptions,
}

/// Uploads. The same bytes again are the same version.
pub fn push(options: &Push) -> Result<Exit, Failure> {
    let component = match &options.component {
        Some(component) => component.clone(),
        None => artefact::build()?,
    };
    let bytes = std::fs::read(&component).map_err(|error| {
        Failure::configuration(format!("{} cannot be read: {error}", component.display()))
    })?;
    let name = options.name.clone().unwrap_or_else(|| name_of(&component));
    let connection = options.server.connect()?;
    let answer = connection.upload(&format!("/v1/operators/{name}/versions"), &bytes)?;
    table::one(options.server.output, &answer, VERSION);
    Ok(Exit::Done)
}

/// `count_by_key.wasm` is `count-by-key`.
fn name_of(component: &Path) -> String {
    let stem = component.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    stem.unwrap_or_default().replace('_', "-").to_lowercase()
}

const VERSION: &[table::Column] = &[
    ("name", "name"),
    ("version", "version"),
    ("sha256", "sha256"),
    ("size", "size"),
    ("world", "world"),
    ("imports", "imports"),
    ("created", "created_at"),
];

/// Lists all operators.
pub fn list(options: &List) -> Result<Exit, Failure> {
    let answer = options.server.connect()?.get("/v1/operators?limit=1000")?;
    table::list(
        options.server.output,
        &answer,
        &[("name", "name"), ("version", "version"), ("sha256", "sha256"), ("created", "created_at")],
    );
    Ok(Exit::Done)
}

/// Shows the versions of an operator, or one of them.
pub fn show(options: &One) -> Result<Exit, Failure> {
    let connection = options.server.connect()?;
    let (name, version) = split(&options.operator);
    match version {
        Some(version) => {
            let answer = connection.get(&format!("/v1/operators/{name}/versions/{version}"))?;
            table::one(options.server.output, &answer, VERSION);
        }
        None => {
            let answer = connection.get(&format!("/v1/operators/{name}/versions?limit=1000"))?;
            table::list(
                options.server.output,
                &answer,
                &[("version", "version"), ("sha256", "sha256"), ("size", "size"), ("created", "created_at")],
            );
        }
    }
    Ok(Exit::Done)
}

/// Deletes a version that nothing uses.
pub fn delete(options: &One) -> Result<Exit, Failure> {
    let (name, version) = needs_version(&options.operator)?;
    options.server.connect()?.delete(&format!("/v1/operators/{name}/versions/{version}"))?;
    println!("{} is deleted", options.operator);
    Ok(Exit::Done)
}

/// Runs sample records through a version, on the server.
pub fn test(options: &Test) -> Result<Exit, Failure> {
    let (name, version) = needs_version(&options.operator)?;
    let shown = options.input.display();
    let text = std::fs::read_to_string(&options.input)
        .map_err(|error| Failure::configuration(format!("{shown} cannot be read: {error}")))?;
    let mut input = Vec::new();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let line: Value = serde_json::from_str(line)
            .map_err(|error| Failure::configuration(format!("{shown}:{}: {error}", index + 1)))?;
        input.push(line);
    }
    let config = config(&options.config)?;
    let body = json!({"input": input, "config": config});
    let answer =
        options.server.connect()?.post(&format!("/v1/operators/{name}/versions/{version}/test"), &body)?;
    table::json(&answer);
    Ok(Exit::Done)
}

fn split(operator: &str) -> (&str, Option<&str>) {
    match operator.split_once('@') {
        Some((name, version)) => (name, Some(version)),
        None => (operator, None),
    }
}

fn needs_version(operator: &str) -> Result<(&str, &str), Failure> {
    match split(operator) {
        (name, Some(version)) => Ok((name, version)),
        _ => Err(Failure::configuration(format!("{operator}: expected name@version"))),
    }
}
