//! `weir savepoint create`: a copy of the newest decided checkpoint, by hard links where that is possible.

use super::{StoreOptions, name_of_time, now_ms, parse_name};
use crate::failure::{Exit, Failure};
use crate::pipeline_place;
use weir_protocol::savepoint::SavepointName;
use weir_runtime::savepoint_store::NewSavepoint;

/// Options of `weir savepoint create`.
#[derive(Debug, clap::Args)]
pub struct Options {
    #[command(flatten)]
    store: StoreOptions,
    /// Its name; a time unless given
    #[arg(long, value_name = "NAME", value_parser = parse_name)]
    name: Option<SavepointName>,
}

/// Makes it and says where it is.
pub fn run(options: &Options) -> Result<Exit, Failure> {
    if let Some(remote) = options.store.remote()? {
        return remote.create(options.name.as_ref().map(SavepointName::as_str));
    }
    let place = options.store.place()?;
    let store = place.savepoints(options.store.dir.as_deref());
    let created_ms = now_ms();
    let name = options.name.clone().unwrap_or_else(|| name_of_time(created_ms));
    let savepoint = store.create(&NewSavepoint {
        name: &name,
        pipeline: &place.directory,
        components: &pipeline_place::components(&place.data_dir),
        scheduled: false,
        created_ms,
    })?;
    println!("{}", store.path(&name).display());
    eprintln!("savepoint {name} of checkpoint {}, {} bytes", savepoint.id, savepoint.size());
    Ok(Exit::Done)
}
