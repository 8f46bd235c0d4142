//! `weir savepoint list`: a line per savepoint.

use super::{StoreOptions, time_text};
use crate::failure::{Exit, Failure};

/// Options of `weir savepoint list`.
#[derive(Debug, clap::Args)]
pub struct Options {
    #[command(flatten)]
    store: StoreOptions,
    /// Write JSON lines
    #[arg(long)]
    json: bool,
}

/// Lists them. One that cannot be read is shown with the reason.
pub fn run(options: &Options) -> Result<Exit, Failure> {
    if let Some(remote) = options.store.remote()? {
        return remote.list(options.json);
    }
    let listed = options.store.store()?.list()?;
    if !options.json {
        println!("{:<40} {:<20} {:>14} {:<9}  checkpoint", "name", "created", "bytes", "made by");
    }
    for listed in listed {
        let name = listed.name;
        match (listed.savepoint, options.json) {
            (Ok(savepoint), true) => {
                let line = serde_json::json!({
                    "name": name,
                    "pipeline": savepoint.pipeline,
                    "checkpoint": savepoint.id.to_string(),
                    "created_ms": savepoint.created_ms,
                    "bytes": savepoint.size(),
                    "scheduled": savepoint.scheduled,
                });
                println!("{line}");
            }
            (Ok(savepoint), false) => {
                let (created, size) = (time_text(savepoint.created_ms), savepoint.size());
                let by = if savepoint.scheduled { "schedule" } else { "person" };
                println!("{name:<40} {created:<20} {size:>14} {by:<9}  {}", savepoint.id);
            }
            (Err(error), true) => println!("{}", serde_json::json!({"name": name, "error": error.message})),
            (Err(error), false) => println!("{name:<40} damaged: {error}"),
        }
    }
    Ok(Exit::Done)
}
