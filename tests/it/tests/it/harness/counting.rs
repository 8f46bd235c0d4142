//! A pipeline without a broker that counts without end, and what must hold of it while others misbehave.

use super::job::Job;
use super::server::Server;
use super::waiting::until;
use super::weir::Weir;
use serde_json::Value;
use std::path::Path;

/// A pipeline that counts what a generator makes, without end.
pub fn counting(stem: &str) -> Job {
    let mut job = Job::local(stem);
    job.add("[source.made]\nkind = \"generator\"\nrate = 2000\nkeys = 20");
    job.add_operator("count", "made", "count_by_key", "");
    job.add(&format!("[sink.out]\nkind = \"files\"\ninput = \"count\"\ndirectory = \"{}\"", job.name));
    job
}

pub fn records_out(server: &Server, pipeline: &str) -> u64 {
    server.status(pipeline)["running"]["records_out"].as_u64().unwrap_or(0)
}

/// Waits until it has decided something.
pub fn works(server: &Server, pipeline: &str) {
    until(&format!("{pipeline} to decide something"), || {
        let status = server.status(pipeline);
        let decided = status["running"]["last_checkpoint_epoch"].as_u64().unwrap_or(0);
        (decided > 1 && records_out(server, pipeline) > 0).then_some(())
    });
}

pub fn is(server: &Server, pipeline: &str, actual: &str) {
    until(&format!("{pipeline} to be {actual}"), || {
        (server.status(pipeline)["actual"] == actual).then_some(())
    });
}

/// A server with a pipeline that works.
pub fn served(stem: &str) -> (Job, Server) {
    served_with(stem, &[])
}

/// The same with more options of the server.
pub fn served_with(stem: &str, options: &[&str]) -> (Job, Server) {
    let job = counting(stem);
    let data = job.data_dir().display().to_string();
    let mut arguments = vec!["serve", "--listen", "127.0.0.1:0", "--data-dir", &data];
    arguments.extend(options);
    let server = Server::of(Weir::start(&arguments, &[], &job.path("serve.log")), &job.data_dir());
    server.deploy(&job);
    works(&server, &job.name);
    (job, server)
}

/// It goes on, in the incarnation in which it was when `before` was its status.
#[track_caller]
pub fn is_undisturbed(server: &Server, pipeline: &str, before: &Value) {
    let seen = records_out(server, pipeline);
    until("the pipeline to go on", || (records_out(server, pipeline) > seen).then_some(()));
    let now = server.status(pipeline);
    assert_eq!(now["incarnation"], before["incarnation"], "{now}");
    assert_eq!(now["running"]["restarts"], before["running"]["restarts"], "{now}");
}

/// Output of a files sink: the counts of each key are 1, 2, 3 to the last. Returns how many there are.
#[track_caller]
pub fn is_exact(directory: &Path) -> usize {
    let mut counts = std::collections::BTreeMap::<String, Vec<u64>>::new();
    let files = std::fs::read_dir(directory).expect("the output").flatten().map(|entry| entry.path());
    for file in files.filter(|path| path.extension().is_some_and(|ending| ending == "jsonl")) {
        for line in std::fs::read_to_string(&file).expect("a published file").lines() {
            let line: Value = serde_json::from_str(line).expect("a line of JSON");
            let text = |field: &str| line[field].as_str().unwrap_or_else(|| panic!("{line}")).to_owned();
            counts.entry(text("key")).or_default().push(text("value").parse().expect("a count"));
        }
    }
    for (key, counts) in &mut counts {
        counts.sort_unstable();
        let expected: Vec<u64> = (1..).take(counts.len()).collect();
        assert_eq!(*counts, expected, "{key}");
    }
    counts.values().map(Vec::len).sum()
}
