//! Dead letters: what is asked of the host, and the start in which they come back.

use crate::harness::{Server, orders};
use serde_json::json;
use weir_control::host::{Ending, LettersSelected, PipelineEvent};

const PATH: &str = "/v1/pipelines/orders/dead-letters";

fn with_letters() -> Server {
    let server = Server::with_orders();
    server.put("orders", &format!("{}\n# dead_letter", orders("count@1"))).is(200);
    server.apply("orders");
    server.wait_for_status("orders", "running");
    server
}

#[test]
fn a_replay_is_a_restart_that_the_letters_come_first_in_and_only_once() {
    let server = with_letters();
    let before = server.host.starts.lock().unwrap().len();
    let asked = json!({ "operators": ["total"], "kinds": ["trap"], "since": "2h" });
    let answer = server.post(&format!("{PATH}/replay"), asked).is(202);
    assert_eq!(answer.headers["location"], "/v1/pipelines/orders/status");
    server.wait("the start", || (server.host.starts.lock().unwrap().len() > before).then_some(()));
    let wanted = LettersSelected {
        operators: vec!["total".to_owned()],
        kinds: vec!["trap".to_owned()],
        since: Some("2h".to_owned()),
    };
    assert_eq!(server.host.starts.lock().unwrap().last().unwrap().replay, Some(wanted));
    server.wait_for_status("orders", "running");
    server.host.tell("orders", PipelineEvent::Replayed { letters: 2, failed_again: 1, notes: vec![] });
    let events = server.get("/v1/pipelines/orders/events").json();
    let replayed =
        events["items"].as_array().unwrap().iter().find(|event| event["kind"] == "replayed").unwrap();
    assert_eq!(replayed["body"], json!({ "letters": 2, "failed_again": 1 }));
    // The life has begun: whatever starts it again, the letters do not come first again.
    let server = server.reopened();
    server.wait_for_status("orders", "running");
    assert_eq!(server.host.starts.lock().unwrap().last().unwrap().replay, None);
}

#[test]
fn a_replay_that_is_asked_for_while_a_start_is_under_way_is_not_taken_for_that_start() {
    let server = with_letters();
    *server.host.silent.lock().unwrap() = true;
    *server.host.begins_when_stopped.lock().unwrap() = true;
    let starts = || server.host.starts.lock().unwrap().len();
    let before = starts();
    server.post("/v1/pipelines/orders/restart", json!({})).is(202);
    server.wait("the restart", || (starts() > before).then_some(()));
    let before = starts();
    server.post(&format!("{PATH}/replay"), json!({})).is(202);
    server.wait("the replay", || (starts() > before).then_some(()));
    let replay = |server: &Server| server.host.starts.lock().unwrap().last().unwrap().replay.clone();
    assert_eq!(replay(&server), Some(LettersSelected::default()));
    // A start of what is starting is no start, and takes nothing away.
    server.post("/v1/pipelines/orders/start", json!({})).is(202);
    *server.host.begins_when_stopped.lock().unwrap() = false;
    let before = starts();
    server.post("/v1/pipelines/orders/restart", json!({})).is(202);
    server.wait("the restart", || (starts() > before).then_some(()));
    assert_eq!(replay(&server), Some(LettersSelected::default()));
    // The same once more, while the first is about to be over, is another replay.
    *server.host.begins_when_stopped.lock().unwrap() = true;
    let before = starts();
    server.post(&format!("{PATH}/replay"), json!({})).is(202);
    server.wait("the second replay", || (starts() > before).then_some(()));
    assert_eq!(replay(&server), Some(LettersSelected::default()));
}

#[test]
fn a_life_of_letters_is_shown_and_how_it_ended_is_told() {
    let server = with_letters();
    *server.host.silent.lock().unwrap() = true;
    let before = server.host.starts.lock().unwrap().len();
    server.post(&format!("{PATH}/replay"), json!({})).is(202);
    server.wait("the start", || (server.host.starts.lock().unwrap().len() > before).then_some(()));
    let replaying = || PipelineEvent::Replaying { incarnation: "i7".to_owned(), letters: 3 };
    server.host.tell("orders", replaying());
    assert_eq!(server.wait_for_status("orders", "replaying")["incarnation"], "i7");
    let restarting = PipelineEvent::Restarting { cause: "a broker is away".to_owned(), wait_ms: 1 };
    server.host.tell("orders", restarting);
    server.wait_for_status("orders", "restarting");
    server.host.tell("orders", replaying());
    server.wait_for_status("orders", "replaying");
    let ended = |cause: Option<&str>| PipelineEvent::ReplayEnded {
        letters: Some(1),
        left: Some(2),
        failed_again: 0,
        cause: cause.map(str::to_owned),
    };
    server.host.tell("orders", ended(None));
    server.host.tell("orders", ended(Some("no room")));
    server.host.tell("orders", PipelineEvent::Ended(Ending::Failed("the replay failed: no room".to_owned())));
    assert_eq!(server.wait_for_status("orders", "failed")["cause"], "the replay failed: no room");
    let events = server.get("/v1/pipelines/orders/events").json();
    let body = |kind: &str| {
        let found = events["items"].as_array().unwrap().iter().find(|event| event["kind"] == kind);
        found.unwrap_or_else(|| panic!("{kind} in {events}"))["body"].clone()
    };
    assert_eq!(body("replaying"), json!({ "incarnation": "i7", "letters": 3 }));
    assert_eq!(body("replay_stopped"), json!({ "letters": 1, "left": 2, "failed_again": 0 }));
    let failed = json!({ "letters": 1, "left": 2, "failed_again": 0, "cause": "no room" });
    assert_eq!(body("replay_failed"), failed);
}

#[test]
fn letters_are_listed_and_a_dry_run_changes_nothing() {
    let server = with_letters();
    let before = server.host.starts.lock().unwrap().len();
    let listed = server.get(&format!("{PATH}?operator=total&limit=1")).is(200).json();
    assert_eq!(listed["items"], json!([{ "operators": ["total"] }]));
    assert_eq!((&listed["replayable"], &listed["staying"]), (&json!(2), &json!(0)));
    server.get(&format!("{PATH}?limit=0")).refused(400, "invalid_parameter");
    server.get(&format!("{PATH}?nonsense=1")).refused(400, "invalid_parameter");
    let dry = server.post(&format!("{PATH}/replay"), json!({ "dry_run": true })).is(200).json();
    assert_eq!((&dry["replayable"], &dry["complete"]), (&json!(2), &json!(true)));
    assert_eq!(listed["complete"], false);
    assert_eq!(server.host.starts.lock().unwrap().len(), before);
}

#[test]
fn what_cannot_be_replayed_stops_nothing() {
    let server = Server::with_orders();
    server.post(&format!("{PATH}/replay"), json!({})).refused(422, "invalid_pipeline");
    server.post(&format!("{PATH}/replay"), json!({ "kind": "trap" })).refused(400, "invalid_json");
    assert_eq!(server.get("/v1/pipelines/orders/status").json()["actual"], "running");
    server.get("/v1/pipelines/nobody/dead-letters").refused(404, "pipeline_not_found");
    server.put("draft", &orders("count@1").replace("orders", "draft")).is(201);
    server.get("/v1/pipelines/draft/dead-letters").refused(409, "not_applied");
}
