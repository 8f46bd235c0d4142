//! `weir dlq show`: open letters with their records, as JSON lines.

use super::list::line_of_json;
use super::{SelectionOptions, look};
use crate::commands::savepoint::now_ms;
use crate::commands::{DataDirOptions, PipelineOptions};
use crate::dead_letters::Found;
use crate::failure::{Exit, Failure};
use weir_local::record_lines::write_row;
use weir_protocol::connector::ConnectorError;
use weir_protocol::plan::FileFormat;
use weir_protocol::replay::Stays;

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
}

/// Shows them.
pub fn run(options: &Options) -> Result<Exit, Failure> {
    let selection = options.selection.selection(now_ms())?;
    let (_, mut letters) = look(&options.pipeline, &options.data, &selection)?;
    let mut shown = 0;
    letters.read(options.all || options.at.is_some(), |found| {
        let asked = match &options.at {
            Some(at) => *at == format!("{}:{}", found.partition, found.offset),
            None => found.stays != Some(Stays::NotSelected),
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

/// A letter with its record, headers included.
pub fn with_record(found: &Found<'_>) -> Result<serde_json::Value, ConnectorError> {
    let mut text = Vec::new();
    let unreadable =
        |why: String| ConnectorError::permanent(format!("{}:{}: {why}", found.partition, found.offset));
    write_row(FileFormat::JsonLines, found.batch, found.row, &mut text)
        .map_err(|error| unreadable(error.to_string()))?;
    let record = serde_json::from_slice(&text).map_err(|error| unreadable(error.to_string()))?;
    let mut line = line_of_json(found);
    line["letter"] = record;
    Ok(line)
}
