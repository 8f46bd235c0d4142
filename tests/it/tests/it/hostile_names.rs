//! Names that try to be paths: on every route of the document, in bodies and in documents. None reaches a file, and each
//! is refused in the one shape.

use crate::harness::counting::{is_undisturbed, served};
use crate::harness::guests::{guest, repository};
use crate::harness::raw_http::RawClient;
use crate::harness::server::{Answer, Server};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// As they stand in a path.
fn names() -> Vec<String> {
    let tricks = "..
        %2e%2e
        %2e%2e%2fevil
        ..%2f..%2f..%2fevil
        %2e%2e%5c%2e%2e%5cevil
        %2fetc%2fpasswd
        /etc/passwd
        a%2fb
        a%00
        %00
        a%00.wasm
        a%0d%0aevil:%20yes
        a%20b
        %09
        A.B/c
        .hidden
        -rf
        evil.tmp
        evil%2etmp
        LOCK
        %ff%fe
        %c0%ae%c0%ae%c0%af
        %c3%a4
        %e2%80%ae
        %f0%9f%92%a9
        %252e%252e%252fevil
        %7bname%7d
        %24%7benv:HOME%7d
        ~
        *
        99999999999999999999
        -1
        0
        1e3";
    let mut names: Vec<String> = tricks.lines().map(|line| line.trim().to_owned()).collect();
    names.extend(["a".repeat(101), "a".repeat(5000), "%2e%2e%2f".repeat(1000)]);
    names
}

/// All files outside of what the pipeline writes, and outside of the data directory.
fn tree(directory: &Path) -> BTreeSet<PathBuf> {
    let (mut open, mut found) = (vec![directory.to_owned()], BTreeSet::new());
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(&next).into_iter().flatten().flatten() {
            let path = entry.path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && !["live", "checkpoints", "files", "compiled"].contains(&name.as_str()) {
                open.push(path.clone());
            }
            // Those of SQLite and of a pipeline at work come and go.
            let comes_and_goes = ["control.sqlite", "LAST_COMMITTED", "DECISION"];
            if !comes_and_goes.iter().any(|one| name.starts_with(one)) {
                found.insert(path);
            }
        }
    }
    found
}

/// A body that would do something if the name were taken.
fn body(method: &str, path: &str, pipeline: &str) -> (&'static str, Vec<u8>) {
    let json = |value: Value| ("application/json", value.to_string().into_bytes());
    match (method, path.rsplit('/').next().unwrap()) {
        ("POST", "versions") => ("application/wasm", std::fs::read(guest("swap_good")).unwrap()),
        ("PUT", _) => ("application/toml", format!("name = \"{pipeline}\"\n").into_bytes()),
        ("POST", "savepoints") => json(json!({"name": "s"})),
        ("POST", "swap") => json(json!({"version": 1})),
        ("POST", "apply") => json(json!({"hash": "x"})),
        ("POST", "test") => json(json!({"input": []})),
        _ => ("application/json", Vec::new()),
    }
}

fn ask(server: &Server, method: &str, path: &str, (content, bytes): &(&'static str, Vec<u8>)) -> Answer {
    let mut client = RawClient::connect(server.address());
    client.head(server.token(), method, path, content, bytes.len()).send(bytes).answer()
}

/// The one shape, with a code that has a page.
#[track_caller]
fn is_a_refusal(asked: &str, answer: &Answer) {
    let asked: String = asked.chars().take(200).collect();
    assert!((400..500).contains(&answer.status), "{asked}: {answer:?}");
    let text = |field: &str| {
        answer.body[field].as_str().unwrap_or_else(|| panic!("{asked}: no {field} in {answer:?}"))
    };
    assert!(!text("message").is_empty() && !text("request_id").is_empty(), "{asked}: {answer:?}");
    let page = repository().join(format!("docs/errors/{}.md", text("code")));
    assert!(page.is_file(), "{asked}: {answer:?}");
    assert!(answer.body.to_string().len() < 8 << 10, "{asked}: the answer repeats what was sent");
}

/// Every route of the document with every name in every place, all else of it being there: method, path as it is in the
/// document, path that is called.
fn calls(document: &Value, pipeline: &str) -> Vec<(String, String, String)> {
    let mut calls = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let thing = if path.starts_with("/v1/operators") { "count-by-key" } else { pipeline };
        let there = [("{name}", thing), ("{version}", "1"), ("{savepoint}", "kept"), ("{id}", "count")];
        for parameter in path.split('/').filter(|part| part.starts_with('{')) {
            let others = there.iter().filter(|(other, _)| *other != parameter);
            let template = others.fold(path.clone(), |path, (other, value)| path.replace(other, value));
            for (method, name) in methods
                .as_object()
                .unwrap()
                .keys()
                .flat_map(|m| names().into_iter().map(move |name| (m, name)))
            {
                calls.push((method.to_uppercase(), path.clone(), template.replace(parameter, &name)));
            }
        }
    }
    calls
}

#[test]
fn no_name_in_a_path_reaches_a_file_on_any_route() {
    let (job, server) = served("names-paths");
    server.post(&format!("/v1/pipelines/{}/savepoints", job.name), &json!({"name": "kept"})).expect(201);
    let before = (tree(&job.path("")), server.status(&job.name));
    let calls = calls(&server.get("/openapi.json").expect(200), &job.name);
    assert!(calls.len() > 1000, "{}", calls.len());
    for (method, path, called) in calls {
        let answer = ask(&server, &method, &called, &body(&method, &path, &job.name));
        is_a_refusal(&format!("{method} {called}"), &answer);
    }
    assert_eq!(tree(&job.path("")), before.0);
    is_undisturbed(&server, &job.name, &before.1);
}

#[test]
fn no_name_in_a_body_or_a_document_reaches_a_file() {
    let (job, server) = served("names-bodies");
    let before = (tree(&job.path("")), server.status(&job.name));
    let pipeline = format!("/v1/pipelines/{}", job.name);
    let long = "a".repeat(5000);
    let names = [
        "../evil",
        "/etc/passwd",
        "..",
        ".",
        "",
        "a/b",
        "a\\b",
        "a\0b",
        "a\nb",
        "ä",
        ".hidden",
        "x.tmp",
        "LOCK",
        "-x",
        &long,
    ];
    for name in names {
        let asked = [
            ("POST", format!("{pipeline}/savepoints"), json!({"name": name})),
            ("POST", format!("{pipeline}/start"), json!({"from_savepoint": name})),
            ("POST", format!("{pipeline}/operators/count/swap"), json!({"version": format!("{name}@1")})),
            ("POST", "/v1/tokens".to_owned(), json!({"name": name, "role": "admin", "expires_in": "1h"})),
            ("PUT", pipeline.clone(), json!({"name": name})),
            (
                "PUT",
                "/v1/pipelines/other".to_owned(),
                json!({"name": "other", "operator": {"o": {"component": name}}}),
            ),
        ];
        for (method, path, body) in asked {
            let answer = ask(&server, method, &path, &("application/json", body.to_string().into_bytes()));
            is_a_refusal(&format!("{method} {path} {body}"), &answer);
        }
    }
    assert_eq!(tree(&job.path("")), before.0);
    is_undisturbed(&server, &job.name, &before.1);
}
