//! The registry.

use crate::harness::{Server, orders};
use serde_json::json;
use std::io::Write;
use std::net::{Shutdown, TcpStream};

fn files(server: &Server, folder: &str) -> usize {
    std::fs::read_dir(server.path(folder)).unwrap().count()
}

#[test]
fn the_same_bytes_are_the_same_version() {
    let server = Server::start();
    let first = server.push("count", b"one").is(201);
    assert_eq!(first.headers["location"], "/v1/operators/count/versions/1");
    assert_eq!(first.json()["version"], 1);
    assert_eq!(first.json()["size"], 3);
    assert_eq!(first.json()["sha256"].as_str().unwrap().len(), 64);
    assert_eq!(server.push("count", b"one").is(200).json(), first.json());
    assert_eq!(server.push("count", b"two").is(201).json()["version"], 2);
    assert_eq!(server.push("other", b"one").is(201).json()["version"], 1);
    assert_eq!(server.get("/v1/operators/count/versions/2/component").is(200).bytes, b"two");
    assert_eq!((files(&server, "components"), files(&server, "incoming")), (2, 0));
    let list = server.get("/v1/operators?limit=1").is(200).json();
    assert_eq!((&list["items"][0]["version"], &list["next"]), (&json!(2), &json!("count")));
    let rest = server.get("/v1/operators?limit=1&after=count").is(200).json();
    assert_eq!((&rest["items"][0]["name"], &rest["next"]), (&json!("other"), &json!(null)));
}

#[test]
fn a_component_that_is_refused_leaves_nothing() {
    let server = Server::start_with(|options| options.limits.component_bytes_max = 1000);
    server.push("count", b"bad bytes").refused(422, "invalid_component");
    server.push("count", b"huge").refused(422, "limit_exceeded");
    server.push("count", b"panic").refused(500, "internal");
    server.push("count", &[0; 1001]).refused(413, "too_large");
    server.get("/v1/operators/count/versions").refused(404, "version_not_found");
    assert_eq!((files(&server, "components"), files(&server, "incoming")), (0, 0));
    assert_eq!(server.push("count", b"good").is(201).json()["version"], 1);
}

#[test]
fn half_an_upload_leaves_nothing() {
    let server = Server::start();
    let mut stream = TcpStream::connect(server.address).unwrap();
    let head = format!(
        "POST /v1/operators/count/versions HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\ncontent-length: 1000000\r\n\r\nhalf",
        server.token
    );
    stream.write_all(head.as_bytes()).unwrap();
    server.wait("the upload", || (files(&server, "incoming") == 1).then_some(()));
    stream.shutdown(Shutdown::Both).unwrap();
    server.wait("the end of the upload", || (files(&server, "incoming") == 0).then_some(()));
    assert_eq!(files(&server, "components"), 0);
}

#[test]
fn what_an_earlier_life_left_in_incoming_goes_at_the_start() {
    let server = Server::start();
    std::fs::write(server.path("incoming/x.part"), b"half").unwrap();
    let server = server.reopened();
    assert_eq!(files(&server, "incoming"), 0);
}

#[test]
fn a_version_in_use_cannot_be_deleted_and_numbers_are_not_given_twice() {
    let server = Server::with_orders();
    let problem = server.delete("/v1/operators/count/versions/1").refused(409, "version_in_use");
    assert_eq!(problem["details"].as_array().unwrap().len(), 2, "{problem}");
    server.put("orders", &orders("count@latest")).is(200);
    server.delete("/v1/operators/count/versions/3").refused(409, "version_in_use");
    server.delete("/v1/operators/count/versions/2").is(204);
    server.delete("/v1/operators/count/versions/2").refused(404, "version_not_found");
    assert_eq!(server.push("count", b"two").is(201).json()["version"], 4);
    assert_eq!(files(&server, "components"), 3);
}

#[test]
fn sample_records_run_through_a_version() {
    let server = Server::start();
    server.push("count", b"one").is(201);
    let path = "/v1/operators/count/versions/1/test";
    let tested = server.post(path, json!({ "input": [{ "value": "a" }] })).is(200).json();
    assert_eq!(tested["output"][0]["value"], "a");
    server.post(path, json!({ "inputs": [] })).refused(400, "invalid_json");
    server.post(path, json!({ "input": [], "confg": {} })).refused(400, "invalid_json");
}
