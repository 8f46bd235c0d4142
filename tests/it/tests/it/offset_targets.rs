//! Where `weir offsets reset` lets a pipeline go on, beside what Kafka's own tool would do with the same offsets.

use crate::harness::java::{self, GroupLine};
use crate::harness::job::{Job, PARTITIONS};
use crate::harness::model;
use crate::harness::record::{Record, first_timestamp};
use crate::harness::server::Server;
use crate::harness::waiting::until;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::process::Command;

/// Records of each partition.
const RECORDS: u64 = 40;

/// A pipeline that stands at 25 of 40 in each partition, and a group of another program that does too.
fn stands_at_25(stem: &str) -> (Job, Vec<Record>, String) {
    let job = Job::processed(stem);
    let (topic, other) = (job.topic("in"), format!("other-{}", job.name));
    let all = Record::numbered_batch(PARTITIONS, RECORDS);
    let read = 25 * PARTITIONS as usize;
    job.cluster.produce(&topic, &all[..read]);
    job.run_to_end();
    job.cluster.produce(&topic, &all[read..]);
    java::commit(&job.cluster, &other, &topic, "", &[(0, 25), (1, 25), (2, 25)]);
    (job, all, other)
}

/// The time of a record by its number, as a person writes it.
fn time_of(number: u64) -> String {
    let at = first_timestamp() + number as i64;
    let since = format!("@{}.{:03}", at / 1000, at % 1000);
    let date = Command::new("date").args(["-u", "-d", &since, "+%Y-%m-%dT%H:%M:%S.%3N"]).output();
    String::from_utf8(date.expect("date").stdout).expect("text").trim().to_owned()
}

/// What the reset answers as JSON.
fn reset(job: &Job, options: &[&str]) -> Value {
    let mut all = vec!["--output", "json"];
    all.extend(options);
    let mut weir = job.command(&["offsets", "reset"], &all, &[]);
    weir.ends_with(0);
    let log = weir.log();
    let (from, to) = (log.find('{').expect("an answer"), log.rfind('}').expect("all of it"));
    serde_json::from_str(&log[from..=to]).unwrap_or_else(|error| panic!("{error}: {log}"))
}

fn goes_to(answer: &Value) -> Vec<(i64, i64)> {
    let moves = answer["moves"].as_array().expect("moves").iter();
    moves.map(|one| (one["partition"].as_i64().unwrap(), one["to"].as_i64().unwrap())).collect()
}

#[test]
fn a_reset_goes_where_kafkas_own_tool_would_go() {
    let (job, _, other) = stands_at_25("targets");
    let (topic, middle, never) = (job.topic("in"), time_of(11), "2100-01-01T00:00:00.000");
    let targets: &[&[&str]] = &[
        &["--to-earliest"],
        &["--to-latest"],
        &["--to-current"],
        &["--shift-by", "3"],
        &["--shift-by", "-4"],
        &["--shift-by", "1000"],
        &["--shift-by", "-1000"],
        &["--to-datetime", &middle],
        &["--to-datetime", never],
    ];
    for target in targets {
        let mut theirs = vec!["--reset-offsets", "--topic", &topic, "--dry-run"];
        theirs.extend(*target);
        let theirs = java::consumer_groups(&job.cluster, &other, &topic, &theirs);
        let theirs: Vec<(i64, i64)> =
            theirs.iter().map(|line| (i64::from(line.partition), line.offset)).collect();
        assert_eq!(goes_to(&reset(&job, target)), theirs, "{target:?}");
    }
    let chosen = format!("{topic}:0,2");
    let answer = reset(&job, &["--to-earliest", "--topic", &chosen]);
    assert_eq!(goes_to(&answer), [(0, 0), (1, 25), (2, 0)]);
}

#[test]
fn a_reset_to_a_time_repeats_what_came_after_it_and_nothing_else() {
    let (job, all, _) = stands_at_25("time");
    reset(&job, &["--to-datetime", &time_of(20), "--execute"]);
    job.run_to_end();
    let mut times = BTreeMap::<String, usize>::new();
    for record in job.cluster.read_committed(&job.topic("out")) {
        *times.entry(record.text()).or_default() += 1;
    }
    for (text, record) in model::prefixed_texts(&all).iter().zip(&all) {
        let number = (record.timestamp - first_timestamp()) as u64;
        let expected = if (20..25).contains(&number) { 2 } else { 1 };
        assert_eq!(times.get(text), Some(&expected), "{text}");
    }
}

#[test]
fn offsets_that_are_named_are_gone_to_and_the_others_stay() {
    let (job, all, _) = stands_at_25("named");
    let topic = job.topic("in");
    let (zero, two) = (format!("{topic}:0:10"), format!("{topic}:2:30"));
    let answer = reset(&job, &["--to-offset", &zero, "--to-offset", &two, "--execute"]);
    assert_eq!(goes_to(&answer), [(0, 10), (1, 25), (2, 30)]);
    job.run_to_end();
    let output: Vec<String> =
        job.cluster.read_committed(&job.topic("out")).iter().map(Record::text).collect();
    let times = |text: &str| output.iter().filter(|found| *found == text).count();
    for record in &all {
        let number = (record.timestamp - first_timestamp()) as u64;
        let expected = match (record.partition, number) {
            (0, 10..25) => 2,
            (2, 25..30) => 0,
            _ => 1,
        };
        assert_eq!(times(&format!("processed_{}", record.text())), expected, "{}", record.text());
    }
}

#[test]
fn offsets_and_topics_that_are_not_there_are_refused_in_one_line() {
    let (job, _, _) = stands_at_25("absent");
    let topic = job.topic("in");
    let (beyond, nine) = (format!("{topic}:0:41"), format!("{topic}:9"));
    for (options, said) in [
        (["--to-offset", &beyond], "it goes from 0 to 40"),
        (["--to-offset", &format!("{nine}:0")], "is not read by this pipeline"),
        (["--to-offset", "nonsense"], "expected TOPIC:PARTITION:OFFSET"),
        (["--to-datetime", "yesterday"], "expected a time such as"),
    ] {
        let mut weir = job.command(&["offsets", "reset"], &options, &[]);
        weir.ends_with(2);
        assert!(weir.log().contains(said), "{options:?}: {}", weir.log());
    }
    let mut weir = job.command(&["offsets", "reset"], &["--to-earliest", "--topic", &nine], &[]);
    weir.ends_with(2);
    assert!(weir.last_line().contains("3 partitions"), "{}", weir.last_line());
}

#[test]
fn a_pipeline_that_runs_is_not_reset() {
    let (job, _, _) = stands_at_25("runs");
    let mut weir = job.start();
    job.await_outputs(&mut weir, &job.topic("out"), RECORDS as usize * PARTITIONS as usize);
    let mut same = job.command(&["offsets", "reset"], &["--to-earliest", "--execute"], &[]);
    same.ends_with(1);
    assert!(same.last_line().contains("in use by another weir"), "{}", same.last_line());
    // From elsewhere only the decisions tell.
    let topic = job.topic("in");
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut number = RECORDS;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                job.cluster.produce(&topic, &[Record::numbered(0, number)]);
                number += 1;
            }
        });
        let elsewhere = job.path("elsewhere").display().to_string();
        let options = ["--to-earliest", "--execute", "--data-dir", &elsewhere];
        let mut other = job.command(&["offsets", "reset"], &options, &[]);
        let code = other.exit_code();
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(code, 4, "{}", other.log());
        assert!(other.last_line().contains("the pipeline is running"), "{}", other.last_line());
    });
    assert!(!weir.has_ended(), "it was not fenced: {}", weir.log());
}

/// The highest count that was published.
fn highest(job: &Job) -> u64 {
    let output = job.cluster.read_committed(&job.topic("out"));
    output.iter().map(|record| record.text().parse::<u64>().expect("a count")).max().unwrap_or(0)
}

#[test]
fn a_reset_that_parts_state_from_its_positions_needs_a_word() {
    let mut job = Job::new("parted");
    let (input, output) = (job.create_topic("in"), job.create_topic("out"));
    job.add_kafka_source("orders", &input);
    job.add_operator("count", "orders", "count_by_key", "");
    job.add_kafka_sink("out", "count", &output);
    job.cluster.produce(&input, &Record::numbered_batch(PARTITIONS, 4));
    job.run_to_end();
    let once = PARTITIONS as u64;
    assert_eq!(highest(&job), once, "each key is in each partition");

    let data = job.data_dir().display().to_string();
    let dry = ["--to-earliest", "--data-dir", &data, "--output", "json"];
    let (code, said) = job.printed(&["offsets", "reset"], &dry, &[]);
    let tried: Value = serde_json::from_str(&said).expect(&said);
    assert!(tried["needs"].as_str().unwrap_or_default().contains("--state keep"), "{tried}");
    assert_eq!(code, 4, "as it would end with --execute");
    let mut silent = job.command(&["offsets", "reset"], &["--to-earliest", "--execute"], &[]);
    silent.ends_with(4);
    assert!(silent.last_line().contains("--state empty"), "{}", silent.last_line());
    reset(&job, &["--to-snapshot", "--execute"]);
    job.run_to_end();
    assert_eq!(highest(&job), once, "nothing was repeated, and no word was needed");
    reset(&job, &["--to-earliest", "--state", "empty", "--execute"]);
    job.run_to_end();
    assert_eq!(highest(&job), once, "counted anew");
    reset(&job, &["--to-earliest", "--state", "keep", "--execute"]);
    job.run_to_end();
    assert_eq!(highest(&job), 2 * once, "counted on");
}

#[test]
fn offsets_of_a_server_are_shown_and_reset_by_the_same_command() {
    let (job, input, other) = stands_at_25("served");
    let server = Server::start(&job.data_dir(), &job.path("serve.log"), &[]);
    server.deploy(&job);
    let count = RECORDS as usize * PARTITIONS as usize;
    until("all to be processed", || {
        (job.cluster.read_stable(&job.topic("out")).len() >= count).then_some(())
    });
    let offsets = format!("/v1/pipelines/{}/offsets", job.name);
    let shown = until("all to be decided", || {
        let shown = server.get(&offsets).expect(200);
        let partitions = shown["partitions"].as_array().unwrap();
        partitions.iter().all(|one| one["lag"] == 0).then_some(shown)
    });
    assert_eq!(shown["group"], json!(job.group()), "{shown}");
    assert_eq!(server.post(&offsets, &json!({"to": "earliest", "dry_run": false})).status, 409);
    server.post(&format!("/v1/pipelines/{}/stop", job.name), &json!({})).expect(202);
    until("it to stop", || (server.status(&job.name)["actual"] == "stopped").then_some(()));

    let token = job.path("data/admin.token").display().to_string();
    let url = server.url("");
    let client = |options: &[&str]| {
        let mut all = vec!["offsets", options[0], &job.name, "--server", &url, "--token-file", &token];
        all.extend(&options[1..]);
        let mut weir = crate::harness::weir::Weir::start(&all, &[], &job.path("client.log"));
        weir.ends_with(0);
        weir.log()
    };
    assert!(client(&["show"]).contains("decided: checkpoint"));
    assert!(client(&["reset", "--shift-by", "-5"]).contains("5 records are REPEATED"));
    assert!(client(&["reset", "--to-datetime", &time_of(30)]).contains("10 records are REPEATED"));
    assert!(client(&["reset", "--shift-by", "-5", "--execute"]).contains("decided: checkpoint"));
    assert!(client(&["reset", "--to-group", &other, "--execute"]).contains("written: consumer group"));
    let theirs = java::consumer_groups(&job.cluster, &other, &job.topic("in"), &["--describe"]);
    let at_35 = |partition| GroupLine { partition, offset: 35, end: Some(40), lag: Some(5) };
    assert_eq!(theirs, [at_35(0), at_35(1), at_35(2)]);
    server.post(&format!("/v1/pipelines/{}/start", job.name), &json!({})).expect(202);
    until("the last five to come again", || {
        let output = job.cluster.read_stable(&job.topic("out"));
        (output.len() >= input.len() + 5 * PARTITIONS as usize).then_some(())
    });
}
