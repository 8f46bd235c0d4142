//! `weir pipeline …` and `weir apply`: pipelines of a server.

use super::connection::{Connection, ServerOptions};
use super::{status, swaps, table};
use crate::commands::validate;
use crate::failure::{Exit, Failure};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

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
    Status(status::Options),
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
    Swap(swaps::Swap),
    /// Go back to the version before, with the state as it is
    Rollback(swaps::Rollback),
}

/// A pipeline file.
#[derive(Debug, clap::Args)]
pub struct File {
    /// The pipeline file; its components are name@version
    file: PathBuf,
    /// Let the server make every check of a start as well; nobody is fenced
    #[arg(long)]
    online: bool,
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
    /// With --from-savepoint: also where the pipeline has started from this savepoint before
    #[arg(long, requires = "from_savepoint")]
    again: bool,
    /// Start a pipeline again that has come to its end
    #[arg(long)]
    restart_finished: bool,
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

/// Carries a command out.
pub fn run(command: &PipelineCommand) -> Result<Exit, Failure> {
    match command {
        PipelineCommand::Plan(options) => plan(options),
        PipelineCommand::Apply(options) => apply(options),
        PipelineCommand::List(options) => list(options),
        PipelineCommand::Status(options) => status::run(options),
        PipelineCommand::Start(options) => start(options),
        PipelineCommand::Stop(options) => act(options, "stop"),
        PipelineCommand::Restart(options) => act(options, "restart"),
        PipelineCommand::Delete(options) => delete(options),
        PipelineCommand::Events(options) => events(options),
        PipelineCommand::Swap(options) => swaps::swap(options),
        PipelineCommand::Rollback(options) => swaps::rollback(options),
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

fn put_and_plan(connection: &Connection, file: &Path, online: bool) -> Result<(String, Value), Failure> {
    let (name, text) = read(file)?;
    let path = format!("/v1/pipelines/{name}");
    connection.put(&path, "application/toml", &text)?;
    let query = if online { "?online=true" } else { "" };
    let plan = connection.post(&format!("{path}/plan{query}"), &json!({}))?;
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
    for one in plan["online"].as_array().into_iter().flatten() {
        let text = |key: &str| one[key].as_str().unwrap_or_default().to_owned();
        let outcome = text("outcome");
        let outcome = if matches!(outcome.as_str(), "failed" | "refused") { "FAILED" } else { &outcome };
        table::print(&format!("  {outcome:<8} {}: {}\n", text("check"), text("message")));
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
    let (_, plan) = put_and_plan(&options.server.connect()?, &options.file, options.online)?;
    match options.server.output {
        super::connection::OutputFormat::Json => table::json(&plan),
        super::connection::OutputFormat::Table => show_plan(&plan),
    }
    let checks = || plan["online"].as_array().into_iter().flatten();
    let bad = |outcome: &str| checks().filter(|one| one["outcome"] == outcome).count();
    Ok(validate::exit_of(bad("failed"), bad("refused")))
}

/// `weir apply`: plans, shows the plan, and applies just that plan.
pub fn apply(options: &Apply) -> Result<Exit, Failure> {
    let connection = options.server.connect()?;
    let file = options.file.as_ref().or(options.named_file.as_ref());
    let file = file.ok_or_else(|| Failure::configuration("name a pipeline file"))?;
    let (name, plan) = put_and_plan(&connection, file, false)?;
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

/// Pipelines in a list.
const PIPELINE: &[table::Column] =
    &[("name", "name"), ("desired", "desired"), ("revision", "applied_revision"), ("changed", "changed_at")];

fn list(options: &Listed) -> Result<Exit, Failure> {
    let answer = options.server.connect()?.get("/v1/pipelines?limit=1000")?;
    table::list(options.server.output, &answer, PIPELINE);
    Ok(Exit::Done)
}

fn start(options: &Start) -> Result<Exit, Failure> {
    let mut body = Map::new();
    if let Some(savepoint) = &options.from_savepoint {
        body.insert("from_savepoint".to_owned(), json!(savepoint));
        body.insert("replay_output".to_owned(), json!(options.replay_output));
        body.insert("again".to_owned(), json!(options.again));
    }
    body.insert("restart_finished".to_owned(), json!(options.restart_finished));
    let path = format!("/v1/pipelines/{}/start", options.pipeline);
    let answer = options.server.connect()?.post(&path, &Value::Object(body))?;
    told(&options.server, &answer, &format!("{}: starting", options.pipeline));
    Ok(Exit::Done)
}

fn act(options: &Named, what: &str) -> Result<Exit, Failure> {
    let path = format!("/v1/pipelines/{}/{what}", options.pipeline);
    let answer = options.server.connect()?.post(&path, &json!({}))?;
    let name = &options.pipeline;
    let line = match answer["applied_revision"].is_null() {
        true => format!("{name} was never applied: there is nothing to {what}"),
        false => format!("{name}: {what} is under way"),
    };
    told(&options.server, &answer, &line);
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
