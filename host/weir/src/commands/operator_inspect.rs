//! `weir operator inspect`: what a component is and what it wants.

use crate::failure::{Exit, Failure};
use crate::state_lines;
use std::fmt::Write;
use std::path::PathBuf;
use std::time::Duration;
use weir_wasm::{Description, Engine, Prepared};

/// Options of `weir operator inspect`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The component
    component: PathBuf,
}

/// Loads a component and prints what it says of itself.
pub fn run(options: &Options) -> Result<Exit, Failure> {
    let shown = options.component.display();
    let bytes = std::fs::read(&options.component)
        .map_err(|error| Failure::configuration(format!("{shown} cannot be read: {error}")))?;
    let engine = Engine::new(None).map_err(|error| Failure::failed(error.to_string()))?;
    let prepared =
        engine.load(&bytes).map_err(|error| Failure::configuration(format!("{shown}: {error}")))?;
    print!("{}", describe(&shown.to_string(), &prepared));
    Ok(Exit::Done)
}

fn describe(name: &str, prepared: &Prepared) -> String {
    let mut text = String::new();
    let mut line = |key: &str, value: &str| {
        writeln!(text, "{key:<10} {value}").expect("a string takes everything");
    };
    line("component", name);
    line("world", &prepared.world().to_string());
    line("size", &format!("{} bytes", prepared.size()));
    line("digest", &format!("sha256:{}", prepared.digest()));
    let imports = prepared.imports();
    if imports.is_empty() {
        line("imports", "nothing");
    }
    for (index, import) in imports.iter().enumerate() {
        line(if index == 0 { "imports" } else { "" }, import);
    }
    let Description { inputs, outputs, states, timers, migrates, config } = prepared.description();
    line("inputs", &inputs.join(", "));
    let output = |port: &weir_protocol::state::OutputPort| {
        if port.keeps_key { format!("{} (keeps the key)", port.name) } else { port.name.clone() }
    };
    line("outputs", &outputs.iter().map(output).collect::<Vec<_>>().join(", "));
    for (index, state) in states.iter().enumerate() {
        let kept = match state.ttl_seconds {
            0 => String::new(),
            seconds => {
                format!(", kept for {}", humantime::format_duration(Duration::from_secs(u64::from(seconds))))
            }
        };
        let value = format!("{} ({}, version {}{kept})", state.name, state.kind.name(), state.version);
        line(if index == 0 { "states" } else { "" }, &value);
    }
    for (index, timer) in timers.iter().enumerate() {
        let value = format!("{} ({})", timer.name, state_lines::clock(timer.clock));
        line(if index == 0 { "timers" } else { "" }, &value);
    }
    if !states.is_empty() {
        let value = if *migrates { "yes, it reads the state of older versions" } else { "no" };
        line("migration", value);
    }
    match config.as_deref() {
        None => line("config", "any key (a mapper does not say which it reads)"),
        Some([]) => line("config", "no keys"),
        Some(keys) => {
            for (index, key) in keys.iter().enumerate() {
                let default =
                    if key.required { "required".to_owned() } else { format!("default {:?}", key.default) };
                let value = format!("{} ({default}) {}", key.name, key.description);
                line(if index == 0 { "config" } else { "" }, value.trim_end());
            }
        }
    }
    text
}
