//! `weir savepoint delete`: removes savepoints.

use super::{StoreOptions, parse_name};
use crate::failure::{Exit, Failure};
use weir_protocol::savepoint::SavepointName;

/// Options of `weir savepoint delete`.
#[derive(Debug, clap::Args)]
pub struct Options {
    #[command(flatten)]
    store: StoreOptions,
    /// Their names
    #[arg(required = true, value_parser = parse_name)]
    names: Vec<SavepointName>,
}

/// Removes them.
pub fn run(options: &Options) -> Result<Exit, Failure> {
    let remote = options.store.remote()?;
    for name in &options.names {
        match &remote {
            Some(remote) => remote.delete(name.as_str())?,
            None => options.store.store()?.delete(name)?,
        }
        eprintln!("removed {name}");
    }
    Ok(Exit::Done)
}
