//! What a server says of its pipelines: rates, where the time of each subtask goes, and of one that has ended by a panic
//! while another goes on.

use crate::harness::job::Job;
use crate::harness::server::Server;
use crate::harness::waiting::until;
use serde_json::{Value, json};

fn number(of: &Value, key: &str) -> u64 {
    of[key].as_u64().unwrap_or_else(|| panic!("{key} in {of}"))
}

#[test]
fn a_status_tells_rates_and_how_each_subtask_spends_its_time() {
    let mut job = Job::local("served-status");
    job.add("[source.made]\nkind = \"generator\"\nrate = 2000\nkeys = 20\npartitions = 2");
    job.add_operator("count", "made", "count_by_key", "");
    job.add("[sink.out]\nkind = \"blackhole\"\ninput = \"count\"");
    let server = Server::start(&job.data_dir(), &job.path("serve.log"), &[]);
    server.deploy(&job);
    let status = until("rates of a second or more", || {
        let status = server.status(&job.name)["running"].clone();
        let told =
            status["rate_window_ms"].as_u64()? >= 1000 && status["records_out_per_second"].as_u64()? > 0;
        told.then_some(status)
    });
    assert!(number(&status, "records_in_per_second") > 0, "{status}");
    let subtasks = status["subtasks"].as_array().unwrap();
    assert_eq!(subtasks.len(), 4, "two stages of two subtasks: {status}");
    for (index, subtask) in subtasks.iter().enumerate() {
        assert_eq!(number(subtask, "subtask"), index as u64);
        let steps = subtask["steps"].to_string();
        match number(subtask, "stage") {
            0 => assert_eq!(steps, "[\"source.made\"]"),
            _ => assert_eq!(steps, "[\"operator.count\",\"sink.out\"]"),
        }
        assert!(number(subtask, "records_in") > 0 && number(subtask, "records_out") > 0, "{subtask}");
        let spent = ["busy_ms_per_second", "idle_ms_per_second", "back_pressured_ms_per_second"];
        let spent: u64 = spent.iter().map(|key| number(subtask, key)).sum();
        // Together they are the thread's time. What is counted at the end of a wait may belong to the window before.
        assert!((500..=1500).contains(&spent), "{subtask}");
        assert!(number(subtask, "idle_ms_per_second") > 0, "this load leaves it time: {subtask}");
    }
    // Rows of a stage are those that the stage before has sent.
    let total = |stage: u64, key: &str| -> u64 {
        subtasks.iter().filter(|s| number(s, "stage") == stage).map(|s| number(s, key)).sum()
    };
    assert!(total(1, "records_in") <= total(0, "records_out") + 4096, "{status}");
}

#[test]
fn a_panic_in_one_pipeline_ends_that_one_and_no_other() {
    let generated = |stem: &str| {
        let mut job = Job::local(stem);
        job.add("[source.made]\nkind = \"generator\"\nrate = 500\nkeys = 5");
        job.add_operator("count", "made", "count_by_key", "");
        job.add("[sink.out]\nkind = \"blackhole\"\ninput = \"count\"");
        job
    };
    let (one, other) = (generated("served-panics"), generated("served-calm"));
    // The coordinator of the pipeline that comes first, at its third barrier.
    let environment = [("WEIR_KILL_AT", "barrier_injected:3"), ("WEIR_KILL_BY", "panic")];
    let server = Server::start(&one.data_dir(), &one.path("serve.log"), &environment);
    server.deploy(&one);
    let failed = until("the pipeline to fail", || {
        let status = server.status(&one.name);
        (status["actual"] == "failed").then_some(status)
    });
    assert!(failed["cause"].as_str().unwrap().contains("a broken invariant of weir itself"), "{failed}");
    server.deploy(&other);
    let decides = |name: &str| {
        until(&format!("{name} to decide"), || {
            (server.status(name)["running"]["last_checkpoint_epoch"].as_u64()? > 2).then_some(())
        });
    };
    decides(&other.name);
    // It is not tried again by itself, and runs when it is asked to.
    assert_eq!(server.status(&one.name)["actual"], "failed");
    server.post(&format!("/v1/pipelines/{}/start", one.name), &json!({})).expect(202);
    decides(&one.name);
    assert_eq!(server.status(&other.name)["running"]["restarts"], 0);
}
