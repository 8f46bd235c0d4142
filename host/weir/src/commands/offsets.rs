//! `weir offsets`: where a stopped pipeline goes on, and how to change that; here or on a server.

mod arguments;
mod printed;

use super::PipelineOptions;
use super::client::connection::ServerOptions;
use super::client::offsets::Remote;
use crate::called;
use crate::failure::{Exit, Failure};
use crate::offsets::{self, Situation};
use arguments::{StateArgument, TargetOptions};
use std::path::{Path, PathBuf};
use weir_control::host::{ChosenTopic, PipelineOffsets, ResetOffsets};

/// Commands about positions.
#[derive(Debug, clap::Subcommand)]
pub enum OffsetsCommand {
    /// Show per partition where the pipeline goes on, also beside a running host
    Show(ShowOptions),
    /// Let a stopped pipeline go on elsewhere, or hand it over; a dry run unless --execute is given
    Reset(ResetOptions),
}

/// Whose positions.
#[derive(Debug, clap::Args)]
struct PlaceOptions {
    /// The pipeline file; with --server the pipeline's name
    pipeline: String,
    /// Set a key of the pipeline file, such as checkpoint.interval=1s
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// Where checkpoints are kept; weir-data unless given. With --server or WEIR_SERVER the server is asked instead
    #[arg(long, env = "WEIR_DATA_DIR", hide_env_values = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    server: ServerOptions,
}

/// Options of `weir offsets show`.
#[derive(Debug, clap::Args)]
pub struct ShowOptions {
    #[command(flatten)]
    place: PlaceOptions,
}

/// Options of `weir offsets reset`.
#[derive(Debug, clap::Args)]
pub struct ResetOptions {
    #[command(flatten)]
    place: PlaceOptions,
    #[command(flatten)]
    target: TargetOptions,
    /// Only this topic, or only some of its partitions; may be repeated
    #[arg(long = "topic", value_name = "TOPIC[:P,P]", value_parser = arguments::chosen)]
    topics: Vec<ChosenTopic>,
    /// What becomes of state per key that belongs to other positions
    #[arg(long, value_enum, value_name = "WHAT")]
    state: Option<StateArgument>,
    /// Only say what it would mean, which is what happens without --execute too
    #[arg(long, conflicts_with = "execute")]
    dry_run: bool,
    /// Really do it
    #[arg(long)]
    execute: bool,
}

/// Shows or resets.
pub fn run(command: &OffsetsCommand) -> Result<Exit, Failure> {
    match command {
        OffsetsCommand::Show(options) => {
            let found = match options.place.remote()? {
                Some(remote) => remote.show()?,
                None => options.place.beside()?,
            };
            printed::offsets(options.place.server.output, &found);
        }
        OffsetsCommand::Reset(options) => {
            let asked = ResetOffsets {
                to: options.target.target(),
                topics: options.topics.clone(),
                state: options.state.map(StateArgument::asked),
                dry_run: !options.execute,
            };
            let done = match options.place.remote()? {
                Some(remote) => remote.reset(&asked)?,
                None => {
                    let situation = options.place.situation()?;
                    if options.execute {
                        eprintln!("looking whether the pipeline is running, for two checkpoint intervals");
                    }
                    offsets::reset(situation, &asked)?
                }
            };
            printed::reset(options.place.server.output, &done);
            if done.needs.is_some() {
                return Ok(Exit::NeedsPerson);
            }
        }
    }
    Ok(Exit::Done)
}

impl PlaceOptions {
    /// The server, where one is named and no data directory is.
    fn remote(&self) -> Result<Option<Remote<'_>>, Failure> {
        match (self.server.is_named(), self.data_dir.is_some()) {
            (false, _) => Ok(None),
            (true, false) => Remote::new(&self.server, &self.pipeline).map(Some),
            (true, true) => Err(Failure::configuration(
                "a server and a directory are both named (--server or WEIR_SERVER, and --data-dir or WEIR_DATA_DIR): leave one out",
            )),
        }
    }

    /// Where the pipeline stands, beside whatever runs.
    fn beside(&self) -> Result<PipelineOffsets, Failure> {
        let (options, data_dir) = self.place();
        let situation = Situation::beside(&options, data_dir);
        let shown = situation.and_then(|mut situation| offsets::show(&mut situation));
        shown.map_err(|failure| failure.told(&called::by_its_file(&options, data_dir)))
    }

    fn situation(&self) -> Result<Situation, Failure> {
        let (options, data_dir) = self.place();
        Situation::of_file(&options, data_dir)
            .map_err(|failure| failure.told(&called::by_its_file(&options, data_dir)))
    }

    fn place(&self) -> (PipelineOptions, &Path) {
        let file = PathBuf::from(&self.pipeline);
        let options = PipelineOptions { file, overrides: self.overrides.clone() };
        let data_dir = self.data_dir.as_deref().unwrap_or(Path::new("weir-data"));
        (options, data_dir)
    }
}
