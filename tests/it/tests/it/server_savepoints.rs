//! Savepoints of a server: made, listed, exported, started from and deleted by the command line as a client.

use crate::harness::counting::is;
use crate::harness::guests::weir;
use crate::harness::job::Job;
use crate::harness::server::Server;
use crate::harness::waiting::until;
use serde_json::{Value, json};
use std::process::Command;

fn run(server: &Server, words: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(weir());
    command.args(words).env("WEIR_SERVER", server.url("")).env("WEIR_TOKEN", server.token());
    let output = command.env_remove("WEIR_DATA_DIR").output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn decided(server: &Server, pipeline: &str) -> u64 {
    server.status(pipeline)["running"]["last_checkpoint_epoch"].as_u64().unwrap_or(0)
}

#[test]
fn savepoints_of_a_server_are_made_moved_and_started_from_by_its_client() {
    let mut job = Job::local("served-savepoints");
    job.add("[source.made]\nkind = \"generator\"\nrate = 2000\nkeys = 20");
    job.add_operator("count", "made", "count_by_key", "");
    job.add("[sink.out]\nkind = \"blackhole\"\ninput = \"count\"");
    let (server, name) = (Server::start(&job.data_dir(), &job.path("serve.log"), &[]), job.name.clone());
    server.deploy(&job);
    until("a decision", || (decided(&server, &name) > 1).then_some(()));
    let (code, out, error) = run(&server, &["savepoint", "create", &name, "--name", "first"]);
    assert_eq!((code, out.contains("first")), (Some(0), true), "{out}{error}");
    let (_, out, _) = run(&server, &["savepoint", "list", &name, "-o", "json"]);
    let listed: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(listed["items"][0]["name"], "first", "{out}");
    let file = job.path("first.tar");
    let (code, _, error) =
        run(&server, &["savepoint", "export", &name, "first", "--to", &file.display().to_string()]);
    assert_eq!(code, Some(0), "{error}");
    // The tar file is one that any tar reads, its description first.
    let bytes = std::fs::read(&file).unwrap();
    assert!(bytes.len() > 512 && bytes[257..262] == *b"ustar", "{} bytes", bytes.len());
    let (code, _, error) = run(&server, &["savepoint", "inspect", &name, "first"]);
    assert_eq!((code, error.contains("--data-dir")), (Some(2), true), "{error}");

    // Back to it, twice: the second time has to be said.
    for (again, words) in [(false, vec![]), (true, vec!["--again"])] {
        until("more decisions", || (decided(&server, &name) > 3).then_some(()));
        server.post(&format!("/v1/pipelines/{name}/stop"), &json!({})).expect(202);
        is(&server, &name, "stopped");
        let start = ["pipeline", "start", &name, "--from-savepoint", "first", "--replay-output"];
        if again {
            let (code, _, error) = run(&server, &start);
            assert_eq!(code, Some(0), "{error}");
            is(&server, &name, "failed");
            let cause = server.status(&name)["cause"].to_string();
            assert!(cause.contains("--again"), "{cause}");
        }
        let (code, _, error) = run(&server, &[&start[..], &words[..]].concat());
        assert_eq!(code, Some(0), "{error}");
        is(&server, &name, "running");
        // The rows since the savepoint are read again: the host counts from nought at each start.
        until("records", || (server.status(&name)["running"]["records_out"].as_u64()? > 0).then_some(()));
    }
    let (code, _, error) = run(&server, &["savepoint", "delete", &name, "first"]);
    assert_eq!(code, Some(0), "{error}");
    let (code, _, error) = run(&server, &["savepoint", "delete", &name, "first"]);
    assert_eq!((code, error.contains("no savepoint first")), (Some(1), true), "{error}");
}
