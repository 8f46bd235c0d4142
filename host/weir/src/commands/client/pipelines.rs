//! `weir pipeline …`, `weir apply` and `weir status`: pipelines of a server.

use super::connection::{Connection, ServerOptions};
use super::table;
use crate::failure::{Exit, Failure};
use serde_json::{Map, Value, json};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often a status is asked for again.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Commands about pipelines.
#[derive(Debug, clap::Subcommand)]
pub enum PipelineCommand {
    /// Say what applying a file would change, and do nothing
    Plan(File),
    /// Make the server run what a file says
    Apply(Apply),
    /// List all pipelines
    #[command(visible_alias = "ls")]
    List(Listed),
    /// Show what a pipeline is doing
    Status(Status),
    /// Start a pipeline
    Start(Start),
    /// Stop a pipeline after a last checkpoint
    Stop(Named),
    /// Stop and start a pipeline
    Restart(Named),
    /// Delete a stopped pipeline; its state stays in the trash for a while
    #[command(visible_alias = "rm")]
    Delete(Named),
    /// Show what has happened to a pipeline
    Events(Events),
    /// Replace an operator by another version while the pipeline runs
    Swap(Swap),
    /// Go back to the version before, with the state as it is
    Rollback(Named),
}

/// A pipeline file.
#[derive(Debug, clap::Args)]
pub struct File {
    /// The pipeline file; its components are name@version
    file: PathBuf,
    #[command(flatten)]
    server: ServerOptions,
}

/// Options of `weir pipeline apply`.
#[derive(Debug, clap::Args)]
pub struct Apply {
    /// The pipeline file; its components are name@version
    #[arg(required_unless_present = "named_file")]
    file: Option<PathBuf>,
    /// The same, as kubectl writes it
    #[arg(short = 'f', long = "file", conflicts_with = "file", value_name = "FILE", id = "named_file")]
    named_file: Option<PathBuf>,
    /// Apply also a version that took itself back before
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    server: ServerOptions,
}

/// Nothing but the server.
#[derive(Debug, clap::Args)]
pub struct Listed {
    #[command(flatten)]
    server: ServerOptions,
}

/// One pipeline.
#[derive(Debug, clap::Args)]
pub struct Named {
    /// The pipeline
    pipeline: String,
    #[command(flatten)]
    server: ServerOptions,
}

/// Options of `weir pipeline start`.
#[derive(Debug, clap::Args)]
pub struct Start {
    /// The pipeline
    pipeline: String,
    /// Start from this savepoint
    #[arg(long, value_name = "NAME")]
    from_savepoint: Option<String>,
    /// With --from-savepoint: output that was published beyond the savepoint may be published again
    #[arg(long, requires = "from_savepoint")]
    replay_output: bool,
    #[command(flatten)]
    server: ServerOptions,
}

/// Options of `weir status` and `weir pipeline status`.
#[derive(Debug, clap::Args)]
pub struct Status {
    /// The pipeline; all of them unless one is named
    pipeline: Option<String>,
    /// Show it again each second
    #[arg(short, long)]
    watch: bool,
    #[command(flatten)]
    server: ServerOptions,
}

/// Options of `weir pipeline events`.
#[derive(Debug, clap::Args)]
pub struct Events {
    /// The pipeline
    pipeline: String,
    /// Go on as they happen
    #[arg(short, long)]
    follow: bool,
    #[command(flatten)]
    server: ServerOptions,
}

/// Options of `weir pipeline swap`.
#[derive(Debug, clap::Args)]
pub struct Swap {
    /// The pipeline
    pipeline: String,
    /// The operator's id in the pipeline
    operator: String,
    /// The new version, as name@version
    version: String,
    /// How long probation lasts at least; 3 checkpoint intervals unless given
    #[arg(long, value_name = "DURATION")]
    probation_time: Option<String>,
    /// How many records probation sees at least; 1000 unless given
    #[arg(long, value_name = "N")]
    probation_records: Option<u64>,
    /// Try the migration on a copy of the newest checkpoint, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Swap in also a version that took itself back before
    #[arg(long)]
    force: bool,
    /// Return when the swap has begun, not when it has ended
    #[arg(long)]
    no_wait: bool,
    #[command(flatten)]
    server: ServerOptions,
}

/// Carries a command out.
pub fn run(command: &PipelineCommand) -> Result<Exit, Failure> {
    match command {
        PipelineCommand::Plan(options) => plan(options),
        PipelineCommand::Apply(options) => apply(options),
        PipelineCommand::List(options) => list(options),
        PipelineCommand::Status(options) => status(options),
        PipelineCommand::Start(options) => start(options),
        PipelineCommand::Stop(options) => act(options, "stop"),
        PipelineCommand::Restart(options) => act(options, "restart"),
        PipelineCommand::Delete(options) => delete(options),
        PipelineCommand::Events(options) => events(options),
        PipelineCommand::Swap(options) => swap(options),
        PipelineCommand::Rollback(options) => rollback(options),
    }
}

/// The name in a file, and its text.
fn read(file: &Path) -> Result<(String, String), Failure> {
    let shown = file.display();
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::configuration(format!("{shown} cannot be read: {error}")))?;
    let table: toml::Table =
        toml::from_str(&text).map_err(|error| Failure::configuration(format!("{shown}: {error}")))?;
    let name = table.get("name").and_then(toml::Value::as_str);
    let name = name.ok_or_else(|| Failure::configuration(format!("{shown}: name: it is missing")))?;
    Ok((name.to_owned(), text))
}

fn put_and_plan(connection: &Connection, file: &Path) -> Result<(String, Value), Failure> {
    let (name, text) = read(file)?;
    let path = format!("/v1/pipelines/{name}");
    connection.put(&path, "application/toml", &text)?;
    let plan = connection.post(&format!("{path}/plan"), &json!({}))?;
    Ok((name, plan))
}

fn show_plan(plan: &Value) {
    let lines = |key: &str, sign: &str| {
        for line in plan[key].as_array().into_iter().flatten().filter_map(Value::as_str) {
            table::print(&format!("  {sign} {line}\n"));
        }
    };
    table::print(&format!("{}\n", way(plan)));
    lines("changes", "~");
    for state in plan["states"].as_array().into_iter().flatten() {
        let text = |key: &str| state[key].as_str().unwrap_or_default().to_owned();
        table::print(&format!("  state {}.{}: {}\n", text("operator"), text("state"), text("fate")));
    }
    lines("warnings", "!");
    lines("refusals", "x");
    for rejected in plan["rejected"].as_array().into_iter().flatten() {
        let text = |key: &str| rejected[key].as_str().unwrap_or_default().to_owned();
        let (component, reason) = (text("component"), text("reason"));
        table::print(&format!("  x {component} was rolled back before: {reason}\n"));
    }
}

fn way(plan: &Value) -> &'static str {
    match plan["way"].as_str() {
        Some("nothing") => "nothing would change",
        Some("limits") => "limits would be set while it runs",
        Some("swap") => "one operator would be swapped while it runs",
        Some("restart") => "it would be restarted",
        Some("start") => "it would be started",
        _ => "see the JSON",
    }
}

fn plan(options: &File) -> Result<Exit, Failure> {
    let (_, plan) = put_and_plan(&options.server.connect()?, &options.file)?;
    match options.server.output {
        super::connection::OutputFormat::Json => table::json(&plan),
        super::connection::OutputFormat::Table => show_plan(&plan),
    }
    Ok(Exit::Done)
}

/// `weir apply`: plans, shows the plan, and applies just that plan.
pub fn apply(options: &Apply) -> Result<Exit, Failure> {
    let connection = options.server.connect()?;
    let file = options.file.as_ref().or(options.named_file.as_ref());
    let file = file.ok_or_else(|| Failure::configuration("name a pipeline file"))?;
    let (name, plan) = put_and_plan(&connection, file)?;
    let json_asked = options.server.output == super::connection::OutputFormat::Json;
    if !json_asked {
        show_plan(&plan);
    }
    let body = json!({"hash": plan["hash"], "force": options.force});
    let answer = connection.post(&format!("/v1/pipelines/{name}/apply"), &body)?;
    if json_asked {
        table::json(&answer);
    } else {
        table::print("applied; `weir status` shows how it goes\n");
    }
    Ok(Exit::Done)
}

const PIPELINE: &[table::Column] =
    &[("name", "name"), ("desired", "desired"), ("revision", "applied_revision"), ("changed", "changed_at")];

fn list(options: &Listed) -> Result<Exit, Failure> {
    let answer = options.server.connect()?.get("/v1/pipelines?limit=1000")?;
    table::list(options.server.output, &answer, PIPELINE);
    Ok(Exit::Done)
}

const STATUS: &[table::Column] = &[
    ("name", "name"),
    ("desired", "desired"),
    ("actual", "actual"),
    ("cause", "cause"),
    ("revision", "applied_revision"),
    ("records in", "running.records_in"),
    ("records out", "running.records_out"),
    ("lag", "running.lag"),
    ("checkpoint", "running.last_checkpoint_epoch"),
    ("checkpoint ms", "running.last_checkpoint_ms"),
    ("restarts", "running.restarts"),
];

/// `weir status`.
pub fn status(options: &Status) -> Result<Exit, Failure> {
    let connection = options.server.connect()?;
    loop {
        match &options.pipeline {
            Some(pipeline) => {
                let answer = connection.get(&format!("/v1/pipelines/{pipeline}/status"))?;
                table::one(options.server.output, &answer, STATUS);
                if options.server.output == super::connection::OutputFormat::Table {
                    operators(&answer);
                }
            }
            None => {
                let answer = connection.get("/v1/pipelines?limit=1000")?;
                table::list(options.server.output, &answer, PIPELINE);
            }
        }
        if !options.watch {
            return Ok(Exit::Done);
        }
        std::thread::sleep(LOOK_INTERVAL);
        if std::io::stdout().is_terminal() {
            table::print("\x1b[H\x1b[2J");
        }
    }
}

fn operators(answer: &Value) {
    let operators = answer["running"]["operators"].as_array().cloned().unwrap_or_default();
    if operators.is_empty() {
        return;
    }
    table::print(&format!(
        "\n{}",
        table::render(
            &operators,
            &[
                ("operator", "operator"),
                ("rows", "rows"),
                ("busy ms", "busy_ms"),
                ("failed calls", "failed_calls"),
                ("dead letters", "dead_letters"),
                ("watermark", "watermark_ms"),
            ]
        )
    ));
}

fn start(options: &Start) -> Result<Exit, Failure> {
    let mut body = Map::new();
    if let Some(savepoint) = &options.from_savepoint {
        body.insert("from_savepoint".to_owned(), json!(savepoint));
        body.insert("replay_output".to_owned(), json!(options.replay_output));
    }
    let path = format!("/v1/pipelines/{}/start", options.pipeline);
    let answer = options.server.connect()?.post(&path, &Value::Object(body))?;
    told(&options.server, &answer, &format!("{}: starting", options.pipeline));
    Ok(Exit::Done)
}

fn act(options: &Named, what: &str) -> Result<Exit, Failure> {
    let path = format!("/v1/pipelines/{}/{what}", options.pipeline);
    let answer = options.server.connect()?.post(&path, &json!({}))?;
    told(&options.server, &answer, &format!("{}: {what} is under way", options.pipeline));
    Ok(Exit::Done)
}

fn told(server: &ServerOptions, answer: &Value, line: &str) {
    match server.output {
        super::connection::OutputFormat::Json => table::json(answer),
        super::connection::OutputFormat::Table => table::print(&format!("{line}\n")),
    }
}

fn delete(options: &Named) -> Result<Exit, Failure> {
    let path = format!("/v1/pipelines/{}", options.pipeline);
    let answer = options.server.connect()?.delete(&path)?;
    told(
        &options.server,
        &answer,
        &format!("{}: deleted; its state is in the trash for a while", options.pipeline),
    );
    Ok(Exit::Done)
}

fn events(options: &Events) -> Result<Exit, Failure> {
    let connection = options.server.connect()?;
    let path = format!("/v1/pipelines/{}/events", options.pipeline);
    if !options.follow {
        let answer = connection.get(&format!("{path}?limit=1000"))?;
        table::list(options.server.output, &answer, &[("at", "at"), ("kind", "kind"), ("detail", "body")]);
        return Ok(Exit::Done);
    }
    connection.lines(&path, &mut |line| {
        if let Some(event) = line.strip_prefix("data:") {
            table::print(&format!("{}\n", event.trim()));
        }
        true
    })?;
    Ok(Exit::Done)
}

fn swap(options: &Swap) -> Result<Exit, Failure> {
    let mut probation = Map::new();
    if let Some(time) = &options.probation_time {
        probation.insert("time".to_owned(), json!(time));
    }
    if let Some(records) = options.probation_records {
        probation.insert("records".to_owned(), json!(records));
    }
    let mut body = json!({"version": options.version, "dry_run": options.dry_run, "force": options.force});
    if !probation.is_empty() {
        body["rules"] = json!({"probation": probation});
    }
    let connection = options.server.connect()?;
    let path = format!("/v1/pipelines/{}/operators/{}/swap", options.pipeline, options.operator);
    let answer = connection.post(&path, &body)?;
    if options.dry_run {
        table::json(&answer);
        return Ok(Exit::Done);
    }
    ended(options, &connection, answer)
}

fn rollback(options: &Named) -> Result<Exit, Failure> {
    let path = format!("/v1/pipelines/{}/rollback", options.pipeline);
    let answer = options.server.connect()?.post(&path, &json!({}))?;
    told(&options.server, &answer, &format!("{}: going back", options.pipeline));
    Ok(Exit::Done)
}

/// Waits for the end of a swap, and says each step.
fn ended(options: &Swap, connection: &Connection, mut swap: Value) -> Result<Exit, Failure> {
    let path =
        format!("/v1/pipelines/{}/swaps/{}", options.pipeline, swap["id"].as_str().unwrap_or_default());
    let mut last = String::new();
    loop {
        let state = swap["state"].as_str().unwrap_or_default().to_owned();
        if state != last && options.server.output == super::connection::OutputFormat::Table {
            table::print(&format!("{state}\n"));
        }
        last.clone_from(&state);
        let over = !matches!(state.as_str(), "preparing" | "prepared" | "probation");
        if over || options.no_wait {
            if options.server.output == super::connection::OutputFormat::Json {
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
