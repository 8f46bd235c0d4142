//! Savepoints of a server: the same commands as beside a data directory, over HTTP.

use super::connection::{Connection, ServerOptions};
use super::table;
use crate::failure::{Exit, Failure};
use serde_json::{Value, json};
use std::path::Path;

/// Savepoints of one pipeline of a server.
pub struct Remote<'a> {
    server: &'a ServerOptions,
    connection: Connection,
    pipeline: &'a str,
}

const SAVEPOINT: &[table::Column] =
    &[("name", "name"), ("created", "created"), ("bytes", "bytes"), ("checkpoint", "checkpoint")];

impl<'a> Remote<'a> {
    /// The pipeline is named: a file of this machine says nothing of what the server has.
    pub fn new(server: &'a ServerOptions, pipeline: &'a str) -> Result<Remote<'a>, Failure> {
        Ok(Remote { server, connection: server.connect()?, pipeline })
    }

    fn path(&self, more: &str) -> String {
        format!("/v1/pipelines/{}/savepoints{more}", self.pipeline)
    }

    /// Makes one of the newest decided checkpoint.
    pub fn create(&self, name: Option<&str>) -> Result<Exit, Failure> {
        let body = name.map_or_else(|| json!({}), |name| json!({ "name": name }));
        let made = self.connection.post(&self.path(""), &body)?;
        table::one(self.server.output, &made, SAVEPOINT);
        Ok(Exit::Done)
    }

    /// Lists them, newest first; `as_json` is one line for each.
    pub fn list(&self, as_json: bool) -> Result<Exit, Failure> {
        let answer = self.connection.get(&self.path(""))?;
        match as_json {
            true => {
                for savepoint in answer["items"].as_array().into_iter().flatten() {
                    table::print(&format!("{savepoint}\n"));
                }
            }
            false => table::list(self.server.output, &answer, SAVEPOINT),
        }
        Ok(Exit::Done)
    }

    /// Writes one into a tar file, which must not exist.
    pub fn export(&self, name: &str, to: &Path) -> Result<Exit, Failure> {
        self.connection.download(&self.path(&format!("/{name}/export")), to)?;
        println!("{}", to.display());
        Ok(Exit::Done)
    }

    /// Removes one.
    pub fn delete(&self, name: &str) -> Result<(), Failure> {
        self.connection.delete(&self.path(&format!("/{name}"))).map(|_: Value| ())
    }

    /// What a server does not do.
    pub fn only_beside_its_data(&self, what: &str) -> Failure {
        Failure::configuration(format!(
            "weir savepoint {what} reads files: run it on the server's machine, without --server and WEIR_SERVER, with --data-dir"
        ))
    }
}
