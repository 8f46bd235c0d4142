//! What a component says of itself, for the registry.

use crate::state_lines;
use serde_json::{Value, json};
use weir_control::host::Inspected;
use weir_wasm::{Description, Prepared};

/// All of it.
pub fn inspected(prepared: &Prepared) -> Inspected {
    Inspected {
        sha256: prepared.digest().to_string(),
        size: prepared.size() as u64,
        world: prepared.world().to_string(),
        imports: prepared.imports().to_vec(),
        describe: describe(prepared.description()),
    }
}

fn describe(description: &Description) -> Value {
    let Description { inputs, outputs, states, timers, migrates, config } = description;
    let outputs: Vec<Value> =
        outputs.iter().map(|port| json!({"name": port.name, "keeps_key": port.keeps_key})).collect();
    let states: Vec<Value> = states
        .iter()
        .map(|state| {
            json!({
                "name": state.name,
                "kind": state.kind.name(),
                "version": state.version,
                "ttl_seconds": state.ttl_seconds,
            })
        })
        .collect();
    let timers: Vec<Value> = timers
        .iter()
        .map(|timer| json!({"name": timer.name, "clock": state_lines::clock(timer.clock)}))
        .collect();
    let config = config.as_ref().map(|keys| {
        let key = |key: &weir_wasm::ConfigKey| {
            json!({
                "name": key.name,
                "required": key.required,
                "default": key.default,
                "description": key.description,
            })
        };
        keys.iter().map(key).collect::<Vec<_>>()
    });
    json!({
        "inputs": inputs,
        "outputs": outputs,
        "states": states,
        "timers": timers,
        "migrates": migrates,
        "config": config,
    })
}
