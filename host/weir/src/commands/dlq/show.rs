//! `weir dlq show`: open letters with their records, as JSON lines.

use super::{SelectionOptions, look};
use crate::commands::client::connection::ServerOptions;
use crate::commands::client::letters::Remote;
use crate::commands::savepoint::now_ms;
use crate::commands::{DataDirOptions, PipelineOptions};
use crate::dead_letters::lines::with_record;
use crate::failure::{Exit, Failure};

/// Options of `weir dlq show`.
#[derive(Debug, clap::Args)]
pub struct Options {
    #[command(flatten)]
    pipeline: PipelineOptions,
    #[command(flatten)]
    selection: SelectionOptions,
    /// Also letters that a replay has dealt with
    #[arg(long)]
    all: bool,
    /// Only this letter, as `weir dlq list` names it
    #[arg(long, value_name = "TOPIC:PARTITION:OFFSET")]
    at: Option<String>,
    /// At most so many letters
    #[arg(long, default_value_t = 100, value_name = "COUNT")]
    limit: u64,
    #[command(flatten)]
    data: DataDirOptions,
    #[command(flatten)]
    server: ServerOptions,
}

/// Shows them.
pub fn run(options: &Options) -> Result<Exit, Failure> {
    if let Some(remote) = Remote::of(&options.server, &options.pipeline.file)? {
        return remote.show(&options.selection.wanted(), options.all, options.at.as_deref(), options.limit);
    }
    let selection = options.selection.selection(now_ms())?;
    let (_, mut letters) = look(&options.pipeline, &options.data, &selection)?;
    let mut shown = 0;
    letters.read(options.all || options.at.is_some(), |found| {
        let asked = match &options.at {
            Some(at) => *at == format!("{}:{}", found.partition, found.offset),
            None => found.is_asked_for(),
        };
        if asked {
            println!("{}", with_record(found)?);
            shown += 1;
        }
        Ok(shown < options.limit && !(asked && options.at.is_some()))
    })?;
    match &options.at {
        Some(at) if shown == 0 => Err(Failure::configuration(format!(
            "--at {at}: there is no such letter; `weir dlq list --all` names them"
        ))),
        _ => Ok(Exit::Done),
    }
}
