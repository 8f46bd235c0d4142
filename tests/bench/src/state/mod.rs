//! `bench state`: what keyed state costs beside a pipeline without state, and how soon a pipeline with much of it is back.
//!
//! - [`arguments`]: the command line; [`keys`]: which key a record has
//! - [`pipeline`]: the pipeline files; [`told`]: what weir's last log line says; [`threads`]: CPU by thread
//! - [`row`]: one measured run; [`expected`]: whether every count of every key is there once
//! - [`recovery`]: from the start to the first record that readers of committed data see
//! - [`report`]: tables, ratios and the JSON file

mod arguments;
mod expected;
mod first_committed;
pub mod keys;
mod pipeline;
mod recovery;
mod report;
mod row;
pub mod threads;
mod told;

use crate::broker;
use crate::failure::Failure;
use crate::fill::Filling;
use crate::scratch::Scratch;
use crate::topics::Topics;
use arguments::{Arguments, Asked, Part};
use keys::Keys;
use std::time::Instant;

/// The word on the command line that asks for this bench.
pub const COMMAND: &str = "state";

/// Partitions of every topic.
const PARTITIONS: i32 = 4;

/// Where the runs happen. Files go when it is dropped.
struct Place {
    topics: Topics,
    /// In every name that a run uses.
    id: String,
    scratch: Scratch,
    /// The broker's process, if it is on this machine.
    broker: Option<i32>,
}

/// Measures what the command line asks for.
pub fn perform(arguments: &[String]) -> Result<(), Failure> {
    let arguments = match arguments::read(arguments)? {
        Asked::Help => {
            print!("{}", arguments::HELP);
            return Ok(());
        }
        Asked::Bench(arguments) => *arguments,
    };
    let id = format!("weir-bench-state-{}", std::process::id());
    let place = Place {
        topics: Topics::connect(&arguments.brokers, PARTITIONS)?,
        scratch: Scratch::make(&id)?,
        broker: broker::find(&arguments.brokers),
        id,
    };
    let mut rows = Vec::new();
    if arguments.parts.contains(&Part::Rows) {
        for keys in arguments.keys() {
            rows.extend(rows_of(&place, &arguments, &keys)?);
        }
        report::print_rows(&arguments, &rows);
    }
    let mut recoveries = Vec::new();
    for bytes in &arguments.recovery_bytes {
        recoveries.push(recovery::measure(&place, &arguments, *bytes, recoveries.len())?);
    }
    report::print_recoveries(&recoveries);
    match &arguments.json {
        Some(file) => report::write(file, &arguments, &rows, &recoveries),
        None => Ok(()),
    }
}

/// Fills a topic with one distribution of keys, unless an earlier bench left it, and measures all rows over it.
fn rows_of(place: &Place, arguments: &Arguments, keys: &Keys) -> Result<Vec<row::Outcome>, Failure> {
    let input = format!("weir-bench-state-{}-{}-{}", keys.name(), arguments.records, arguments.value_bytes);
    if place.topics.exists(&input)? && place.topics.written(&input)? == arguments.records {
        eprintln!("bench: {input} is still there");
    } else {
        place.topics.delete_if_there(&input)?;
        place.topics.create(&input)?;
        let begun = Instant::now();
        let write_key = |number: u64, key: &mut Vec<u8>| keys.write(number, key);
        let filling = Filling {
            brokers: &arguments.brokers,
            topic: &input,
            numbers: (0, arguments.records),
            value_bytes: arguments.value_bytes,
            write_key: &write_key,
        };
        filling.write()?;
        let seconds = begun.elapsed().as_secs_f64();
        eprintln!("bench: {} records in {seconds:.1} s: {input}", arguments.records);
    }
    let mut outcomes = Vec::new();
    for repeat in 0..arguments.repeat {
        for kind in arguments.kinds.iter().copied() {
            eprint!("bench: {}, {}, run {} ... ", keys.name(), kind.name(), repeat + 1);
            let outcome =
                row::measure(place, arguments, keys, &input, kind, repeat).inspect_err(|_| eprintln!())?;
            eprintln!("{:.3} us, {:.0} records/s", outcome.cpu_us, outcome.records_per_second);
            outcomes.push(outcome);
        }
    }
    if !arguments.keep {
        place.topics.delete(&input);
    }
    Ok(outcomes)
}
