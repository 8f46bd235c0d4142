//! `weir serve` as a child process, and a client that shares no code with it.

use super::guests::guest;
use super::job::Job;
use super::waiting::until;
use super::weir::Weir;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;
use ureq::Agent;
use ureq::http::Response;

/// How long one answer may take: a busy machine compiles a component meanwhile.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(80);

/// A server with its data directory.
pub struct Server {
    /// The process.
    pub weir: Weir,
    address: String,
    token: String,
    data_dir: PathBuf,
    agent: Agent,
}

/// What the server answered.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body; null where there is none or it is no JSON.
    pub body: Value,
}

impl Answer {
    /// The body of an answer that is as expected.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }
}

impl Server {
    /// Starts it on a free port of this machine.
    pub fn start(data_dir: &Path, log: &Path, environment: &[(&str, &str)]) -> Server {
        let data = data_dir.display().to_string();
        let arguments = ["serve", "--listen", "127.0.0.1:0", "--data-dir", &data];
        Server::of(Weir::start(&arguments, environment, log), data_dir)
    }

    /// A server that was started, with its data directory as this process sees it.
    pub fn of(mut weir: Weir, data_dir: &Path) -> Server {
        let address = until("the server to listen", || {
            assert!(!weir.has_ended(), "the server has ended:\n{}", weir.log());
            let log = weir.log();
            let found = log.lines().find_map(|line| line.strip_prefix("listening on "));
            found.map(|address| address.trim_start_matches("http://").to_owned())
        });
        let token = std::fs::read_to_string(data_dir.join("admin.token")).expect("the admin's token");
        let config =
            Agent::config_builder().http_status_as_error(false).timeout_global(Some(ANSWER_TIMEOUT)).build();
        Server {
            weir,
            address,
            token: token.trim().to_owned(),
            data_dir: data_dir.to_owned(),
            agent: config.into(),
        }
    }

    /// The same data directory in another process, after this one is gone.
    pub fn again(&self, log: &Path, environment: &[(&str, &str)]) -> Server {
        Server::start(&self.data_dir, log, environment)
    }

    /// A path in the data directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.data_dir.join(name)
    }

    /// `host:port`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The admin's token.
    pub fn token(&self) -> &str {
        &self.token
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.token)
    }

    fn read(answer: Result<Response<ureq::Body>, ureq::Error>) -> Result<Answer, ureq::Error> {
        let mut answer = answer?;
        let status = answer.status().as_u16();
        let text = answer.body_mut().read_to_string()?;
        Ok(Answer { status, body: serde_json::from_str(&text).unwrap_or(Value::Null) })
    }

    /// DELETE of something that is there.
    #[track_caller]
    pub fn delete(&self, path: &str) {
        let request = self.agent.delete(self.url(path)).header("authorization", self.bearer());
        let answer = Server::read(request.call()).expect("an answer");
        assert!((200..300).contains(&answer.status), "{answer:?}");
    }

    /// GET, or nothing where the server does not answer: it may have been killed.
    pub fn try_get(&self, path: &str) -> Option<Answer> {
        let request = self.agent.get(self.url(path)).header("authorization", self.bearer());
        Server::read(request.call()).ok()
    }

    pub fn get(&self, path: &str) -> Answer {
        self.try_get(path).unwrap_or_else(|| panic!("GET {path}: no answer; {}", self.weir.log()))
    }

    /// POST, or nothing where the server does not answer.
    pub fn try_post(&self, path: &str, body: &Value) -> Option<Answer> {
        let request = self.agent.post(self.url(path)).header("authorization", self.bearer());
        let request = request.header("content-type", "application/json");
        Server::read(request.send(body.to_string())).ok()
    }

    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.try_post(path, body).unwrap_or_else(|| panic!("POST {path}: no answer; {}", self.weir.log()))
    }

    /// Uploads bytes.
    pub fn upload_bytes(&self, operator: &str, bytes: &[u8]) -> Answer {
        let path = format!("/v1/operators/{operator}/versions");
        let request = self.agent.post(self.url(&path)).header("authorization", self.bearer());
        let request = request.header("content-type", "application/wasm");
        Server::read(request.send(bytes)).unwrap_or_else(|error| panic!("POST {path}: {error}"))
    }

    /// Uploads a guest as a version of an operator, and returns `name@version`.
    pub fn upload(&self, operator: &str, built: &str) -> String {
        let bytes = std::fs::read(guest(built)).expect("a built guest");
        let answer = self.upload_bytes(operator, &bytes);
        assert!([200, 201].contains(&answer.status), "{built}: {answer:?}");
        format!("{operator}@{}", answer.body["version"])
    }

    /// Puts the pipeline of a job, its components uploaded, and applies it.
    pub fn deploy(&self, job: &Job) {
        self.put(&job.name, &self.with_versions(&job.text));
        self.apply(&job.name);
    }

    /// The text of a pipeline file with each path of a guest replaced by an uploaded version.
    pub fn with_versions(&self, text: &str) -> String {
        let line = |line: &str| {
            let Some(path) = line.strip_prefix("component = \"").and_then(|rest| rest.strip_suffix('"'))
            else {
                return line.to_owned();
            };
            let built = Path::new(path).file_stem().expect("a file").to_string_lossy().into_owned();
            let version = self.upload(&built.replace('_', "-"), &built);
            format!("component = \"{version}\"")
        };
        text.lines().map(|text| line(text) + "\n").collect()
    }

    pub fn put(&self, pipeline: &str, toml: &str) -> Value {
        let path = format!("/v1/pipelines/{pipeline}");
        let request = self.agent.put(self.url(&path)).header("authorization", self.bearer());
        let request = request.header("content-type", "application/toml");
        let answer = Server::read(request.send(toml)).expect("an answer");
        assert!((200..300).contains(&answer.status), "{answer:?}");
        answer.body
    }

    /// Plans what was put, and applies the plan.
    pub fn apply(&self, pipeline: &str) -> Value {
        let plan = self.post(&format!("/v1/pipelines/{pipeline}/plan"), &json!({})).expect(200);
        let apply = json!({"hash": plan["hash"]});
        let answer = self.post(&format!("/v1/pipelines/{pipeline}/apply"), &apply);
        assert!((200..300).contains(&answer.status), "{plan} {answer:?}");
        answer.body
    }

    /// What the pipeline is doing.
    pub fn status(&self, pipeline: &str) -> Value {
        self.get(&format!("/v1/pipelines/{pipeline}/status")).expect(200)
    }

    /// Begins a swap to a version, and returns its id.
    #[track_caller]
    pub fn swap(&self, pipeline: &str, operator: &str, version: &str, more: &Value) -> String {
        let answer = self.try_swap(pipeline, operator, version, more);
        let body = answer.expect(202);
        body["id"].as_str().unwrap_or_else(|| panic!("{body}")).to_owned()
    }

    pub fn try_swap(&self, pipeline: &str, operator: &str, version: &str, more: &Value) -> Answer {
        let mut body = more.clone();
        body["version"] = json!(version);
        self.post(&format!("/v1/pipelines/{pipeline}/operators/{operator}/swap"), &body)
    }

    /// Waits until a swap has come to its end.
    pub fn await_swap(&self, pipeline: &str, id: &str) -> Value {
        const ENDS: [&str; 6] =
            ["completed", "rolled_back", "interrupted", "cancelled", "failed", "abandoned"];
        until(&format!("the end of swap {id}"), || {
            let swap = self.try_get(&format!("/v1/pipelines/{pipeline}/swaps/{id}"))?.expect(200);
            ENDS.iter().any(|end| swap["state"] == *end).then_some(swap)
        })
    }
}
