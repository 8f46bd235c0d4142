//! Clients that are slow, many, or gone: the server answers the others, keeps nothing of what was not whole, and a
//! pipeline that runs beside them is not disturbed.

use crate::harness::counting::{is_undisturbed, served};
use crate::harness::guests::guest;
use crate::harness::raw_http::RawClient;
use crate::harness::server::Server;
use crate::harness::waiting::{pause, until};
use serde_json::{Value, json};
use std::time::Duration;

const VERSIONS: &str = "/v1/operators/count/versions";
const WASM: &str = "application/wasm";
/// As many connections as somebody may hold who means no good, within the limit of the server.
const MANY: usize = 500;

fn incoming(server: &Server) -> usize {
    std::fs::read_dir(server.path("incoming")).unwrap().count()
}

fn good() -> Vec<u8> {
    std::fs::read(guest("swap_good")).unwrap()
}

#[test]
fn half_an_upload_leaves_no_file_and_no_version() {
    let (job, server) = served("slow-half");
    let before = server.status(&job.name);
    let bytes = good();
    let mut clients: Vec<RawClient> = (0..5).map(|_| RawClient::connect(server.address())).collect();
    for client in &mut clients {
        client.head(server.token(), "POST", VERSIONS, WASM, bytes.len()).send(&bytes[..bytes.len() / 2]);
    }
    until("the halves to arrive", || (incoming(&server) == 5).then_some(()));
    clients.into_iter().for_each(RawClient::leave);
    until("the halves to go", || (incoming(&server) == 0).then_some(()));
    let answer = server.get(VERSIONS);
    assert_eq!((answer.status, &answer.body["code"]), (404, &json!("version_not_found")), "{answer:?}");
    assert_eq!(server.upload("count", "swap_good"), "count@1");
    is_undisturbed(&server, &job.name, &before);
}

#[test]
fn a_body_that_comes_too_slowly_is_answered_with_request_timeout() {
    let (job, server) = served("slow-body");
    let before = server.status(&job.name);
    let routes = [("POST", VERSIONS, WASM), ("POST", "/v1/tokens", "application/json")];
    let mut clients = routes.map(|(method, path, content)| {
        let mut client = RawClient::connect(server.address());
        client.head(server.token(), method, path, content, 1000).send(b"{");
        client
    });
    for client in &mut clients {
        let answer = client.answer();
        assert_eq!((answer.status, &answer.body["code"]), (408, &json!("request_timeout")), "{answer:?}");
        assert!(answer.body["request_id"].is_string(), "{answer:?}");
    }
    assert_eq!(incoming(&server), 0);
    is_undisturbed(&server, &job.name, &before);
}

#[test]
fn many_connections_that_say_nothing_or_half_a_header_keep_nobody_out_and_lose_their_places() {
    let (job, server) = served("slow-many");
    let before = server.status(&job.name);
    let mut silent: Vec<RawClient> = (0..MANY).map(|_| RawClient::connect(server.address())).collect();
    for half in silent.iter_mut().step_by(2) {
        half.send(b"GET /v1/pipelines HTTP/1.1\r\nhost: local");
    }
    server.get("/readyz").expect(200);
    assert_eq!(server.upload("count", "swap_good"), "count@1");
    is_undisturbed(&server, &job.name, &before);
    until("the server to hang up on all of them", || {
        silent.iter_mut().all(RawClient::is_closed).then_some(())
    });
    server.get("/readyz").expect(200);
    is_undisturbed(&server, &job.name, &before);
}

#[test]
fn a_swap_whose_client_has_gone_away_comes_to_its_end() {
    let (job, server) = served("slow-gone");
    let before = server.status(&job.name);
    server.upload("count-by-key", "swap_good");
    let probation = json!({"time": "200ms", "records": 20});
    let body = json!({"version": 2, "probation": probation}).to_string();
    let path = format!("/v1/pipelines/{}/operators/count/swap", job.name);
    let swaps = format!("/v1/pipelines/{}/swaps", job.name);
    let mut stays = Duration::ZERO;
    let id = until("a swap to begin", || {
        // A little later each time: before the request is taken in, while it is answered.
        let mut client = RawClient::connect(server.address());
        client.head(server.token(), "POST", &path, "application/json", body.len()).send(body.as_bytes());
        pause(stays);
        client.leave();
        stays += Duration::from_micros(200);
        let swaps = server.get(&swaps).expect(200);
        swaps["items"][0]["id"].as_str().map(str::to_owned)
    });
    let swap = server.await_swap(&job.name, &id);
    assert_eq!(swap["state"], "completed", "{swap}");
    is_undisturbed(&server, &job.name, &before);
}

#[test]
fn listeners_that_go_away_are_forgotten() {
    let (job, server) = served("slow-listeners");
    let before = server.status(&job.name);
    let head = format!(
        "GET /v1/pipelines/{}/events HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\naccept: text/event-stream\r\n\r\n",
        job.name,
        server.token()
    );
    // More than there are places: each must be given back.
    for _ in 0..3 {
        let mut clients: Vec<RawClient> =
            (0..MANY / 2).map(|_| RawClient::connect(server.address())).collect();
        for client in &mut clients {
            client.send(head.as_bytes());
        }
        clients.into_iter().for_each(RawClient::leave);
        server.get("/readyz").expect(200);
    }
    is_undisturbed(&server, &job.name, &before);
}

#[test]
fn a_component_beyond_the_limit_is_refused_in_words_also_to_a_client_that_goes_on_sending() {
    let (job, server) = served("slow-large");
    let before = server.status(&job.name);
    // A library that sees its connection break while it sends has no answer to show.
    let answer = server.upload_bytes("count", &vec![0; (64 << 20) + 1]);
    assert_eq!((answer.status, &answer.body["code"]), (413, &json!("too_large")), "{answer:?}");
    let block = vec![0; 1 << 20];
    // Not announced, but counted.
    let mut client = RawClient::connect(server.address());
    let head = format!(
        "POST {VERSIONS} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n",
        server.token()
    );
    client.send(head.as_bytes());
    for _ in 0..65 {
        client.send(format!("{:x}\r\n", block.len()).as_bytes()).send(&block).send(b"\r\n");
    }
    let answer = client.send(b"0\r\n\r\n").answer();
    assert_eq!((answer.status, &answer.body["code"]), (413, &json!("too_large")), "{answer:?}");
    assert_eq!(incoming(&server), 0);
    is_undisturbed(&server, &job.name, &before);
}

#[test]
fn a_body_that_is_no_http_ends_its_own_connection_only() {
    let (job, server) = served("slow-garbage");
    let before: Value = server.status(&job.name);
    let head = format!(
        "POST {VERSIONS} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\ntransfer-encoding: chunked\r\n\r\n",
        server.token()
    );
    let garbage: [&[u8]; 4] = [b"zz\r\nnot a chunk", b"ffffffffffffffffff\r\n", b"-1\r\n", b"5\r\nab"];
    for bytes in garbage {
        let mut client = RawClient::connect(server.address());
        client.send(head.as_bytes()).send(bytes);
        client.leave();
    }
    let heads: [&[u8]; 4] = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /livez\0 HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"POST /v1/tokens HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n{}",
    ];
    for head in heads {
        let mut client = RawClient::connect(server.address());
        // What is no HTTP/1 at all is not even answered.
        let answer = client.send(head).answer_if_any();
        assert!(
            answer.as_ref().is_none_or(|answer| (400..500).contains(&answer.status)),
            "{head:?}: {answer:?}"
        );
    }
    until("nothing to be under way", || (incoming(&server) == 0).then_some(()));
    server.get("/readyz").expect(200);
    is_undisturbed(&server, &job.name, &before);
}
