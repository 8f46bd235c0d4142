//! `weir state scan`: the entries of an operator's states and its timers, as JSON lines.

use super::{Opened, SourceOptions, print};
use crate::failure::{Exit, Failure};
use crate::state_lines;

/// Options of `weir state scan`.
#[derive(Debug, clap::Args)]
pub struct Options {
    #[command(flatten)]
    source: SourceOptions,
    /// The operator
    operator: String,
    /// One of its states; without it all of them, and the timers
    state: Option<String>,
    /// Show at most this many lines
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
}

/// Shows entries by ordinal of their key's group, then by key; timers by time.
pub fn run(options: &Options) -> Result<Exit, Failure> {
    let mut left = options.limit.unwrap_or(u64::MAX);
    options.source.read(|opened| scan(options, opened, &mut left))?;
    Ok(Exit::Done)
}

fn scan(options: &Options, opened: &Opened<'_>, left: &mut u64) -> Result<(), Failure> {
    let operator = &options.operator;
    let declared = opened.operator(operator)?;
    if let Some(asked) = &options.state {
        opened.state(operator, declared, asked)?;
    }
    // All parts are opened before the first line: a checkpoint that goes meanwhile is not shown in part.
    let parts = opened.keyed.parts.iter().filter(|part| part.operator == *operator);
    let readers = parts.map(|part| opened.checkpoint.open(part, &opened.scratch));
    let readers = readers.collect::<Result<Vec<_>, _>>()?;
    let mut show = |line: String| {
        let go_on = *left > 0 && print(&line);
        *left = if go_on { *left - 1 } else { 0 };
        *left > 0
    };
    for state in
        declared.states.iter().filter(|state| options.state.as_ref().is_none_or(|asked| state.name == *asked))
    {
        for reader in &readers {
            reader.entries(state, None, &mut |entry| show(state_lines::entry(operator, state, &entry)))?;
        }
    }
    if options.state.is_some() {
        return Ok(());
    }
    for timer in &declared.timers {
        for reader in &readers {
            reader.timers(timer, &mut |found| show(state_lines::timer(operator, timer, &found)))?;
        }
    }
    Ok(())
}
