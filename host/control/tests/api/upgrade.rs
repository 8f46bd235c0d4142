//! The feature level of the data directory over HTTP.

use crate::fake_host::FakeHost;
use crate::harness::Server;
use serde_json::{Value, json};
use std::sync::Arc;

fn unfinalized() -> Server {
    let host = FakeHost::default();
    *host.is_unfinalized.lock().unwrap() = true;
    Server::open(Arc::new(tempfile::tempdir().unwrap()), Arc::new(host), |_| {})
}

fn upgrade(server: &Server) -> Value {
    server.get("/v1/upgrade").is(200).json()
}

#[test]
fn an_upgrade_is_finalized_once_with_a_line_in_the_audit_log_and_goes_into_the_store() {
    let server = unfinalized();
    let before = upgrade(&server);
    assert_eq!((&before["level"], &before["finalized"]), (&json!(1), &json!(false)));
    assert_eq!(before["served_by"], json!([]), "the store of level 1 has no place for it");
    let lines = || {
        let audit: Value = server.get("/v1/audit?limit=100").is(200).json();
        let items = audit["items"].as_array().unwrap().clone();
        items.into_iter().filter(|line| line["action"] == "upgrade.finalize").collect::<Vec<_>>()
    };
    let after: Value = server.post("/v1/upgrade/finalize", json!({})).is(200).json();
    assert_eq!((&after["level"], &after["finalized"]), (&json!(2), &json!(true)));
    assert_eq!(after["served_by"][0]["weir"], "0.2.0");
    assert_eq!(lines().len(), 1);
    assert_eq!(lines()[0]["target"], "level/2");
    server.post("/v1/upgrade/finalize", json!({})).is(200);
    assert_eq!(lines().len(), 1, "there was nothing to do");
    let server = server.reopened();
    assert_eq!(upgrade(&server)["served_by"][0]["weir"], "0.2.0");
}
