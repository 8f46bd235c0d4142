//! The way of an operator's author: a new directory, a build, an upload, a pipeline.

use crate::harness::guests::{repository, target, weir};
use crate::harness::job::Job;
use crate::harness::server::Server;
use serde_json::json;
use std::path::Path;
use std::process::Command;

/// Runs weir in a directory, as the author would, with the compiler that builds the guests of the tests.
fn run(directory: &Path, server: &Server, words: &[&str]) -> String {
    let mut command = Command::new(weir());
    command.args(words).current_dir(directory);
    command.env("WEIR_SERVER", server.url("")).env("WEIR_TOKEN", server.token());
    // What the author's crate is made of is built once.
    command.env("CARGO_TARGET_DIR", target().join("author-build"));
    for (name, value) in std::env::vars() {
        if let Some(variable) = name.strip_prefix("WEIR_TEST_GUEST_") {
            command.env(variable, value);
        }
    }
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{words:?}: {}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn a_new_operator_is_built_and_pushed_in_one_command_and_runs() {
    let mut job = Job::local("author");
    let server = Server::start(&job.data_dir(), &job.path("serve.log"), &[]);
    let (home, sdk) = (job.path(""), repository().join("guest-sdk"));
    run(&home, &server, &["operator", "new", "shout", "--sdk-path", &sdk.display().to_string()]);
    // The same versions as the SDK was tested with.
    std::fs::copy(repository().join("Cargo.lock"), home.join("shout/Cargo.lock")).unwrap();
    let said = run(&home.join("shout"), &server, &["operator", "push", "--build"]);
    assert!(said.contains("shout") && said.contains("version  1"), "{said}");
    let input = json!({"input": [{"value": "quiet"}]});
    let tried = server.post("/v1/operators/shout/versions/1/test", &input).expect(200);
    assert_eq!(tried["output"].as_array().map(Vec::len), Some(1), "{tried}");
    job.add("[source.made]\nkind = \"generator\"\ncount = 100");
    job.add("[operator.shout]\ninput = \"made\"\ncomponent = \"shout@latest\"");
    job.add("[sink.out]\nkind = \"blackhole\"\ninput = \"shout\"");
    server.put(&job.name, &job.text);
    server.apply(&job.name);
    crate::harness::waiting::until("the end of the input", || {
        (server.status(&job.name)["actual"] == "finished").then_some(())
    });
}
