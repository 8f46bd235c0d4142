//! Migrations that are tried on a copy while the pipeline goes on, and what the pipeline's directory says after a swap.

use crate::harness::counting::{is_undisturbed, works};
use crate::harness::job::Job;
use crate::harness::server::Server;
use crate::harness::waiting::until;
use serde_json::{Value, json};
use std::fs;

/// How often it is tried beside checkpoints that go.
const TRIALS: usize = 4;

fn short() -> Value {
    json!({"probation": {"time": "200ms", "records": 20}})
}

fn dry() -> Value {
    json!({"dry_run": true})
}

/// A pipeline with two parts of state and checkpoints that are gone soon.
fn hasty(stem: &str) -> (Job, Server) {
    let mut job = Job::local(stem);
    job.text = job.text.replace("interval = \"200ms\"", "interval = \"200ms\", retain = 2");
    job.add("[source.made]\nkind = \"generator\"\nrate = 20000\nkeys = 50000");
    job.add_operator("count", "made", "count_by_key", "");
    job.add("[sink.out]\nkind = \"blackhole\"\ninput = \"count\"");
    let server = Server::start(&job.data_dir(), &job.path("serve.log"), &[]);
    server.deploy(&job);
    works(&server, &job.name);
    (job, server)
}

#[test]
fn a_migration_is_tried_and_made_although_checkpoints_go_before_it_has_been_read() {
    let (job, server) = hasty("trial-hasty");
    let name = &job.name;
    let before = server.status(name);
    let next = server.upload("count-by-key", "count_by_key_2");
    for trial in 0..TRIALS {
        let tried = server.try_swap(name, "count", &next, &dry()).expect(200);
        assert!(tried["migrated_entries"].as_u64().is_some_and(|entries| entries > 0), "{trial}: {tried}");
    }
    assert!(!job.pipeline_dir().join("reading").exists(), "a trial leaves nothing");
    is_undisturbed(&server, name, &before);
    let id = server.swap(name, "count", &next, &short());
    let swap = server.await_swap(name, &id);
    assert_eq!(swap["state"], "completed", "{swap}");
}

#[test]
fn what_a_trial_of_a_killed_server_left_is_gone_when_the_server_is_back() {
    let (job, mut server) = hasty("trial-killed");
    let next = server.upload("count-by-key", "count_by_key_2");
    let reading = job.pipeline_dir().join("reading");
    let left = || fs::read_dir(&reading).map_or(0, |entries| entries.flatten().count());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let path = format!("/v1/pipelines/{}/operators/count/swap", job.name);
            let asked = json!({"version": next, "dry_run": true});
            while server.try_post(&path, &asked).is_some() {}
        });
        until("a trial that is under way when the server dies", || {
            server.weir.signal(libc::SIGSTOP);
            let under_way = left() > 0;
            server.weir.signal(if under_way { libc::SIGKILL } else { libc::SIGCONT });
            under_way.then_some(())
        });
    });
    server.weir.wait();
    assert!(left() > 0, "the trial was under way");
    let again = server.again(&job.path("serve-2.log"), &[]);
    assert_eq!(left(), 0);
    works(&again, &job.name);
}

#[test]
fn a_savepoint_is_made_with_the_document_of_the_version_whose_state_it_holds() {
    let (job, server) = hasty("trial-document");
    let name = &job.name;
    let named = |savepoint: &str| {
        server.post(&format!("/v1/pipelines/{name}/savepoints"), &json!({"name": savepoint})).expect(201);
        let file = job.pipeline_dir().join("savepoints").join(savepoint).join("pipeline.toml");
        fs::read_to_string(file).unwrap()
    };
    assert!(named("before").contains("component = \"count-by-key@1\""));
    let next = server.upload("count-by-key", "count_by_key_2");
    let id = server.swap(name, "count", &next, &short());
    let swap = server.await_swap(name, &id);
    assert_eq!(swap["state"], "completed", "{swap}");
    let after = named("after");
    assert!(after.contains(&format!("component = \"{next}\"")), "{after}");
    let applied = server.get(&format!("/v1/pipelines/{name}")).expect(200);
    let limits = "limits = { call = \"3s\" }";
    let draft = applied["draft"]
        .as_str()
        .unwrap()
        .replace("[operator.count]", &format!("[operator.count]\n{limits}"));
    server.put(name, &draft);
    assert_eq!(server.apply(name)["way"], "limits");
    let after = named("limited");
    assert!(after.contains(limits) && after.contains(&next), "{after}");
}
