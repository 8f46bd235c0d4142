//! Slow, broken and large requests; and that all refusals have one shape.

use crate::harness::Server;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

fn read_all(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    // A server that closes while bytes are on their way to it may reset the connection behind its answer.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn refusals_of_the_framework_have_the_same_shape() {
    let server = Server::start();
    server.get("/v1/none").refused(404, "not_found");
    server.get("/").refused(404, "not_found");
    let other = server.as_token(&server.token, "PATCH", "/v1/pipelines", b"{}");
    assert_eq!(other.headers["allow"], "GET");
    other.refused(405, "method_not_allowed");
    server.post("/v1/tokens", serde_json::json!([])).refused(400, "invalid_json");
    let bearer = format!("Bearer {}", server.token);
    let send = |kind, body: &[u8]| {
        server.send("POST", "/v1/tokens", &[("authorization", &bearer), ("content-type", kind)], body)
    };
    send("application/json", b"{").refused(400, "invalid_json");
    send("application/json", br#"["ci", "viewer", "1h"]"#).refused(400, "invalid_json");
    send("text/xml", b"{}").refused(415, "unsupported_media_type");
    send("application/json", &vec![b' '; (1 << 20) + 1]).refused(413, "too_large");
    server.get("/v1/operators?limit=0").refused(400, "invalid_parameter");
    server.get("/v1/operators?limit=x").refused(400, "invalid_parameter");
    server.get("/v1/operators?page=2").refused(400, "invalid_parameter");
    server.get("/v1/audit?after=x").refused(400, "invalid_parameter");
    assert_eq!(server.send("HEAD", "/livez", &[], b"").is(200).bytes, b"");
}

#[test]
fn a_query_where_there_is_nothing_to_ask_is_refused() {
    let server = Server::with_orders();
    for path in ["/v1/pipelines/orders/status?limit=1", "/v1/pipelines/orders/savepoints?after=a"] {
        server.get(path).refused(400, "invalid_parameter");
    }
    server.delete("/v1/pipelines/orders?force=true").refused(400, "invalid_parameter");
    server.get("/v1/pipelines/orders/status?").is(200);
    // Who asks whether it lives may add what keeps a cache away.
    server.send("GET", "/livez?at=1", &[], b"").is(200);
}

#[test]
fn a_silent_body_is_given_up() {
    let server = Server::start_with(|options| options.limits.body_idle_max = Duration::from_millis(50));
    for path in ["/v1/operators/count/versions", "/v1/tokens"] {
        let mut stream = TcpStream::connect(server.address).unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{{",
            server.token
        );
        stream.write_all(head.as_bytes()).unwrap();
        let answer = read_all(stream);
        assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("request_timeout"), "{answer}");
    }
    assert_eq!(std::fs::read_dir(server.path("incoming")).unwrap().count(), 0);
}

#[test]
fn slow_and_large_headers_end_the_connection() {
    let server = Server::start_with(|options| {
        options.limits.header_time_max = Duration::from_millis(50);
        options.limits.header_bytes_max = 8192;
    });
    let mut slow = TcpStream::connect(server.address).unwrap();
    slow.write_all(b"GET /livez HTTP/1.1\r\nhost: loc").unwrap();
    assert!(!read_all(slow).contains("200 OK"));
    let mut large = TcpStream::connect(server.address).unwrap();
    let _ = large.write_all(format!("GET /livez HTTP/1.1\r\nx: {}\r\n\r\n", "a".repeat(20_000)).as_bytes());
    assert!(read_all(large).starts_with("HTTP/1.1 431"));
}

#[test]
fn a_connection_beyond_the_limit_waits_for_a_place() {
    let server = Server::start_with(|options| {
        options.limits.connections_max = 3;
        options.limits.header_time_max = Duration::from_millis(200);
    });
    // They say nothing, and lose their places.
    let silent: Vec<_> = (0..3).map(|_| TcpStream::connect(server.address).unwrap()).collect();
    let mut waiting = TcpStream::connect(server.address).unwrap();
    waiting.write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
    assert!(read_all(waiting).starts_with("HTTP/1.1 200"));
    drop(silent);
}
