//! Swaps, from the request to what is remembered.

use crate::fake_host::{running, running_with};
use crate::harness::{Answer, Server, orders};
use serde_json::{Value, json};
use weir_control::host::{Ending, PipelineEvent, SwapEvent};

const SWAP: &str = "/v1/pipelines/orders/operators/total/swap";

fn begin(server: &Server, version: Value) -> String {
    let begun = server.post(SWAP, json!({ "version": version })).is(202);
    let swap = begun.json();
    let id = swap["id"].as_str().unwrap().to_owned();
    assert_eq!(begun.headers["location"].to_str().unwrap(), format!("/v1/pipelines/orders/swaps/{id}"));
    id
}

fn swap(server: &Server, id: &str) -> Value {
    server.get(&format!("/v1/pipelines/orders/swaps/{id}")).is(200).json()
}

fn to_probation(server: &Server) {
    server.host.tell_swap("orders", SwapEvent::Prepared);
    server.host.tell_swap("orders", SwapEvent::Probation { epoch: 7 });
}

fn applied(server: &Server) -> Value {
    server.get("/v1/pipelines/orders/revisions?limit=1").is(200).json()["items"][0].clone()
}

#[test]
fn a_completed_swap_is_a_new_revision_and_the_draft_says_so() {
    let server = Server::with_orders();
    let id = begin(&server, json!(2));
    assert_eq!(server.get("/v1/pipelines/orders/status").json()["actual"], "swapping");
    let asked = server.host.life("orders").swaps().pop().unwrap();
    assert_eq!(
        (asked.operator.as_str(), asked.document.toml.as_str()),
        ("total", orders("count@2").as_str())
    );
    server.post(SWAP, json!({ "version": "latest" })).refused(409, "swap_in_progress");
    server.apply("orders").refused(409, "swap_in_progress");
    to_probation(&server);
    assert_eq!(swap(&server, &id)["state"], "probation");
    server.host.tell_swap("orders", SwapEvent::Completed { epoch: 8 });
    let ended = swap(&server, &id);
    assert_eq!(
        (&ended["state"], &ended["epoch_before"], &ended["epoch_completed"]),
        (&json!("completed"), &json!(7), &json!(8))
    );
    let revision = applied(&server);
    assert_eq!((&revision["revision"], &revision["toml"]), (&json!(2), &json!(orders("count@2"))));
    assert_eq!(server.get("/v1/pipelines/orders").json()["draft"], orders("count@2"));
    server.wait_for_status("orders", "running");
    assert_eq!(server.apply("orders").is(200).json()["way"], "nothing");
}

#[test]
fn a_version_that_was_rolled_back_is_remembered_until_it_is_forced() {
    let server = Server::with_orders();
    let id = begin(&server, json!("2"));
    to_probation(&server);
    let (reason, samples) = ("trapped: unreachable".to_owned(), vec!["in/0@4: …".to_owned()]);
    server.host.tell_swap("orders", SwapEvent::RolledBack { reason, samples });
    let ended = swap(&server, &id);
    assert_eq!((&ended["state"], &ended["reason"]), (&json!("rolled_back"), &json!("trapped: unreachable")));
    assert_eq!(ended["samples"][0], "in/0@4: …");
    assert_eq!(applied(&server)["revision"], 1);
    server.host.tell("orders", running(false));
    let problem = server.post(SWAP, json!({ "version": 2 })).refused(409, "previously_rolled_back");
    assert!(problem["details"][0].as_str().unwrap().contains("unreachable"), "{problem}");
    // Neither a plan nor a restart of the service forgets it.
    let server = server.reopened();
    server.wait_for_status("orders", "running");
    server.put("orders", &orders("count@2")).is(200);
    let plan = server.post("/v1/pipelines/orders/plan", json!({})).is(200).json();
    assert_eq!(plan["rejected"][0]["component"], "count@2");
    server.apply("orders").refused(409, "previously_rolled_back");
    let forced = json!({ "hash": plan["hash"], "force": true });
    let begun = server.post("/v1/pipelines/orders/apply", forced).is(202).json();
    assert_eq!(begun["way"], "swap");
    to_probation(&server);
    server.host.tell_swap("orders", SwapEvent::Completed { epoch: 8 });
    let revision = applied(&server);
    assert_eq!((&revision["revision"], &revision["plan_hash"]), (&json!(2), &plan["hash"]));
    assert_eq!(swap(&server, begun["swap"]["id"].as_str().unwrap())["state"], "completed");
}

#[test]
fn a_service_that_goes_down_in_probation_is_told_by_the_next_start_how_it_ended() {
    for completed in [false, true] {
        let server = Server::with_orders();
        *server.host.candidate_is_decided.lock().unwrap() = completed;
        let id = begin(&server, json!(3));
        to_probation(&server);
        let server = server.reopened();
        server.wait_for_status("orders", "running");
        let start = server.host.starts.lock().unwrap()[0].clone();
        assert_eq!(start.document.toml, orders("count@1"));
        assert_eq!(start.candidate.unwrap().toml, orders("count@3"));
        assert_eq!(swap(&server, &id)["state"], if completed { "completed" } else { "interrupted" });
        assert_eq!(applied(&server)["revision"], if completed { 2 } else { 1 });
        // Decided once.
        let server = server.reopened();
        server.wait_for_status("orders", "running");
        let start = server.host.starts.lock().unwrap()[0].clone();
        assert_eq!(start.document.toml, orders(if completed { "count@3" } else { "count@1" }));
        assert!(start.candidate.is_none());
    }
}

#[test]
fn a_completion_that_could_not_be_written_is_seen_in_what_the_next_life_runs() {
    for completed in [false, true] {
        let server = Server::with_orders();
        let id = begin(&server, json!(3));
        to_probation(&server);
        let runs = if completed { 3 } else { 1 };
        let version = server.get(&format!("/v1/operators/count/versions/{runs}")).is(200).json();
        let runs = version["sha256"].as_str().unwrap().to_owned();
        let cause = "kafka".to_owned();
        server.host.tell("orders", PipelineEvent::Restarting { cause, wait_ms: 5 });
        server.host.tell("orders", running_with("total", &runs));
        server.wait_for_status("orders", "running");
        assert_eq!(swap(&server, &id)["state"], if completed { "completed" } else { "interrupted" });
        let server = server.reopened();
        server.wait_for_status("orders", "running");
        let start = server.host.starts.lock().unwrap()[0].clone();
        assert_eq!(start.document.toml, orders(if completed { "count@3" } else { "count@1" }));
    }
}

#[test]
fn a_swap_that_the_host_does_not_know_is_ended_by_a_request() {
    let server = Server::with_orders();
    let id = begin(&server, json!(2));
    *server.host.forgets_swaps.lock().unwrap() = true;
    let path = format!("/v1/pipelines/orders/swaps/{id}");
    let ended = server.delete(&path).is(202).json();
    assert_eq!(ended["state"], "interrupted");
    server.wait_for_status("orders", "running");
    let id = begin(&server, json!(2));
    // What runs is not known here: the next start decides.
    to_probation(&server);
    server.delete(&format!("/v1/pipelines/orders/swaps/{id}")).refused(409, "conflict");
    assert_eq!(swap(&server, &id)["state"], "probation");
}

#[test]
fn a_swap_has_one_end_also_where_its_pipeline_ends_before_the_refusal() {
    let server = Server::with_orders();
    let life = server.host.life("orders");
    let ends = move || life.tell(PipelineEvent::Ended(Ending::Failed("disk".to_owned())));
    *server.host.refuse_swap.lock().unwrap() = Some(Box::new(ends));
    server.post(SWAP, json!({ "version": 2 })).refused(409, "conflict");
    let swaps = server.get("/v1/pipelines/orders/swaps").is(200).json();
    let ended = &swaps["items"][0];
    assert_eq!((&ended["state"], &ended["reason"]), (&json!("interrupted"), &json!("the pipeline ended")));
    let audit = server.get("/v1/audit").is(200).json();
    let ends = audit["items"].as_array().unwrap().iter().filter(|line| line["action"] == "swap.end");
    assert_eq!(ends.count(), 1);
}

#[test]
fn a_service_that_goes_down_before_probation_interrupts_the_swap() {
    for prepared in [false, true] {
        let server = Server::with_orders();
        let id = begin(&server, json!(2));
        if prepared {
            server.host.tell_swap("orders", SwapEvent::Prepared);
        }
        let server = server.reopened();
        server.wait_for_status("orders", "running");
        assert!(server.host.starts.lock().unwrap()[0].candidate.is_none());
        assert_eq!(swap(&server, &id)["state"], "interrupted");
        begin(&server, json!(2));
    }
}

#[test]
fn a_swap_is_cancelled_before_probation() {
    let server = Server::with_orders();
    let id = begin(&server, json!(2));
    let path = format!("/v1/pipelines/orders/swaps/{id}");
    assert_eq!(server.delete(&path).is(202).json()["state"], "cancelled");
    server.delete(&path).refused(409, "conflict");
    server.wait_for_status("orders", "running");
    let id = begin(&server, json!(2));
    server.host.tell_swap("orders", SwapEvent::Abandoned { reason: "open failed".to_owned() });
    let ended = swap(&server, &id);
    assert_eq!((&ended["state"], &ended["reason"]), (&json!("failed"), &json!("open failed")));
}

#[test]
fn a_swap_whose_pipeline_failed_in_probation_is_given_up_on_request() {
    let server = Server::with_orders();
    server.put("orders", &format!("{}\n# dead_letter", orders("count@1"))).is(200);
    server.apply("orders");
    server.wait_for_status("orders", "running");
    let id = begin(&server, json!(2));
    to_probation(&server);
    server.host.tell("orders", PipelineEvent::Ended(Ending::Failed("in doubt".to_owned())));
    assert_eq!(swap(&server, &id)["state"], "probation");
    server.apply("orders").refused(409, "swap_in_progress");
    // Each would be dealt with by a start that does not know yet which version it is of.
    let reset = json!({ "to": "earliest", "dry_run": false });
    server.post("/v1/pipelines/orders/offsets", reset).refused(409, "swap_in_progress");
    server.post("/v1/pipelines/orders/dead-letters/replay", json!({})).refused(409, "swap_in_progress");
    let given_up = server.delete(&format!("/v1/pipelines/orders/swaps/{id}")).is(202).json();
    assert_eq!(given_up["state"], "interrupted");
    server.apply("orders").is(202);
    server.wait_for_status("orders", "running");
}

#[test]
fn rollback_is_a_swap_to_the_version_before() {
    let server = Server::with_orders();
    server.post("/v1/pipelines/orders/rollback", json!({})).refused(409, "conflict");
    begin(&server, json!("count@3"));
    to_probation(&server);
    server.host.tell_swap("orders", SwapEvent::Completed { epoch: 8 });
    server.wait_for_status("orders", "running");
    let back = server.as_token(&server.token, "POST", "/v1/pipelines/orders/rollback", b"").is(202).json();
    assert_eq!((&back["from"], &back["to"]), (&json!("count@3"), &json!("count@1")));
    to_probation(&server);
    server.host.tell_swap("orders", SwapEvent::Completed { epoch: 10 });
    let revision = applied(&server);
    assert_eq!((&revision["revision"], &revision["toml"]), (&json!(3), &json!(orders("count@1"))));
    server.wait_for_status("orders", "running");
    // The host refuses what it is asked like this: what is left is said.
    let impossible = json!({ "probation": { "time": "1h" } });
    let problem = server.post("/v1/pipelines/orders/rollback", impossible).refused(409, "not_a_swap");
    assert!(problem["hint"].as_str().unwrap().contains("before-3 (2026-01-31T12:00:00Z)"), "{problem}");
}

#[test]
fn what_cannot_be_a_swap_is_refused_and_leaves_the_pipeline_free() {
    let server = Server::with_orders();
    let slow = json!({ "version": 2, "probation": { "time": "1h" } });
    server.post(SWAP, slow).refused(409, "not_a_swap");
    server.wait_for_status("orders", "running");
    let dry = server.post(SWAP, json!({ "version": 2, "dry_run": true })).is(200).json();
    assert_eq!(dry["migrated_entries"], 3);
    let line = server.get("/v1/audit?limit=1").is(200).json()["items"][0].clone();
    assert_eq!(line["action"], "pipeline.swap.dry_run");
    assert_eq!(line["target"], "pipeline/orders/operator/total");
    server.post(SWAP, json!({ "version": 9 })).refused(404, "version_not_found");
    server.post(SWAP, json!({ "version": 0 })).refused(400, "invalid_parameter");
    server.post(SWAP, json!({ "version": "x@y" })).refused(400, "invalid_parameter");
    server.post(SWAP, json!({ "version": 2, "probation": 3 })).refused(400, "invalid_json");
    let (slower, longer) = (json!({ "slowdown_max": -1 }), json!({ "records": 1_u64 << 63 }));
    server.post(SWAP, json!({ "version": 2, "rules": slower })).refused(400, "invalid_parameter");
    server.post(SWAP, json!({ "version": 2, "probation": longer })).refused(400, "invalid_parameter");
    server
        .post(SWAP, json!({ "version": 2, "rules": { "probation": ["1s", 1] } }))
        .refused(400, "invalid_json");
    server
        .post("/v1/pipelines/orders/operators/none/swap", json!({ "version": 2 }))
        .refused(404, "not_found");
    server.post("/v1/pipelines/orders/stop", json!({})).is(202);
    server.wait_for_status("orders", "stopped");
    server.post(SWAP, json!({ "version": 2 })).refused(409, "pipeline_not_running");
    let swaps = server.get("/v1/pipelines/orders/swaps").is(200).json();
    assert_eq!(swaps["items"].as_array().unwrap().len(), 1);
    assert_eq!(swaps["items"][0]["state"], "failed");
}

#[test]
fn a_migration_that_would_pause_for_too_long_is_refused_before_anything_begins() {
    let server = Server::with_orders();
    *server.host.migrates.lock().unwrap() = true;
    let asked = |pause_max: &str| json!({ "version": 2, "rules": { "pause_max": pause_max } });
    let problem = server.post(SWAP, asked("11ms")).refused(409, "pause_too_long");
    assert!(problem["message"].as_str().unwrap().contains("12ms"), "{problem}");
    let swaps = server.get("/v1/pipelines/orders/swaps").is(200).json();
    assert_eq!(swaps["items"], json!([]));
    // A change that begins a swap by itself is under the same rule, with its default.
    server.post(SWAP, asked("12ms")).is(202);
}

/// Asks, and while the migration is tried lets something else happen.
fn meanwhile(server: &Server, ask: impl Fn() -> Answer + Sync, happens: impl FnOnce()) -> Answer {
    *server.host.migrates.lock().unwrap() = true;
    std::thread::scope(|scope| {
        let trial = server.host.hold_trial();
        let asked = scope.spawn(&ask);
        trial.has_begun();
        happens();
        trial.goes_on();
        asked.join().unwrap()
    })
}

#[test]
fn a_pipeline_is_stopped_while_a_migration_is_tried() {
    let stop = |server: &Server| {
        server.post("/v1/pipelines/orders/stop", json!({})).is(202);
        server.wait_for_status("orders", "stopped");
    };
    let server = Server::with_orders();
    let dry = || server.post(SWAP, json!({ "version": 2, "dry_run": true }));
    meanwhile(&server, dry, || stop(&server)).is(200);
    let server = Server::with_orders();
    let swap = || server.post(SWAP, json!({ "version": 2 }));
    meanwhile(&server, swap, || stop(&server)).refused(409, "pipeline_not_running");
    let server = Server::with_orders();
    server.put("orders", &orders("count@2")).is(200);
    // It is carried out, as with any pipeline that is stopped.
    meanwhile(&server, || server.apply("orders"), || stop(&server)).is(200);
    assert_eq!(applied(&server)["toml"], orders("count@2"));
    assert_eq!(server.get("/v1/pipelines/orders/status").json()["actual"], "stopped");
}

#[test]
fn a_swap_is_refused_where_another_was_made_while_its_migration_was_tried() {
    let server = Server::with_orders();
    let other = || {
        *server.host.migrates.lock().unwrap() = false;
        begin(&server, json!(3));
        to_probation(&server);
        server.host.tell_swap("orders", SwapEvent::Completed { epoch: 8 });
        server.wait_for_status("orders", "running");
    };
    meanwhile(&server, || server.post(SWAP, json!({ "version": 2 })), other).refused(409, "conflict");
    assert_eq!(applied(&server)["toml"], orders("count@3"));
    server.put("orders", &orders("count@2")).is(200);
    let other = || {
        server.put("orders", &orders("count@1")).is(200);
    };
    meanwhile(&server, || server.apply("orders"), other).refused(409, "stale_plan");
    assert_eq!(applied(&server)["toml"], orders("count@3"));
}
