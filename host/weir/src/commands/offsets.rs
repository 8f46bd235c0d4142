//! `weir offsets`: where a stopped pipeline goes on, and how to change that.

mod reset;
mod situation;

use super::{DataDirOptions, PipelineOptions};
use crate::failure::{Exit, Failure};
use situation::Situation;
use weir_protocol::decision::Metadata;
use weir_protocol::position::Position;

/// Commands about positions.
#[derive(Debug, clap::Subcommand)]
pub enum OffsetsCommand {
    /// Show per partition where the pipeline goes on
    Show(ShowOptions),
    /// Let the pipeline go on elsewhere; a dry run unless --execute is given
    Reset(ResetOptions),
}

/// Options of `weir offsets show`.
#[derive(Debug, clap::Args)]
pub struct ShowOptions {
    #[command(flatten)]
    pipeline: PipelineOptions,
    #[command(flatten)]
    data: DataDirOptions,
}

/// Options of `weir offsets reset`.
#[derive(Debug, clap::Args)]
pub struct ResetOptions {
    #[command(flatten)]
    pipeline: PipelineOptions,
    #[command(flatten)]
    data: DataDirOptions,
    #[command(flatten)]
    target: TargetOptions,
    /// Really do it
    #[arg(long)]
    execute: bool,
}

/// Where to go on.
#[derive(Debug, Clone, clap::Args)]
#[group(required = true, multiple = false)]
pub struct TargetOptions {
    /// At the first record that is still there
    #[arg(long)]
    to_earliest: bool,
    /// At the end as it is now
    #[arg(long)]
    to_latest: bool,
    /// At the last checkpoint that this data directory knows
    #[arg(long)]
    to_snapshot: bool,
}

/// Shows or resets.
pub fn run(command: &OffsetsCommand) -> Result<Exit, Failure> {
    match command {
        OffsetsCommand::Show(options) => show(options),
        OffsetsCommand::Reset(options) => {
            let situation = Situation::look(&options.pipeline, &options.data)?;
            reset::run(situation, &options.target, options.execute)
        }
    }
}

fn show(options: &ShowOptions) -> Result<Exit, Failure> {
    let mut situation = Situation::look(&options.pipeline, &options.data)?;
    let ends = situation.ends()?;
    match &situation.record {
        Some(record) => println!("decided: checkpoint {} (manifest {})", record.id, record.manifest),
        None => println!("decided: nothing"),
    }
    println!("{:<40} {:>12} {:>12} {:>10}  committed by", "partition", "position", "end", "behind");
    for (known, end) in situation.partitions.iter().zip(&ends) {
        let position = known.position.map(|position| position.offset);
        let behind = position.zip(*end).map(|(position, end)| (end - position).max(0));
        let by = match &known.metadata {
            Metadata::Empty if known.position.is_none() => "-".to_owned(),
            Metadata::Empty => "another consumer".to_owned(),
            Metadata::Decision(record) => format!("checkpoint {}", record.id),
            Metadata::Unknown(text) => format!("unknown: {text}"),
        };
        let name = format!("{} {}", known.source, known.partition);
        println!("{name:<40} {:>12} {:>12} {:>10}  {by}", shown(position), shown(*end), shown(behind));
    }
    Ok(Exit::Done)
}

/// A number, or a dash.
fn shown(number: Option<i64>) -> String {
    number.map_or_else(|| "-".to_owned(), |number| number.to_string())
}

/// What a move from one position to another means for the output.
fn consequence(from: Option<Position>, to: Position) -> String {
    match from.map(|from| to.offset - from.offset) {
        None => "nothing was decided for it".to_owned(),
        Some(0) => "no change".to_owned(),
        Some(forward) if forward > 0 => format!("{forward} records are SKIPPED"),
        Some(back) => format!("{} records are REPEATED", -back),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_move_says_what_is_repeated_or_skipped() {
        let from = Some(Position::at(10));
        assert_eq!(consequence(from, Position::at(4)), "6 records are REPEATED");
        assert_eq!(consequence(from, Position::at(12)), "2 records are SKIPPED");
        assert_eq!(consequence(from, Position::at(10)), "no change");
        assert_eq!(consequence(None, Position::at(0)), "nothing was decided for it");
    }
}
