//! Dead letters of a server's pipeline, over HTTP.

use super::connection::{Connection, ServerOptions};
use super::table;
use crate::failure::{Exit, Failure};
use serde_json::{Value, json};
use std::path::Path;
use weir_protocol::connector::FailureKind;

/// Dead letters of one pipeline of a server.
pub struct Remote<'a> {
    server: &'a ServerOptions,
    connection: Connection,
    pipeline: String,
}

/// Which letters, as the server is asked for them.
pub struct Wanted<'a> {
    /// Of these operators.
    pub operators: &'a [String],
    /// That failed in these ways.
    pub kinds: &'a [FailureKind],
    /// Since when.
    pub since: Option<&'a str>,
}

const LETTER: &[table::Column] = &[
    ("topic", "topic"),
    ("partition", "partition"),
    ("offset", "offset"),
    ("operator", "operator"),
    ("kind", "kind"),
    ("attempt", "attempt"),
    ("message", "message"),
];

impl<'a> Remote<'a> {
    /// The server, where one is named: then the pipeline is named too, and is no file of this machine.
    pub fn of(server: &'a ServerOptions, pipeline: &Path) -> Result<Option<Remote<'a>>, Failure> {
        if !server.is_named() {
            return Ok(None);
        }
        let pipeline = pipeline.display().to_string();
        if pipeline.contains(['/', '.']) {
            return Err(Failure::configuration(format!(
                "a server is named (--server or WEIR_SERVER), and {pipeline} is a file: name the server's pipeline, or no server"
            )));
        }
        Ok(Some(Remote { server, connection: server.connect()?, pipeline }))
    }

    /// Shows letters; with `records` as JSON lines.
    pub fn list(&self, wanted: &Wanted<'_>, all: bool, records: bool, limit: u64) -> Result<Exit, Failure> {
        let one = |what: &str, given: Option<&str>, more: bool| match (given, more) {
            (_, true) => Err(Failure::configuration(format!(
                "--{what}: a server lists letters of one {what} at a time"
            ))),
            (Some(given), false) => Ok(format!("&{what}={}", encoded(given))),
            (None, false) => Ok(String::new()),
        };
        let mut query = format!("?limit={}&all={all}&records={records}", limit.clamp(1, 1000));
        query += &one("operator", wanted.operators.first().map(String::as_str), wanted.operators.len() > 1)?;
        query += &one("kind", wanted.kinds.first().map(|kind| kind.name()), wanted.kinds.len() > 1)?;
        query += &one("since", wanted.since, false)?;
        let path = format!("/v1/pipelines/{}/dead-letters{query}", self.pipeline);
        let found = self.connection.get(&path)?;
        if records {
            for letter in found["items"].as_array().into_iter().flatten() {
                table::print(&format!("{letter}\n"));
            }
            return Ok(Exit::Done);
        }
        table::list(self.server.output, &found, LETTER);
        self.tell(&found, "can be replayed");
        Ok(Exit::Done)
    }

    /// Sends letters back.
    pub fn replay(
        &self,
        wanted: &Wanted<'_>,
        dry_run: bool,
        restart_finished: bool,
    ) -> Result<Exit, Failure> {
        let kinds: Vec<&str> = wanted.kinds.iter().map(|kind| kind.name()).collect();
        let body = json!({
            "operators": wanted.operators,
            "kinds": kinds,
            "since": wanted.since,
            "restart_finished": restart_finished,
            "dry_run": dry_run,
        });
        let path = format!("/v1/pipelines/{}/dead-letters/replay", self.pipeline);
        let answer = self.connection.post(&path, &body)?;
        match dry_run {
            true => self.tell(&answer, "would be replayed"),
            false => println!(
                "{} stops, replays its dead letters, and goes on; `weir pipeline events {}` says \"replayed\" when it has, and \"replay_failed\" or \"replay_stopped\" when it has not",
                self.pipeline, self.pipeline
            ),
        }
        Ok(Exit::Done)
    }

    fn tell(&self, found: &Value, what: &str) {
        if self.server.output == super::connection::OutputFormat::Table {
            let of = if found["complete"] == false { "of the first letters that were read, " } else { "" };
            println!("{of}{} letters {what}, {} stay", found["replayable"], found["staying"]);
        }
    }
}

/// A value of a query.
fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
