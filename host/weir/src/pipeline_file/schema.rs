//! The JSON Schema of the pipeline file, for editors. It is what the readers ask for, noted while they read probes, with
//! the descriptions of the manual; so it cannot differ from what they take.

use super::accepted::Accepted;
use super::report::{Asked, Report};
use super::{PipelineFile, Surroundings};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Where the keys are described.
const MANUAL: &str = include_str!("../../../../docs/PIPELINE.md");
/// What other schemas call it.
const ID: &str = "urn:weir:pipeline-file";

/// Everything outside of sources and sinks; tables where a key takes a word or a table.
const PROBES: &[&str] = &["[kafka.a]\n[operator.a]", "[operator.a]\ninput = {}\non_error = {}"];
/// The same for each kind of source and sink.
const KINDS: &[(&str, &str)] = &[
    ("source", "kafka"),
    ("source", "generator"),
    ("source", "files"),
    ("sink", "kafka"),
    ("sink", "files"),
    ("sink", "stdout"),
    ("sink", "blackhole"),
];
const TABLES: &str = "start = {}\ntimestamp = {}\nwatermarks = {}";

/// Nothing is filled in.
struct Nothing;

impl Surroundings for Nothing {
    fn variable(&self, _: &str) -> Option<String> {
        None
    }

    fn file(&self, path: &str) -> Result<String, String> {
        Err(format!("{path} is not read"))
    }
}

/// A key and what is below it.
#[derive(Debug, Default)]
struct Key {
    accepted: BTreeSet<Accepted>,
    required: bool,
    below: BTreeMap<String, Key>,
    /// For a section with several kinds: its keys by kind.
    kinds: BTreeMap<&'static str, Key>,
}

/// The schema, draft 2020-12.
pub fn schema() -> Value {
    let mut schema = top().schema("", &descriptions(MANUAL));
    let head = [
        ("$schema", "https://json-schema.org/draft/2020-12/schema"),
        ("$id", ID),
        ("title", "A pipeline of weir"),
        ("description", "docs/PIPELINE.md describes every key"),
    ];
    for (key, text) in head {
        schema[key] = json!(text);
    }
    schema
}

fn top() -> Key {
    let mut top = Key::default();
    for text in PROBES {
        top.take(&probe(text), "");
    }
    for (section, kind) in KINDS {
        let mut own = Key::default();
        for more in ["", TABLES] {
            let report = probe(&format!("[{section}.a]\nkind = \"{kind}\"\n{more}"));
            own.take(&report, &format!("{section}.NAME."));
        }
        let named = top.below.entry((*section).to_owned()).or_default().below.entry("NAME".to_owned());
        named.or_default().kinds.insert(kind, own);
    }
    top
}

fn probe(text: &str) -> Report {
    PipelineFile::parse("probe.toml", text.to_owned(), &[], &Nothing, Path::new("")).1
}

impl Key {
    /// Takes over what was asked for below a prefix; sources and sinks are read kind by kind.
    fn take(&mut self, report: &Report, prefix: &str) {
        for (pattern, Asked { accepted, required }) in report.asked() {
            let Some(path) = pattern.strip_prefix(prefix) else { continue };
            let of_a_kind = ["source.NAME.", "sink.NAME."].iter().any(|start| path.starts_with(start));
            if of_a_kind {
                continue;
            }
            let key =
                path.split('.').fold(&mut *self, |key, name| key.below.entry(name.to_owned()).or_default());
            key.accepted.extend(accepted);
            key.required |= required;
        }
    }

    fn schema(&self, path: &str, descriptions: &BTreeMap<String, String>) -> Value {
        let mut forms: Vec<Value> = self.accepted.iter().flat_map(Accepted::schemas).collect();
        if !self.kinds.is_empty() {
            forms.extend(self.kinds.iter().map(|(kind, own)| {
                let mut form = own.table(path, descriptions);
                form["properties"]["kind"] = json!({ "const": kind });
                form["title"] = json!(format!("kind = \"{kind}\""));
                form
            }));
        } else if !self.below.is_empty() || path.is_empty() || self.accepted.is_empty() {
            forms.push(self.table(path, descriptions));
        }
        forms.dedup();
        let mut schema = match forms.len() {
            1 => forms.remove(0),
            _ => json!({ "anyOf": forms }),
        };
        if let Some(text) = descriptions.get(path) {
            schema["description"] = json!(text);
        }
        schema
    }

    fn table(&self, path: &str, descriptions: &BTreeMap<String, String>) -> Value {
        let mut properties = Map::new();
        let mut schema = json!({ "type": "object", "additionalProperties": false });
        let mut required = Vec::new();
        for (name, key) in &self.below {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            let below = key.schema(&path, descriptions);
            if name == "NAME" {
                schema["additionalProperties"] = below;
                continue;
            }
            if key.required {
                required.push(name.clone());
            }
            properties.insert(name.clone(), below);
        }
        if !properties.is_empty() {
            schema["properties"] = Value::Object(properties);
        }
        if !required.is_empty() {
            schema["required"] = json!(required);
        }
        schema
    }
}

/// The third column of the manual's tables by the key in the first. A key may stand there with others.
fn descriptions(manual: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for line in manual.lines().filter(|line| line.starts_with("| `")) {
        // A bar within a cell is written with a backslash.
        let line = line.replace("\\|", "\0");
        let cells: Vec<String> =
            line.trim_matches('|').split('|').map(|cell| cell.trim().replace('\0', "|")).collect();
        let [keys, default, meaning, ..] = cells.as_slice() else { continue };
        let default = match default.as_str() {
            "" | "required" => String::new(),
            default => format!(" (default: {default})"),
        };
        let text = plain(&format!("{meaning}{default}"));
        for key in keys.split('`').skip(1).step_by(2) {
            found.entry(key.to_owned()).or_insert_with(|| text.clone());
        }
    }
    found
}

/// Without the links and marks of Markdown.
fn plain(text: &str) -> String {
    let (mut plain, mut rest) = (String::new(), text);
    while let Some(at) = rest.find("](") {
        let (before, named) = rest[..at].rsplit_once('[').unwrap_or(("", &rest[..at]));
        plain = plain + before + named;
        rest = rest[at..].split_once(')').map_or("", |(_, rest)| rest);
    }
    (plain + rest).replace('`', "")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The paths of all keys of a schema.
    fn keys(schema: &Value, path: &str, found: &mut BTreeSet<String>) {
        let join = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        for form in schema["anyOf"].as_array().into_iter().flatten() {
            keys(form, path, found);
        }
        for (name, below) in schema["properties"].as_object().into_iter().flatten() {
            found.insert(join(name));
            keys(below, &join(name), found);
        }
        let named = &schema["additionalProperties"];
        // Below `config` and the like the file chooses the keys.
        if named.is_object() && ["kafka", "source", "operator", "sink"].contains(&path) {
            keys(named, &join("NAME"), found);
        }
    }

    #[test]
    fn the_schema_has_every_key_that_the_readers_know_and_no_other() {
        let text = include_str!("every_kind.toml").to_owned();
        let mut read: BTreeSet<String> = BTreeSet::new();
        let texts = KINDS.iter().map(|(section, kind)| format!("[{section}.a]\nkind = \"{kind}\"\n"));
        for text in texts.chain([text]) {
            read.extend(probe(&text).known_keys());
        }
        let mut described = BTreeSet::new();
        keys(&schema(), "", &mut described);
        assert_eq!(described, read);
    }

    #[test]
    fn every_key_of_the_schema_has_the_description_of_the_manual() {
        let mut described = BTreeSet::new();
        keys(&schema(), "", &mut described);
        let texts = descriptions(MANUAL);
        let silent: Vec<&String> = described.iter().filter(|key| !texts.contains_key(*key)).collect();
        assert!(silent.is_empty(), "no row of docs/PIPELINE.md begins with: {silent:?}");
    }

    #[test]
    fn links_and_marks_of_the_manual_are_left_out() {
        assert_eq!(plain("see [STATE.md](STATE.md#x), `a` [b](c) of `[k]`"), "see STATE.md, a b of [k]");
    }
}
