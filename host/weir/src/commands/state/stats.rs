//! `weir state stats`: how much each state holds.

use super::{Opened, SourceOptions, print};
use crate::failure::{Exit, Failure};
use crate::state_lines;
use serde_json::json;

/// Options of `weir state stats`.
#[derive(Debug, clap::Args)]
pub struct Options {
    #[command(flatten)]
    source: SourceOptions,
    /// One operator; without it all of them
    operator: Option<String>,
    /// Write JSON lines
    #[arg(long)]
    json: bool,
}

/// What one state or timer holds.
struct Row {
    operator: String,
    name: String,
    kind: String,
    entries: u64,
    key_bytes: u64,
    value_bytes: u64,
}

/// Counts by reading everything.
pub fn run(options: &Options) -> Result<Exit, Failure> {
    let (checkpoint, file_bytes, rows) = options.source.read(|opened| {
        let parts = opened.keyed.parts.iter();
        let file_bytes: u64 = parts.flat_map(|part| &part.files).map(|file| file.size).sum();
        Ok((opened.checkpoint.manifest.id.to_string(), file_bytes, rows(options, opened)?))
    })?;
    if options.json {
        for Row { operator, name, kind, entries, key_bytes, value_bytes } in &rows {
            print(&json!({"checkpoint": checkpoint, "operator": operator, "name": name, "kind": kind, "entries": entries, "key_bytes": key_bytes, "value_bytes": value_bytes}).to_string());
        }
        return Ok(Exit::Done);
    }
    print(&format!("checkpoint {checkpoint}, {file_bytes} bytes of files"));
    print(&format!(
        "{:<20} {:<20} {:<22} {:>12} {:>14} {:>14}",
        "operator", "name", "kind", "entries", "key bytes", "value bytes"
    ));
    for Row { operator, name, kind, entries, key_bytes, value_bytes } in &rows {
        print(&format!(
            "{operator:<20} {name:<20} {kind:<22} {entries:>12} {key_bytes:>14} {value_bytes:>14}"
        ));
    }
    Ok(Exit::Done)
}

fn rows(options: &Options, opened: &Opened<'_>) -> Result<Vec<Row>, Failure> {
    if let Some(asked) = &options.operator {
        opened.operator(asked)?;
    }
    let mut rows = Vec::new();
    let asked = |name: &&String| options.operator.as_ref().is_none_or(|asked| asked == *name);
    for operator in opened.keyed.operators.keys().filter(asked) {
        let declared = &opened.keyed.operators[operator];
        let parts = opened.keyed.parts.iter().filter(|part| part.operator == *operator);
        let readers = parts.map(|part| opened.checkpoint.open(part, &opened.scratch));
        let readers = readers.collect::<Result<Vec<_>, _>>()?;
        let row = |name: &str, kind: String| Row {
            operator: operator.clone(),
            name: name.to_owned(),
            kind,
            entries: 0,
            key_bytes: 0,
            value_bytes: 0,
        };
        for state in &declared.states {
            let mut row = row(&state.name, format!("{} (version {})", state.kind.name(), state.version));
            for reader in &readers {
                reader.entries(state, None, &mut |entry| {
                    row.entries += 1;
                    row.key_bytes += (entry.key.map_or(0, <[u8]>::len) + entry.subkey.len()) as u64;
                    row.value_bytes += entry.value.len() as u64;
                    true
                })?;
            }
            rows.push(row);
        }
        for timer in &declared.timers {
            let mut row = row(&timer.name, format!("timer ({})", state_lines::clock(timer.clock)));
            for reader in &readers {
                reader.timers(timer, &mut |found| {
                    row.entries += 1;
                    row.key_bytes += found.key.map_or(0, <[u8]>::len) as u64;
                    true
                })?;
            }
            rows.push(row);
        }
    }
    Ok(rows)
}
