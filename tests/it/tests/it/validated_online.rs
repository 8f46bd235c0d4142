//! `weir validate --online`: every check of a start, beside a running pipeline that does not notice.

use crate::harness::guests;
use crate::harness::job::{Job, PARTITIONS};
use crate::harness::record::Record;
use crate::harness::server::Server;
use crate::secure_broker::{needed_lines, secure};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::SystemTime;

/// How often a running pipeline is looked at.
const LOOKS: usize = 5;

fn validated(job: &Job, environment: &[(&str, &str)]) -> (i32, String) {
    let data = job.data_dir().display().to_string();
    job.printed(&["validate"], &["--online", "--data-dir", &data], environment)
}

#[track_caller]
fn says(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(text.contains(line), "{line:?} is not in\n{text}");
    }
}

/// Every file below a directory with its time of change.
fn files(directory: &Path) -> BTreeMap<String, SystemTime> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => {
                _ = found.insert(path.display().to_string(), entry.metadata().unwrap().modified().unwrap())
            }
        }
    }
    found
}

#[test]
fn before_the_first_start_every_check_is_told_and_nothing_is_made() {
    let job = Job::processed("look-first");
    let (code, text) = validated(&job, &[]);
    assert_eq!(code, 0, "{text}");
    says(
        &text,
        &[
            "ok       kafka.main.brokers: ",
            "ok       version of the brokers: ",
            "ok       transaction timeout: ",
            &format!("ok       consumer group {}: no members", job.group()),
            &format!("ok       topic {}: {PARTITIONS} partition(s)", job.topic("in")),
            &format!("warning  topic {}: ", job.topic("out")),
            "ok       operator prefix: its component opens with this configuration",
            "ok       data directory: ",
            &format!("ok       decision: a first start: {PARTITIONS} partition(s)"),
            "unasked  kafka.main permissions: ",
        ],
    );
    assert!(!job.data_dir().exists(), "it was made");
    let committed = job.cluster.committed(&job.group(), &job.topic("in"));
    assert!(committed.iter().all(|one| one.offset.is_none()), "{committed:?}");
}

#[test]
fn a_running_pipeline_is_looked_at_again_and_again_and_goes_on_as_the_same_incarnation() {
    let job = Job::processed("look-beside");
    job.cluster.produce(&job.topic("in"), &Record::numbered_batch(PARTITIONS, 5));
    let mut weir = job.start();
    let mut expected = 5 * PARTITIONS as usize;
    job.await_outputs(&mut weir, &job.topic("out"), expected);
    for _ in 0..LOOKS {
        let (code, text) = validated(&job, &[]);
        assert_eq!(code, 0, "{text}");
        says(
            &text,
            &[
                "ok       decision: a start goes on from checkpoint ",
                &format!("is in use by process {}", weir.id()),
            ],
        );
        job.cluster.produce(&job.topic("in"), &Record::numbered_batch(PARTITIONS, 5));
        expected += 5 * PARTITIONS as usize;
        job.await_outputs(&mut weir, &job.topic("out"), expected);
    }
    weir.signal(libc::SIGTERM);
    weir.ends_with(0);
    let log = weir.log();
    assert_eq!(log.matches("starting incarnation=").count(), 1, "{log}");
    assert_eq!(job.cluster.read_committed(&job.topic("out")).len(), expected);

    let before = files(&job.data_dir());
    let (code, text) = validated(&job, &[]);
    assert_eq!(code, 0, "{text}");
    assert_eq!(files(&job.data_dir()), before, "something was written");
}

#[test]
fn what_a_start_would_refuse_is_told_in_its_words_and_with_its_exit_code() {
    let mut job = Job::processed("look-refused");
    job.run_to_end();
    let good = job.text.clone();
    job.text = good.replace(&job.topic("out"), "no-such-topic");
    let (code, text) = validated(&job, &[]);
    assert_eq!(code, 1, "{text}");
    says(&text, &["FAILED   topic no-such-topic: topic no-such-topic does not exist on brokers"]);

    job.text = good.replace(job.cluster.address(), "127.0.0.1:1");
    let (code, text) = validated(&job, &[]);
    assert_eq!(code, 1, "{text}");
    says(&text, &["FAILED   kafka.main.brokers: no Kafka broker answers at 127.0.0.1:1"]);

    // The group is gone, and with it the decision that this data directory has seen.
    job.text = good;
    job.cluster.delete_group(&job.group());
    let (code, text) = validated(&job, &[]);
    assert_eq!(code, 4, "{text}");
    let mut weir = job.start_with(&["--until-end"], &[]);
    weir.ends_with(4);
    let refusal = weir.last_line();
    let refusal = refusal.split_once("error: ").expect("why it ended").1;
    says(&text, &[&format!("FAILED   decision: {refusal}")]);
}

#[test]
fn a_permission_that_is_missing_is_told_before_the_start_also_where_the_topic_can_be_seen() {
    let user = secure().user();
    let job = secure().job("look-denied", &user, &[]).with_processed();
    let lines = needed_lines(&job, &user);
    lines.iter().for_each(|line| secure().grant(line));
    let environment = [("KAFKA_PASSWORD", user.password.as_str())];
    let (code, text) = validated(&job, &environment);
    assert_eq!(code, 0, "{text}");
    for (topic, operation) in [(job.topic("in"), "Read"), (job.topic("out"), "Write")] {
        let line =
            lines.iter().find(|line| line.ends_with(&format!("--operation {operation} --topic {topic}")));
        let line = line.expect("it is needed");
        let seen = line.replace(&format!("--operation {operation}"), "--operation Describe");
        secure().grant(&seen);
        secure().take_away(line);
        let (code, text) = validated(&job, &environment);
        assert_eq!(code, 1, "{text}");
        says(
            &text,
            &[
                &format!("User:{} may not {operation} topic {topic}", user.name),
                &format!("to allow it: {line}"),
            ],
        );
        assert!(!text.contains(&user.password), "{text}");
        secure().grant(line);
    }
}

#[test]
fn a_server_explains_a_draft_checks_it_online_and_has_the_schema() {
    let job = Job::processed("look-served");
    let server = Server::start(&job.data_dir(), &job.path("serve.log"), &[]);
    let text = server.with_versions(&job.text);
    server.put(&job.name, &text);
    let path = format!("/v1/pipelines/{}", job.name);
    let explained = server.get(&format!("{path}/explain")).expect(200);
    assert_eq!(explained["clusters"][0]["group"], json!(job.group()));
    assert!(
        explained["chains"][0]["steps"][0]["then"][0]["about"].as_str().unwrap().starts_with("prefix@"),
        "{explained}"
    );

    let offline = server.post(&format!("{path}/plan"), &json!({})).expect(200);
    assert_eq!(offline.get("online"), None);
    let plan = server.post(&format!("{path}/plan?online=true"), &json!({})).expect(200);
    let checks = plan["online"].as_array().expect("a list");
    let outcome = |check: &str| checks.iter().find(|one| one["check"] == check).map(|one| &one["outcome"]);
    assert_eq!(outcome("kafka.main.brokers"), Some(&json!("ok")), "{plan}");
    assert_eq!(outcome("decision"), Some(&json!("ok")), "{plan}");

    // The command line says it in the words of `weir validate --online`, and speaks of commands.
    let client = |words: &[&str]| {
        let mut command = std::process::Command::new(guests::weir());
        command.args(words).env("WEIR_SERVER", server.url("")).env("WEIR_TOKEN", server.token());
        let output = command.output().expect("weir starts");
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    let file = job.path(&format!("{}.toml", job.name));
    std::fs::write(&file, &text).unwrap();
    let planned = client(&["pipeline", "plan", &file.display().to_string(), "--online"]);
    says(&planned, &["  ok       decision: a first start", "  unasked  kafka.main permissions: "]);
    let stopped = client(&["pipeline", "stop", &job.name]);
    says(&stopped, &[&format!("{} was never applied: there is nothing to stop", job.name)]);
    let refused = client(&["dlq", "list", "no-such-pipeline"]);
    says(&refused, &["`weir apply no-such-pipeline.toml` makes it"]);

    let schema = server.get("/v1/schema/pipeline").expect(200);
    let output = std::process::Command::new(guests::weir()).arg("schema").output().expect("weir starts");
    assert_eq!(schema, serde_json::from_slice::<Value>(&output.stdout).expect("JSON"));
}

#[test]
fn a_position_whose_records_were_deleted_is_refused_before_the_start_and_its_command_helps() {
    let job = Job::processed("look-deleted");
    let topic = job.topic("in");
    job.cluster.produce(&topic, &Record::numbered_batch(PARTITIONS, 5));
    job.run_to_end();
    let (code, text) = validated(&job, &[]);
    assert_eq!(code, 0, "{text}");
    job.cluster.produce(&topic, &Record::numbered_batch(PARTITIONS, 5));
    job.cluster.delete_records(&topic, PARTITIONS, 8);
    let (code, text) = validated(&job, &[]);
    assert_eq!(code, 4, "{text}");
    says(
        &text,
        &[
            &format!(
                "FAILED   decision: topic {topic} partition 0: offset 5 is not there any more (it has 8 to 10)"
            ),
            &format!(" --topic {topic}:0 --to-earliest`"),
        ],
    );
    let mut weir = job.start_with(&["--until-end"], &[]);
    weir.ends_with(4);
    assert!(weir.last_line().contains(": offset 5 is not there any more (it has 8 to 10"), "{}", weir.log());

    job.command(&["offsets", "reset"], &["--to-earliest", "--execute"], &[]).ends_with(0);
    let (code, text) = validated(&job, &[]);
    assert_eq!(code, 0, "{text}");
}

#[test]
fn a_data_directory_without_a_checkpoint_is_not_said_to_have_one() {
    let job = Job::processed("look-empty");
    // Trying a reset makes the directory the pipeline's own.
    job.command(&["offsets", "reset"], &["--to-earliest"], &[]).ends_with(0);
    let (code, text) = validated(&job, &[]);
    assert_eq!(code, 0, "{text}");
    says(&text, &["belongs to this pipeline, and has no checkpoint of it yet", "decision: a first start: "]);
    job.run_to_end();
    let (_, text) = validated(&job, &[]);
    assert!(
        text.contains(" has 1 checkpoint of this pipeline") || text.contains(" checkpoints of this pipeline"),
        "{text}"
    );
}

#[test]
fn a_component_that_is_not_there_or_refuses_its_configuration_is_a_problem_of_the_file() {
    let mut job = Job::local("look-component");
    job.add("[source.made]\nkind = \"generator\"\ncount = 3");
    job.add_operator("only", "made", "filter_json", "config = { field = \"a..b\", equals = \"1\" }");
    job.add_files_sink("files", "only");
    let refused = "operator only refused to open: field \"a..b\" is no dotted path";
    for options in [&[][..], &["--online"]] {
        let (code, text) = job.printed(&["validate"], options, &[]);
        assert_eq!(code, 2, "{text}");
        says(&text, &[refused, "pipeline.toml:"]);
    }
    job.start_with(&["--until-end"], &[]).ends_with(1);

    let good = job.text.replace("a..b", "a.b");
    job.text = good.clone();
    let (code, text) = job.printed(&["validate"], &[], &[]);
    assert_eq!(code, 0, "{text}");
    job.text = good.replace("filter_json.wasm", "no_such.wasm");
    let (code, text) = job.printed(&["validate"], &[], &[]);
    assert_eq!(code, 2, "{text}");
    says(&text, &["operator.only.component", "no_such.wasm cannot be read: "]);
}
