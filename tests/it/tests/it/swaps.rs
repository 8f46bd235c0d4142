//! An operator is replaced while its pipeline runs, under load, at parallelism 2 and with state: readers of committed
//! data see each count of each key once, whatever the new version does.

use crate::harness::broker;
use crate::harness::keyed_job::KeyedJob;
use crate::harness::server::Server;
use crate::harness::waiting::until;
use serde_json::{Value, json};

/// Probation as short as it can be: the load is small.
fn short() -> Value {
    json!({"probation": {"time": "200ms", "records": 20}})
}

/// Longer than it takes any bad version to show what it is.
fn long() -> Value {
    json!({"probation": {"time": "20s", "records": 1_000_000}})
}

fn serve(keyed: &KeyedJob) -> Server {
    let server = Server::start(&keyed.job.data_dir(), &keyed.job.path("serve-1.log"), &[]);
    server.deploy(&keyed.job);
    server
}

/// Waits until more records than now have come out.
fn goes_on(keyed: &KeyedJob) {
    let read = || keyed.model.lock().unwrap().read;
    let before = read();
    until("more output", || (read() > before + 50).then_some(()));
}

/// Stops the server, and lets a plain run finish what is left, with the components of the file: all of them count the
/// same way.
fn ends_exact(mut keyed: KeyedJob, mut server: Server) {
    keyed.stop_load();
    server.weir.signal(libc::SIGTERM);
    server.weir.ends_with(0);
    keyed.job.start_with(&["--until-end", "--drain"], &[]).ends_with(0);
    let findings = keyed.end();
    assert!(findings.is_clean(), "{findings:#?}");
}

#[test]
fn a_good_version_takes_over_state_and_stream_and_again_an_older_one() {
    let keyed = KeyedJob::start(broker::shared(), "swap-good", 1, 400);
    let server = serve(&keyed);
    goes_on(&keyed);
    let name = keyed.job.name.clone();
    let good = server.upload("count-by-key", "swap_good");
    for version in [good.as_str(), "count-by-key@1", good.as_str()] {
        let id = server.swap(&name, "count", version, &short());
        let swap = server.await_swap(&name, &id);
        assert_eq!(swap["state"], "completed", "{swap}");
        goes_on(&keyed);
        keyed.is_right_so_far(version);
        let (operator, number) = version.split_once('@').unwrap();
        let uploaded = server.get(&format!("/v1/operators/{operator}/versions/{number}")).expect(200);
        let status = server.status(&name);
        let operators = status["running"]["operators"].as_array().unwrap();
        let count = operators.iter().find(|operator| operator["operator"] == "count").unwrap();
        assert_eq!(count["sha256"], uploaded["sha256"], "the status shows what runs: {version}");
    }
    assert_eq!(server.status(&name)["running"]["restarts"], 0);
    ends_exact(keyed, server);
}

#[test]
fn bad_versions_take_themselves_back_before_a_reader_has_seen_a_record_of_theirs() {
    let keyed = KeyedJob::start(broker::shared(), "swap-bad", 1, 400);
    let server = serve(&keyed);
    goes_on(&keyed);
    let name = keyed.job.name.clone();
    for bad in ["swap_traps", "swap_rejects", "swap_slow"] {
        let version = server.upload("count-by-key", bad);
        let id = server.swap(&name, "count", &version, &long());
        let swap = server.await_swap(&name, &id);
        assert_eq!(swap["state"], "rolled_back", "{bad}: {swap}");
        goes_on(&keyed);
        keyed.is_right_so_far(bad);
        // It is remembered, and not tried again unasked.
        let again = server.try_swap(&name, "count", &version, &short());
        assert_eq!((again.status, &again.body["code"]), (409, &json!("previously_rolled_back")), "{bad}");
    }
    let broken = server.upload("count-by-key", "swap_breaks_state");
    let refused = server.try_swap(&name, "count", &broken, &short());
    assert!((400..500).contains(&refused.status), "{refused:?}");
    let status = server.status(&name);
    let restarts = (&status["running"]["restarts"], &status["restarts"]);
    assert_eq!(restarts, (&json!(0), &json!([])), "a roll-back is no restart of the pipeline");
    ends_exact(keyed, server);
}

#[test]
fn state_of_a_raised_version_is_migrated_at_the_barrier_and_foretold_by_a_dry_run() {
    let keyed = KeyedJob::start(broker::shared(), "swap-migrates", 1, 400);
    let server = serve(&keyed);
    goes_on(&keyed);
    let name = keyed.job.name.clone();
    let next = server.upload("count-by-key", "count_by_key_2");
    let mut asked = short();
    asked["dry_run"] = json!(true);
    let dry = server.try_swap(&name, "count", &next, &asked).expect(200);
    assert!(dry["migrated_entries"].as_u64().is_some_and(|entries| entries > 0), "{dry}");
    let hasty = json!({"rules": {"pause_max": "0s"}});
    let refused = server.try_swap(&name, "count", &next, &hasty);
    assert_eq!((refused.status, &refused.body["code"]), (409, &json!("pause_too_long")), "{refused:?}");
    let id = server.swap(&name, "count", &next, &short());
    let swap = server.await_swap(&name, &id);
    assert_eq!(swap["state"], "completed", "{swap}");
    goes_on(&keyed);
    keyed.is_right_so_far("after the migration");
    // Back to the first version is refused: it reads no state of version 2.
    let back = server.try_swap(&name, "count", "count-by-key@1", &short());
    assert!((400..500).contains(&back.status), "{back:?}");
    let mut keyed = keyed;
    keyed.job.text = keyed.job.text.replace("/count_by_key.wasm", "/count_by_key_2.wasm");
    ends_exact(keyed, server);
}

/// A place of a swap at which the host dies, the version that is swapped in, whether it is a bad one, and how the swap has ended when the host is
/// back.
const KILLED: &[(&str, &str, bool, &str)] = &[
    ("swap_prepared", "swap_good", false, "interrupted"),
    ("swap_commanded", "swap_good", false, "interrupted"),
    ("swap_switched", "swap_good", false, "interrupted"),
    ("swap_probation_judged", "swap_good", false, "interrupted"),
    ("swap_rolled_back", "swap_traps", true, "interrupted"),
    ("swap_rolled_back_noted", "swap_rejects", true, "rolled_back"),
    ("swap_completed", "swap_good", false, "completed"),
    ("swap_completed_noted", "count_by_key", false, "completed"),
];

/// Places of a swap, which have their tests here.
pub const TESTED: &[&str] = &[
    "swap_prepared",
    "swap_commanded",
    "swap_switched",
    "swap_probation_judged",
    "swap_completed",
    "swap_completed_noted",
    "swap_rolled_back",
    "swap_rolled_back_noted",
];

#[test]
fn a_host_that_is_killed_at_each_step_of_a_swap_comes_back_in_the_right_version() {
    let keyed = KeyedJob::start(broker::shared(), "swap-killed", 1, 400);
    let mut server = serve(&keyed);
    goes_on(&keyed);
    let name = keyed.job.name.clone();
    for (number, (place, built, bad, ending)) in KILLED.iter().enumerate() {
        let version = server.upload("count-by-key", built);
        server.weir.kill();
        let mark = keyed.job.path(&format!("mark-{number}"));
        let mark_text = mark.display().to_string();
        let environment = [("WEIR_KILL_AT", *place), ("WEIR_KILL_MARK", mark_text.as_str())];
        server = server.again(&keyed.job.path(&format!("serve-killed-{number}.log")), &environment);
        goes_on(&keyed);
        let mut body = if *bad { long() } else { short() };
        body["version"] = json!(version);
        // What has come out may be of the life before: until this one runs, a swap is refused.
        until("the request to be taken", || {
            match server.try_post(&format!("/v1/pipelines/{name}/operators/count/swap"), &body) {
                Some(answer) if answer.body["code"] == "pipeline_not_running" => None,
                Some(answer) => {
                    assert_eq!(answer.status, 202, "{place}: {answer:?}");
                    Some(())
                }
                // The answer may be lost with the process.
                None => Some(()),
            }
        });
        server.weir.dies();
        assert!(mark.is_file(), "the mark proves that {place} was passed");
        server = server.again(&keyed.job.path(&format!("serve-back-{number}.log")), &[]);
        goes_on(&keyed);
        let swaps = server.get(&format!("/v1/pipelines/{name}/swaps")).expect(200);
        let id = swaps["items"][0]["id"].as_str().unwrap_or_else(|| panic!("{swaps}")).to_owned();
        let swap = server.await_swap(&name, &id);
        assert_eq!(swap["state"], *ending, "{place}: {swap}");
        keyed.is_right_so_far(place);
    }
    ends_exact(keyed, server);
}
