//! A service on a port of its own, and a client.

use crate::fake_host::FakeHost;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use ureq::http::{Request, Response};
use weir_control::{Options, Service, ServiceError};

/// How long a condition may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A service that runs.
pub struct Server {
    pub host: Arc<FakeHost>,
    pub address: SocketAddr,
    pub token: String,
    directory: Arc<TempDir>,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<Result<(), ServiceError>>>,
    agent: ureq::Agent,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: ureq::http::HeaderMap,
    pub bytes: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.bytes)))
    }

    /// The answer has this status.
    #[track_caller]
    pub fn is(self, status: u16) -> Answer {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.bytes));
        self
    }

    /// The answer is this problem, in the one shape.
    #[track_caller]
    pub fn refused(self, status: u16, code: &str) -> Value {
        let answer = self.is(status);
        let problem = answer.json();
        assert_eq!(problem["code"], code, "{problem}");
        assert!(!problem["message"].as_str().unwrap().is_empty());
        assert_eq!(problem["request_id"].as_str().unwrap(), answer.headers["x-request-id"].to_str().unwrap());
        problem
    }
}

impl Server {
    pub fn start() -> Server {
        Server::start_with(|_| {})
    }

    pub fn start_with(change: impl FnOnce(&mut Options)) -> Server {
        let directory = Arc::new(tempfile::tempdir().unwrap());
        Server::open(directory, Arc::new(FakeHost::default()), change)
    }

    /// One that speaks TLS, to which only a client of the test's own can speak.
    pub fn start_tls(files: weir_control::TlsFiles) -> Server {
        Server::start_with(|options| options.tls = Some(files))
    }

    pub fn open(directory: Arc<TempDir>, host: Arc<FakeHost>, change: impl FnOnce(&mut Options)) -> Server {
        let (server, is_tls) = Server::open_unready(directory, host, change);
        // The client of this file speaks plain HTTP only.
        if !is_tls {
            server.wait_until_ready();
        }
        server
    }

    pub fn wait_until_ready(&self) {
        self.wait("ready", || (self.send("GET", "/readyz", &[], b"").status == 200).then_some(()));
    }

    fn open_unready(
        directory: Arc<TempDir>,
        host: Arc<FakeHost>,
        change: impl FnOnce(&mut Options),
    ) -> (Server, bool) {
        let mut options = Options::new(directory.path().to_owned());
        options.listen = SocketAddr::from(([127, 0, 0, 1], 0));
        change(&mut options);
        let is_tls = options.tls.is_some();
        let service = Service::bind(options, host.clone()).unwrap();
        let address = service.address();
        let token = std::fs::read_to_string(directory.path().join("admin.token")).unwrap().trim().to_owned();
        let (stop, stopped) = channel();
        let thread = std::thread::spawn(move || service.run(stopped));
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE))
            .build()
            .new_agent();
        let (stop, thread) = (Some(stop), Some(thread));
        (Server { host, address, token, directory, stop, thread, agent }, is_tls)
    }

    /// Ends the service and opens it again with what is on disk.
    pub fn reopened(mut self) -> Server {
        self.close();
        let fresh = Arc::new(FakeHost::default());
        *fresh.candidate_is_decided.lock().unwrap() = *self.host.candidate_is_decided.lock().unwrap();
        Server::open(self.directory.clone(), fresh, |_| {})
    }

    /// As [`Server::reopened`], after a change of what is on disk; pipelines need not be started yet.
    pub fn reopened_unready(mut self, change: impl FnOnce(&Server)) -> Server {
        self.close();
        change(&self);
        Server::open_unready(self.directory.clone(), Arc::new(FakeHost::default()), |_| {}).0
    }

    /// The store as other programs see it.
    pub fn database(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.path("control.sqlite")).unwrap()
    }

    fn close(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap().unwrap();
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut request = Request::builder().method(method).uri(format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let config = |request| self.agent.configure_request(request).allow_non_standard_methods(true).build();
        let sent = match body.is_empty() && matches!(method, "GET" | "HEAD" | "DELETE") {
            true => self.agent.run(config(request.body(ureq::SendBody::none()).unwrap())),
            false => self.agent.run(config(
                request.body(ureq::SendBody::from_owned_reader(std::io::Cursor::new(body.to_vec()))).unwrap(),
            )),
        };
        let mut response: Response<ureq::Body> = sent.unwrap();
        let bytes = response.body_mut().with_config().limit(1 << 27).read_to_vec().unwrap();
        Answer { status: response.status().as_u16(), headers: response.headers().clone(), bytes }
    }

    pub fn as_token(&self, token: &str, method: &str, path: &str, body: &[u8]) -> Answer {
        let bearer = format!("Bearer {token}");
        let content = if body.is_empty() { "text/plain" } else { "application/json" };
        self.send(method, path, &[("authorization", &bearer), ("content-type", content)], body)
    }

    pub fn get(&self, path: &str) -> Answer {
        self.as_token(&self.token, "GET", path, b"")
    }

    pub fn delete(&self, path: &str) -> Answer {
        self.as_token(&self.token, "DELETE", path, b"")
    }

    pub fn post(&self, path: &str, body: Value) -> Answer {
        self.as_token(&self.token, "POST", path, body.to_string().as_bytes())
    }

    pub fn push(&self, name: &str, bytes: &[u8]) -> Answer {
        self.as_token(&self.token, "POST", &format!("/v1/operators/{name}/versions"), bytes)
    }

    pub fn put(&self, name: &str, toml: &str) -> Answer {
        self.put_if(name, toml, None)
    }

    pub fn put_if(&self, name: &str, toml: &str, etag: Option<&str>) -> Answer {
        let bearer = format!("Bearer {}", self.token);
        let mut headers = vec![("authorization", bearer.as_str()), ("content-type", "application/toml")];
        headers.extend(etag.map(|etag| ("if-match", etag)));
        self.send("PUT", &format!("/v1/pipelines/{name}"), &headers, toml.as_bytes())
    }

    /// Plans and applies the draft.
    pub fn apply(&self, name: &str) -> Answer {
        let plan = self.post(&format!("/v1/pipelines/{name}/plan"), json!({})).is(200).json();
        self.post(&format!("/v1/pipelines/{name}/apply"), json!({ "hash": plan["hash"] }))
    }

    /// Three versions of `count`, and a pipeline `orders` that runs the first.
    pub fn with_orders() -> Server {
        let server = Server::start();
        for bytes in [&b"one"[..], b"two", b"three"] {
            server.push("count", bytes).is(201);
        }
        server.put("orders", &orders("count@1")).is(201);
        server.apply("orders").is(202);
        server.wait_for_status("orders", "running");
        server
    }

    pub fn wait<T>(&self, what: &str, condition: impl Fn() -> Option<T>) -> T {
        let started = Instant::now();
        loop {
            if let Some(value) = condition() {
                return value;
            }
            assert!(started.elapsed() < PATIENCE, "{what} did not come");
            std::thread::yield_now();
        }
    }

    pub fn wait_for_status(&self, name: &str, actual: &str) -> Value {
        self.wait(actual, || {
            let status = self.get(&format!("/v1/pipelines/{name}/status")).is(200).json();
            (status["actual"] == actual).then_some(status)
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.close();
        }
    }
}

/// A pipeline file.
pub fn orders(component: &str) -> String {
    format!(
        "name = \"orders\" # ours\n[source.in]\nkind = \"generator\"\n[operator.total]\ncomponent = \"{component}\"\n[sink.out]\nkind = \"blackhole\"\n"
    )
}
