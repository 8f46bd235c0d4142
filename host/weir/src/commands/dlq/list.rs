//! `weir dlq list`: a line per open letter, without its record.

use super::{SelectionOptions, look};
use crate::commands::client::connection::ServerOptions;
use crate::commands::client::letters::Remote;
use crate::commands::savepoint::{now_ms, time_text};
use crate::commands::{DataDirOptions, PipelineOptions};
use crate::dead_letters::Found;
use crate::dead_letters::lines::line_of_json;
use crate::dead_letters::summary::Summary;
use crate::failure::{Exit, Failure};
use weir_protocol::counted::counted;

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
        return remote.list(&options.selection.wanted(), options.all, false, options.limit);
    }
    let selection = options.selection.selection(now_ms())?;
    let (_, mut letters) = look(&options.pipeline, &options.data, &selection)?;
    let (mut summary, mut lines, mut dealt_with) = (Summary::default(), 0, 0);
    letters.read(options.all, |found| {
        if found.open {
            summary.add(found);
        } else {
            dealt_with += 1;
        }
        if !found.is_asked_for() || lines == options.limit {
            return Ok(true);
        }
        if lines == 0 && !options.json {
            println!(
                "{:<28} {:<20} {:<16} {:<12} {:>8}  what",
                "letter", "failed at", "operator", "kind", "attempt"
            );
        }
        lines += 1;
        println!("{}", if options.json { line_of_json(found).to_string() } else { line(found) });
        Ok(true)
    })?;
    if options.json {
        return Ok(Exit::Done);
    }
    let shown = summary.taken() + dealt_with;
    if lines < shown {
        println!("… {} more; --limit shows more lines", shown - lines);
    }
    println!("{} can be replayed, {}", counted(summary.taken(), "open letter"), summary.stay());
    print!("{}", summary.text());
    Ok(Exit::Done)
}

fn line(found: &Found<'_>) -> String {
    let place = format!("{}:{}", found.partition, found.offset);
    let Some(letter) = &found.letter else {
        return format!("{place:<28} {}", found.stays.as_ref().map(ToString::to_string).unwrap_or_default());
    };
    let time = letter.time_ms.map_or_else(|| "-".to_owned(), time_text);
    let from = letter.origin.as_ref().map_or_else(
        || format!("timer {}", letter.timer.as_deref().unwrap_or("(unnamed)")),
        |(topic, partition, offset)| format!("{topic}:{partition}:{offset}"),
    );
    let state = match (&found.stays, found.open) {
        (_, false) => " (dealt with)".to_owned(),
        (Some(stays), true) => format!(" (stays: {stays})"),
        (None, true) => String::new(),
    };
    format!(
        "{place:<28} {time:<20} {:<16} {:<12} {:>8}  {from}: {}{state}",
        letter.operator, letter.kind, letter.attempt, letter.message
    )
}
