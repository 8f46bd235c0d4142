//! `weir serve` as its users meet it: uploads, pipelines without a broker, kill -9, what a document may reach, and the
//! command line as a client.

use crate::harness::counting::{counting, is, records_out, works};
use crate::harness::guests::{guest, weir};
use crate::harness::job::Job;
use crate::harness::server::Server;
use crate::harness::waiting::until;
use serde_json::{Value, json};
use std::process::Command;

fn start(job: &Job) -> Server {
    Server::start(&job.data_dir(), &job.path("serve.log"), &[])
}

#[test]
fn a_server_that_is_killed_brings_every_pipeline_back_to_what_is_desired_of_it() {
    let (one, other) = (counting("served-one"), counting("served-other"));
    let mut server = start(&one);
    for job in [&one, &other] {
        server.deploy(job);
        works(&server, &job.name);
    }
    server.post(&format!("/v1/pipelines/{}/stop", other.name), &json!({})).expect(202);
    is(&server, &other.name, "stopped");
    server.weir.kill();
    let server = server.again(&one.path("serve-again.log"), &[]);
    works(&server, &one.name);
    assert_eq!(server.status(&other.name)["actual"], "stopped");
    server.post(&format!("/v1/pipelines/{}/start", other.name), &json!({})).expect(202);
    works(&server, &other.name);
}

#[test]
fn bytes_that_are_no_component_and_components_that_misbehave_hurt_nobody() {
    let job = counting("served-beside");
    let server = start(&job);
    server.deploy(&job);
    works(&server, &job.name);
    for bytes in [&b""[..], b"not a module", b"\0asm\x01\0\0\0\xff\xff\xff\xff"] {
        let answer = server.upload_bytes("bad", bytes);
        assert_eq!((answer.status, &answer.body["code"]), (422, &json!("invalid_component")), "{answer:?}");
    }
    for built in ["hostile_describe_endless", "hostile_describe_traps"] {
        let bytes = std::fs::read(guest(built)).unwrap();
        let answer = server.upload_bytes("bad", &bytes);
        assert!((400..500).contains(&answer.status), "{built}: {answer:?}");
    }
    let before = records_out(&server, &job.name);
    until("the pipeline to go on", || (records_out(&server, &job.name) > before).then_some(()));
    assert_eq!(server.status(&job.name)["running"]["restarts"], 0);
}

#[test]
fn an_operator_is_tried_on_the_server_without_any_pipeline() {
    let job = Job::local("served-trial");
    let server = start(&job);
    server.upload("count-by-key", "count_by_key");
    let input =
        json!({"input": [{"key": "a", "value": "x"}, {"key": "a", "value": "y"}, {"value": "no key"}]});
    let answer = server.post("/v1/operators/count-by-key/versions/1/test", &input).expect(200);
    let values: Vec<&Value> =
        answer["output"].as_array().unwrap().iter().map(|line| &line["value"]).collect();
    assert_eq!(values, [&json!("1"), &json!("2")], "{answer}");
    assert!(answer["rejections"][0].as_str().unwrap().contains("null_key"), "{answer}");
    assert!(
        answer["cpu_us"].as_u64().unwrap() > 0 && answer["memory_bytes"].as_u64().unwrap() > 0,
        "{answer}"
    );
}

#[test]
fn an_operator_that_does_not_take_its_configuration_is_no_failure_of_the_server() {
    let job = Job::local("served-trial-config");
    let server = start(&job);
    server.upload("tumbling-sum", "tumbling_sum");
    for config in [json!({}), json!({"window_ms": "soon"}), json!({"colour": "red"})] {
        let asked = json!({"input": [], "config": config});
        let answer = server.post("/v1/operators/tumbling-sum/versions/1/test", &asked);
        assert_eq!(answer.status, 422, "{config}: {answer:?}");
        assert!(answer.body["message"].as_str().is_some_and(|told| !told.is_empty()), "{answer:?}");
    }
}

#[test]
fn a_document_reaches_nothing_of_the_machine_that_was_not_allowed() {
    let mut job = Job::local("served-reach");
    job.add("[source.made]\nkind = \"files\"\npath = \"/etc/passwd\"");
    job.add_operator("count", "made", "count_by_key", "config = { }");
    job.add("[sink.out]\nkind = \"files\"\ninput = \"count\"\ndirectory = \"../outside\"");
    let server = start(&job);
    let path = format!("/v1/pipelines/{}/plan", job.name);
    server.put(&job.name, &server.with_versions(&job.text));
    let answer = server.post(&path, &json!({}));
    assert!((400..500).contains(&answer.status), "{answer:?}");
    let told = answer.body.to_string();
    assert!(told.contains("/etc/passwd") && told.contains("--allow-path"), "{told}");
    let secret =
        job.text.replace("/etc/passwd", "${env:HOME}/x").replace("../outside", "${file:/etc/hostname}");
    server.put(&job.name, &server.with_versions(&secret));
    let answer = server.post(&path, &json!({}));
    assert!((400..500).contains(&answer.status), "{answer:?}");
}

#[test]
fn limits_change_on_the_running_pipeline_and_nothing_restarts() {
    let job = counting("served-limits");
    let server = start(&job);
    server.deploy(&job);
    works(&server, &job.name);
    let before = server.status(&job.name)["incarnation"].clone();
    let text =
        server.with_versions(&job.text).replace("[sink.out]", "limits = { call = \"3s\" }\n[sink.out]");
    server.put(&job.name, &text);
    let applied = server.apply(&job.name);
    assert_eq!(applied["way"], "limits", "{applied}");
    let status = server.status(&job.name);
    assert_eq!((&status["incarnation"], &status["actual"]), (&before, &json!("running")), "{status}");
}

#[test]
fn the_command_line_is_a_client() {
    let mut job = counting("served-cli");
    let server = start(&job);
    let run = |words: &[&str]| {
        let mut command = Command::new(weir());
        command.args(words).env("WEIR_SERVER", server.url("")).env("WEIR_TOKEN", server.token());
        let output = command.output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let (code, out, error) = run(&["operator", "push", &guest("count_by_key"), "--name", "counter"]);
    assert_eq!((code, out.contains("version  1")), (Some(0), true), "{out}{error}");
    job.text = job.text.replace(&guest("count_by_key"), "counter@latest");
    let file = job.path("document.toml").display().to_string();
    std::fs::write(&file, &job.text).unwrap();
    let (code, out, error) = run(&["pipeline", "plan", &file]);
    assert_eq!((code, out.contains("it would be started")), (Some(0), true), "{out}{error}");
    let (code, out, error) = run(&["apply", "-f", &file]);
    assert_eq!(code, Some(0), "{out}{error}");
    works(&server, &job.name);
    run(&["operator", "push", &guest("swap_good"), "--name", "counter"]);
    let swap = ["pipeline", "swap", &job.name, "count", "counter@2", "--probation-time", "200ms"];
    let (code, out, error) = run(&swap);
    assert_eq!((code, out.contains("completed")), (Some(0), true), "{out}{error}");
    let (_, out, _) = run(&["status"]);
    assert!(out.contains(&job.name), "{out}");
    let (code, _, error) = run(&["pipeline", "status", "nobody"]);
    assert_eq!((code, error.contains("pipeline_not_found")), (Some(1), true), "{error}");
    let (code, out, error) = run(&["token", "create", "ci", "--role", "viewer", "-o", "json"]);
    assert_eq!(code, Some(0), "{error}");
    let token: Value = serde_json::from_str(&out).unwrap();
    assert!(token["token"].as_str().is_some_and(|token| token.starts_with("weir_")), "{token}");
}
