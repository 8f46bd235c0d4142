//! Dead letters that come back: `weir dlq list`, `show`, `replay`, with kills at every step of a replay.

use crate::harness::guests::weir;
use crate::harness::job::{Job, PARTITIONS};
use crate::harness::model;
use crate::harness::record::Record;
use crate::harness::server::Server;
use crate::harness::waiting::until;
use crate::harness::weir::Weir;
use serde_json::json;
use weir_protocol::error_policy::names;

/// A pipeline whose operator traps on the value "poison" until it is mended.
fn sick(stem: &str, rest: &str) -> Job {
    let mut job = Job::new(stem);
    let (input, output, dead) = (job.create_topic("in"), job.create_topic("out"), job.create_topic("dead"));
    job.add_kafka_source("orders", &input);
    let config = format!(
        "config = {{ behaviour = \"trap_on_value\" }}\non_error = {{ dead_letter = \"dead\" }}\n{rest}"
    );
    job.add_operator("hostile", "orders", "hostile_guests", &config);
    job.add_kafka_sink("out", "hostile", &output);
    job.add(&format!("[sink.dead]\nkind = \"kafka\"\ntopic = \"{dead}\""));
    job
}

/// The next version of the operator handles everything.
fn mend(job: &mut Job) {
    job.text = job.text.replace("trap_on_value", "pass");
}

fn poison(partition: i32, key: &str) -> Record {
    let mine = vec![("mine".to_owned(), Some(key.as_bytes().to_vec()))];
    Record { headers: mine, ..Record::of(partition, "poison").keyed(key) }
}

/// Good records, and a bad one per partition.
fn produce(job: &Job, round: u64) -> Vec<Record> {
    let all = Record::numbered_batch(PARTITIONS, 10 * (round + 1));
    let fresh = PARTITIONS as usize * 10;
    let mut records = all[all.len() - fresh..].to_vec();
    records.extend((0..PARTITIONS).map(|partition| poison(partition, &format!("sick-{round}-{partition}"))));
    job.cluster.produce(&job.topic("in"), &records);
    records
}

fn dlq(job: &Job, command: &str, options: &[&str]) -> Weir {
    let mut weir = job.command(&["dlq", command], options, &[]);
    weir.ends_with(0);
    weir
}

fn identities(records: &[Record]) -> Vec<String> {
    records
        .iter()
        .map(|record| {
            format!(
                "{}={}",
                String::from_utf8_lossy(record.key.as_deref().unwrap_or_default()),
                record.text()
            )
        })
        .collect()
}

/// Every record is in the output once.
fn complete(job: &Job, input: &[Record]) -> Vec<Record> {
    let output = job.cluster.read_committed(&job.topic("out"));
    model::each_once(&identities(input), &identities(&output));
    output
}

#[test]
fn a_replayed_letter_enters_the_operator_with_its_key_time_and_headers_and_a_count() {
    let mut job = sick("dlq-once", "");
    let input = produce(&job, 0);
    job.run_to_end();
    let listed = dlq(&job, "list", &[]).log();
    assert!(listed.contains("3 open letters can be replayed, 0 stay"), "{listed}");
    assert!(listed.contains("hostile: trap") && !listed.contains("sick-0"), "{listed}");
    let shown = dlq(&job, "show", &["--limit", "1"]).log();
    assert!(shown.contains("\"value\":\"poison\"") && shown.contains("sick-0"), "{shown}");
    mend(&mut job);
    let dry = dlq(&job, "replay", &["--dry-run"]).log();
    assert!(dry.contains("3 letters would be replayed, 0 stay"), "{dry}");
    assert_eq!(job.cluster.read_committed(&job.topic("out")).len(), 30);
    let replayed = dlq(&job, "replay", &[]).log();
    assert!(replayed.contains("3 letters replayed") && replayed.contains("no letter is open"), "{replayed}");
    for record in complete(&job, &input).iter().filter(|record| record.text() == "poison") {
        let key = String::from_utf8(record.key.clone().unwrap()).unwrap();
        let original = input.iter().find(|original| original.key == record.key).unwrap();
        assert_eq!(record.timestamp, original.timestamp);
        assert_eq!(record.header("mine"), Some(key));
        assert_eq!(record.header(names::ATTEMPT).as_deref(), Some("1"));
        assert!(record.headers.iter().all(|(name, _)| !name.starts_with("weir-error")), "{record:?}");
        assert_eq!(record.headers.len(), 2, "{record:?}");
    }
    let again = dlq(&job, "replay", &[]).log();
    assert!(again.contains("nothing to replay"), "{again}");
    // The pipeline goes on, and so do later replays, behind many decisions without one.
    let mut all = input;
    job.text = job.text.replace("\"pass\"", "\"trap_on_value\"");
    all.extend(produce(&job, 1));
    job.run_to_end();
    job.run_to_end();
    mend(&mut job);
    assert!(dlq(&job, "replay", &[]).log().contains("3 letters replayed"));
    complete(&job, &all);
}

#[test]
fn a_replay_that_is_killed_anywhere_replays_each_letter_once() {
    let places = [
        "recovery_after_fence:1",
        "recovery_after_start_decided:1",
        "epoch_begun:1",
        "before_flush:1",
        "after_flush:1",
        "manifest_durable:2",
        "before_send_offsets:2",
        "after_send_offsets:2",
        "in_commit:2",
        "after_commit:1",
        "after_hint:1",
        "after_cleanup:1",
    ];
    for place in places {
        let mut job = sick("dlq-kill", "");
        let input = produce(&job, 0);
        job.run_to_end();
        mend(&mut job);
        let mut killed = job.command(&["dlq", "replay"], &[], &[("WEIR_KILL_AT", place)]);
        killed.dies();
        let log = dlq(&job, "replay", &[]).log();
        assert!(log.contains(" replayed") || log.contains("nothing to replay"), "{place}: {log}");
        complete(&job, &input);
        assert!(dlq(&job, "replay", &[]).log().contains("nothing to replay"), "{place}");
    }
}

#[test]
fn what_is_not_selected_stays_and_can_be_replayed_later() {
    let mut job = sick("dlq-some", "");
    let other = "config = { behaviour = \"reject_on_value\" }\non_error = { dead_letter = \"dead\" }";
    job.add_operator("second", "orders", "hostile_guests", other);
    job.text = job.text.replace("input = \"hostile\"", "input = [\"hostile\", \"second\"]");
    let input = produce(&job, 0);
    job.run_to_end();
    job.text = job.text.replace("trap_on_value", "pass").replace("reject_on_value", "pass");
    let some = dlq(&job, "replay", &["--operator", "second"]).log();
    assert!(some.contains("3 letters replayed") && some.contains("3 letters are open"), "{some}");
    let rest = dlq(&job, "list", &["--kind", "rejection"]).log();
    assert!(rest.contains("0 open letters can be replayed, 3 stay"), "{rest}");
    let traps = dlq(&job, "replay", &["--kind", "trap", "--since", "1h"]).log();
    assert!(traps.contains("3 letters replayed") && traps.contains("no letter is open"), "{traps}");
    let twice: Vec<Record> = input.iter().chain(&input).cloned().collect();
    let output = job.cluster.read_committed(&job.topic("out"));
    let (mut expected, mut found) = (identities(&twice), identities(&output));
    expected.sort();
    found.sort();
    assert_eq!(expected, found, "both operators have handled every record once");
}

#[test]
fn a_letter_that_fails_again_is_a_new_letter_that_names_the_record_and_counts() {
    let job = sick("dlq-again", "");
    produce(&job, 0);
    job.run_to_end();
    for attempt in 1..=2 {
        let log = dlq(&job, "replay", &[]).log();
        assert!(log.contains("3 records failed again") && log.contains("3 letters are open"), "{log}");
        let letters = job.cluster.read_committed(&job.topic("dead"));
        assert_eq!(letters.len(), 3 + 3 * attempt);
        let newest =
            letters.iter().filter(|letter| letter.header(names::ATTEMPT) == Some(attempt.to_string()));
        let newest: Vec<_> = newest.collect();
        assert_eq!(newest.len(), 3);
        for letter in newest {
            assert_eq!(letter.header(names::TOPIC), Some(job.topic("in")));
            assert_eq!(letter.header(names::OFFSET).as_deref(), Some("10"));
            assert_eq!(letter.headers.iter().filter(|(name, _)| name == names::KIND).count(), 1);
        }
    }
}

#[test]
fn a_keyed_operator_counts_each_replayed_record_once_with_its_state() {
    let mut job = Job::new("dlq-keyed");
    let (input, output, dead) = (job.create_topic("in"), job.create_topic("out"), job.create_topic("dead"));
    job.add_kafka_source("orders", &input);
    let rest = "config = { behaviour = \"trap_on_value\" }\non_error = { dead_letter = \"dead\" }";
    job.add_operator("hostile", "orders", "hostile_guests", rest);
    job.add_operator("count", "hostile", "count_by_key", "on_error = { dead_letter = \"dead\" }");
    job.add_kafka_sink("out", "count", &output);
    job.add(&format!("[sink.dead]\nkind = \"kafka\"\ntopic = \"{dead}\""));
    let records: Vec<Record> = (0..PARTITIONS)
        .flat_map(|partition| {
            let value = move |at: i32| if at % 4 == 0 { "poison" } else { "fine" };
            (0..20).map(move |at| Record::of(partition, value(at)).keyed(&format!("k{}", at % 3)))
        })
        .collect();
    job.cluster.produce(&input, &records);
    job.run_to_end();
    mend(&mut job);
    job.command(&["dlq", "replay"], &[], &[("WEIR_KILL_AT", "after_flush:1")]).dies();
    let log = dlq(&job, "replay", &[]).log();
    assert!(log.contains("15 letters replayed"), "{log}");
    job.run_to_end();
    // The last count of a key is the number of its records.
    let found = job.cluster.read_committed(&output);
    assert_eq!(found.len(), records.len());
    for key in ["k0", "k1", "k2"] {
        let of_key = |record: &&Record| record.key.as_deref() == Some(key.as_bytes());
        let mut counts: Vec<u64> =
            found.iter().filter(of_key).map(|record| record.text().parse().unwrap()).collect();
        counts.sort_unstable();
        let expected: Vec<u64> = (1..=records.iter().filter(of_key).count() as u64).collect();
        assert_eq!(counts, expected, "{key}");
    }
}

#[test]
fn letters_in_files_of_a_local_pipeline_come_back_once_through_kills() {
    let mut job = Job::local("dlq-files");
    let lines: String = (0..40)
        .map(|number| if number % 10 == 0 { "poison\n".to_owned() } else { format!("line-{number}\n") })
        .collect();
    std::fs::write(job.path("input.txt"), lines).unwrap();
    job.add("[source.lines]\nkind = \"files\"\npath = \"input.txt\"\nformat = \"raw\"");
    let rest = "config = { behaviour = \"trap_on_value\" }\non_error = { dead_letter = \"dead\" }";
    job.add_operator("hostile", "lines", "hostile_guests", rest);
    job.add_files_sink("files", "hostile");
    job.add("[sink.dead]\nkind = \"files\"\ndirectory = \"dead\"");
    job.run_to_end();
    assert_eq!(job.values("files").len(), 36);
    mend(&mut job);
    for place in ["after_flush:1", "manifest_durable:2", "staged_file_renamed:1"] {
        job.command(&["dlq", "replay"], &[], &[("WEIR_KILL_AT", place)]).dies();
    }
    dlq(&job, "replay", &[]);
    let poisoned = |job: &Job| job.values("files").iter().filter(|value| *value == "poison").count();
    assert_eq!((job.values("files").len(), poisoned(&job)), (40, 4));
    // A start without a replay carries the position on.
    job.run_to_end();
    assert!(dlq(&job, "replay", &[]).log().contains("nothing to replay"));
    assert_eq!((job.values("files").len(), poisoned(&job)), (40, 4));
}

#[test]
fn a_stateless_pipeline_that_lost_its_directory_replays_behind_the_last_replay() {
    let mut job = sick("dlq-lost", "");
    let mut all = produce(&job, 0);
    job.run_to_end();
    mend(&mut job);
    dlq(&job, "replay", &[]);
    job.text = job.text.replace("\"pass\"", "\"trap_on_value\"");
    all.extend(produce(&job, 1));
    job.run_to_end();
    std::fs::remove_dir_all(job.data_dir()).unwrap();
    job.run_to_end();
    mend(&mut job);
    let log = dlq(&job, "replay", &[]).log();
    assert!(log.contains("3 letters replayed"), "{log}");
    complete(&job, &all);
}

#[test]
fn what_a_replay_refuses_is_one_line() {
    let job = sick("dlq-refused", "");
    produce(&job, 0);
    job.run_to_end();
    let said = |job: &Job, options: &[&str], code: i32| -> String {
        let mut weir = job.command(&["dlq", "replay"], options, &[]);
        weir.ends_with(code);
        weir.log()
    };
    let nobody = said(&job, &["--operator", "nobody"], 2);
    let blamed = "--operator nobody: the pipeline has no such operator; it has hostile";
    assert!(nobody.contains(blamed) && !nobody.contains("pipeline.toml"), "{nobody}");
    assert!(said(&job, &["--since", "yesterday"], 2).contains("--since \"yesterday\""));
    let mut running = job.start();
    running.await_log("starting");
    assert!(said(&job, &[], 1).contains("is in use by another weir"));
    let listed = dlq(&job, "list", &[]).log();
    assert!(listed.contains("3 open letters can be replayed"), "{listed}");
}

/// What the command line says to a server.
fn client(server: &Server, words: &[&str], options: &[&str]) -> String {
    let mut command = std::process::Command::new(weir());
    command.args(words).args(options).env("WEIR_SERVER", server.url("")).env("WEIR_TOKEN", server.token());
    let output = command.output().expect("weir starts");
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

fn sorted(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn letters_of_a_data_directory_that_this_weir_cannot_read_are_not_listed() {
    let job = sick("dlq-format", "");
    produce(&job, 0);
    job.run_to_end();
    let newer = r#"{"version":7,"level":9,"readable_by":"9.0.0","written_by":"9.0.0"}"#;
    std::fs::write(job.data_dir().join("format.json"), newer).unwrap();
    for command in ["list", "show"] {
        let mut refused = job.command(&["dlq", command], &[], &[]);
        refused.ends_with(4);
        assert!(refused.last_line().contains("it is of feature level 9"), "{}", refused.last_line());
    }
}

#[test]
fn a_served_pipeline_replays_its_letters_and_goes_on() {
    let mut job = sick("dlq-served", "");
    let mut all = produce(&job, 0);
    let (server, name) = (Server::start(&job.data_dir(), &job.path("serve.log"), &[]), job.name.clone());
    server.deploy(&job);
    let path = format!("/v1/pipelines/{name}/dead-letters");
    until("all letters", || (server.get(&path).expect(200)["replayable"] == 3).then_some(()));
    let listed = server.get(&format!("{path}?limit=1&kind=trap")).expect(200);
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(1), "{listed}");
    assert!(listed["items"][0].get("letter").is_none(), "{listed}");
    let shown = server.get(&format!("{path}?records=true")).expect(200);
    assert_eq!(shown["items"][0]["letter"]["value"], "poison", "{shown}");
    server.get(&format!("{path}?kind=boom")).expect(422);
    // The same lines as beside the data directory, and the same counts.
    let data = job.data_dir().display().to_string();
    let two = ["--kind", "timeout", "--kind", "trap"];
    for options in [&[][..], &["--limit", "2"], &["--kind", "timeout"], &two, &["--all"]] {
        let local = job.printed(&["dlq", "list"], &[options, &["--data-dir", &data]].concat(), &[]);
        let (local, remote) = (sorted(&local.1), sorted(&client(&server, &["dlq", "list", &name], options)));
        match options.contains(&"--limit") {
            // Which two come first is up to the partitions.
            true => assert_eq!(local.len(), remote.len(), "{remote:#?}"),
            false => assert_eq!(local, remote),
        }
    }
    let (topic, partition, offset) =
        (&listed["items"][0]["topic"], &listed["items"][0]["partition"], &listed["items"][0]["offset"]);
    let place = format!("{}:{partition}:{offset}", topic.as_str().unwrap());
    let one = client(&server, &["dlq", "show", &name], &["--at", &place]);
    assert_eq!(one.lines().count(), 1, "{one}");
    let none = client(&server, &["dlq", "show", &name], &["--at", "nowhere:0:0"]);
    assert!(none.contains("--at nowhere:0:0: there is no such letter"), "{none}");
    let replay = format!("{path}/replay");
    let refused = server.post(&replay, &json!({ "operators": ["nobody"] })).expect(422);
    assert!(refused.to_string().contains("the pipeline has no such operator"), "{refused}");
    mend(&mut job);
    server.put(&name, &server.with_versions(&job.text));
    server.apply(&name);
    let dry = server.post(&replay, &json!({ "dry_run": true })).expect(200);
    assert_eq!(dry["replayable"], 3, "{dry}");
    server.post(&replay, &json!({})).expect(202);
    let replayed = until("the replay", || {
        let events = server.get(&format!("/v1/pipelines/{name}/events?limit=1000")).expect(200);
        let all = events["items"].as_array()?.clone();
        all.into_iter().find(|event| event["kind"] == "replayed")
    });
    assert_eq!((&replayed["body"]["letters"], &replayed["body"]["failed_again"]), (&json!(3), &json!(0)));
    all.extend(Record::numbered_batch(PARTITIONS, 20).split_off(30));
    job.cluster.produce(&job.topic("in"), &all[33..]);
    until("the pipeline to go on", || {
        (job.cluster.read_stable(&job.topic("out")).len() == all.len()).then_some(())
    });
    complete(&job, &all);
    assert_eq!(server.get(&path).expect(200)["replayable"], 0);
    // Where there is nothing to do nothing is stopped.
    let before = server.status(&name)["incarnation"].clone();
    assert_eq!(server.post(&replay, &json!({})).expect(200)["replayable"], 0);
    let said = client(&server, &["dlq", "replay", &name], &[]);
    assert!(said.contains("nothing to replay: 0 stay"), "{said}");
    assert_eq!(server.status(&name)["incarnation"], before);
    // What the replay has counted is part of what the pipeline has.
    let rows = server.status(&name)["running"]["operators"][0]["rows"].as_u64();
    assert!(rows >= Some(33), "{rows:?}");
}

#[test]
fn letters_whose_place_is_only_in_manifests_come_back_when_no_older_weir_can_forget_it() {
    let mut job = Job::local("dlq-level");
    std::fs::write(job.path("input.txt"), "poison\nfine\n").unwrap();
    job.add("[source.lines]\nkind = \"files\"\npath = \"input.txt\"\nformat = \"raw\"");
    let rest = "config = { behaviour = \"trap_on_value\" }\non_error = { dead_letter = \"dead\" }";
    job.add_operator("hostile", "lines", "hostile_guests", rest);
    job.add_files_sink("files", "hostile");
    job.add("[sink.dead]\nkind = \"files\"\ndirectory = \"dead\"");
    job.start_with(&["--until-end"], &[("WEIR_NEWEST_LEVEL", "1")]).ends_with(0);
    mend(&mut job);
    let mut refused = job.command(&["dlq", "replay"], &[], &[]);
    refused.ends_with(4);
    assert!(refused.last_line().contains("`weir upgrade finalize --data-dir "), "{}", refused.last_line());
    let data = job.data_dir().display().to_string();
    Weir::start(&["upgrade", "finalize", "--data-dir", &data], &[], &job.path("finalize.log")).ends_with(0);
    assert!(dlq(&job, "replay", &[]).log().contains("1 letter replayed"));
    assert_eq!(job.values("files"), ["fine", "poison"]);
}

#[test]
fn a_pipeline_without_a_kafka_source_replays_from_the_topic_that_its_decision_stands_on() {
    let mut job = Job::new("dlq-stand-in");
    let (output, dead) = (job.create_topic("out"), job.create_topic("dead"));
    let lines = |from: usize| -> String {
        let value = |at: usize| {
            if at.is_multiple_of(4) { "poison\n".to_owned() } else { format!("line-{from}-{at}\n") }
        };
        (0..12).map(value).collect()
    };
    std::fs::write(job.path("input.txt"), lines(0)).unwrap();
    job.add("[source.lines]\nkind = \"files\"\npath = \"input.txt\"\nformat = \"raw\"");
    // The first Kafka sink: partition 0 of its topic holds the decision.
    job.add(&format!("[sink.dead]\nkind = \"kafka\"\ntopic = \"{dead}\""));
    let rest = "config = { behaviour = \"trap_on_value\" }\non_error = { dead_letter = \"dead\" }";
    job.add_operator("hostile", "lines", "hostile_guests", rest);
    job.add_kafka_sink("out", "hostile", &output);
    job.run_to_end();
    job.run_to_end();
    mend(&mut job);
    job.command(&["dlq", "replay"], &[], &[("WEIR_KILL_AT", "after_flush:1")]).dies();
    assert!(dlq(&job, "replay", &[]).log().contains("3 letters replayed"));
    job.run_to_end();
    assert!(dlq(&job, "replay", &[]).log().contains("nothing to replay"));
    let found: Vec<String> = job.cluster.read_committed(&output).iter().map(Record::text).collect();
    assert_eq!((found.len(), found.iter().filter(|text| *text == "poison").count()), (12, 3));
}

#[test]
fn letters_of_another_pipeline_in_the_same_topic_are_passed_over_and_left() {
    let (mut ours, theirs) = (sick("dlq-ours", ""), sick("dlq-theirs", ""));
    let mut theirs = theirs;
    theirs.text = theirs.text.replace(&theirs.topic("dead"), &ours.topic("dead"));
    let (input, others) = (produce(&ours, 0), produce(&theirs, 0));
    ours.run_to_end();
    theirs.run_to_end();
    let listed = dlq(&ours, "list", &[]).log();
    assert!(listed.contains("3 open letters can be replayed, 0 stay"), "{listed}");
    assert!(listed.contains("3  are no letters of this pipeline"), "{listed}");
    mend(&mut ours);
    mend(&mut theirs);
    assert!(dlq(&ours, "replay", &[]).log().contains("3 letters replayed"));
    assert_eq!(ours.cluster.read_committed(&ours.topic("dead")).len(), 6, "nothing was written again");
    assert!(dlq(&theirs, "replay", &[]).log().contains("3 letters replayed"));
    complete(&ours, &input);
    complete(&theirs, &others);
}

#[test]
fn letters_come_back_into_a_drained_pipeline_only_when_a_person_says_so() {
    let mut job = Job::new("dlq-drained");
    let (input, output, dead) = (job.create_topic("in"), job.create_topic("out"), job.create_topic("dead"));
    job.add_kafka_source("orders", &input);
    let rest = "config = { behaviour = \"trap_on_value\" }\non_error = { dead_letter = \"dead\" }";
    job.add_operator("hostile", "orders", "hostile_guests", rest);
    job.add_operator("count", "hostile", "count_by_key", "on_error = { dead_letter = \"dead\" }");
    job.add_kafka_sink("out", "count", &output);
    job.add(&format!("[sink.dead]\nkind = \"kafka\"\ntopic = \"{dead}\""));
    job.cluster.produce(&input, &[poison(0, "k"), Record::of(0, "fine").keyed("k")]);
    job.start_with(&["--until-end", "--drain"], &[]).ends_with(0);
    mend(&mut job);
    let mut refused = job.command(&["dlq", "replay"], &[], &[]);
    refused.ends_with(4);
    assert!(refused.last_line().contains("--restart-finished"), "{}", refused.last_line());
    assert!(dlq(&job, "replay", &["--restart-finished"]).log().contains("1 letter replayed"));
    let counts: Vec<String> = job.cluster.read_committed(&output).iter().map(Record::text).collect();
    assert_eq!(counts, ["1", "2"]);
}

#[test]
fn a_letter_that_cannot_be_copied_stays_open_and_keeps_no_other_partition_back() {
    let mut job = sick("dlq-large", "");
    let other = "config = { behaviour = \"reject_on_value\" }\non_error = { dead_letter = \"dead\" }";
    job.add_operator("second", "orders", "hostile_guests", other);
    job.text = job.text.replace("input = \"hostile\"", "input = [\"hostile\", \"second\"]");
    let mut input = produce(&job, 0);
    let large = Record::of(0, &format!("poison{}", "x".repeat(3000))).keyed("large");
    job.cluster.produce(&job.topic("in"), std::slice::from_ref(&large));
    input.push(large);
    job.run_to_end();
    job.text = job.text.replace("trap_on_value", "pass").replace("reject_on_value", "pass");
    job.cluster.set_topic(&job.topic("dead"), "max.message.bytes", "2500");
    let some = dlq(&job, "replay", &["--operator", "second"]).log();
    let told = format!("raise max.message.bytes of topic {}, or replay it too", job.topic("dead"));
    assert!(some.contains("sink.dead: the letter ") && some.contains(&told), "{some}");
    let listed = dlq(&job, "list", &["--operator", "hostile"]).log();
    assert!(listed.contains("4 open letters can be replayed"), "{listed}");
    job.cluster.set_topic(&job.topic("dead"), "max.message.bytes", "1048588");
    assert!(dlq(&job, "replay", &[]).log().contains("no letter is open"));
    let twice: Vec<Record> = input.iter().chain(&input).cloned().collect();
    let (mut expected, mut found) =
        (identities(&twice), identities(&job.cluster.read_committed(&job.topic("out"))));
    expected.sort();
    found.sort();
    assert_eq!(expected, found, "both operators have handled every record once");
}
