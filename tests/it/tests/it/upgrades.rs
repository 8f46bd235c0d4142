//! Going forward and back between two weirs: golden data directories of each feature level, and a change under load.
//!
//! The weir before is this binary with `WEIR_NEWEST_LEVEL=1`: it knows no newer level, so it reads and writes by the rules
//! of the level before. The directories of level 1 were written by a real weir of that level, and one can take the place of
//! the weir before by hand: `WEIR_TEST_BEFORE=path/to/weir-0.1 cargo xtask test upgrades`.

mod golden;

use crate::harness::broker;
use crate::harness::counting::{is, is_exact, works};
use crate::harness::guests;
use crate::harness::job::Job;
use crate::harness::keyed_job::KeyedJob;
use crate::harness::manual::statements;
use crate::harness::model;
use crate::harness::server::Server;
use crate::harness::waiting::until;
use crate::harness::weir::Weir;
use crate::savepoints::{counted, done, path_of, savepoint};
use golden::{BEFORE, Golden, NOW};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use weir_protocol::feature_level::LEVELS;

/// What the weir before says of a directory that was finalized.
const REFUSAL: &str =
    "is of feature level 2; this is weir 0.2.0, which reads level 1: run weir 0.2.0 or newer";

/// Records of the golden pipelines.
const RECORDS: u64 = 2000;
const LINES: u64 = 300_000;
const KEYS: u64 = 7;
const WINDOW_MS: u64 = 1000;
const BEGIN_MS: u64 = 1_700_000_000_000;

/// The input of the golden pipeline `keyed`, as golden/make.sh makes it.
fn lines() -> String {
    let line = |n: u64| {
        format!("{{\"key\":\"key-{}\",\"value\":\"{n}\",\"timestamp\":{}}}\n", n % KEYS, BEGIN_MS + n)
    };
    (0..LINES).map(line).collect()
}

/// The output of the golden pipeline `stateless`.
fn prefixed() -> Vec<String> {
    let each = |n| format!("processed_made-{}-{}", n / (RECORDS / 2), n % (RECORDS / 2));
    (0..RECORDS).map(each).collect()
}

/// The sum of each window and key.
fn sums() -> Vec<String> {
    let mut sums: BTreeMap<(u64, u64), u64> = BTreeMap::new();
    for n in 0..LINES {
        *sums.entry((BEGIN_MS + n - (BEGIN_MS + n) % WINDOW_MS, n % KEYS)).or_default() += n;
    }
    let text = |((window, key), sum): (&(u64, u64), &u64)| {
        format!("{{\"key\":\"key-{key}\",\"window_start\":{window},\"sum\":{sum}}}")
    };
    sums.iter().map(text).collect()
}

/// The first weir does not know the file that says the level: what it finds of level 2 stops it.
const REFUSALS_OF_0_1: [&str; 2] =
    ["it has version 3, this weir reads up to 2", "control.sqlite was written by a newer weir"];

/// The weir before is not started on what is finalized, and in which there is a checkpoint of level 2.
#[track_caller]
fn is_refused(mut weir: Weir) {
    let (code, said) = (weir.exit_code(), weir.last_line());
    match guests::is_before_real() {
        false => assert!(code == 4 && said.contains(REFUSAL), "{code} {said}"),
        true => {
            assert!(code != 0 && REFUSALS_OF_0_1.iter().any(|known| said.contains(known)), "{code} {said}")
        }
    }
}

fn version(manifest: &Value) -> (&Value, &Value) {
    (&manifest["version"], &manifest["written_by"])
}

#[test]
fn a_directory_of_level_1_goes_on_in_this_weir_and_back_in_the_one_before_until_it_is_finalized() {
    let golden = Golden::unpack(1, "stateless");
    let published = golden.values("files").len();
    assert_eq!(golden.upgrade("status")["level"], 1);
    golden.run(&[], &[NOW, &[("WEIR_KILL_AT", "after_commit:2")]]).dies();
    assert!(golden.values("files").len() > published, "what was decided and not published is published");
    assert_eq!(version(&golden.newest_manifest()), (&json!(2), &Value::Null));
    golden.run(&[], &[BEFORE, &[("WEIR_KILL_AT", "after_commit:2")]]).dies();
    golden.run(&[], &[NOW, &[("WEIR_KILL_AT", "manifest_durable:2")]]).dies();
    let finalized = golden.upgrade("finalize");
    assert_eq!((&finalized["level"], &finalized["finalized"]), (&json!(2), &json!(true)));
    if !guests::is_before_real() {
        is_refused(golden.run(&["--until-end"], &[BEFORE]));
    }
    golden.run(&[], &[NOW, &[("WEIR_KILL_AT", "manifest_durable:2")]]).dies();
    is_refused(golden.run(&["--until-end"], &[BEFORE]));
    golden.run_to_end(NOW);
    assert_eq!(version(&golden.newest_manifest()), (&json!(3), &json!("0.2.0")));
    model::each_once(&prefixed(), &golden.values("files"));
}

#[test]
fn state_and_timers_of_level_1_go_on_exactly_in_this_weir_and_back_in_the_one_before() {
    let golden = Golden::unpack(1, "keyed");
    std::fs::write(golden.path("input.jsonl"), lines()).unwrap();
    golden.run(&[], &[NOW, &[("WEIR_KILL_AT", "after_commit:2")]]).dies();
    let newest = golden.newest_manifest();
    assert_eq!(version(&newest), (&json!(2), &Value::Null));
    assert!(newest["finished"].is_null(), "there is something left for the weir before");
    // Its own key groups, its own files: at another parallelism all of it is read.
    golden.run(&["--set", "parallelism=3"], &[BEFORE]).ends_with(0);
    assert_eq!(version(&golden.newest_manifest()), (&json!(2), &Value::Null));
    model::each_once(&sums(), &golden.values("files"));
    let mut scan = golden.command(&["state", "scan", "keyed", "count", "--data-dir", "data"], NOW);
    scan.ends_with(0);
    assert_eq!(scan.log().lines().count() as u64, KEYS);
}

#[test]
fn a_savepoint_of_level_1_is_imported_and_started_from_in_a_new_directory_of_level_2() {
    let golden = Golden::unpack(1, "keyed");
    std::fs::write(golden.path("input.jsonl"), lines()).unwrap();
    std::fs::remove_dir_all(golden.data_dir()).unwrap();
    std::fs::remove_dir_all(golden.path("files")).unwrap();
    let import = ["savepoint", "import", "keyed", "before.tar", "--data-dir", "data"];
    golden.command(&import, NOW).ends_with(0);
    golden.run(&["--from-savepoint", "before"], &[NOW]).ends_with(0);
    assert_eq!(golden.newest_manifest()["finished"], true);
    // All windows that were open in the savepoint, whole, and all that came behind.
    let all = sums();
    let found = golden.values("files");
    model::each_once(&all[all.len() - found.len()..], &found);
    assert!(found.len() > all.len() / 2, "the savepoint is of the beginning: {}", found.len());
}

#[test]
fn a_server_of_level_1_goes_on_in_this_weir_and_back_and_is_finalized_while_it_runs() {
    let golden = Golden::unpack(1, "served");
    let serve = |environment| Server::start(&golden.data_dir(), &golden.log(), environment);
    let goes_on = |mut server: Server| {
        works(&server, "served");
        let written = is_exact(&golden.path("data/files/served"));
        until("more output", || (is_exact(&golden.path("data/files/served")) > written).then_some(()));
        server.weir.kill();
    };
    goes_on(serve(NOW));
    goes_on(serve(BEFORE));
    let server = serve(NOW);
    works(&server, "served");
    let level = |answer: &Value| (answer["level"].clone(), answer["finalized"].clone());
    assert_eq!(level(&server.get("/v1/upgrade").expect(200)), (json!(1), json!(false)));
    let incarnation = server.status("served")["incarnation"].clone();
    let finalized = server.post("/v1/upgrade/finalize", &json!({})).expect(200);
    assert_eq!(level(&finalized), (json!(2), json!(true)));
    assert_eq!(finalized["served_by"][0]["weir"], "0.2.0");
    until("a checkpoint of level 2", || {
        let checkpoints = server.get("/v1/pipelines/served/checkpoints").expect(200);
        (checkpoints["items"][0]["written_by"] == "0.2.0").then_some(())
    });
    assert_eq!(server.status("served")["incarnation"], incarnation, "nothing has stopped");
    let mut server = server;
    server.weir.kill();
    let data = golden.data_dir().display().to_string();
    is_refused(golden.command(&["serve", "--listen", "127.0.0.1:0", "--data-dir", &data], BEFORE));
    let server = serve(NOW);
    works(&server, "served");
    server.post("/v1/pipelines/served/stop", &json!({})).expect(202);
    is(&server, "served", "stopped");
    is_exact(&golden.path("data/files/served"));
}

#[test]
fn a_server_that_died_in_the_middle_of_finalizing_goes_over_at_its_next_start() {
    let golden = Golden::unpack(1, "served");
    // The file is there, the store is as it was: so it is also where the server was down.
    assert_eq!(golden.upgrade("finalize")["level"], 2);
    let mut server = Server::start(&golden.data_dir(), &golden.log(), NOW);
    works(&server, "served");
    until("the server to note which weir it is", || {
        let upgrade = server.get("/v1/upgrade").expect(200);
        (upgrade["served_by"][0]["weir"] == "0.2.0").then_some(())
    });
    server.weir.kill();
    let data = golden.data_dir().display().to_string();
    is_refused(golden.command(&["serve", "--listen", "127.0.0.1:0", "--data-dir", &data], BEFORE));
}

#[test]
fn directories_of_every_level_go_on_exactly_in_this_weir() {
    for level in LEVELS.iter().map(|level| level.number.0) {
        let golden = Golden::unpack(level, "stateless");
        assert_eq!(golden.upgrade("status")["level"], level);
        golden.run_to_end(NOW);
        model::each_once(&prefixed(), &golden.values("files"));
        let golden = Golden::unpack(level, "keyed");
        std::fs::write(golden.path("input.jsonl"), lines()).unwrap();
        golden.run_to_end(NOW);
        model::each_once(&sums(), &golden.values("files"));
        let golden = Golden::unpack(level, "served");
        let server = Server::start(&golden.data_dir(), &golden.log(), NOW);
        works(&server, "served");
        assert_eq!(server.get("/v1/upgrade").expect(200)["level"], level);
        is_exact(&golden.path("data/files/served"));
    }
}

#[test]
fn a_directory_of_an_unknown_level_is_refused_and_left_as_it_is_by_every_command_that_opens_it() {
    let golden = Golden::unpack(1, "stateless");
    let file = golden.path("data/format.json");
    let text =
        "{\"version\": 4, \"level\": 3, \"readable_by\": \"0.3.0\", \"written_by\": \"0.3.7\", \"new\": []}";
    std::fs::write(&file, text).unwrap();
    let expected =
        "is of feature level 3; this is weir 0.2.0, which reads levels 1 to 2: run weir 0.3.0 or newer";
    for words in [
        &["run", "pipeline.toml", "--data-dir", "data"][..],
        &["serve", "--listen", "127.0.0.1:0", "--data-dir", "data"],
        &["offsets", "reset", "pipeline.toml", "--data-dir", "data", "--to-current"],
        &["upgrade", "status", "--data-dir", "data"],
        &["upgrade", "finalize", "--data-dir", "data"],
    ] {
        let mut weir = golden.command(words, NOW);
        weir.ends_with(4);
        assert!(weir.last_line().contains(expected), "{words:?}: {}", weir.last_line());
        assert_eq!(std::fs::read_to_string(&file).unwrap(), text, "{words:?}");
    }
    // What only looks, beside whatever runs, says what a start would say.
    let mut show = golden.command(&["offsets", "show", "pipeline.toml", "--data-dir", "data"], NOW);
    show.ends_with(0);
    assert!(
        show.log().contains("a start would be refused: ") && show.log().contains(expected),
        "{}",
        show.log()
    );
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
}

#[test]
fn what_is_in_use_by_a_running_weir_is_not_finalized_beside_it() {
    let golden = Golden::unpack(1, "stateless");
    let mut weir = golden.run(&["--set", "source.made.rate=10"], &[NOW]);
    weir.await_log("starting");
    let mut finalize = golden.command(&["upgrade", "finalize", "--data-dir", "data"], NOW);
    assert_ne!(finalize.exit_code(), 0);
    assert!(finalize.last_line().contains("in use by another weir"), "{}", finalize.last_line());
    assert_eq!(golden.upgrade("status")["level"], 1, "to look needs no lock");
}

#[test]
fn going_forward_and_back_under_load_loses_and_doubles_nothing_until_the_upgrade_is_finalized() {
    let mut keyed = KeyedJob::start(broker::shared(), "upgrade", 3, 0);
    let counts = keyed.job.topic("counts");
    let (mut weirs, mut seen) = ([BEFORE, NOW].iter().cycle(), 0);
    for ending in [libc::SIGTERM, libc::SIGKILL, libc::SIGKILL, libc::SIGTERM, libc::SIGTERM] {
        let mut weir = keyed.job.start_with(&[], weirs.next().unwrap());
        keyed.job.await_outputs(&mut weir, &counts, seen + 200);
        seen = keyed.job.cluster.read_stable(&counts).len();
        weir.signal(ending);
        let _ = weir.wait();
        keyed.is_right_so_far("after a life");
        assert_eq!(manifest_version(&keyed.job.pipeline_dir()), 2);
    }
    let data = keyed.job.data_dir().display().to_string();
    let finalize = ["upgrade", "finalize", "--data-dir", &data];
    Weir::start(&finalize, NOW, &keyed.job.path("finalize.log")).ends_with(0);
    if !guests::is_before_real() {
        is_refused(keyed.job.start_with(&[], BEFORE));
    }
    let mut weir = keyed.job.start();
    until("a checkpoint of level 2", || (manifest_version(&keyed.job.pipeline_dir()) == 3).then_some(()));
    weir.kill();
    is_refused(keyed.job.start_with(&[], BEFORE));
    keyed.stop_load();
    keyed.job.start_with(&["--until-end", "--drain"], NOW).ends_with(0);
    let findings = keyed.end();
    assert!(findings.is_clean(), "{findings:#?}");
}

/// The version of the newest manifest of a pipeline that does not run.
fn manifest_version(pipeline: &Path) -> u64 {
    let hint = std::fs::read_to_string(pipeline.join("LAST_COMMITTED")).expect("a decision");
    let checkpoint = hint.split(' ').next().expect("a checkpoint");
    let path = pipeline.join("checkpoints").join(checkpoint).join("manifest.json");
    let manifest: Value = serde_json::from_slice(&std::fs::read(path).expect("a manifest")).expect("JSON");
    manifest["version"].as_u64().expect("a number")
}

#[test]
fn a_copy_of_the_directory_of_a_running_pipeline_goes_on_from_its_savepoint() {
    let job = counted("copied", 1000);
    let mut weir = job.start();
    until("published output", || (!job.values("files").is_empty()).then_some(()));
    done(savepoint(&job, &["create", "--name", "kept"], &[]));
    std::os::unix::fs::symlink(job.data_dir(), job.path("weir-data")).unwrap();
    let is_copying = |text: &str| text.starts_with("mkdir") || text.starts_with("tar");
    let lines = statements("docs/OPERATIONS.md", Some("Copying the data directory of `weir run`"));
    let copying: Vec<_> = lines.into_iter().filter(|line| is_copying(&line.text)).collect();
    assert_eq!(copying.len(), 2);
    for line in copying {
        let mut shell = Command::new("bash");
        let status = shell.args(["-e", "-c", &line.text]).current_dir(job.path("")).status().unwrap();
        assert!(status.success(), "{}: {}", line.place, line.text);
    }
    assert!(!weir.has_ended(), "nobody has noticed");
    weir.kill();
    // The copy takes the place of a directory that is lost, with all that was published since the savepoint.
    std::fs::remove_dir_all(job.data_dir()).unwrap();
    std::fs::rename(job.path("copy"), job.data_dir()).unwrap();
    std::fs::remove_dir_all(job.path("files")).unwrap();
    let from = ["--from-savepoint", "kept", "--until-end"];
    job.start_with(&from, &[]).ends_with(0);
    let manifest = std::fs::read(path_of(&job, "kept").join("manifest.json")).expect("the savepoint");
    let manifest: Value = serde_json::from_slice(&manifest).expect("a manifest");
    let positions = manifest["positions"].as_array().expect("positions");
    let read: u64 = positions.iter().filter_map(|position| position["offset"].as_u64()).sum();
    go_on_from(&job, read);
}

/// Behind so many records that were counted before, the counts of each key go on without a gap, to the last record.
#[track_caller]
fn go_on_from(job: &Job, read: u64) {
    let mut counts: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for line in job.lines("files") {
        let count = line["value"].as_str().expect("a count").parse().expect("a count");
        counts.entry(line["key"].to_string()).or_default().push(count);
    }
    let mut before = 0;
    for (key, counts) in &mut counts {
        counts.sort_unstable();
        let first = counts[0];
        assert!(counts.iter().copied().eq(first..first + counts.len() as u64), "{key}: {counts:?}");
        before += first - 1;
    }
    let written: usize = counts.values().map(Vec::len).sum();
    assert!(before > 0, "the state is the savepoint's");
    assert_eq!((before, before + written as u64), (read, 3000));
}
