//! `weir explain` and `weir schema`: what a file becomes, and what an editor needs to know of it.

use crate::harness::guests;
use crate::harness::job::Job;
use serde_json::{Value, json};
use std::io::Write;
use std::process::{Command, Stdio};

fn explained(job: &Job) -> Value {
    let (code, text) = job.printed(&["explain"], &["--format", "json"], &[]);
    assert_eq!(code, 0, "{text}");
    serde_json::from_str(&text).expect("JSON")
}

/// A pipeline that counts by key, with names that no broker need know: nothing is connected.
fn counting() -> Job {
    let mut job = Job::local("explained");
    job.add("[kafka.main]\nbrokers = \"nowhere:9092\"\ngroup = \"g\"");
    job.add("[kafka.main.properties]\n\"sasl.username\" = \"alice\"\n\"sasl.password\" = \"hush\"");
    job.add_kafka_source("orders", "in");
    job.add_operator("prefix", "orders", "prefix", "");
    job.add_operator("count", "prefix", "count_by_key", "");
    job.add_kafka_sink("out", "count", "counts");
    job.add("[sink.lines]\nkind = \"stdout\"\ninput = \"prefix\"");
    job
}

#[test]
fn threads_crossings_promises_and_names_are_told_without_any_broker() {
    let job = counting();
    let found = explained(&job);
    assert_eq!(found["threads"], 4);
    assert_eq!(found["chains"].as_array().map(Vec::len), Some(2));
    let crossing = &found["exchanges"][0];
    assert_eq!((&crossing["distribution"], &crossing["from"]), (&json!("by key"), &json!("operator prefix")));
    assert!(
        crossing["why"].as_str().unwrap().contains("not with the subtasks that own their keys"),
        "{crossing}"
    );
    let sinks = found["sinks"].as_array().unwrap();
    let promises: Vec<&Value> = sinks.iter().map(|sink| &sink["guarantee"]).collect();
    assert_eq!(promises, ["exactly_once", "at_least_once"]);
    assert!(sinks[0]["visible"].as_str().unwrap().contains("isolation.level=read_committed"));
    let cluster = &found["clusters"][0];
    assert_eq!((&cluster["group"], &cluster["principal"]), (&json!("g"), &json!("User:alice")));
    let ids = [0, 1].map(|slot| format!("weir.{}.0.{slot}", job.name));
    assert_eq!(cluster["transactional_ids"], json!(ids));
    assert!(
        found["decision"].as_str().unwrap().starts_with("consumer group g on main: the committed offsets")
    );
}

#[test]
fn the_text_is_a_tree_of_threads_and_ends_in_lines_for_a_shell() {
    let job = counting();
    let (code, text) = job.printed(&["explain"], &[], &[]);
    assert_eq!(code, 0, "{text}");
    assert!(!text.contains("hush"), "{text}");
    for part in [
        "chain 1: 2 subtask(s), a thread each\n\u{2514}\u{2500} source orders (topic in of main)\n   \u{2514}\u{2500} operator prefix (prefix.wasm)",
        "exchange 1 (from chain 1)\n   \u{2514}\u{2500} operator count (count_by_key.wasm, keeps ",
        "--add --allow-principal User:alice --operation Read --topic in\n",
        "--operation Read --group g\n",
        "every 200ms (checkpoint.interval)",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
}

/// Reads documents as JSON, a line each, and prints for each whether it fits the schema, by a validator that shares no
/// code with weir.
const VALIDATE: &str = "
import sys, json, jsonschema_rs
schema = json.loads(sys.stdin.readline())
jsonschema_rs.meta.validate(schema)
validator = jsonschema_rs.Draft202012Validator(schema)
for line in sys.stdin:
    errors = [e.message for e in validator.iter_errors(json.loads(line))]
    print(json.dumps(errors))
";

fn errors(documents: &[Value]) -> Vec<Vec<String>> {
    let output = Command::new(guests::weir()).arg("schema").output().expect("weir starts");
    let schema: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    let python = std::env::var_os("WEIR_TEST_SCHEMATHESIS").expect("run `cargo xtask test`");
    let mut command = Command::new(python);
    command.args(["-c", VALIDATE]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("Python starts");
    let lines: Vec<String> =
        [&schema].into_iter().chain(documents).map(|document| format!("{document}\n")).collect();
    child.stdin.take().expect("a pipe").write_all(lines.concat().as_bytes()).expect("Python reads");
    let output = child.wait_with_output().expect("Python ends");
    assert!(output.status.success());
    let said = String::from_utf8_lossy(&output.stdout);
    said.lines().map(|line| serde_json::from_str(line).expect("a list of texts")).collect()
}

fn json_of(text: &str) -> Value {
    let table: toml::Table = toml::from_str(text).unwrap_or_else(|error| panic!("{error}:\n{text}"));
    serde_json::to_value(table).expect("TOML without dates is JSON")
}

/// Pipeline files of the repository: files, and those in the manual.
fn examples() -> Vec<(String, String)> {
    let root = guests::repository();
    let files = ["guest-sdk/template/pipeline.toml", "host/weir/src/pipeline_file/every_kind.toml"];
    let mut found: Vec<(String, String)> = files
        .map(|file| {
            let text = std::fs::read_to_string(root.join(file)).expect("an example");
            // As `weir operator new` fills the template in.
            (file.to_owned(), text.replace("{{name}}", "shorten").replace("{{module}}", "shorten"))
        })
        .into();
    for page in ["README.md", "docs/PIPELINE.md", "docs/OPERATORS.md", "docs/TIME.md", "docs/STATE.md"] {
        let text = std::fs::read_to_string(root.join(page)).expect("a page");
        for block in text.split("```toml\n").skip(1) {
            let block = block.split("```").next().unwrap_or_default();
            if block.contains("name = \"") && block.contains("[source.") && block.contains("[sink.") {
                found.push((page.to_owned(), block.to_owned()));
            }
        }
    }
    found
}

#[test]
fn every_pipeline_file_of_the_repository_fits_the_schema() {
    let examples = examples();
    assert!(examples.len() >= 4, "{examples:?}");
    let documents: Vec<Value> = examples.iter().map(|(_, text)| json_of(text)).collect();
    for ((name, _), errors) in examples.iter().zip(errors(&documents)) {
        assert_eq!(errors, Vec::<String>::new(), "{name}");
    }
}

#[test]
fn what_weir_refuses_of_a_file_for_its_keys_and_forms_the_schema_refuses_too() {
    let good = counting();
    let wrong = [
        ("name = ", "nam = "),
        ("parallelism = 2", "parallelism = \"two\""),
        ("interval = \"200ms\"", "interval = 5"),
        ("kind = \"stdout\"", "kind = \"stdot\""),
        ("kind = \"stdout\"", "kind = \"stdout\"\ntopic = \"t\""),
        ("brokers = \"nowhere:9092\"", ""),
    ];
    let mut documents = vec![json_of(&good.text)];
    for (from, to) in wrong {
        assert!(good.text.contains(from), "{from}");
        let mut bad = Job::local("bad");
        bad.text = good.text.replacen(from, to, 1);
        let (code, said) = bad.printed(&["validate"], &[], &[]);
        assert_eq!(code, 2, "{to}: {said}");
        documents.push(json_of(&bad.text));
    }
    let found = errors(&documents);
    assert_eq!(found[0], Vec::<String>::new());
    for ((_, to), errors) in wrong.iter().zip(&found[1..]) {
        assert!(!errors.is_empty(), "{to}");
    }
    // What is filled in is text, also where a number is expected.
    let filled = good.text.replace("parallelism = 2", "parallelism = \"${env:N:-2}\"");
    assert_eq!(errors(&[json_of(&filled)])[0], Vec::<String>::new());
}
