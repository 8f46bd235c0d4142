//! `weir pipeline swap` and `rollback`: another version of an operator, while its pipeline runs.

use super::connection::{Connection, OutputFormat, ServerOptions};
use super::table;
use crate::failure::{Exit, Failure};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// How often the server is asked how far a swap has come.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// Options of `weir pipeline swap`.
#[derive(Debug, clap::Args)]
pub struct Swap {
    /// The pipeline
    pipeline: String,
    /// The operator's id in the pipeline
    operator: String,
    /// The new version, as name@version, a number, or latest
    version: String,
    /// Try the migration on a copy of the newest checkpoint, and do nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    asked: Asked,
}

/// Options of `weir pipeline rollback`.
#[derive(Debug, clap::Args)]
pub struct Rollback {
    /// The pipeline
    pipeline: String,
    #[command(flatten)]
    asked: Asked,
}

/// How a swap is judged, and whether its end is waited for.
#[derive(Debug, clap::Args)]
struct Asked {
    /// How long probation lasts at least; 3 checkpoint intervals unless given
    #[arg(long, value_name = "DURATION")]
    probation_time: Option<String>,
    /// How many records probation sees at least; 1000 unless given
    #[arg(long, value_name = "N")]
    probation_records: Option<u64>,
    /// How many percentage points more of the records may be rejected than by the old version; 1 unless given
    #[arg(long, value_name = "POINTS")]
    rejection_points_max: Option<f64>,
    /// How many times the old version's time per record is too slow; 5 unless given
    #[arg(long, value_name = "TIMES")]
    slowdown_max: Option<f64>,
    /// By how much output records per input record may differ from the old version's, such as 0.1; off unless given
    #[arg(long, value_name = "SHARE")]
    output_share_change_max: Option<f64>,
    /// The longest pause that a migration of state may make; 30s unless given
    #[arg(long, value_name = "DURATION")]
    pause_max: Option<String>,
    /// Swap in also a version that took itself back before
    #[arg(long)]
    force: bool,
    /// Return when the swap has begun, not when it has ended
    #[arg(long)]
    no_wait: bool,
    #[command(flatten)]
    server: ServerOptions,
}

impl Asked {
    fn body(&self) -> Value {
        fn put(map: &mut Map<String, Value>, key: &str, value: Option<Value>) {
            map.extend(value.map(|value| (key.to_owned(), value)));
        }
        let (mut rules, mut probation) = (Map::new(), Map::new());
        put(&mut probation, "time", self.probation_time.as_ref().map(|time| json!(time)));
        put(&mut probation, "records", self.probation_records.map(|records| json!(records)));
        put(&mut rules, "rejection_points_max", self.rejection_points_max.map(|points| json!(points)));
        put(&mut rules, "slowdown_max", self.slowdown_max.map(|times| json!(times)));
        put(&mut rules, "output_share_change_max", self.output_share_change_max.map(|share| json!(share)));
        put(&mut rules, "pause_max", self.pause_max.as_ref().map(|time| json!(time)));
        json!({ "probation": probation, "rules": rules, "force": self.force })
    }
}

/// Begins a swap, and waits for its end.
pub fn swap(options: &Swap) -> Result<Exit, Failure> {
    let mut body = options.asked.body();
    body["version"] = json!(options.version);
    body["dry_run"] = json!(options.dry_run);
    let connection = options.asked.server.connect()?;
    let path = format!("/v1/pipelines/{}/operators/{}/swap", options.pipeline, options.operator);
    let answer = connection.post(&path, &body)?;
    if options.dry_run {
        table::json(&answer);
        return Ok(Exit::Done);
    }
    ended(&options.asked, &options.pipeline, &connection, answer)
}

/// Begins the way back, and waits for its end.
pub fn rollback(options: &Rollback) -> Result<Exit, Failure> {
    let path = format!("/v1/pipelines/{}/rollback", options.pipeline);
    let connection = options.asked.server.connect()?;
    let answer = connection.post(&path, &options.asked.body())?;
    ended(&options.asked, &options.pipeline, &connection, answer)
}

/// Waits for the end of a swap, and says each step.
fn ended(asked: &Asked, pipeline: &str, connection: &Connection, mut swap: Value) -> Result<Exit, Failure> {
    let path = format!("/v1/pipelines/{}/swaps/{}", pipeline, swap["id"].as_str().unwrap_or_default());
    let mut last = String::new();
    loop {
        let state = swap["state"].as_str().unwrap_or_default().to_owned();
        if state != last && asked.server.output == OutputFormat::Table {
            table::print(&format!("{state}\n"));
        }
        last.clone_from(&state);
        let over = !matches!(state.as_str(), "preparing" | "prepared" | "probation");
        if over || asked.no_wait {
            if asked.server.output == OutputFormat::Json {
                table::json(&swap);
            }
            let reason = swap["reason"].as_str().unwrap_or("see the events of the pipeline");
            return match state.as_str() {
                "completed" => Ok(Exit::Done),
                _ if !over => Ok(Exit::Done),
                _ => Err(Failure::failed(format!("the swap is {state}: {reason}"))),
            };
        }
        std::thread::sleep(LOOK_INTERVAL);
        swap = connection.get(&path)?;
    }
}
