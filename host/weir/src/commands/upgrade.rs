//! `weir upgrade`: the feature level of a data directory, shown and raised, also by a server.

use super::client::connection::{OutputFormat, ServerOptions};
use super::client::table;
use crate::failure::{Exit, Failure};
use serde_json::{Value, json};
use std::path::PathBuf;
use weir_control::host::UpgradeStatus;
use weir_protocol::feature_level::{
    FeatureLevel, Known, LEVELS, Marking, THIS_WEIR, formats, newest_formats,
};
use weir_runtime::data_dir::DataDir;
use weir_runtime::format_file;

/// Commands about the formats of a data directory.
#[derive(Debug, clap::Subcommand)]
pub enum UpgradeCommand {
    /// Show the feature level in force, and which weir can open the data directory
    Status(Options),
    /// Go over to the newest formats: from then on the weir before refuses the data directory. That of a server may be at
    /// work, that of `weir run` must be stopped
    Finalize(Options),
}

/// Which data directory.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The data directory; weir-data unless given. With --server or WEIR_SERVER the server is asked instead
    #[arg(long, env = "WEIR_DATA_DIR", hide_env_values = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    server: ServerOptions,
}

impl Options {
    /// True where a server is asked, false where files are read.
    fn is_remote(&self) -> Result<bool, Failure> {
        match (self.server.is_named(), self.data_dir.is_some()) {
            (true, true) => Err(Failure::configuration(
                "a server and a directory are both named (--server or WEIR_SERVER, and --data-dir or WEIR_DATA_DIR): leave one out",
            )),
            (remote, _) => Ok(remote),
        }
    }

    fn data_dir(&self) -> Result<PathBuf, Failure> {
        let path = self.data_dir.clone().unwrap_or_else(|| PathBuf::from("weir-data"));
        match path.is_dir() {
            true => Ok(path),
            false => Err(Failure::configuration(format!(
                "{}: there is no such directory; name the one that weir runs with by --data-dir",
                path.display()
            ))),
        }
    }
}

const COLUMNS: &[table::Column] = &[
    ("level", "level"),
    ("finalized", "finalized"),
    ("newest level", "newest_level"),
    ("this weir", "weir"),
    ("readable by", "readable_by"),
    ("formats", "formats_text"),
];

/// Carries a command out.
pub fn run(command: &UpgradeCommand) -> Result<Exit, Failure> {
    match command {
        UpgradeCommand::Status(options) => {
            let status = match options.is_remote()? {
                true => options.server.connect()?.get("/v1/upgrade")?,
                false => show(options)?,
            };
            print(options, status);
        }
        UpgradeCommand::Finalize(options) => {
            let status = match options.is_remote()? {
                true => options.server.connect()?.post("/v1/upgrade/finalize", &json!({}))?,
                false => finalize(options)?,
            };
            print(options, status);
        }
    }
    Ok(Exit::Done)
}

/// What the directory says, read beside whatever runs there.
fn show(options: &Options) -> Result<Value, Failure> {
    let data_dir = options.data_dir()?;
    let marking = format_file::read(&data_dir)?;
    if marking == Marking::New {
        return Err(Failure::configuration(format!(
            "{} is no data directory yet: nothing has run there",
            data_dir.display()
        )));
    }
    Ok(json!(status(format_file::level(&data_dir, &marking)?)))
}

/// Takes the directory's lock: a weir that runs there would go on in the old formats, or be one that does not know the
/// new ones.
fn finalize(options: &Options) -> Result<Value, Failure> {
    let data_dir = options.data_dir()?;
    show(options)?;
    let held = DataDir::open(&data_dir)?;
    held.finalize()?;
    Ok(json!(status(held.level().level())))
}

fn print(options: &Options, mut status: Value) {
    if options.server.output == OutputFormat::Table {
        let formats = status["formats"].as_object().into_iter().flatten();
        let formats: Vec<String> = formats.map(|(name, version)| format!("{name} {version}")).collect();
        status["formats_text"] = Value::from(formats.join(", "));
    }
    table::one(options.server.output, &status, COLUMNS);
}

/// What this weir says of a directory of a level that it reads.
pub fn status(level: FeatureLevel) -> UpgradeStatus {
    let known = Known::by_this_weir();
    let row = LEVELS.iter().find(|row| row.number == level);
    UpgradeStatus {
        weir: THIS_WEIR.to_owned(),
        level: level.0,
        oldest_level: known.oldest.0,
        newest_level: known.newest.0,
        finalized: level >= known.newest,
        readable_by: row.map_or(THIS_WEIR, |row| row.since).to_owned(),
        formats: formats(level)
            .named()
            .into_iter()
            .map(|(name, version)| (name.to_owned(), version))
            .collect(),
        control_known: newest_formats().control,
    }
}
