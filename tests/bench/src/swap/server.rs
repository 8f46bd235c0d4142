//! `weir serve` as a measured process, and a client of its HTTP interface.

use super::arguments::Arguments;
use super::clock::{self, UnixMs};
use crate::failure::Failure;
use crate::process::MeasuredProcess;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};
use ureq::Agent;
use ureq::http::Response;

/// How long one answer may take: a large component is compiled meanwhile on a busy machine.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(300);
/// How long the longest wait may be.
const WAIT_MAX: Duration = Duration::from_secs(600);
/// How often what is waited for is looked at.
const LOOK_PAUSE: Duration = Duration::from_millis(50);
/// Events of one page.
const EVENTS_PAGE: usize = 1000;
/// What the line on standard output begins with.
const LISTENING: &str = "listening on ";

/// A server.
pub struct Server {
    /// The process.
    pub process: MeasuredProcess,
    /// Where it logs.
    pub log: PathBuf,
    /// Its data directory.
    pub data: PathBuf,
    address: String,
    token: String,
    agent: Agent,
}

/// Something that happened to a pipeline.
#[derive(Debug, Clone)]
pub struct Event {
    /// Its number.
    pub seq: i64,
    /// When.
    pub at: UnixMs,
    /// What.
    pub kind: String,
    /// More of it.
    pub body: Value,
}

impl Server {
    /// Starts it in a folder, on a free port.
    pub fn start(arguments: &Arguments, folder: &Path) -> Result<Server, Failure> {
        let (data, log) = (folder.join("data"), folder.join("log"));
        fs::create_dir_all(folder).map_err(Failure::of(folder.display()))?;
        let mut command = Command::new(&arguments.weir);
        command.args(["serve", "--listen", "127.0.0.1:0", "--log-format", "json", "--data-dir"]).arg(&data);
        command.args(["--state-memory-max", &arguments.memory_bytes.to_string()]);
        // One line per decided checkpoint.
        command.env("RUST_LOG", "info,weir_runtime::coordinator::deciding=debug");
        let mut process = MeasuredProcess::start(&mut command, &log)?;
        let address = wait("the server to listen", || {
            if process.ended().is_some() {
                return Err(process.failure("the server has ended"));
            }
            let said = fs::read_to_string(&log).unwrap_or_default();
            Ok(said.lines().find_map(|line| line.strip_prefix(LISTENING)).map(str::to_owned))
        })?;
        let file = data.join("admin.token");
        let token = fs::read_to_string(&file).map_err(Failure::of(file.display()))?;
        let config =
            Agent::config_builder().http_status_as_error(false).timeout_global(Some(ANSWER_TIMEOUT)).build();
        let address = format!("http://{}", address.trim_start_matches("http://"));
        let agent = config.into();
        Ok(Server { process, log, data, address, token: format!("Bearer {}", token.trim()), agent })
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.address)
    }

    /// GET.
    pub fn get(&self, path: &str) -> Result<Value, Failure> {
        answer(path, self.agent.get(self.url(path)).header("authorization", &self.token).call())
    }

    /// POST of JSON.
    pub fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        let request = self.agent.post(self.url(path)).header("authorization", &self.token);
        answer(path, request.header("content-type", "application/json").send(body.to_string()))
    }

    /// Uploads a component; returns `name@version`.
    pub fn upload(&self, operator: &str, bytes: &[u8]) -> Result<String, Failure> {
        let path = format!("/v1/operators/{operator}/versions");
        let request = self.agent.post(self.url(&path)).header("authorization", &self.token);
        let body = answer(&path, request.header("content-type", "application/wasm").send(bytes))?;
        Ok(format!("{operator}@{}", body["version"]))
    }

    /// Puts a document, and applies what is planned for it.
    pub fn apply(&self, pipeline: &str, toml: &str) -> Result<(), Failure> {
        let path = format!("/v1/pipelines/{pipeline}");
        let request = self.agent.put(self.url(&path)).header("authorization", &self.token);
        answer(&path, request.header("content-type", "application/toml").send(toml))?;
        let plan = self.post(&format!("{path}/plan"), &json!({}))?;
        self.post(&format!("{path}/apply"), &json!({ "hash": plan["hash"] })).map(drop)
    }

    /// How a pipeline goes.
    pub fn status(&self, pipeline: &str) -> Result<Value, Failure> {
        self.get(&format!("/v1/pipelines/{pipeline}/status"))
    }

    /// Waits until a pipeline is what it is said to be.
    pub fn await_actual(&self, pipeline: &str, actual: &str) -> Result<(), Failure> {
        wait(&format!("{pipeline} to be {actual}"), || {
            let status = self.status(pipeline)?;
            match status["actual"].as_str() {
                Some("failed") => Err(Failure::new(format!("{pipeline} has failed: {}", status["cause"]))),
                found => Ok((found == Some(actual)).then_some(())),
            }
        })
    }

    /// The events of a pipeline behind a number.
    pub fn events(&self, pipeline: &str, mut after: i64) -> Result<Vec<Event>, Failure> {
        let mut events = Vec::new();
        loop {
            let path = format!("/v1/pipelines/{pipeline}/events?limit={EVENTS_PAGE}&after={after}");
            let page = self.get(&path)?;
            let items = page["items"].as_array().map(Vec::as_slice).unwrap_or_default();
            events.extend(items.iter().filter_map(event));
            match events.last() {
                Some(last) if items.len() == EVENTS_PAGE => after = last.seq,
                _ => return Ok(events),
            }
        }
    }

    /// The number of a pipeline's last event.
    pub fn last_event(&self, pipeline: &str) -> Result<i64, Failure> {
        Ok(self.events(pipeline, 0)?.last().map_or(0, |event| event.seq))
    }

    /// Waits for an event of a kind behind a number.
    pub fn await_event(&self, pipeline: &str, after: i64, kind: &str) -> Result<Event, Failure> {
        self.await_event_of(pipeline, after, &[kind])
    }

    /// The same for the first of several kinds.
    pub fn await_event_of(&self, pipeline: &str, after: i64, kinds: &[&str]) -> Result<Event, Failure> {
        wait(&format!("{kinds:?} of {pipeline}"), || {
            let mut events = self.events(pipeline, after)?.into_iter();
            Ok(events.find(|event| kinds.contains(&event.kind.as_str())))
        })
    }
}

fn event(item: &Value) -> Option<Event> {
    Some(Event {
        seq: item["seq"].as_i64()?,
        at: clock::read(item["at"].as_str()?)?,
        kind: item["kind"].as_str()?.to_owned(),
        body: item["body"].clone(),
    })
}

fn answer(path: &str, answer: Result<Response<ureq::Body>, ureq::Error>) -> Result<Value, Failure> {
    let mut answer = answer.map_err(Failure::of(path))?;
    let text = answer.body_mut().read_to_string().map_err(Failure::of(path))?;
    if !answer.status().is_success() {
        return Err(Failure::new(format!("{path}: {} {text}", answer.status())));
    }
    Ok(serde_json::from_str(&text).unwrap_or(Value::Null))
}

/// Waits until something is there.
pub fn wait<T>(what: &str, mut look: impl FnMut() -> Result<Option<T>, Failure>) -> Result<T, Failure> {
    let begun = Instant::now();
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        if begun.elapsed() > WAIT_MAX {
            return Err(Failure::new(format!("waited {WAIT_MAX:?} for {what}")));
        }
        thread::sleep(LOOK_PAUSE);
    }
}
