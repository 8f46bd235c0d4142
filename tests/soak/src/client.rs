//! A client of `weir serve` that threads can share. No answer is an answer as well: the host may have been killed.

use crate::harness::server::{Answer, Server};
use serde_json::Value;
use std::time::Duration;
use ureq::Agent;
use ureq::http::Response;

/// How long one answer may take: a child process may look at a component for two minutes, behind others.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(300);

/// A server, as long as its process lives.
#[derive(Clone)]
pub struct Client {
    base: String,
    bearer: String,
    agent: Agent,
}

impl Client {
    /// A client of this process.
    pub fn of(server: &Server) -> Client {
        let config =
            Agent::config_builder().http_status_as_error(false).timeout_global(Some(ANSWER_TIMEOUT)).build();
        Client { base: server.url(""), bearer: format!("Bearer {}", server.token()), agent: config.into() }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// GET.
    pub fn get(&self, path: &str) -> Result<Answer, String> {
        read(self.agent.get(self.url(path)).header("authorization", &self.bearer).call())
    }

    /// POST with JSON.
    pub fn post(&self, path: &str, body: &Value) -> Result<Answer, String> {
        let request = self.agent.post(self.url(path)).header("authorization", &self.bearer);
        read(request.header("content-type", "application/json").send(body.to_string()))
    }

    /// DELETE.
    pub fn delete(&self, path: &str) -> Result<Answer, String> {
        read(self.agent.delete(self.url(path)).header("authorization", &self.bearer).call())
    }

    /// Uploads bytes as a version of an operator.
    pub fn upload(&self, operator: &str, bytes: &[u8]) -> Result<Answer, String> {
        let request = self.agent.post(self.url(&format!("/v1/operators/{operator}/versions")));
        let request = request.header("authorization", &self.bearer);
        read(request.header("content-type", "application/wasm").send(bytes))
    }
}

fn read(answer: Result<Response<ureq::Body>, ureq::Error>) -> Result<Answer, String> {
    let mut answer = answer.map_err(|error| error.to_string())?;
    let status = answer.status().as_u16();
    let text = answer.body_mut().read_to_string().map_err(|error| error.to_string())?;
    Ok(Answer { status, body: serde_json::from_str(&text).unwrap_or(Value::Null) })
}
