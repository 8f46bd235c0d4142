//! What a replay of dead letters leaves as it is: event time, a rollback, and where letters stand when their sink is called
//! something else.

use crate::harness::job::{Job, PARTITIONS};
use crate::harness::record::{Record, first_timestamp};
use crate::harness::waiting::until;
use crate::savepoints::{done, savepoint};

const WINDOW_MS: i64 = 1000;

fn replay(job: &Job) -> String {
    let mut replay = job.command(&["dlq", "replay"], &[], &[]);
    replay.ends_with(0);
    replay.log()
}

fn at(partition: i32, time_ms: i64, value: &str) -> Record {
    let origin = first_timestamp() - first_timestamp().rem_euclid(WINDOW_MS);
    Record { timestamp: origin + time_ms, ..Record::of(partition, value).keyed("k") }
}

#[test]
fn a_source_that_is_held_by_a_replay_is_not_idle_and_its_records_are_not_late_afterwards() {
    let mut job = Job::new("replay-time");
    let topics = ["left", "right", "sums", "late", "dead"].map(|suffix| job.create_topic(suffix));
    for (source, topic) in ["left", "right"].into_iter().zip(&topics) {
        job.add_kafka_source(source, topic);
        job.add("watermarks = \"monotonous\"");
    }
    let rest = format!("config = {{ window_ms = {WINDOW_MS} }}\non_error = {{ dead_letter = \"dead\" }}");
    job.add_operator("sum", "INPUTS", "tumbling_sum", &rest);
    job.text = job.text.replace("parallelism = 2", "parallelism = 1");
    job.text = job.text.replace("\"INPUTS\"", "[\"left\", \"right\"]");
    job.add_kafka_sink("sums", "sum.sums", &topics[2]);
    job.add_kafka_sink("late", "sum.late", &topics[3]);
    job.add(&format!("[sink.dead]\nkind = \"kafka\"\ntopic = \"{}\"", topics[4]));
    let early: Vec<Record> = (0..PARTITIONS).map(|partition| at(partition, 0, "1")).collect();
    let far: Vec<Record> = (0..PARTITIONS).map(|partition| at(partition, 10_000, "1")).collect();
    job.cluster.produce(&topics[0], &[&early[..], &[at(0, 0, "poison")]].concat());
    job.cluster.produce(&topics[1], &far);
    job.run_to_end();
    let as_it_was = job.text.clone();
    job.text = job.text.replace("\"monotonous\"", "\"monotonous\"\nidleness = \"1ms\"");
    assert!(replay(&job).contains("1 letter"), "{}", replay(&job));
    job.text = as_it_was;
    assert_eq!(job.cluster.read_committed(&topics[2]).len(), 0, "no window is over yet");
    job.cluster.produce(&topics[0], &[at(0, 100, "20")]);
    job.start_with(&["--until-end", "--drain"], &[]).ends_with(0);
    let sums: Vec<String> = job.cluster.read_committed(&topics[2]).iter().map(Record::text).collect();
    assert!(sums.iter().any(|sum| sum.contains("\"sum\":23")), "{sums:?}");
    let late: Vec<String> = job.cluster.read_committed(&topics[3]).iter().map(Record::text).collect();
    assert!(late.is_empty(), "{late:?}");
}

/// A pipeline of which every record becomes a letter: what comes back does again, and one attempt more is counted.
fn sick(stem: &str) -> Job {
    let mut job = Job::new(stem);
    let (input, output, dead) = (job.create_topic("in"), job.create_topic("out"), job.create_topic("dead"));
    job.add_kafka_source("orders", &input);
    let config = "config = { behaviour = \"trap_on_value\" }\non_error = { dead_letter = \"dead\" }";
    job.add_operator("hostile", "orders", "hostile_guests", config);
    job.add_kafka_sink("out", "hostile", &output);
    job.add(&format!("[sink.dead]\nkind = \"kafka\"\ntopic = \"{dead}\""));
    let poison: Vec<Record> = (0..PARTITIONS).map(|partition| Record::of(partition, "poison")).collect();
    job.cluster.produce(&input, &poison);
    job
}

#[test]
fn letters_that_were_replayed_behind_a_savepoint_are_open_again_when_the_pipeline_goes_back_to_it() {
    let mut job = sick("replay-undone");
    job.run_to_end();
    let mut weir = job.start();
    until("the pipeline to run", || weir.log().contains("restored").then_some(()));
    done(savepoint(&job, &["create", "--name", "before"], &[]));
    weir.signal(libc::SIGTERM);
    weir.ends_with(0);
    job.text = job.text.replace("trap_on_value", "pass");
    assert!(replay(&job).contains("3 letters replayed"));
    assert!(replay(&job).contains("nothing to replay"));
    let back = ["--until-end", "--from-savepoint", "before", "--replay-output"];
    job.start_with(&back, &[]).ends_with(0);
    let mut list = job.command(&["dlq", "list"], &[], &[]);
    list.ends_with(0);
    let listed = list.log();
    assert!(listed.contains("3 open letters can be replayed"), "{listed}");
    assert!(replay(&job).contains("3 letters replayed"));
    assert!(replay(&job).contains("nothing to replay"));
    assert_eq!(job.cluster.read_committed(&job.topic("out")).len(), 2 * PARTITIONS as usize);
}

#[test]
fn a_sink_of_letters_that_is_called_something_else_does_not_give_its_letters_back_once_more() {
    let mut job = sick("replay-renamed");
    job.run_to_end();
    let (before, mended) = (job.text.clone(), job.text.replace("trap_on_value", "pass"));
    job.text = mended.clone();
    assert!(replay(&job).contains("3 letters replayed"));
    let renamed = |text: &str| {
        text.replace("[sink.dead]", "[sink.dlq]").replace("dead_letter = \"dead\"", "dead_letter = \"dlq\"")
    };
    job.text = renamed(&mended);
    assert!(replay(&job).contains("nothing to replay"));
    job.text = renamed(&before);
    job.cluster.produce(&job.topic("in"), &[Record::of(0, "poison")]);
    job.run_to_end();
    job.text = renamed(&mended);
    assert!(replay(&job).contains("1 letter"));
    job.text = mended;
    assert!(replay(&job).contains("nothing to replay"), "renamed back");
    assert_eq!(job.cluster.read_committed(&job.topic("out")).len(), PARTITIONS as usize + 1);
}
