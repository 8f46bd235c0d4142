//! `weir savepoint`: portable copies of decided checkpoints, made and moved beside a running host, or by a server.

mod create;
mod delete;
pub mod export;
mod import;
mod inspect;
mod list;

use super::client::connection::ServerOptions;
use super::client::savepoints::Remote;
use crate::failure::{Exit, Failure};
use crate::pipeline_place::PipelinePlace;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use weir_protocol::savepoint::SavepointName;
use weir_runtime::savepoint_store::SavepointStore;
use weir_state::backend::{RocksBackend, StateMemory};

/// Commands about savepoints.
#[derive(Debug, clap::Subcommand)]
pub enum SavepointCommand {
    /// Make a savepoint of the newest decided checkpoint
    Create(create::Options),
    /// List savepoints, oldest first
    List(list::Options),
    /// Show what a savepoint holds, and verify every byte of it
    Inspect(inspect::Options),
    /// Write a savepoint into one tar file
    Export(export::Options),
    /// Verify a savepoint from elsewhere, a directory or a tar file, and take it in
    Import(import::Options),
    /// Remove a savepoint
    #[command(visible_alias = "rm")]
    Delete(delete::Options),
}

/// Whose savepoints, and where they are.
#[derive(Debug, clap::Args)]
pub struct StoreOptions {
    /// The pipeline: its name or its file; with --server its name
    pipeline: String,
    /// Where checkpoints are kept; weir-data unless given. With --server or WEIR_SERVER the server is asked instead
    #[arg(long, env = "WEIR_DATA_DIR", hide_env_values = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Where savepoints are, if not in the data directory; as savepoint.dir of the pipeline file
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    #[command(flatten)]
    server: ServerOptions,
}

impl StoreOptions {
    fn place(&self) -> Result<PipelinePlace, Failure> {
        PipelinePlace::find(&self.pipeline, &self.data_dir())
    }

    fn data_dir(&self) -> PathBuf {
        self.data_dir.clone().unwrap_or_else(|| PathBuf::from("weir-data"))
    }

    /// The server, where one is named and no data directory is.
    fn remote(&self) -> Result<Option<Remote<'_>>, Failure> {
        match (self.server.is_named(), self.data_dir.is_some() || self.dir.is_some()) {
            (false, _) => Ok(None),
            (true, false) => Remote::new(&self.server, &self.pipeline).map(Some),
            (true, true) => Err(Failure::configuration(
                "a server and a directory are both named (--server or WEIR_SERVER, and --data-dir, WEIR_DATA_DIR or --dir): leave one out",
            )),
        }
    }

    fn store(&self) -> Result<SavepointStore, Failure> {
        Ok(self.place()?.savepoints(self.dir.as_deref()))
    }
}

/// Carries a command out.
pub fn run(command: &SavepointCommand) -> Result<Exit, Failure> {
    match command {
        SavepointCommand::Create(options) => create::run(options),
        SavepointCommand::List(options) => list::run(options),
        SavepointCommand::Inspect(options) => inspect::run(options),
        SavepointCommand::Export(options) => export::run(options),
        SavepointCommand::Import(options) => import::run(options),
        SavepointCommand::Delete(options) => delete::run(options),
    }
}

/// What verifies files of state. It opens no database.
pub fn verifier() -> RocksBackend {
    RocksBackend::new(StateMemory::of(8 << 20))
}

/// A name as an argument.
fn parse_name(text: &str) -> Result<SavepointName, String> {
    SavepointName::parse(text)
}

/// Milliseconds since 1970, now.
pub fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

/// A time for people, to the second, in UTC.
pub fn time_text(milliseconds: i64) -> String {
    let since = Duration::from_millis(milliseconds.max(0) as u64);
    humantime::format_rfc3339_seconds(UNIX_EPOCH + since).to_string()
}

/// A name made of a time, such as `2026-01-31T12.00.00.123Z`.
pub fn name_of_time(milliseconds: i64) -> SavepointName {
    let since = Duration::from_millis(milliseconds.max(0) as u64);
    let text = humantime::format_rfc3339_millis(UNIX_EPOCH + since).to_string().replace(':', ".");
    SavepointName::parse(&text).expect("a time without colons is letters, digits, dots and dashes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_made_of_a_time_sorts_as_the_time_does() {
        assert_eq!(name_of_time(1_700_000_000_123).as_str(), "2023-11-14T22.13.20.123Z");
        assert!(name_of_time(1_700_000_000_123) < name_of_time(1_700_000_001_000));
    }
}
