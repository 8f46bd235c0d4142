//! Offsets of a server's pipelines: the same commands as beside a data directory, over HTTP.

use super::connection::{Connection, ServerOptions};
use crate::failure::Failure;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::time::{Duration, UNIX_EPOCH};
use weir_control::host::{OffsetsReset, OffsetsTarget, PipelineOffsets, ResetOffsets};

/// Offsets of one pipeline of a server.
pub struct Remote<'a> {
    connection: Connection,
    pipeline: &'a str,
}

impl<'a> Remote<'a> {
    /// The pipeline is named: a file of this machine says nothing of what the server has.
    pub fn new(server: &ServerOptions, pipeline: &'a str) -> Result<Remote<'a>, Failure> {
        Ok(Remote { connection: server.connect()?, pipeline })
    }

    fn path(&self) -> String {
        format!("/v1/pipelines/{}/offsets", self.pipeline)
    }

    /// Where it goes on.
    pub fn show(&self) -> Result<PipelineOffsets, Failure> {
        parse(self.connection.get(&self.path())?)
    }

    /// What a reset means, or its doing.
    pub fn reset(&self, asked: &ResetOffsets) -> Result<OffsetsReset, Failure> {
        let mut body = body(&asked.to);
        body["topics"] = json!(asked.topics);
        body["dry_run"] = json!(asked.dry_run);
        if let Some(state) = asked.state {
            body["state"] = json!(state);
        }
        parse(self.connection.post(&self.path(), &body)?)
    }
}

fn body(to: &OffsetsTarget) -> Value {
    match to {
        OffsetsTarget::Earliest => json!({"to": "earliest"}),
        OffsetsTarget::Latest => json!({"to": "latest"}),
        OffsetsTarget::Current => json!({"to": "current"}),
        OffsetsTarget::Snapshot => json!({"to": "snapshot"}),
        OffsetsTarget::Datetime(at) => {
            let since = Duration::from_millis((*at).max(0).unsigned_abs());
            let time = humantime::format_rfc3339_millis(UNIX_EPOCH + since).to_string();
            json!({"to": "datetime", "datetime": time})
        }
        OffsetsTarget::Offsets(offsets) => json!({"to": "offset", "offsets": offsets}),
        OffsetsTarget::ShiftBy(by) => json!({"to": "shift", "shift_by": by}),
        OffsetsTarget::Group(group) => json!({"to": "group", "group": group}),
    }
}

fn parse<T: DeserializeOwned>(answer: Value) -> Result<T, Failure> {
    serde_json::from_value(answer).map_err(|error| {
        Failure::failed(format!(
            "the server answered something else: {error}; is it another version of weir?"
        ))
    })
}
