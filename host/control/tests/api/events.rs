//! Events, as pages and as a stream.

use crate::harness::Server;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use weir_control::host::PipelineEvent;

/// The data of the next event of a stream.
fn next(lines: &mut impl Iterator<Item = std::io::Result<String>>) -> Value {
    let data = lines.find_map(|line| line.unwrap().strip_prefix("data: ").map(str::to_owned));
    serde_json::from_str(&data.unwrap()).unwrap()
}

#[test]
fn events_come_in_pages() {
    let server = Server::with_orders();
    let page = server.get("/v1/pipelines/orders/events?limit=1").is(200).json();
    assert_eq!((&page["items"][0]["kind"], &page["items"][0]["seq"]), (&json!("applied"), &json!(1)));
    let rest = server
        .get(&format!("/v1/pipelines/orders/events?after={}", page["next"].as_str().unwrap()))
        .is(200)
        .json();
    assert_eq!((&rest["items"][0]["kind"], &rest["next"]), (&json!("running"), &json!(null)));
}

#[test]
fn a_last_event_that_is_no_number_is_refused_also_where_no_stream_is_asked_for() {
    let server = Server::with_orders();
    let bearer = format!("Bearer {}", server.token);
    for accept in ["*/*", "text/event-stream"] {
        let headers = [("authorization", bearer.as_str()), ("accept", accept), ("last-event-id", "x")];
        let answer = server.send("GET", "/v1/pipelines/orders/events", &headers, b"");
        answer.refused(400, "invalid_parameter");
    }
}

#[test]
fn a_stream_goes_on_as_it_happens_after_the_last_event_that_the_client_has() {
    let server = Server::with_orders();
    let mut stream = TcpStream::connect(server.address).unwrap();
    let request = format!(
        "GET /v1/pipelines/orders/events HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\naccept: text/event-stream\r\nlast-event-id: 1\r\n\r\n",
        server.token
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut lines = BufReader::new(stream).lines();
    assert_eq!(next(&mut lines)["kind"], "running");
    server.host.tell("orders", PipelineEvent::Restarting { cause: "kafka".to_owned(), wait_ms: 5 });
    let event = next(&mut lines);
    assert_eq!(
        (&event["kind"], &event["seq"], &event["body"]["cause"]),
        (&json!("restarting"), &json!(3), &json!("kafka"))
    );
    // A service that ends lets go of those who listen.
    drop(server);
    assert!(lines.all(|line| line.is_ok_and(|line| !line.starts_with("data: {\"seq\":3"))));
}

#[test]
fn a_stream_ends_when_its_token_is_revoked() {
    let server = Server::with_orders();
    let asked = json!({ "name": "watcher", "role": "viewer", "expires_in": "1h" });
    let made = server.post("/v1/tokens", asked).is(201).json();
    let (id, token) = (made["id"].as_str().unwrap(), made["token"].as_str().unwrap());
    let mut stream = TcpStream::connect(server.address).unwrap();
    write!(
        stream,
        "GET /v1/pipelines/orders/events HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\naccept: text/event-stream\r\nconnection: close\r\n\r\n"
    )
    .unwrap();
    let mut lines = BufReader::new(stream).lines();
    let first = lines.by_ref().map(|line| line.unwrap()).find(|line| line.starts_with("data:"));
    assert!(first.is_some(), "the stream is open");
    server.delete(&format!("/v1/tokens/{id}")).is(204);
    server.post("/v1/pipelines/orders/stop", json!({})).is(202);
    server.wait_for_status("orders", "stopped");
    // It comes to its end, and what happened behind the revocation is not in it.
    let rest: Vec<String> = lines.map(|line| line.unwrap()).collect();
    assert!(rest.iter().all(|line| !line.contains("\"kind\":\"stopped\"")), "{rest:#?}");
}
