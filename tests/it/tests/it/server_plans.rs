//! Plans of a server tell what a start would refuse: what they show is what happens.

use crate::harness::counting::{is, served, works};
use crate::harness::job::Job;
use crate::harness::server::Server;
use serde_json::{Value, json};

/// Puts a changed text, plans it, and tries to apply the plan where it is refused.
fn planned(server: &Server, job: &Job, text: &str) -> Value {
    server.put(&job.name, &server.with_versions(text));
    let plan = server.post(&format!("/v1/pipelines/{}/plan", job.name), &json!({})).expect(200);
    if plan["refusals"] != json!([]) {
        let apply = json!({"hash": plan["hash"]});
        let answer = server.post(&format!("/v1/pipelines/{}/apply", job.name), &apply);
        assert_eq!(answer.body["code"], "plan_refused", "{answer:?}");
    }
    plan
}

#[track_caller]
fn refused(plan: &Value, parts: &[&str]) {
    let refusals = plan["refusals"].as_array().expect("a list");
    assert_eq!(refusals.len(), 1, "{plan}");
    let line = refusals[0].as_str().expect("a line");
    assert!(parts.iter().all(|part| line.contains(part)), "{line}");
}

#[test]
fn a_files_sink_keeps_its_directory_or_gets_another_name() {
    let (job, server) = served("plan-directory");
    let (old, new) = (format!("directory = \"{}\"", job.name), format!("directory = \"{}-new\"", job.name));
    let moved = job.text.replace(&old, &new);
    let plan = planned(&server, &job, &moved);
    refused(&plan, &["sink.out.directory: ", &format!("{}-new", job.name), "another name"]);
    let renamed = job.text.replace("[sink.out]", "[sink.out2]");
    let warnings = planned(&server, &job, &renamed)["warnings"].to_string();
    assert!(
        warnings.contains("sink.out2: it was out before") && warnings.contains("begins anew"),
        "{warnings}"
    );
    let renamed = moved.replace("[sink.out]", "[sink.out2]");
    assert_eq!(planned(&server, &job, &renamed)["refusals"], json!([]));
    server.apply(&job.name);
    works(&server, &job.name);
}

#[test]
fn the_division_of_keyed_state_changes_with_a_savepoint_only() {
    let (job, server) = served("plan-division");
    let divided = |groups: u32| format!("max_parallelism = {groups}\n{}", job.text);
    let plan = planned(&server, &job, &divided(7));
    refused(&plan, &["max_parallelism: ", "max_parallelism = 7", "5760 key groups", "savepoint"]);
    assert_eq!(planned(&server, &job, &divided(5760))["refusals"], json!([]), "it is what there is");
    // The way out that the refusal tells.
    let path = format!("/v1/pipelines/{}", job.name);
    server.post(&format!("{path}/savepoints"), &json!({"name": "before"})).expect(201);
    server.post(&format!("{path}/stop"), &json!({})).expect(202);
    is(&server, &job.name, "stopped");
    let plan = planned(&server, &job, &divided(7));
    assert_eq!(plan["refusals"], json!([]), "{plan}");
    assert!(plan["warnings"].to_string().contains("5760 key groups"), "{plan}");
    server.apply(&job.name);
    let start = json!({"from_savepoint": "before", "replay_output": true});
    server.post(&format!("{path}/start"), &start).expect(202);
    works(&server, &job.name);
}

#[test]
fn a_source_whose_positions_go_by_its_name_keeps_it() {
    let (job, server) = served("plan-source");
    let renamed =
        job.text.replace("[source.made]", "[source.other]").replace("input = \"made\"", "input = \"other\"");
    let plan = planned(&server, &job, &renamed);
    refused(&plan, &["source.other: ", "source made", "begins anew", "keep the source's name"]);
    let plan = planned(&server, &job, &job.text);
    assert_eq!((&plan["refusals"], &plan["way"]), (&json!([]), &json!("nothing")), "{plan}");
}

#[test]
fn what_an_operator_that_goes_has_kept_is_listed() {
    let (job, server) = served("plan-gone");
    let (before, rest) = job.text.split_once("[operator.count]").expect("an operator");
    let (_, sink) = rest.split_once("[sink.out]").expect("a sink");
    let without = format!("{before}[sink.out]{}", sink.replace("input = \"count\"", "input = \"made\""));
    let fates = |plan: &Value| -> Vec<Value> {
        let states = plan["states"].as_array().expect("a list").iter();
        states.map(|state| json!([state["operator"], state["state"], state["fate"]])).collect()
    };
    let plan = planned(&server, &job, &without);
    refused(&plan, &["operator.count: ", "drop_operators"]);
    assert_eq!(fates(&plan), [json!(["count", "count", "refused"])], "{plan}");
    let plan = planned(&server, &job, &format!("drop_operators = [\"count\"]\n{without}"));
    assert_eq!(plan["refusals"], json!([]), "{plan}");
    assert_eq!(fates(&plan), [json!(["count", "count", "dropped"])], "{plan}");
}
