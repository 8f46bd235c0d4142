//! Every route of a live server under generated requests, which schemathesis makes of the server's own OpenAPI document:
//! right ones, wrong ones, and right ones that meet what is there.

use crate::harness::counting::{counting, is, records_out, works};
use crate::harness::guests::{guest, repository};
use crate::harness::job::Job;
use crate::harness::server::Server;
use crate::harness::waiting::{until, until_within};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

/// The seed, unless `WEIR_FUZZ_SEED` has another.
const SEED: &str = "20";
/// Generated requests per route, besides those that cover its document.
const EXAMPLES: &str = "25";
/// A run takes about a minute.
const TIME_MAX: Duration = Duration::from_secs(400);
/// As much of a report as helps.
const REPORT_CHARS_SHOWN: usize = 12_000;
const REFUSAL_CHARS_SHOWN: usize = 200;
/// What need not succeed: a swap can be cancelled for a moment only, and the document is read before the run.
const NEED_NOT_SUCCEED: &[(&str, &str)] =
    &[("DELETE", "/v1/pipelines/{name}/swaps/{id}"), ("GET", "/openapi.json")];

/// schemathesis at work. It does not outlive this value.
struct Schemathesis(Child);

impl Drop for Schemathesis {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What requests can meet: two pipelines that run, one of them after a swap, versions, a savepoint, and a token.
fn what_is_there(server: &Server, kept: &Job, given: &Job) -> Value {
    let document = server.with_versions(&given.text);
    for (job, text) in [(kept, &server.with_versions(&kept.text)), (given, &document)] {
        server.put(&job.name, text);
        server.apply(&job.name);
        works(server, &job.name);
    }
    server.upload("count-by-key", "swap_good");
    server.upload("spare", "prefix");
    let rules = json!({"probation": {"time": "100ms", "records": 1}});
    let swap = server.swap(&kept.name, "count", "count-by-key@2", &rules);
    let ended = server.await_swap(&kept.name, &swap);
    assert_eq!(ended["state"], "completed", "{ended}");
    let savepoints = format!("/v1/pipelines/{}/savepoints", kept.name);
    server.post(&savepoints, &json!({"name": "first"})).expect(201);
    let asked = json!({"name": "spare", "role": "viewer", "expires_in": "1h"});
    let token = server.post("/v1/tokens", &asked).expect(201);
    json!({
        "url": server.url(""),
        "kept": kept.name,
        "given": given.name,
        "document": document,
        "operator": "count-by-key",
        "component": guest("prefix"),
        "swap": swap,
        "token": server.token().split('_').nth(1).expect("weir_<id>_<secret>"),
        "spare_token": token["id"],
    })
}

/// Runs it, and fails with its report. Writes all requests and answers to a file.
fn run(server: &Server, there: &Value, kept: &Job, answers: &Path) {
    let python = std::env::var_os("WEIR_TEST_SCHEMATHESIS").expect("run `cargo xtask test`");
    let seed = std::env::var("WEIR_FUZZ_SEED").unwrap_or_else(|_| SEED.to_owned());
    println!("WEIR_FUZZ_SEED={seed}");
    let ours = repository().join("tests/it/schemathesis");
    let report = kept.path("schemathesis.txt");
    let output = File::create(&report).unwrap();
    let mut command = Command::new(python);
    command.args(["-m", "schemathesis.cli", "--config-file"]).arg(ours.join("schemathesis.toml"));
    command.args(["run", &server.url("/openapi.json"), "--phases", "examples,coverage,fuzzing,stateful"]);
    command.args(["--seed", &seed, "--max-examples", EXAMPLES, "--no-color"]);
    command.args(["--report", "har", "--report-har-path"]).arg(answers);
    command.env("WEIR_FUZZ", there.to_string()).env("WEIR_FUZZ_TOKEN", server.token());
    command.env("WEIR_FUZZ_HOOKS", ours.join("hooks.py")).env("PYTHONDONTWRITEBYTECODE", "1");
    // What it would keep from one run to the next stays with the test.
    command.current_dir(kept.path(""));
    command.stdout(output.try_clone().unwrap()).stderr(output);
    let mut child = Schemathesis(command.spawn().expect("the Python of `cargo xtask test`"));
    let status = until_within(TIME_MAX, "schemathesis to end", || child.0.try_wait().unwrap());
    let text = std::fs::read_to_string(&report).unwrap();
    let from = text.find("= ERRORS =").or_else(|| text.find("= FAILURES =")).unwrap_or(0);
    let shown: String = text[from..].chars().take(REPORT_CHARS_SHOWN).collect();
    let end = text.find("= SUMMARY =").map_or("", |at| &text[at..]);
    assert!(status.success(), "{status}; again with WEIR_FUZZ_SEED={seed}\n{shown}\n{end}");
}

/// Method and path, as the document names it.
type Operation = (String, String);

/// Every answer, by what was called: its status, and what a refusal says.
fn answered(answers: &Path, operations: &BTreeSet<Operation>) -> BTreeMap<Operation, Vec<(u64, String)>> {
    let text = std::fs::read_to_string(answers).unwrap();
    let answers: Value = serde_json::from_str(&text).unwrap();
    let of = |entry: &Value| {
        let url = entry["request"]["url"].as_str()?.split(['?', '#']).next()?;
        let called: Vec<&str> = url.splitn(4, '/').nth(3)?.split('/').collect();
        let is_called = |path: &str| {
            let parts: Vec<&str> = path[1..].split('/').collect();
            let same = |(part, called): (&&str, &&str)| part.starts_with('{') || part == called;
            parts.len() == called.len() && parts.iter().zip(&called).all(same)
        };
        let method = entry["request"]["method"].as_str()?;
        let operation = operations.iter().find(|(of, path)| of == method && is_called(path))?;
        let answer = &entry["response"];
        let said = answer["content"]["text"].as_str().unwrap_or_default();
        Some((
            operation.clone(),
            (answer["status"].as_u64()?, said.chars().take(REFUSAL_CHARS_SHOWN).collect()),
        ))
    };
    let mut answered = BTreeMap::<_, Vec<_>>::new();
    for (operation, answer) in answers["log"]["entries"].as_array().unwrap().iter().filter_map(of) {
        answered.entry(operation).or_default().push(answer);
    }
    answered
}

/// A pipeline that has somewhere to put what it cannot handle.
fn with_letters(stem: &str) -> Job {
    let mut job = counting(stem);
    job.text = job.text.replace("[sink.out]", "on_error = { dead_letter = \"dead\" }\n[sink.out]");
    let directory = format!("{}-dead", job.name);
    job.add(&format!("[sink.dead]\nkind = \"files\"\ndirectory = \"{directory}\""));
    job
}

#[test]
fn no_generated_request_is_answered_otherwise_than_the_document_says() {
    let (kept, given) = (with_letters("fuzz-kept"), with_letters("fuzz-given"));
    let server = Server::start(&kept.data_dir(), &kept.path("serve.log"), &[]);
    let there = what_is_there(&server, &kept, &given);
    let answers = kept.path("answers.har");
    run(&server, &there, &kept, &answers);
    // Not a run against refusals: every route has also done what it is for.
    let document = server.get("/openapi.json").expect(200);
    let paths = document["paths"].as_object().unwrap();
    let methods = |(path, methods): (&String, &Value)| {
        let names = methods.as_object().unwrap().keys();
        names.map(|method| (method.to_uppercase(), path.clone())).collect::<Vec<_>>()
    };
    let operations: BTreeSet<Operation> = paths.iter().flat_map(methods).collect();
    let answered = answered(&answers, &operations);
    for operation in &operations {
        let (method, path) = (operation.0.as_str(), operation.1.as_str());
        let answers = answered.get(operation).map_or(&[][..], Vec::as_slice);
        let succeeded = answers.iter().any(|(status, _)| (200..300).contains(status));
        assert!(
            succeeded || NEED_NOT_SUCCEED.contains(&(method, path)),
            "{method} {path} was never answered with success: {answers:?}"
        );
    }
    // And nothing of it has disturbed the pipeline beside.
    is(&server, &kept.name, "running");
    assert_eq!(server.status(&kept.name)["restarts"], json!([]));
    let before = records_out(&server, &kept.name);
    until("the pipeline to go on", || (records_out(&server, &kept.name) > before).then_some(()));
}
