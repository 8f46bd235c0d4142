//! `weir dlq list`: a line per open letter, without its record.

use super::{SelectionOptions, look};
use crate::commands::client::connection::{OutputFormat, ServerOptions};
use crate::commands::client::letters::Remote;
use crate::commands::savepoint::now_ms;
use crate::commands::{DataDirOptions, PipelineOptions};
use crate::dead_letters::lines::line_of_json;
use crate::dead_letters::listing;
use crate::dead_letters::summary::Summary;
use crate::failure::{Exit, Failure};

/// Options of `weir dlq list`.
#[derive(Debug, clap::Args)]
pub struct Options {
    #[command(flatten)]
    pipeline: PipelineOptions,
    #[command(flatten)]
    selection: SelectionOptions,
    /// Also letters that a replay has dealt with
    #[arg(long)]
    all: bool,
    /// At most so many lines; all letters are counted
    #[arg(long, default_value_t = 100, value_name = "COUNT")]
    limit: u64,
    /// Write JSON lines
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    data: DataDirOptions,
    #[command(flatten)]
    server: ServerOptions,
}

/// Lists them.
pub fn run(options: &Options) -> Result<Exit, Failure> {
    if let Some(remote) = Remote::of(&options.server, &options.pipeline.file)? {
        return remote.list(&options.selection.wanted(), options.all, options.limit, options.json);
    }
    let json = options.json || options.server.output == OutputFormat::Json;
    let selection = options.selection.selection(now_ms())?;
    let (_, mut letters) = look(&options.pipeline, &options.data, &selection)?;
    let (mut summary, mut lines, mut hidden) = (Summary::default(), 0, 0);
    letters.read(options.all, |found| {
        if found.open {
            summary.add(found);
        }
        if !found.is_asked_for() {
            return Ok(true);
        }
        if lines == options.limit {
            hidden += 1;
            return Ok(true);
        }
        if lines == 0 && !json {
            println!("{}", listing::heading());
        }
        lines += 1;
        let letter = line_of_json(found);
        println!("{}", if json { letter.to_string() } else { listing::line(&letter) });
        Ok(true)
    })?;
    if !json {
        print!("{}", listing::end(&summary, hidden));
        if let Err(error) = letters.may_come_back() {
            println!("a replay would be refused: {error}");
        }
    }
    Ok(Exit::Done)
}
