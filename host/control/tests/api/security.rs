//! Tokens, origins, names, TLS.

use crate::fake_host::FakeHost;
use crate::harness::Server;
use serde_json::json;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};
use weir_control::{Options, Service, ServiceError};

/// What the server sends back for these bytes.
fn raw(server: &Server, text: &str) -> String {
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.write_all(text.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn the_first_admin_token_is_in_a_file_that_only_its_owner_can_read() {
    let server = Server::start();
    let mode = std::fs::metadata(server.path("admin.token")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let before = server.token.clone();
    let server = server.reopened();
    assert_eq!(server.token, before);
    // With no admin left, the next start makes one.
    let id = before.split('_').nth(1).unwrap().to_owned();
    server.delete(&format!("/v1/tokens/{id}")).is(204);
    server.get("/v1/tokens").refused(401, "unauthorized");
    let server = server.reopened();
    assert_ne!(server.token, before);
    server.get("/v1/tokens").is(200);
}

#[test]
fn a_token_ends_when_it_expires_or_is_revoked() {
    let now = Arc::new(AtomicU64::new(1_800_000_000));
    let read = now.clone();
    let server = Server::start_with(|options| {
        options.clock =
            Arc::new(move || SystemTime::UNIX_EPOCH + Duration::from_secs(read.load(Ordering::SeqCst)));
    });
    let make = || {
        let asked = json!({ "name": "ci", "role": "deployer", "expires_in": "90d" });
        let made = server.post("/v1/tokens", asked).is(201).json();
        (made["id"].as_str().unwrap().to_owned(), made["token"].as_str().unwrap().to_owned())
    };
    let ((first_id, first), (_, second)) = (make(), make());
    let list = |token: &str| server.as_token(token, "GET", "/v1/operators", b"").status;
    assert_eq!((list(&first), list(&second)), (200, 200));
    server.delete(&format!("/v1/tokens/{first_id}")).is(204);
    assert_eq!((list(&first), list(&second)), (401, 200));
    now.fetch_add(90 * 24 * 3600, Ordering::SeqCst);
    assert_eq!(list(&second), 401);
    let all = server.get("/v1/tokens").is(200);
    assert_eq!(all.json()["items"].as_array().unwrap().len(), 3);
    let text = String::from_utf8(all.bytes).unwrap();
    let secret = second.rsplit('_').next().unwrap();
    assert!(!text.contains(secret) && !text.contains("digest"));
    // Nor is it in the file that remembers it.
    for file in std::fs::read_dir(server.path("")).unwrap() {
        let path = file.unwrap().path();
        if path.is_file() && !path.ends_with("admin.token") {
            let bytes = std::fs::read(&path).unwrap();
            assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{path:?}");
        }
    }
    server.post("/v1/tokens", json!({ "name": "x", "role": "admin" })).refused(400, "invalid_json");
    server
        .post("/v1/tokens", json!({ "name": "x", "role": "admin", "expires_in": "soon" }))
        .refused(400, "invalid_parameter");
    server.delete("/v1/tokens/none").refused(404, "token_not_found");
}

#[test]
fn a_token_that_is_almost_right_is_wrong() {
    let server = Server::start();
    let mut other = server.token.clone();
    let last = if other.ends_with('0') { '1' } else { '0' };
    other.pop();
    other.push(last);
    for bad in ["", "weir_", "weir__", "x", &other, &server.token[..30], &format!("{}0", server.token)] {
        server.as_token(bad, "GET", "/v1/pipelines", b"").refused(401, "unauthorized");
    }
    let basic = format!("Basic {}", server.token);
    server.send("GET", "/v1/pipelines", &[("authorization", &basic)], b"").refused(401, "unauthorized");
}

#[test]
fn pages_of_another_origin_and_names_that_point_here_are_refused() {
    let server = Server::start();
    let bearer = format!("Bearer {}", server.token);
    for origin in ["https://evil.test", "null", "http://127.0.0.1:1", ""] {
        let headers = [("authorization", bearer.as_str()), ("origin", origin)];
        server.send("GET", "/v1/pipelines", &headers, b"").refused(403, "cross_origin");
    }
    let own = format!("http://{}", server.address);
    server.send("GET", "/v1/pipelines", &[("authorization", &bearer), ("origin", &own)], b"").is(200);
    for (host, status) in [("evil.test", "421"), ("localhost", "200"), ("", "421")] {
        let answer =
            raw(&server, &format!("GET /livez HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n"));
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{host}: {answer}");
    }
}

#[test]
fn tricks_in_names_reach_no_file() {
    let server = Server::start();
    let names = ["..", "%2e%2e", "..%2f..%2fetc", "a%2fb", "a%00", "A", "a.b", "%ff", "a%5cb", "-a", "1"];
    for name in names {
        for path in [format!("/v1/operators/{name}/versions"), format!("/v1/pipelines/{name}/plan")] {
            let answer = raw(
                &server,
                &format!(
                    "POST {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\ncontent-length: 3\r\nconnection: close\r\n\r\none",
                    server.token
                ),
            );
            assert!(
                answer.starts_with("HTTP/1.1 400") || answer.starts_with("HTTP/1.1 404"),
                "{path}: {answer}"
            );
        }
    }
    server.get("/v1/operators/count/versions/..%2f1").refused(400, "invalid_name");
    assert_eq!(std::fs::read_dir(server.path("components")).unwrap().count(), 0);
}

#[test]
fn an_address_that_others_reach_needs_tls_or_the_word() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = Options::new(directory.path().to_owned());
    options.listen = SocketAddr::from(([0, 0, 0, 0], 0));
    let refused = Service::bind(options.clone(), Arc::new(FakeHost::default())).err().unwrap();
    assert!(matches!(refused, ServiceError::PlaintextRefused(_)));
    for flag in ["--tls-cert", "--tls-key", "--allow-plaintext"] {
        assert!(refused.to_string().contains(flag));
    }
    options.insecure_listen = true;
    assert!(Service::bind(options, Arc::new(FakeHost::default())).is_ok());
}

#[test]
fn every_change_and_every_refusal_is_a_line_of_the_audit_log() {
    let server = Server::with_orders();
    server.delete("/v1/operators/count/versions/1").refused(409, "version_in_use");
    let lines = server.get("/v1/audit?limit=2").is(200).json();
    let last = &lines["items"][0];
    assert_eq!((&last["action"], &last["outcome"]), (&json!("operator.delete"), &json!("version_in_use")));
    assert!(last["who"].as_str().unwrap().starts_with("admin/"));
    assert_eq!(last["digest"].as_str().unwrap().len(), 64);
    assert_eq!(lines["items"][1]["action"], "pipeline.apply");
    assert_eq!(lines["items"][1]["plan_hash"].as_str().unwrap().len(), 64);
    let next = lines["next"].as_str().unwrap();
    let rest = server.get(&format!("/v1/audit?after={next}")).is(200).json();
    let actions: Vec<_> =
        rest["items"].as_array().unwrap().iter().map(|line| line["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["pipeline.put", "operator.push", "operator.push", "operator.push", "token.create"]);
}

#[test]
fn what_a_known_caller_may_not_do_is_a_line_of_the_audit_log() {
    let server = Server::with_orders();
    let made = server
        .post("/v1/tokens", json!({ "name": "eve", "role": "viewer", "expires_in": "1h" }))
        .is(201)
        .json();
    let token = made["token"].as_str().unwrap();
    server.as_token(token, "POST", "/v1/pipelines/orders/stop", b"").refused(403, "forbidden");
    let line = server.get("/v1/audit?limit=1").is(200).json()["items"][0].clone();
    assert!(line["who"].as_str().unwrap().starts_with("eve/"), "{line}");
    assert_eq!((&line["action"], &line["outcome"]), (&json!("forbidden"), &json!("forbidden")));
    assert_eq!(line["target"], "POST /v1/pipelines/orders/stop");
}
