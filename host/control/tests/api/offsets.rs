//! Offsets: shown, tried, changed.

use crate::harness::Server;
use serde_json::json;
use weir_control::host::{OffsetsTarget, ResetState};

const OFFSETS: &str = "/v1/pipelines/orders/offsets";

#[test]
fn offsets_are_shown_and_reset_where_the_pipeline_is_stopped() {
    let server = Server::with_orders();
    let shown = server.get(OFFSETS).is(200).json();
    assert_eq!(shown["partitions"][0]["lag"], 2);
    let tried = server.post(OFFSETS, json!({ "to": "earliest" })).is(200).json();
    assert_eq!(tried["dry_run"], true);
    let asked = json!({
        "to": "offset",
        "offsets": [{ "topic": "orders", "partition": 1, "offset": 17 }],
        "state": "keep",
        "dry_run": false
    });
    let refused = server.post(OFFSETS, asked.clone()).refused(409, "pipeline_not_stopped");
    assert!(refused["hint"].as_str().unwrap().contains("/stop"), "{refused}");
    server.post("/v1/pipelines/orders/stop", json!({})).is(202);
    server.wait_for_status("orders", "stopped");
    let done = server.post(OFFSETS, asked).is(200).json();
    assert_eq!(done["decided"], "8-i2");
    let resets = server.host.resets.lock().unwrap().clone();
    assert_eq!(resets.len(), 2, "the refused one did not come to the host");
    assert!(matches!(&resets[1].to, OffsetsTarget::Offsets(offsets) if offsets[0].offset == 17));
    assert_eq!(resets[1].state, Some(ResetState::Keep));
    let audit = server.get("/v1/audit").is(200).json();
    let outcomes: Vec<_> = audit["items"].as_array().unwrap().iter().collect();
    let of_resets = outcomes.iter().filter(|line| line["action"] == "pipeline.reset_offsets");
    assert_eq!(of_resets.count(), 2, "done and refused, and no dry run: {audit}");
}

#[test]
fn what_the_host_refuses_and_what_was_never_applied_is_told() {
    let server = Server::with_orders();
    server.post(OFFSETS, json!({ "to": "snapshot" })).refused(409, "conflict");
    server.post(OFFSETS, json!({ "to": "shift" })).refused(400, "invalid_parameter");
    server.post(OFFSETS, json!({ "to": "elsewhere" })).refused(400, "invalid_json");
    server.put("other", &crate::harness::orders("count@1").replace("\"orders\"", "\"other\"")).is(201);
    server.get("/v1/pipelines/other/offsets").refused(409, "not_applied");
    server.get("/v1/pipelines/nobody/offsets").refused(404, "pipeline_not_found");
}
