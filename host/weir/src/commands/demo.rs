//! `weir demo`: a pipeline that is killed again and again, and a count of what came out.

mod killed_run;
mod pipelines;
mod tally;

use crate::failure::{Exit, Failure};
use killed_run::{KilledRun, Recoveries};
use pipelines::Place;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use tally::Tally;

/// The operator of the demo, where it was built before this binary.
const COMPONENT: Option<&[u8]> = include!(concat!(env!("OUT_DIR"), "/demo_component.rs"));

/// Options of `weir demo`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Pass the records through two topics of this broker
    #[arg(long, value_name = "HOST:PORT")]
    kafka: Option<String>,
    /// How many records
    #[arg(long, default_value_t = 300_000, value_name = "N")]
    records: u64,
    /// How often the pipeline is killed
    #[arg(long, default_value_t = 5, value_name = "N")]
    kills: u32,
}

/// Runs it, kills it, counts.
pub fn run(options: &Options) -> Result<Exit, Failure> {
    let component = COMPONENT.ok_or_else(|| {
        Failure::failed(
            "this weir was built without the demo's operator; cargo xtask demo builds it (or: cargo xtask guests count_by_key, and build weir again)",
        )
    })?;
    let directory = std::env::temp_dir().join(format!("weir-demo-{}", std::process::id()));
    let place = Place { directory: &directory, records: options.records, kafka: options.kafka.as_deref() };
    let cannot = |error: std::io::Error| Failure::failed(format!("{}: {error}", directory.display()));
    place.write(component).map_err(cannot)?;
    println!("demo in {}", directory.display());
    let recoveries = match &options.kafka {
        None => {
            println!(
                "generator -> count_by_key (WebAssembly, state in RocksDB) -> files, exactly once, {} records",
                options.records
            );
            KilledRun::new(&directory, "demo", options.kills).until_finished()?
        }
        Some(brokers) => through_kafka(&place, brokers, options.kills)?,
    };
    let tally = Tally::count(&directory.join("out"), options.records).map_err(cannot)?;
    report(&directory, &tally, &recoveries);
    if tally.is_exact() {
        Ok(Exit::Done)
    } else {
        Err(Failure::failed("records were lost, duplicated or counted wrong"))
    }
}

/// Fills one topic, passes its records on through the killed pipeline, and reads the other one back.
fn through_kafka(place: &Place<'_>, brokers: &str, kills: u32) -> Result<Recoveries, Failure> {
    let (input, output) = place.topics();
    println!(
        "generator -> topic {input} -> count_by_key (WebAssembly, state in RocksDB) -> topic {output} at {brokers}, exactly once"
    );
    pipelines::create_topics(brokers, &[&input, &output])?;
    let mut fill = weir(place.directory, "fill", &["--until-end"])?;
    let recoveries = KilledRun::new(place.directory, "demo", kills).until_fed(&mut fill)?;
    println!("reading topic {output} back, committed records only");
    let read = weir(place.directory, "read", &["--until-end"])?.wait();
    match read {
        Ok(status) if status.success() => Ok(recoveries),
        _ => Err(Failure::failed(format!(
            "the output cannot be read back; see {}",
            log(place.directory, "read")
        ))),
    }
}

/// Starts this very program with one of the demo's pipelines.
fn weir(directory: &Path, pipeline: &str, arguments: &[&str]) -> Result<std::process::Child, Failure> {
    let cannot = |error: std::io::Error| Failure::failed(format!("weir cannot start itself: {error}"));
    let log = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(PathBuf::from(log(directory, pipeline)))
        .map_err(cannot)?;
    Command::new(std::env::current_exe().map_err(cannot)?)
        .arg("run")
        .arg(directory.join(format!("{pipeline}.toml")))
        .arg("--data-dir")
        .arg(directory.join(format!("data-{pipeline}")))
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .map_err(cannot)
}

fn log(directory: &Path, pipeline: &str) -> String {
    directory.join(format!("{pipeline}.log")).display().to_string()
}

fn report(directory: &Path, tally: &Tally, recoveries: &Recoveries) {
    let milliseconds = |time: Option<Duration>| match time {
        Some(time) => format!("{} ms", time.as_millis()),
        None => "-".to_owned(),
    };
    println!();
    println!("records in      {:>10}", tally.expected);
    println!("records out     {:>10}", tally.found);
    println!("lost            {:>10}", tally.lost);
    println!("duplicated      {:>10}", tally.duplicated);
    println!("keys            {:>10}", tally.keys);
    println!("counted wrong   {:>10}", tally.wrong_counts);
    println!("kill -9         {:>10}", recoveries.kills);
    println!(
        "time to recover {:>10} median, {} longest",
        milliseconds(recoveries.median()),
        milliseconds(recoveries.longest())
    );
    println!();
    println!("see for yourself:");
    let files = directory.join("out").display().to_string();
    println!("  cat {files}/*.jsonl | wc -l                                       # {}", tally.expected);
    println!("  cat {files}/*.jsonl | cut -d, -f1,2 | sort | uniq -d | wc -l      # 0");
    println!("  cat {files}/*.jsonl | grep '\"key-7\"' | tail -1                    # its count");
    println!("  rm -r {}", directory.display());
}
