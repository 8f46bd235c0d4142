//! Reads values in Confluent's wire format (a zero byte, a schema id, Avro) by schemas of its configuration: keeps the
//! records whose field is as wanted, untouched or as JSON.

mod datum;
mod schema;
mod wire;

use schema::Schema;
use serde_json::Value;
use std::collections::BTreeMap;
use weir_sdk::Emitter;

weir_sdk::router! {
    config: [
        required "schemas": "a JSON object from schema ids to their Avro schemas, such as {\"7\": {\"type\": \"string\"}}",
        optional "field" = "": "dotted path of the field to look at; empty keeps every record",
        optional "equals" = "": "what the field must be; text is compared as text, all else as JSON",
        optional "output" = "wire": "wire leaves a kept record as it is, byte for byte; json writes the value as JSON",
    ],
    ports: [keeps_key "out"],
    open: Reader::from_config,
    |reader, record, emit| reader.handle(record.value(), emit)
}

/// What the configuration asks for.
struct Reader {
    schemas: BTreeMap<u32, Schema>,
    path: Vec<String>,
    wanted: String,
    as_json: bool,
}

impl Reader {
    fn from_config() -> Result<Self, String> {
        let text = weir_sdk::config("schemas").unwrap_or_default();
        let field = weir_sdk::config("field").unwrap_or_default();
        let path: Vec<String> = field.split('.').map(str::to_owned).collect();
        if !field.is_empty() && path.iter().any(String::is_empty) {
            return Err(format!("field \"{field}\" is no dotted path"));
        }
        let as_json = match weir_sdk::config("output").unwrap_or_default().as_str() {
            "wire" => false,
            "json" => true,
            other => return Err(format!("output \"{other}\": expected wire or json")),
        };
        let path = if field.is_empty() { Vec::new() } else { path };
        let wanted = weir_sdk::config("equals").unwrap_or_default();
        Ok(Reader { schemas: schemas(&text)?, path, wanted, as_json })
    }

    /// A tombstone passes, for what it deletes may have passed.
    fn handle(&self, value: Option<&[u8]>, emit: &mut Emitter<'_>) -> Result<(), String> {
        let Some(value) = value else {
            emit.record().send();
            return Ok(());
        };
        let (id, encoded) = wire::split(value)?;
        let schema = self.schemas.get(&id).ok_or_else(|| self.unknown(id))?;
        let value = datum::read(schema, encoded).map_err(|why| format!("schema {id}: {why}"))?;
        match (self.keeps(&value), self.as_json) {
            (false, _) => {}
            (true, false) => emit.record().send(),
            (true, true) => emit.write_value(|out| write!(out, "{value}")),
        }
        Ok(())
    }

    /// A missing field equals nothing.
    fn keeps(&self, value: &Value) -> bool {
        if self.path.is_empty() {
            return true;
        }
        match self.path.iter().try_fold(value, |object, name| object.get(name)) {
            Some(Value::String(text)) => *text == self.wanted,
            Some(other) => serde_json::to_string(other).is_ok_and(|text| text == self.wanted),
            None => false,
        }
    }

    fn unknown(&self, id: u32) -> String {
        let known: Vec<String> = self.schemas.keys().map(u32::to_string).collect();
        format!(
            "schema id {id} is not in the configuration, which has {}: add it to `schemas`",
            known.join(", ")
        )
    }
}

fn schemas(text: &str) -> Result<BTreeMap<u32, Schema>, String> {
    let given: BTreeMap<String, Value> = serde_json::from_str(text)
        .map_err(|error| format!("schemas is no JSON object from ids to schemas: {error}"))?;
    if given.is_empty() {
        return Err("schemas is empty: every record would be refused".to_owned());
    }
    let parse = |(id, schema): (String, Value)| {
        let number = id.parse().map_err(|_| format!("schemas: \"{id}\" is no schema id"))?;
        let schema = Schema::parse(&schema).map_err(|why| format!("schemas: {id}: {why}"))?;
        Ok((number, schema))
    };
    given.into_iter().map(parse).collect()
}

#[cfg(test)]
mod tests;
