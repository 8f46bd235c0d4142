//! `weir state`: what keyed operators have kept, read out of a checkpoint or savepoint, also beside a running host.

mod get;
mod scan;
mod scratch;
mod stats;

use super::DataDirOptions;
use crate::failure::{Exit, Failure};
use crate::pipeline_place::{PipelinePlace, StoredCheckpoint};
use scratch::Scratch;
use std::io::Write;
use std::path::PathBuf;
use weir_protocol::manifest::{KeyedStates, OperatorState};
use weir_protocol::state::StateDeclaration;

/// Commands about state.
#[derive(Debug, clap::Subcommand)]
pub enum StateCommand {
    /// Show what an operator keeps for one key
    Get(get::Options),
    /// Show the entries of an operator's states, and its timers
    Scan(scan::Options),
    /// Count entries, timers and bytes of each state
    Stats(stats::Options),
}

/// Which checkpoint is read.
#[derive(Debug, clap::Args)]
pub struct SourceOptions {
    /// The pipeline: its name or its file
    pipeline: String,
    #[command(flatten)]
    data: DataDirOptions,
    /// Read a savepoint, by name or path, instead of the newest decided checkpoint
    #[arg(long, value_name = "NAME|PATH")]
    savepoint: Option<String>,
    /// Where savepoints are, if not in the data directory; as savepoint.dir of the pipeline file
    #[arg(long, value_name = "DIR", requires = "savepoint")]
    dir: Option<PathBuf>,
}

/// Carries a command out.
pub fn run(command: &StateCommand) -> Result<Exit, Failure> {
    match command {
        StateCommand::Get(options) => get::run(options),
        StateCommand::Scan(options) => scan::run(options),
        StateCommand::Stats(options) => stats::run(options),
    }
}

/// A checkpoint with keyed state, and where links for reading may be made.
struct Opened<'a> {
    checkpoint: &'a StoredCheckpoint,
    keyed: &'a KeyedStates,
    scratch: PathBuf,
}

impl SourceOptions {
    /// Reads the checkpoint that is asked for; again from the start where it goes meanwhile.
    fn read<T>(&self, mut read: impl FnMut(&Opened<'_>) -> Result<T, Failure>) -> Result<T, Failure> {
        let place = PipelinePlace::find(&self.pipeline, &self.data.data_dir)?;
        let scratch = Scratch::in_directory(&place.directory.join("reading"))?;
        place.read(self.savepoint.as_deref(), self.dir.as_deref(), |checkpoint| {
            let keyed = checkpoint.manifest.keyed.as_ref().ok_or_else(|| {
                let (id, name) = (&checkpoint.manifest.id, &place.name);
                Failure::failed(format!(
                    "checkpoint {id} of {name} has no keyed state: none of its operators keeps any"
                ))
            })?;
            read(&Opened { checkpoint, keyed, scratch: scratch.directory().to_owned() })
        })
    }
}

impl Opened<'_> {
    /// What an operator declared.
    fn operator(&self, name: &str) -> Result<&OperatorState, Failure> {
        self.keyed.operators.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.keyed.operators.keys().map(String::as_str).collect();
            Failure::configuration(format!(
                "checkpoint {} has no operator {name:?} with state; it has {}",
                self.checkpoint.manifest.id,
                known.join(", ")
            ))
        })
    }

    /// A state of an operator.
    fn state<'o>(
        &self,
        operator: &str,
        of: &'o OperatorState,
        name: &str,
    ) -> Result<&'o StateDeclaration, Failure> {
        of.states.iter().find(|state| state.name == name).ok_or_else(|| {
            let known: Vec<&str> = of.states.iter().map(|state| state.name.as_str()).collect();
            Failure::configuration(format!(
                "operator {operator} has no state {name:?}; it has {}",
                known.join(", ")
            ))
        })
    }
}

/// Writes a line to standard output; false when nobody reads it any more.
fn print(line: &str) -> bool {
    writeln!(std::io::stdout().lock(), "{line}").is_ok()
}
