//! The start of a service that finds its store in trouble.

use crate::harness::{Server, orders};
use serde_json::json;

#[test]
fn a_write_that_fails_at_the_start_keeps_no_other_pipeline_down_and_is_tried_again() {
    let server = Server::with_orders();
    server.put("other", &orders("count@1").replace("orders", "other")).is(201);
    server.apply("other").is(202);
    server.wait_for_status("other", "running");
    let swap = json!({ "version": 2 });
    let begun = server.post("/v1/pipelines/orders/operators/total/swap", swap).is(202).json();
    // As a kill leaves it; and a store that does not take the end of the swap.
    let trouble = "UPDATE swaps SET state = 'preparing', ended_at = NULL;
        CREATE TRIGGER no_room BEFORE UPDATE ON swaps BEGIN SELECT RAISE(ABORT, 'no room'); END;";
    let server = server.reopened_unready(|closed| closed.database().execute_batch(trouble).unwrap());
    server.wait_for_status("other", "running");
    assert_eq!(server.get("/v1/pipelines/orders/status").json()["actual"], "stopped");
    server.send("GET", "/readyz", &[], b"").refused(503, "unavailable");
    server.database().execute_batch("DROP TRIGGER no_room").unwrap();
    server.wait_until_ready();
    server.wait_for_status("orders", "running");
    assert_eq!(server.host.starts.lock().unwrap().len(), 2, "each once");
    let path = format!("/v1/pipelines/orders/swaps/{}", begun["id"].as_str().unwrap());
    assert_eq!(server.get(&path).json()["state"], "interrupted");
}
