//! Drafts, plans, life.

use crate::fake_host::running;
use crate::harness::{Server, orders};
use serde_json::{Value, json};
use weir_control::host::{Ending, PipelineEvent};

#[test]
fn a_pipeline_is_put_planned_applied_stopped_and_deleted() {
    let server = Server::with_orders();
    let started = server.host.starts.lock().unwrap()[0].clone();
    assert_eq!(started.document.toml, orders("count@1"));
    assert!(started.document.components["count@1"].path.is_file());
    server.delete("/v1/pipelines/orders").refused(409, "pipeline_not_stopped");
    let begun = server.post("/v1/pipelines/orders/stop", json!({})).is(202);
    assert_eq!(begun.headers["location"], "/v1/pipelines/orders/status");
    server.wait_for_status("orders", "stopped");
    server.post("/v1/pipelines/orders/start", json!({})).is(202);
    server.wait_for_status("orders", "running");
    server.post("/v1/pipelines/orders/restart", json!({})).is(202);
    server.wait("the third start", || (server.host.starts.lock().unwrap().len() == 3).then_some(()));
    server.wait_for_status("orders", "running");
    server.post("/v1/pipelines/orders/stop", json!({})).is(202);
    server.wait_for_status("orders", "stopped");
    server.delete("/v1/pipelines/orders").is(204);
    assert_eq!(*server.host.discarded.lock().unwrap(), ["orders"]);
    server.get("/v1/pipelines/orders").refused(404, "pipeline_not_found");
    // The name can be used again, and what was applied is not.
    server.put("orders", &orders("count@2")).is(201);
    server.post("/v1/pipelines/orders/start", json!({})).refused(409, "not_applied");
}

#[test]
fn a_document_must_be_readable_and_name_its_path() {
    let server = Server::start();
    for bad in
        ["name = ", "name = \"other\"", "", "name = \"orders\"\n[operator.a]\ncomponent = \"/etc/passwd\""]
    {
        server.put("orders", bad).refused(422, "invalid_pipeline");
    }
    server.get("/v1/pipelines/orders").refused(404, "pipeline_not_found");
    server.put("orders", &orders("count@1")).is(201);
    server.post("/v1/pipelines/orders/plan", json!({})).refused(422, "invalid_pipeline");
    server.push("count", b"one").is(201);
    server.put("orders", &format!("wrong = 1\n{}", orders("count@1"))).is(200);
    let problem = server.post("/v1/pipelines/orders/plan", json!({})).refused(422, "invalid_pipeline");
    assert_eq!(problem["details"].as_array().unwrap().len(), 2);
    server.put("orders", &format!("max_parallelism = 1\n{}", orders("count@1"))).is(200);
    server.apply("orders").refused(409, "plan_refused");
}

#[test]
fn a_draft_is_explained_and_checked_online_where_a_plan_is_asked_to() {
    let server = Server::start();
    server.get("/v1/pipelines/orders/explain").refused(404, "pipeline_not_found");
    server.push("count", b"one").is(201);
    server.put("orders", &format!("wrong = 1\n{}", orders("count@1"))).is(201);
    server.get("/v1/pipelines/orders/explain").refused(422, "invalid_pipeline");
    server.put("orders", &orders("count@1")).is(200);
    let explained = server.get("/v1/pipelines/orders/explain").is(200).json();
    assert_eq!(explained, json!({ "pipeline": "orders" }));
    let plan = |query: &str| server.post(&format!("/v1/pipelines/orders/plan{query}"), json!({}));
    assert_eq!(plan("?online=false").is(200).json().get("online"), None);
    let checked = plan("?online=true").is(200).json();
    assert_eq!(checked["online"][0]["outcome"], "ok");
    assert_eq!(checked["hash"], plan("").is(200).json()["hash"]);
    plan("?online=maybe").refused(400, "invalid_parameter");
}

#[test]
fn what_only_a_start_would_refuse_is_a_warning_where_nothing_starts() {
    let server = Server::start();
    server.push("count", b"one").is(201);
    server.put("orders", &orders("count@1")).is(201);
    server.apply("orders").is(202);
    server.put("orders", &format!("co_partitioned = true\n{}", orders("count@1"))).is(200);
    server.apply("orders").refused(409, "plan_refused");
    server.post("/v1/pipelines/orders/stop", json!({})).is(202);
    let plan = server.post("/v1/pipelines/orders/plan", json!({})).is(200).json();
    assert_eq!(plan["refusals"], json!([]));
    assert_eq!(plan["warnings"], json!(["co_partitioned: written without it"]));
    assert!(plan.get("start_refusals").is_none());
}

#[test]
fn json_is_the_same_document() {
    let server = Server::start();
    server.push("count", b"one").is(201);
    let body = json!({ "name": "orders", "source": { "in": { "kind": "generator" } }, "operator": { "total": { "component": "count@latest" } } });
    let path = "/v1/pipelines/orders";
    let put = server.as_token(&server.token, "PUT", path, body.to_string().as_bytes()).is(201);
    assert!(put.json()["draft"].as_str().unwrap().contains("component = \"count@latest\""));
    let plan = server.post("/v1/pipelines/orders/plan", json!({})).is(200).json();
    assert_eq!(plan["components"]["total"], "count@1");
    assert_eq!(plan["way"], "start");
}

#[test]
fn a_plan_that_is_not_what_would_be_done_now_is_stale() {
    let server = Server::start();
    server.push("count", b"one").is(201);
    server.put("orders", &orders("count@latest")).is(201);
    let plan = server.post("/v1/pipelines/orders/plan", json!({})).is(200).json();
    server.push("count", b"two").is(201);
    let apply = |plan: &Value| server.post("/v1/pipelines/orders/apply", json!({ "hash": plan["hash"] }));
    apply(&plan).refused(409, "stale_plan");
    let plan = server.post("/v1/pipelines/orders/plan", json!({})).is(200).json();
    apply(&plan).is(202);
    server.wait_for_status("orders", "running");
    // It is not the same change any more.
    apply(&plan).refused(409, "stale_plan");
    let applied = server.apply("orders").is(200).json();
    assert_eq!((&applied["way"], &applied["revision"]), (&json!("nothing"), &json!(1)));
}

#[test]
fn a_body_that_may_be_left_out_may_be_null_and_is_no_list() {
    let server = Server::with_orders();
    let start = |body: &[u8]| server.as_token(&server.token, "POST", "/v1/pipelines/orders/start", body);
    for body in [&b""[..], b"null", b"{}", br#"{"from_savepoint": null}"#] {
        start(body).is(202);
    }
    start(b"[]").refused(400, "invalid_json");
    start(br#"[null, false, false]"#).refused(400, "invalid_json");
}

#[test]
fn if_match_guards_changes() {
    let server = Server::start();
    server.push("count", b"one").is(201);
    server.put_if("orders", &orders("count@1"), Some("*")).refused(412, "precondition_failed");
    let made = server.put("orders", &orders("count@1")).is(201);
    let first = made.headers["etag"].to_str().unwrap().to_owned();
    assert_eq!(server.get("/v1/pipelines/orders").headers["etag"].to_str().unwrap(), first);
    // The same again is no change.
    let same = server.put_if("orders", &orders("count@1"), Some(&first)).is(200);
    assert_eq!(same.headers["etag"].to_str().unwrap(), first);
    server.put_if("orders", &orders("count@latest"), Some(&first)).is(200);
    server.put_if("orders", &orders("count@1"), Some(&first)).refused(412, "precondition_failed");
    let bearer = format!("Bearer {}", server.token);
    let headers = [("authorization", bearer.as_str()), ("if-match", first.as_str())];
    server.send("DELETE", "/v1/pipelines/orders", &headers, b"").refused(412, "precondition_failed");
    let plan = server.post("/v1/pipelines/orders/plan", json!({})).is(200).json();
    let headers = [headers[0], headers[1], ("content-type", "application/json")];
    let body = json!({ "hash": plan["hash"] }).to_string();
    server
        .send("POST", "/v1/pipelines/orders/apply", &headers, body.as_bytes())
        .refused(412, "precondition_failed");
}

#[test]
fn other_limits_are_set_on_the_running_pipeline_and_other_keys_restart_it() {
    let server = Server::with_orders();
    let limits = orders("count@1").replace("[sink.out]", "limits = { memory = \"1MiB\" }\n[sink.out]");
    server.put("orders", &limits).is(200);
    let applied = server.apply("orders").is(200).json();
    assert_eq!((&applied["way"], &applied["revision"]), (&json!("limits"), &json!(2)));
    assert_eq!(server.host.life("orders").limits_set(), 1);
    server.put("orders", &format!("parallelism = 2\n{limits}")).is(200);
    assert_eq!(server.apply("orders").is(202).json()["way"], "restart");
    server.wait("the second start", || (server.host.starts.lock().unwrap().len() == 2).then_some(()));
    let revisions = server.get("/v1/pipelines/orders/revisions").is(200).json();
    assert_eq!(revisions["items"].as_array().unwrap().len(), 3);
}

#[test]
fn what_has_failed_stays_so_until_somebody_asks() {
    let server = Server::with_orders();
    server.host.tell("orders", PipelineEvent::Restarting { cause: "kafka".to_owned(), wait_ms: 5 });
    let status = server.get("/v1/pipelines/orders/status").json();
    assert_eq!((&status["actual"], &status["cause"]), (&json!("restarting"), &json!("kafka")));
    server.host.tell("orders", running(false));
    server.host.tell("orders", PipelineEvent::Ended(Ending::Failed("disk".to_owned())));
    let status = server.get("/v1/pipelines/orders/status").json();
    assert_eq!((&status["actual"], &status["cause"]), (&json!("failed"), &json!("disk")));
    assert_eq!((&status["desired"], &status["restarts"][0]["cause"]), (&json!("running"), &json!("kafka")));
    *server.host.refuse_start.lock().unwrap() = Some("no broker".to_owned());
    server.post("/v1/pipelines/orders/start", json!({})).is(202);
    server.wait("the refusal", || {
        (server.get("/v1/pipelines/orders/status").json()["cause"] == "no broker").then_some(())
    });
    *server.host.refuse_start.lock().unwrap() = None;
    server.apply("orders").is(202);
    server.wait_for_status("orders", "running");
}

#[test]
fn a_service_that_opens_again_starts_what_is_to_run() {
    let server = Server::with_orders();
    let text = orders("count@2").replace("orders", "idle");
    server.put("idle", &text).is(201);
    server.apply("idle").is(202);
    server.wait_for_status("idle", "running");
    server.post("/v1/pipelines/idle/stop", json!({})).is(202);
    server.wait_for_status("idle", "stopped");
    let server = server.reopened();
    server.wait_for_status("orders", "running");
    assert_eq!(server.get("/v1/pipelines/idle/status").json()["actual"], "stopped");
    assert_eq!(server.host.starts.lock().unwrap().len(), 1);
}

#[test]
fn a_start_from_a_savepoint_counts_once() {
    let server = Server::with_orders();
    let asked = json!({ "from_savepoint": "before", "replay_output": true, "again": true });
    server.post("/v1/pipelines/orders/start", asked.clone()).refused(409, "pipeline_not_stopped");
    server
        .post("/v1/pipelines/orders/start", json!({ "from_savepoint": "../x" }))
        .refused(400, "invalid_json");
    server.post("/v1/pipelines/orders/stop", json!({})).is(202);
    server.wait_for_status("orders", "stopped");
    let nowhere = json!({ "from_savepoint": "nowhere" });
    server.post("/v1/pipelines/orders/start", nowhere).refused(404, "not_found");
    *server.host.silent.lock().unwrap() = true;
    server.post("/v1/pipelines/orders/start", asked).is(202);
    server.wait("a start", || (server.host.starts.lock().unwrap().len() == 2).then_some(()));
    // The host goes down before the start was decided: it is tried again.
    let server = server.reopened();
    server.wait_for_status("orders", "running");
    let start = server.host.starts.lock().unwrap()[0].clone();
    assert_eq!(
        (start.from_savepoint.as_deref(), start.replay_output, start.again),
        (Some("before"), true, true)
    );
    server.post("/v1/pipelines/orders/restart", json!({})).is(202);
    server.wait("a start", || (server.host.starts.lock().unwrap().len() == 2).then_some(()));
    assert_eq!(server.host.starts.lock().unwrap()[1].from_savepoint, None);
}

#[test]
fn a_restart_after_a_failed_start_from_a_savepoint_is_from_the_savepoint_and_a_plain_start_is_not() {
    let server = Server::with_orders();
    let refuse = |cause: Option<&str>| *server.host.refuse_start.lock().unwrap() = cause.map(str::to_owned);
    for (again, savepoint) in [("restart", Some("before")), ("start", None)] {
        server.post("/v1/pipelines/orders/stop", json!({})).is(202);
        server.wait_for_status("orders", "stopped");
        refuse(Some("no broker"));
        server.post("/v1/pipelines/orders/start", json!({ "from_savepoint": "before" })).is(202);
        server.wait_for_status("orders", "failed");
        refuse(None);
        server.post(&format!("/v1/pipelines/orders/{again}"), json!({})).is(202);
        server.wait_for_status("orders", "running");
        let start = server.host.starts.lock().unwrap().last().unwrap().clone();
        assert_eq!(start.from_savepoint.as_deref(), savepoint, "{again}");
    }
}

#[test]
fn what_is_left_of_a_deleted_pipeline_goes_with_a_line_of_the_audit_log() {
    let server = Server::with_orders();
    server.post("/v1/pipelines/orders/stop", json!({})).is(202);
    server.wait_for_status("orders", "stopped");
    server.delete("/v1/pipelines/orders").is(204);
    let long_ago = "UPDATE pipelines SET deleted_at = 1";
    let server = server.reopened_unready(|closed| closed.database().execute_batch(long_ago).unwrap());
    let line = server.wait("the line", || {
        let lines = server.get("/v1/audit").is(200).json();
        lines["items"].as_array().unwrap().iter().find(|line| line["action"] == "trash.empty").cloned()
    });
    assert_eq!((&line["who"], &line["target"]), (&json!("weir"), &json!("pipeline/orders")));
}

#[test]
fn savepoints_are_made_exported_and_deleted() {
    let server = Server::with_orders();
    let made = server.post("/v1/pipelines/orders/savepoints", json!({ "name": "a.b" })).is(201).json();
    assert_eq!(made["name"], "a.b");
    assert_eq!(
        server.as_token(&server.token, "POST", "/v1/pipelines/orders/savepoints", b"").is(201).json()["name"],
        "made-up"
    );
    let path = "/v1/pipelines/orders/savepoints";
    let first = server.get(&format!("{path}?limit=1")).is(200).json();
    assert_eq!((&first["items"][0]["name"], &first["next"]), (&json!("before-3"), &json!("before-3")));
    let rest = server.get(&format!("{path}?limit=1&after=before-3")).is(200).json();
    assert_eq!((&rest["items"][0]["name"], &rest["next"]), (&json!("before"), &json!(null)));
    server.get(&format!("{path}?after=gone")).refused(400, "invalid_parameter");
    let tar = server.get("/v1/pipelines/orders/savepoints/a.b/export").is(200);
    assert_eq!(tar.bytes, b"a tar file");
    assert_eq!(std::fs::read_dir(server.path("incoming")).unwrap().count(), 0);
    server.delete("/v1/pipelines/orders/savepoints/a.b").is(204);
    server.delete("/v1/pipelines/orders/savepoints/gone").refused(404, "not_found");
    server.get("/v1/pipelines/none/savepoints").refused(404, "pipeline_not_found");
}
