//! Every route of the document, for everybody.

use crate::harness::Server;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use weir_control::security::roles::{Access, TABLE};

fn token(server: &Server, role: &str) -> String {
    let made =
        server.post("/v1/tokens", json!({ "name": "t", "role": role, "expires_in": "1h" })).is(201).json();
    made["token"].as_str().unwrap().to_owned()
}

#[test]
fn every_route_answers_every_role_as_the_table_says() {
    let server = Server::start();
    let document: Value = server.send("GET", "/openapi.json", &[], b"").is(200).json();
    let tokens = ["viewer", "deployer", "admin"].map(|role| token(&server, role));
    let mut seen = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let method = method.to_uppercase();
            let (_, _, access) = TABLE
                .iter()
                .find(|row| row.0 == method && row.1 == path)
                .unwrap_or_else(|| panic!("{method} {path}"));
            seen.insert((method.clone(), path.clone()));
            let rank = match operation["x-weir-role"].as_str().unwrap() {
                "anyone" => 0,
                "viewer" => 1,
                "deployer" => 2,
                "admin" => 3,
                other => panic!("{other}"),
            };
            assert_eq!(rank == 0, *access == Access::Anyone);
            // Nothing of this exists, so that nothing is changed.
            let called = path
                .replace("{name}", "none")
                .replace("{id}", "none")
                .replace("{version}", "1")
                .replace("{savepoint}", "none");
            let answers = std::iter::once(server.send(&method, &called, &[], b""))
                .chain(tokens.iter().map(|token| server.as_token(token, &method, &called, b"")));
            for (who, answer) in answers.enumerate() {
                let expected = match (who >= rank, who) {
                    (true, _) => !matches!(answer.status, 401 | 403 | 405 | 500..),
                    (false, 0) => answer.status == 401,
                    (false, _) => answer.status == 403,
                };
                assert!(expected, "{method} {path}, role {who}: {}", answer.status);
                if answer.status >= 400 {
                    assert!(answer.json()["request_id"].is_string());
                }
            }
        }
    }
    let listed: BTreeSet<_> = TABLE.iter().map(|row| (row.0.to_owned(), row.1.to_owned())).collect();
    assert_eq!(seen, listed);
}

#[test]
fn the_manual_has_a_line_for_every_route() {
    let manual = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/HTTP_API.md");
    let manual = std::fs::read_to_string(manual).unwrap();
    let called: Vec<Vec<&str>> = manual
        .split_whitespace()
        .filter_map(|word| word.strip_prefix("$WEIR"))
        .map(|path| path.split('/').collect())
        .collect();
    let is_one = |segments: &[&str], path: &str| {
        let parts: Vec<&str> = path.split('/').collect();
        parts.len() == segments.len()
            && parts.iter().zip(segments).all(|(part, segment)| part.starts_with('{') || part == segment)
    };
    for (_, path, _) in TABLE {
        assert!(called.iter().any(|segments| is_one(segments, path)), "{path}");
    }
    for segments in called {
        assert!(TABLE.iter().any(|(_, path, _)| is_one(&segments, path)), "{segments:?}");
    }
}
