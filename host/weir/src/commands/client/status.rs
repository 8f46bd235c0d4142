//! `weir status`: what the pipelines of a server are doing, once or again each second.

use super::connection::{Connection, OutputFormat, ServerOptions};
use super::table;
use crate::failure::{Exit, Failure};
use serde_json::{Value, json};
use std::io::IsTerminal;
use std::time::Duration;

/// How often a status is asked for again.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Options of `weir status` and `weir pipeline status`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The pipeline; all of them unless one is named
    pipeline: Option<String>,
    /// Show it again each second
    #[arg(short, long)]
    watch: bool,
    #[command(flatten)]
    server: ServerOptions,
}

const ONE: &[table::Column] = &[
    ("name", "name"),
    ("desired", "desired"),
    ("actual", "actual"),
    ("cause", "cause"),
    ("revision", "applied_revision"),
    ("swap", "swap.state"),
    ("records in", "running.records_in"),
    ("records out", "running.records_out"),
    ("in per second", "running.records_in_per_second"),
    ("out per second", "running.records_out_per_second"),
    ("lag", "running.lag"),
    ("checkpoint", "running.last_checkpoint_epoch"),
    ("checkpoint ms", "running.last_checkpoint_ms"),
    ("restarts", "running.restarts"),
];

const ALL: &[table::Column] = &[
    ("name", "name"),
    ("desired", "desired"),
    ("actual", "actual"),
    ("in/s", "running.records_in_per_second"),
    ("out/s", "running.records_out_per_second"),
    ("lag", "running.lag"),
    ("checkpoint", "running.last_checkpoint_epoch"),
    ("restarts", "running.restarts"),
    ("cause", "cause"),
];

const OPERATORS: &[table::Column] = &[
    ("operator", "operator"),
    ("rows", "rows"),
    ("busy ms", "busy_ms"),
    ("failed calls", "failed_calls"),
    ("dead letters", "dead_letters"),
    ("watermark lag ms", "watermark_lag_ms"),
];

const SUBTASKS: &[table::Column] = &[
    ("subtask", "subtask"),
    ("in/s", "records_in_per_second"),
    ("out/s", "records_out_per_second"),
    ("busy ms/s", "busy_ms_per_second"),
    ("back-pressured ms/s", "back_pressured_ms_per_second"),
    ("idle ms/s", "idle_ms_per_second"),
    ("steps", "steps"),
];

/// Shows it.
pub fn run(options: &Options) -> Result<Exit, Failure> {
    let connection = options.server.connect()?;
    loop {
        let answer = match &options.pipeline {
            Some(pipeline) => connection.get(&format!("/v1/pipelines/{pipeline}/status"))?,
            None => all(&connection)?,
        };
        if options.watch && options.server.output == OutputFormat::Table && std::io::stdout().is_terminal() {
            // Only when there is something to show instead.
            table::print("\x1b[H\x1b[2J");
        }
        match &options.pipeline {
            Some(_) => one(options.server.output, &answer),
            None => table::list(options.server.output, &answer, ALL),
        }
        if !options.watch {
            return Ok(Exit::Done);
        }
        std::thread::sleep(LOOK_INTERVAL);
    }
}

/// The status of each pipeline.
fn all(connection: &Connection) -> Result<Value, Failure> {
    let listed = connection.get("/v1/pipelines?limit=1000")?;
    let mut items = Vec::new();
    for name in listed["items"].as_array().into_iter().flatten().filter_map(|item| item["name"].as_str()) {
        items.push(connection.get(&format!("/v1/pipelines/{name}/status"))?);
    }
    Ok(json!({ "items": items, "next": listed["next"] }))
}

fn one(output: OutputFormat, answer: &Value) {
    table::one(output, answer, ONE);
    if output == OutputFormat::Table {
        rows(&answer["running"]["operators"], OPERATORS);
        rows(&answer["running"]["subtasks"], SUBTASKS);
    }
}

fn rows(items: &Value, columns: &[table::Column]) {
    if let Some(items) = items.as_array().filter(|items| !items.is_empty()) {
        table::print(&format!("\n{}", table::render(items, columns)));
    }
}
