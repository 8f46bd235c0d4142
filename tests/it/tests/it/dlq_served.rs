//! Dead letters that come back on a server: what its status and its events say meanwhile, and how a replay ends that is
//! not whole.

use crate::harness::job::{Job, PARTITIONS};
use crate::harness::record::Record;
use crate::harness::server::Server;
use crate::harness::waiting::until;
use serde_json::{Value, json};

/// A pipeline whose operator fails on the value "poison", behind it another, and a server that runs it with one such
/// record per partition.
fn served(stem: &str, behaviour: &str, second: &str) -> (Job, Server) {
    let mut job = Job::new(stem);
    let (input, output, dead) = (job.create_topic("in"), job.create_topic("out"), job.create_topic("dead"));
    job.add_kafka_source("orders", &input);
    let config = format!(
        "config = {{ behaviour = \"{behaviour}\" }}\nlimits = {{ call = \"5s\" }}\nbreaker = {{ share = 1.0 }}\non_error = {{ dead_letter = \"dead\" }}"
    );
    job.add_operator("first", "orders", "hostile_guests", &config);
    job.add_operator(
        "second",
        "first",
        "hostile_guests",
        &format!("config = {{ behaviour = \"{second}\" }}"),
    );
    job.add_kafka_sink("out", "second", &output);
    job.add(&format!("[sink.dead]\nkind = \"kafka\"\ntopic = \"{dead}\""));
    let poison = |partition| Record::of(partition, "poison").keyed(&format!("k{partition}"));
    job.cluster.produce(&input, &(0..PARTITIONS).map(poison).collect::<Vec<_>>());
    let server = Server::start(&job.data_dir(), &job.path("serve.log"), &[]);
    server.deploy(&job);
    let path = format!("/v1/pipelines/{}/dead-letters", job.name);
    until("all letters", || (server.get(&path).expect(200)["replayable"] == PARTITIONS).then_some(()));
    (job, server)
}

fn again(job: &mut Job, server: &Server, from: &str, to: &str) {
    job.text = job.text.replace(&format!("\"{from}\""), &format!("\"{to}\""));
    server.put(&job.name, &server.with_versions(&job.text));
    server.apply(&job.name);
}

fn replay(job: &Job, server: &Server) {
    server.post(&format!("/v1/pipelines/{}/dead-letters/replay", job.name), &json!({})).expect(202);
}

fn event(job: &Job, server: &Server, kind: &str) -> Value {
    until(kind, || {
        let events = server.get(&format!("/v1/pipelines/{}/events?limit=1000", job.name)).expect(200);
        let all = events["items"].as_array()?.clone();
        all.into_iter().find(|event| event["kind"] == kind).map(|event| event["body"].clone())
    })
}

#[test]
fn a_replay_that_fails_says_how_many_came_back_and_is_made_when_what_failed_is_mended() {
    let (mut job, server) = served("dlq-fails", "trap_on_value", "err_on_value");
    again(&mut job, &server, "trap_on_value", "pass");
    replay(&job, &server);
    let failed = event(&job, &server, "replay_failed");
    assert_eq!((&failed["letters"], &failed["left"]), (&json!(0), &json!(PARTITIONS)), "{failed}");
    let status = until("its end", || Some(server.status(&job.name)).filter(|s| s["actual"] == "failed"));
    let cause = status["cause"].as_str().unwrap();
    assert!(cause.starts_with("the replay of its dead letters failed: "), "{cause}");
    // A start that was asked for holds until it has begun.
    again(&mut job, &server, "err_on_value", "pass");
    assert_eq!(event(&job, &server, "replayed")["letters"], PARTITIONS);
    until("the output", || {
        (job.cluster.read_stable(&job.topic("out")).len() == PARTITIONS as usize).then_some(())
    });
}

#[test]
fn a_replay_is_shown_while_it_lasts_and_one_that_is_stopped_says_how_many_came_back() {
    let (mut job, server) = served("dlq-stops", "reject_on_value", "pass");
    again(&mut job, &server, "reject_on_value", "loop_on_value");
    replay(&job, &server);
    let status =
        until("the replay", || Some(server.status(&job.name)).filter(|s| s["actual"] == "replaying"));
    let operators = status["running"]["operators"].as_array().unwrap();
    let named: Vec<&Value> = operators.iter().map(|operator| &operator["operator"]).collect();
    assert_eq!(named, ["first", "second"], "{status}");
    assert_eq!(event(&job, &server, "replaying")["letters"], PARTITIONS);
    let swap = server.try_swap(&job.name, "first", "hostile-guests@1", &json!({}));
    assert!((400..500).contains(&swap.status), "{swap:?}");
    server.post(&format!("/v1/pipelines/{}/stop", job.name), &json!({})).expect(202);
    let stopped = event(&job, &server, "replay_stopped");
    let sum = stopped["letters"].as_i64().zip(stopped["left"].as_i64()).map(|(came, left)| came + left);
    assert_eq!(sum, Some(i64::from(PARTITIONS)), "{stopped}");
    until("its end", || (server.status(&job.name)["actual"] == "stopped").then_some(()));
}

#[test]
fn a_list_of_letters_reads_no_more_than_it_needs_and_a_dry_run_counts_all() {
    let (job, server) = served("dlq-many", "reject_on_value", "pass");
    let many = 12_000;
    let record = |number: i32| Record::of(number % PARTITIONS, "poison").keyed(&format!("n{number}"));
    job.cluster.produce(&job.topic("in"), &(PARTITIONS..many).map(record).collect::<Vec<_>>());
    let path = format!("/v1/pipelines/{}/dead-letters", job.name);
    let dry = || server.post(&format!("{path}/replay"), &json!({ "dry_run": true })).expect(200);
    until("all letters", || (dry()["replayable"] == many).then_some(()));
    assert_eq!(dry()["complete"], true);
    let listed = server.get(&format!("{path}?limit=1")).expect(200);
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(1), "{listed}");
    assert_eq!((&listed["replayable"], &listed["complete"]), (&json!(10_000), &json!(false)), "{listed}");
}
