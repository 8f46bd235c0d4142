//! weir as it is run for a measurement.

use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::plan::{AskedRun, Variant};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// The operator's file in the folder of the guests.
const OPERATOR: &str = "prefix.wasm";
/// The field of the metrics line that tells the longest pause.
const PAUSE_FIELD: &str = "longest_pause_us";

/// Writes the pipeline file and makes the command that runs it to the end of the input.
pub fn command(
    arguments: &Arguments,
    asked: &AskedRun,
    input: &str,
    output: &str,
    folder: &Path,
) -> Result<Command, Failure> {
    let component = fs::canonicalize(arguments.guests.join(OPERATOR))
        .map_err(Failure::of(format!("WEIR_BENCH_GUESTS: {:?}", arguments.guests.join(OPERATOR))))?;
    let file = folder.join("pipeline.toml");
    let text = pipeline(arguments, asked, input, output, &component);
    fs::write(&file, text).map_err(Failure::of(file.display()))?;
    let mut command = Command::new(&arguments.weir);
    command.arg("run").arg(&file).arg("--until-end").args(["--log-format", "json"]);
    command.arg("--data-dir").arg(folder.join("data")).env_remove("RUST_LOG");
    Ok(command)
}

fn pipeline(arguments: &Arguments, asked: &AskedRun, input: &str, output: &str, component: &Path) -> String {
    let kept = match asked.variant {
        Variant::WeirBatch => "timestamp = \"produce_time\"\nheaders = false",
        _ => "timestamp = \"record\"",
    };
    format!(
        r#"name = "{output}"
guarantee = "exactly_once"
parallelism = {subtasks}

[checkpoint]
interval = "{interval_ms}ms"

[kafka.main]
brokers = "{brokers}"

[source.input]
kind = "kafka"
topics = ["{input}"]

[operator.prefix]
input = "input"
component = {component:?}
config = {{ prefix = "processed_" }}

[sink.output]
kind = "kafka"
input = "prefix"
topic = "{output}"
{kept}
"#,
        subtasks = asked.subtasks,
        interval_ms = asked.interval.as_millis(),
        brokers = arguments.brokers,
    )
}

/// The longest pause that a log tells, if it tells any.
pub fn longest_pause(log: &Path) -> Option<Duration> {
    let log = fs::read_to_string(log).ok()?;
    let lines = log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let pauses = lines.filter_map(|line| line.get(PAUSE_FIELD)?.as_u64());
    pauses.max().map(Duration::from_micros)
}
