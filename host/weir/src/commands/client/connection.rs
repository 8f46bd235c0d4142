//! Which server, which token, and requests to it.

use super::hints;
use crate::failure::{Exit, Failure};
use serde::Deserialize;
use serde_json::Value;
use std::io::{IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;
use ureq::config::ConfigBuilder;
use ureq::http::Response;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::typestate::AgentScope;
use ureq::{Agent, Body, SendBody};

/// The server unless one is named.
const DEFAULT_SERVER: &str = "http://127.0.0.1:8380";
/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an answer may take: compiling a large component takes a while.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(300);

/// Which server, and who asks.
#[derive(Debug, Clone, clap::Args)]
pub struct ServerOptions {
    /// The server; a file may name it: ~/.config/weir/config.toml with the keys server, token_file, ca_cert
    #[arg(long, env = "WEIR_SERVER", hide_env_values = true, value_name = "URL", global = true)]
    server: Option<String>,
    /// A file that holds the token and nothing else
    #[arg(long, env = "WEIR_TOKEN_FILE", hide_env_values = true, value_name = "FILE", global = true)]
    token_file: Option<PathBuf>,
    /// The certificate of a server that no public authority vouches for, a PEM file
    #[arg(long, env = "WEIR_CA_CERT", hide_env_values = true, value_name = "FILE", global = true)]
    ca_cert: Option<PathBuf>,
    /// How answers are shown
    #[arg(short, long, value_enum, default_value_t = OutputFormat::Table, value_name = "FORMAT", global = true)]
    pub output: OutputFormat,
}

/// How answers are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum OutputFormat {
    /// For people.
    Table,
    /// For programs: what the server answered.
    Json,
}

/// `~/.config/weir/config.toml`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigFile {
    server: Option<String>,
    token_file: Option<PathBuf>,
    ca_cert: Option<PathBuf>,
}

/// A server that is asked.
pub struct Connection {
    server: String,
    token: Option<String>,
    agent: Agent,
}

impl ServerOptions {
    /// True where a server is named here, and not only in the configuration file.
    pub fn is_named(&self) -> bool {
        self.server.is_some()
    }

    /// Finds out who is asked, and by whom. The token itself may also be in the variable WEIR_TOKEN: an argument could
    /// be read by others on this machine.
    pub fn connect(&self) -> Result<Connection, Failure> {
        let config = config_file()?;
        let server = self.server.clone().or(config.server).unwrap_or_else(|| DEFAULT_SERVER.to_owned());
        if !server.starts_with("http://") && !server.starts_with("https://") {
            return Err(Failure::configuration(format!(
                "--server {server}: expected http://HOST:PORT or https://HOST:PORT"
            )));
        }
        let token_file = self.token_file.clone().or(config.token_file);
        let token = match (token_file, std::env::var("WEIR_TOKEN")) {
            (Some(file), _) => Some(read(&file)?.trim().to_owned()),
            (None, Ok(token)) => Some(token),
            (None, Err(_)) => None,
        };
        let mut agent = agent();
        if let Some(file) = self.ca_cert.clone().or(config.ca_cert) {
            let pem = read(&file)?;
            let certificate = Certificate::from_pem(pem.as_bytes())
                .map_err(|error| Failure::configuration(format!("{}: {error}", file.display())))?;
            let roots = RootCerts::new_with_certs(&[certificate]);
            agent = agent.tls_config(TlsConfig::builder().root_certs(roots).build());
        }
        let server = server.trim_end_matches('/').to_owned();
        Ok(Connection { server, token, agent: agent.build().into() })
    }
}

fn agent() -> ConfigBuilder<AgentScope> {
    Agent::config_builder()
        .http_status_as_error(false)
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .timeout_recv_response(Some(ANSWER_TIMEOUT))
}

fn read(file: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(file)
        .map_err(|error| Failure::configuration(format!("{} cannot be read: {error}", file.display())))
}

fn config_file() -> Result<ConfigFile, Failure> {
    let home = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from);
    let home = home.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".config")));
    let Some(file) = home.map(|home| home.join("weir/config.toml")) else { return Ok(ConfigFile::default()) };
    if !file.exists() {
        return Ok(ConfigFile::default());
    }
    toml::from_str(&read(&file)?)
        .map_err(|error| Failure::configuration(format!("{}: {error}", file.display())))
}

impl Connection {
    /// To this server with this token, whatever surroundings and files say.
    pub fn to(server: String, token: String) -> Connection {
        Connection { server, token: Some(token), agent: agent().build().into() }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.server)
    }

    fn bearer(&self) -> String {
        self.token.as_ref().map_or_else(String::new, |token| format!("Bearer {token}"))
    }

    /// GET.
    pub fn get(&self, path: &str) -> Result<Value, Failure> {
        self.answer(self.agent.get(self.url(path)).header("authorization", self.bearer()).call())
    }

    /// GET, line by line as the lines come, until `line` returns false or the server ends.
    pub fn lines(&self, path: &str, line: &mut dyn FnMut(&str) -> bool) -> Result<(), Failure> {
        let request = self.agent.get(self.url(path)).header("authorization", self.bearer());
        let request = request.header("accept", "text/event-stream");
        let answer = request.call().map_err(|error| self.unreachable(&error))?;
        if !answer.status().is_success() {
            return self.answer(Ok(answer)).map(|_| ());
        }
        let reader = std::io::BufReader::new(answer.into_body().into_reader());
        for read in std::io::BufRead::lines(reader) {
            let read = read.map_err(|error| Failure::failed(format!("{}: {error}", self.server)))?;
            if !line(&read) {
                break;
            }
        }
        Ok(())
    }

    /// POST with a JSON body.
    pub fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        let request = self.agent.post(self.url(path)).header("authorization", self.bearer());
        self.answer(request.header("content-type", "application/json").send(body.to_string()))
    }

    /// PUT of a text.
    pub fn put(&self, path: &str, content_type: &str, body: &str) -> Result<Value, Failure> {
        let request = self.agent.put(self.url(path)).header("authorization", self.bearer());
        self.answer(request.header("content-type", content_type).send(body))
    }

    /// DELETE.
    pub fn delete(&self, path: &str) -> Result<Value, Failure> {
        self.answer(self.agent.delete(self.url(path)).header("authorization", self.bearer()).call())
    }

    /// GET of bytes into a file, which must not exist; it has its name only when it is complete.
    pub fn download(&self, path: &str, to: &Path) -> Result<(), Failure> {
        if to.exists() {
            return Err(Failure::failed(format!("{} exists already", to.display())));
        }
        let answer = self.agent.get(self.url(path)).header("authorization", self.bearer()).call();
        let answer = answer.map_err(|error| self.unreachable(&error))?;
        if !answer.status().is_success() {
            return self.answer(Ok(answer)).map(|_| ());
        }
        let mut temporary = to.to_owned().into_os_string();
        temporary.push(".tmp");
        let temporary = PathBuf::from(temporary);
        let written = std::fs::File::create(&temporary).and_then(|mut file| {
            std::io::copy(&mut answer.into_body().into_reader(), &mut file)?;
            file.sync_all()?;
            std::fs::rename(&temporary, to)
        });
        written.map_err(|error| {
            // What was written so far is of no use.
            let _ = std::fs::remove_file(&temporary);
            Failure::failed(format!("{} cannot be written: {error}", to.display()))
        })
    }

    /// POST of bytes, with a bar on a terminal.
    pub fn upload(&self, path: &str, bytes: &[u8]) -> Result<Value, Failure> {
        let request = self.agent.post(self.url(path)).header("authorization", self.bearer());
        let request = request.header("content-type", "application/wasm");
        let request = request.header("content-length", bytes.len().to_string());
        let mut body = Shown { bytes, sent: 0, live: std::io::stderr().is_terminal() };
        let answer = request.send(SendBody::from_reader(&mut body));
        body.end();
        self.answer(answer)
    }

    fn unreachable(&self, error: &ureq::Error) -> Failure {
        Failure::failed(format!(
            "{} does not answer: {error}; is `weir serve` running there? --server or WEIR_SERVER names another",
            self.server
        ))
    }

    fn answer(&self, answer: Result<Response<Body>, ureq::Error>) -> Result<Value, Failure> {
        let mut answer = answer.map_err(|error| self.unreachable(&error))?;
        let status = answer.status();
        let text = answer.body_mut().read_to_string().map_err(|error| self.unreachable(&error))?;
        let body: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
        if status.is_success() {
            return Ok(body);
        }
        Err(refused(status.as_u16(), &body, &self.server))
    }
}

/// The one shape of errors, for people.
fn refused(status: u16, body: &Value, server: &str) -> Failure {
    let text = |key: &str| body[key].as_str().map(str::to_owned);
    let Some(message) = text("message") else {
        return Failure::failed(format!("{server} answered with status {status}; is it a weir?"));
    };
    let mut details: Vec<String> = match &body["details"] {
        Value::Null => Vec::new(),
        Value::Object(details) => {
            let problems = details.get("problems").and_then(Value::as_array);
            let lines = problems.into_iter().flatten().map(line_of);
            lines.collect()
        }
        Value::Array(lines) => lines.iter().map(line_of).collect(),
        other => vec![line_of(other)],
    };
    details.retain(|line| !line.is_empty());
    let hint = text("hint").map_or_else(String::new, |hint| format!("; {}", hints::with_commands(&hint)));
    let code = text("code").unwrap_or_default();
    let hint = match status {
        401 => {
            format!("{hint}; set WEIR_TOKEN or --token-file (the first admin's is in DATA_DIR/admin.token)")
        }
        _ => hint,
    };
    let exit = if status == 400 || status == 422 { Exit::Configuration } else { Exit::Failed };
    Failure { details, ..Failure::new(exit, format!("{message}{hint} ({code})")) }
}

fn line_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Bytes that are being sent, and how many of them already.
struct Shown<'a> {
    bytes: &'a [u8],
    sent: usize,
    live: bool,
}

impl Shown<'_> {
    fn end(&self) {
        if self.live {
            // A closed terminal is no reason to fail.
            let _ = std::io::stderr().write_all(b"\r\x1b[K");
        }
    }
}

impl Read for Shown<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let rest = &self.bytes[self.sent..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.sent += count;
        if self.live {
            let share = self.sent * 100 / self.bytes.len().max(1);
            let bar = "#".repeat(share / 4);
            let _ = write!(std::io::stderr(), "\r[{bar:<25}] {share:>3} % of {} KiB", self.bytes.len() >> 10);
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_error_is_told_with_its_code_hint_and_problems() {
        let body = json!({"code": "invalid_pipeline", "message": "no", "hint": "do", "details": {"problems": ["a", "b"]}});
        let failure = refused(422, &body, "http://x");
        assert_eq!((failure.message.as_str(), failure.details.len()), ("no; do (invalid_pipeline)", 2));
        assert!(refused(502, &Value::Null, "http://x").message.contains("is it a weir?"));
    }
}
