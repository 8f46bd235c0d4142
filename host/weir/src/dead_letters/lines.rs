//! A letter as JSON, without its record and with it.

use super::Found;
use serde_json::{Value, json};
use weir_local::record_lines::write_row;
use weir_protocol::connector::ConnectorError;
use weir_protocol::plan::FileFormat;

/// A letter without its record.
pub fn line_of_json(found: &Found<'_>) -> Value {
    let letter = found.letter.clone().unwrap_or_default();
    let (topic, partition, offset) =
        letter.origin.map_or((None, None, None), |(topic, partition, offset)| {
            (Some(topic), Some(partition), Some(offset))
        });
    json!({
        "sink": found.sink,
        "topic": found.partition.topic.as_ref(),
        "partition": found.partition.number,
        "offset": found.offset,
        "open": found.open,
        "stays": found.stays.as_ref().map(ToString::to_string),
        "operator": letter.operator,
        "kind": letter.kind,
        "message": letter.message,
        "digest": letter.digest,
        "port": letter.port,
        "timer": letter.timer,
        "failed_at_ms": letter.time_ms,
        "attempt": letter.attempt,
        "record": { "topic": topic, "partition": partition, "offset": offset },
    })
}

/// A letter with its record, headers included.
pub fn with_record(found: &Found<'_>) -> Result<Value, ConnectorError> {
    let mut text = Vec::new();
    let unreadable =
        |why: String| ConnectorError::permanent(format!("{}:{}: {why}", found.partition, found.offset));
    write_row(FileFormat::JsonLines, found.batch, found.row, &mut text)
        .map_err(|error| unreadable(error.to_string()))?;
    let record = serde_json::from_slice(&text).map_err(|error| unreadable(error.to_string()))?;
    let mut line = line_of_json(found);
    line["letter"] = record;
    Ok(line)
}
