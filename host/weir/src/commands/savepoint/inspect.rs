//! `weir savepoint inspect`: what a savepoint holds; every byte is read and compared.

use super::{StoreOptions, time_text, verifier};
use crate::failure::{Exit, Failure};
use crate::pipeline_place::locate;
use weir_protocol::counted::counted;
use weir_runtime::savepoint_store::{load, verify};

/// Options of `weir savepoint inspect`.
#[derive(Debug, clap::Args)]
pub struct Options {
    #[command(flatten)]
    store: StoreOptions,
    /// Its name, or the path of its directory
    savepoint: String,
}

/// Shows it.
pub fn run(options: &Options) -> Result<Exit, Failure> {
    if let Some(remote) = options.store.remote()? {
        return Err(remote.only_beside_its_data("inspect"));
    }
    let path = locate(&options.savepoint, &options.store.store()?)?;
    let savepoint = load(&path)?;
    println!("{:<12} {}", "savepoint", path.display());
    println!("{:<12} {}", "pipeline", savepoint.pipeline);
    println!("{:<12} {}", "checkpoint", savepoint.id);
    println!("{:<12} {}", "manifest", savepoint.manifest);
    println!("{:<12} {}", "created", time_text(savepoint.created_ms));
    println!("{:<12} {} in {}", "bytes", savepoint.size(), counted(savepoint.files.len() as u64, "file"));
    let manifest = verify(&path, &savepoint, &verifier())?;
    if let Some(weir) = &manifest.written_by {
        println!("{:<12} weir {weir}", "written by");
    }
    for position in &manifest.positions {
        let (source, partition, offset) = (&position.source, &position.partition, position.position.offset);
        println!("{:<12} {source} {partition} at {offset}", "position");
    }
    for (operator, digest) in &manifest.operators {
        println!("{:<12} {operator} sha256:{digest}", "operator");
    }
    for (operator, kept) in manifest.keyed.iter().flat_map(|keyed| &keyed.operators) {
        for state in &kept.states {
            println!(
                "{:<12} {operator}.{} ({}, version {})",
                "state",
                state.name,
                state.kind.name(),
                state.version
            );
        }
        for timer in &kept.timers {
            println!(
                "{:<12} {operator}.{} ({})",
                "timer",
                timer.name,
                crate::state_lines::clock(timer.clock)
            );
        }
    }
    println!("{:<12} every file is as it was written", "verified");
    Ok(Exit::Done)
}
