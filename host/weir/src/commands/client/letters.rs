//! Dead letters of a server's pipeline, over HTTP.

use super::connection::{Connection, OutputFormat, ServerOptions};
use super::table;
use crate::dead_letters::listing;
use crate::dead_letters::summary::Summary;
use crate::failure::{Exit, Failure};
use serde_json::{Value, json};
use std::path::Path;
use weir_control::host::LettersFound;
use weir_protocol::connector::FailureKind;
use weir_protocol::counted::counted;

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

/// Letters that a server tells at once.
const LIMIT_MAX: u64 = 1000;

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

    /// A line per letter.
    pub fn list(&self, wanted: &Wanted<'_>, all: bool, limit: u64, lines: bool) -> Result<Exit, Failure> {
        let answer = self.connection.get(&self.path(wanted, &format!("?all={all}{}", of_limit(limit))))?;
        if !lines && self.server.output == OutputFormat::Json {
            table::json(&answer);
            return Ok(Exit::Done);
        }
        let found = read(answer)?;
        if lines {
            print_lines(&found.items);
            return Ok(Exit::Done);
        }
        let mut text = String::new();
        if !found.items.is_empty() {
            text = listing::heading() + "\n";
        }
        found.items.iter().for_each(|letter| text += &(listing::line(letter) + "\n"));
        let hidden = found.matching.saturating_sub(found.items.len() as u64);
        text += &listing::end(&Summary::told(&found), hidden);
        if !found.complete {
            text += "these numbers are of the letters that were read, and there are more: `weir dlq replay --dry-run` counts all\n";
        }
        table::print(&text);
        Ok(Exit::Done)
    }

    /// Letters with their records, as JSON lines; with `at` only that one.
    pub fn show(
        &self,
        wanted: &Wanted<'_>,
        all: bool,
        at: Option<&str>,
        limit: u64,
    ) -> Result<Exit, Failure> {
        let mut query = format!("?all={all}&records=true{}", of_limit(limit));
        at.into_iter().for_each(|at| query += &format!("&at={}", encoded(at)));
        let found = read(self.connection.get(&self.path(wanted, &query))?)?;
        match at {
            Some(at) if found.items.is_empty() => Err(Failure::configuration(format!(
                "--at {at}: there is no such letter; `weir dlq list --all` names them"
            ))),
            _ => {
                print_lines(&found.items);
                Ok(Exit::Done)
            }
        }
    }

    fn path(&self, wanted: &Wanted<'_>, query: &str) -> String {
        let kinds: Vec<&str> = wanted.kinds.iter().map(|kind| kind.name()).collect();
        let asked = [
            ("operator", wanted.operators.join(",")),
            ("kind", kinds.join(",")),
            ("since", wanted.since.unwrap_or_default().to_owned()),
        ];
        let asked = asked.iter().filter(|(_, given)| !given.is_empty());
        let asked: String = asked.map(|(what, given)| format!("&{what}={}", encoded(given))).collect();
        format!("/v1/pipelines/{}/dead-letters{query}{asked}", self.pipeline)
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
        let is_nothing = !dry_run && answer.get("replayable").is_some();
        if is_nothing && self.server.output == OutputFormat::Json {
            table::json(&answer);
            return Ok(Exit::Done);
        }
        if is_nothing {
            let summary = Summary::told(&read(answer)?);
            table::print(&format!("nothing to replay: {}\n{}", summary.stay(), summary.text()));
            return Ok(Exit::Done);
        }
        match dry_run {
            true if self.server.output == OutputFormat::Json => table::json(&answer),
            true => {
                let summary = Summary::told(&read(answer)?);
                let letters = counted(summary.taken(), "letter");
                table::print(&format!("{letters} would be replayed, {}\n{}", summary.stay(), summary.text()));
            }
            false => println!(
                "{} stops, replays its dead letters, and goes on; `weir pipeline events {}` says \"replayed\" when it has, and \"replay_failed\" or \"replay_stopped\" when it has not",
                self.pipeline, self.pipeline
            ),
        }
        Ok(Exit::Done)
    }
}

fn of_limit(limit: u64) -> String {
    format!("&limit={}", limit.clamp(1, LIMIT_MAX))
}

fn read(answer: Value) -> Result<LettersFound, Failure> {
    serde_json::from_value(answer)
        .map_err(|error| Failure::failed(format!("the server's answer cannot be read: {error}")))
}

fn print_lines(letters: &[Value]) {
    letters.iter().for_each(|letter| table::print(&format!("{letter}\n")));
}

/// A value of a query.
fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
