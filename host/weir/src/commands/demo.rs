//! `weir demo`: a server that is changed and killed while records flow, and a count of what came out.

mod host;
mod pipelines;
mod process;
mod published_files;
mod readers;
mod recoveries;
mod report;
mod steps;
mod story;
mod swaps;
mod tally;
mod topics;

use crate::failure::{Exit, Failure};
use host::Host;
use pipelines::Place;
use process::LOOK_INTERVAL;
use readers::Readers;
use report::Report;
use std::path::Path;
use steps::Steps;
use tally::Tally;
use topics::Feeder;

/// The operator of the demo in its versions, where they were built before this binary.
const VERSIONS: Option<[&[u8]; 3]> = include!(concat!(env!("OUT_DIR"), "/demo_versions.rs"));
/// With fewer no version would see enough of them.
const RECORDS_MIN: u64 = 50_000;

/// Options of `weir demo`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Pass the records through two topics of this broker
    #[arg(long, value_name = "HOST:PORT")]
    kafka: Option<String>,
    /// How many records
    #[arg(long, default_value_t = 900_000, value_parser = clap::value_parser!(u64).range(RECORDS_MIN..), value_name = "N")]
    records: u64,
}

/// Runs it, changes it, kills it, counts.
pub fn run(options: &Options) -> Result<Exit, Failure> {
    let versions = VERSIONS.ok_or_else(|| {
        Failure::failed(
            "this weir was built without the demo's operator; cargo xtask demo builds it (or: cargo xtask guests count_by_key demo_version_2 demo_version_3, and build weir again)",
        )
    })?;
    let directory = std::env::temp_dir().join(format!("weir-demo-{}", std::process::id()));
    let place = Place { directory: &directory, records: options.records, kafka: options.kafka.as_deref() };
    let cannot = |error: std::io::Error| Failure::failed(format!("{}: {error}", directory.display()));
    place.write(&versions).map_err(cannot)?;
    let mut steps = begin(&place)?;
    tell(&mut steps)?;
    let (swapped, rolled_back) = steps.swap_counts()?;
    steps.host.stop()?;
    let Steps { mut host, readers, .. } = steps;
    if place.kafka.is_some() {
        read_back(&directory, &mut host)?;
    }
    let tally = Tally::count(&place.output(), options.records).map_err(cannot)?;
    let recoveries = &host.recoveries;
    Report { tally: &tally, swapped, rolled_back, recoveries, readers: &readers }.print(&place);
    if !tally.is_exact() {
        return Err(Failure::failed("records were lost, duplicated or counted wrong"));
    }
    match (swapped, rolled_back, tally.by(3)) {
        (1, 1, 0) => Ok(Exit::Done),
        _ => Err(Failure::failed("expected one swap, one that was rolled back, and no record of version 3")),
    }
}

/// The server, the reader, and with Kafka the topics.
fn begin<'a>(place: &'a Place<'a>) -> Result<Steps<'a>, Failure> {
    let (input, output) = match place.kafka {
        None => ("generator".to_owned(), "files".to_owned()),
        Some(brokers) => {
            let (input, output) = place.topics();
            topics::create(brokers, &[&input, &output], pipelines::PARTITIONS)?;
            (format!("topic {input}"), format!("topic {output} at {brokers}"))
        }
    };
    story::line(&format!(
        "{input} -> count_by_key (WebAssembly, state in RocksDB) -> {output}, exactly once, {} records",
        place.records
    ));
    // First, for it takes over Ctrl-C: from here on nothing is left behind.
    let host = Host::start(place.directory, &place.name())?;
    let (readers, feeder) = match place.kafka {
        None => (Readers::start(published_files::reader(&place.output()))?, None),
        Some(brokers) => {
            let readers = Readers::start(topics::reader(brokers, &place.topics().1)?)?;
            (readers, Some(Feeder::start(place.directory)?))
        }
    };
    Ok(Steps { place, host, readers, feeder })
}

/// All that happens.
fn tell(steps: &mut Steps<'_>) -> Result<(), Failure> {
    steps.introduce();
    story::step(2, "upload version 1, and deploy a pipeline that counts per key");
    steps.upload(1)?;
    let document = steps.place.document(1, true);
    steps.deploy(&document)?;
    steps.running()?;
    let records = steps.flowing()?;
    story::outcome(&format!("running; a reader of the output has seen {records} records"));

    steps.let_flow()?;
    story::step(3, "kill -9 the host");
    steps.while_doing("kill -9", Steps::kill)?;

    steps.let_flow()?;
    story::step(4, "swap version 2 in, and kill -9 the host while version 2 is on probation");
    steps.upload(2)?;
    let swap = steps.while_doing("kill -9 in probation", |steps| steps.swap_and_kill(2))?;
    steps.tell_swaps();
    story::outcome(&swaps::told(&swap));

    // Where the decision was made just before the kill, version 2 is in.
    if swap["state"] != "completed" {
        story::step(5, "once more, undisturbed: version 2 goes on with the state of version 1");
        let swap = steps.while_doing("the swap to version 2", |steps| steps.swap(2, false))?;
        story::outcome(&format!("{}, from epoch {}", swaps::told(&swap), swap["epoch_completed"]));
    }

    steps.let_flow()?;
    story::step(6, "swap version 3 in, which traps when it has handled some records");
    steps.upload(3)?;
    let swap = steps.while_doing("probation of version 3", |steps| steps.swap(3, true))?;
    story::outcome(&swaps::told(&swap));
    if swap["state"] != "rolled_back" {
        return Err(Failure::failed(format!("version 3 should have taken itself back: {swap}")));
    }
    steps.let_flow()?;
    let records = steps.readers.records()?;
    story::outcome(&format!("version 2 has read the same input again; a reader has seen {records} records"));

    story::step(7, "the rest of the records at full speed");
    steps.finish()?;
    story::outcome(&format!("the end; a reader has seen {} records", steps.readers.records()?));
    Ok(())
}

/// Reads the output topic into files, committed records only.
fn read_back(directory: &Path, host: &mut Host) -> Result<(), Failure> {
    story::line("   reading the output topic back into files, committed records only");
    let mut read = topics::run(directory, "read", &[])?;
    loop {
        match read.ended() {
            Some(status) if status.success() => return Ok(()),
            Some(_) => return Err(read.failed("the output cannot be read back")),
            None => host.check_interrupted()?,
        }
        std::thread::sleep(LOOK_INTERVAL);
    }
}
