//! Kafka's own readers and tools, as independent judges of what weir writes and says.

use crate::harness::java;
use crate::harness::job::{Job, PARTITIONS};
use crate::harness::judges::{Printed, confluent_kafka, console_consumer};
use crate::harness::load::Load;
use crate::harness::model;
use crate::harness::record::Record;
use crate::harness::server::Server;
use crate::harness::waiting::until;
use serde_json::Value;

/// Places at which output is written and not decided, or decided and not yet known to be.
const PLACES: [&str; 5] =
    ["after_flush:3", "next_epoch_begun:3", "before_send_offsets:4", "after_send_offsets:4", "in_commit:4"];

/// Lives that end by kill -9 under load, and one that comes to the end. Returns what was written.
fn killed_again_and_again(job: &Job) -> Vec<Record> {
    let load = Load::start(&job.cluster, &job.topic("in"), PARTITIONS, 3);
    for place in PLACES {
        job.start_with(&[], &[("WEIR_KILL_AT", place)]).dies();
    }
    let mut weir = job.start();
    weir.await_log("restored");
    weir.kill();
    let input = load.stop();
    job.run_to_end();
    input
}

#[test]
fn kafkas_own_readers_see_each_record_once_after_kills_and_aborts() {
    let job = Job::processed("judges");
    let input = killed_again_and_again(&job);
    let (cluster, topic) = (&job.cluster, job.topic("out"));
    let committed = confluent_kafka(cluster, &topic, "read_committed");
    model::prefixed(&input, &committed, PARTITIONS);
    let all = confluent_kafka(cluster, &topic, "read_uncommitted");
    assert!(all.len() > committed.len(), "nothing was aborted: {} records", all.len());

    // Behind the last record of each partition: whoever reads so many has seen all before, or misses one of these.
    let ends: Vec<Record> = (0..PARTITIONS).map(|number| Record::of(number, "end").keyed("end")).collect();
    cluster.produce(&topic, &ends);
    let printed = console_consumer(cluster, &topic, input.len() + ends.len());
    let of_weir: Vec<&Printed> = printed.iter().filter(|one| one.value != "end").collect();
    assert_eq!(printed.len() - of_weir.len(), ends.len(), "an end of each partition, and nothing too much");
    let model = model::prefixed_texts(&input);
    model::each_once(&model, of_weir.iter().map(|one| &one.value));
    let place = |one: &Record| Printed {
        partition: one.partition,
        offset: one.offset,
        timestamp: one.timestamp,
        key: String::from_utf8(one.key.clone().expect("a key")).expect("text"),
        value: one.text(),
    };
    for number in 0..PARTITIONS {
        let by_java: Vec<&Printed> = of_weir.iter().filter(|one| one.partition == number).copied().collect();
        let by_python: Vec<Printed> =
            committed.iter().filter(|one| one.partition == number).map(place).collect();
        assert_eq!(by_java, by_python.iter().collect::<Vec<_>>(), "partition {number}");
    }
}

/// What `weir offsets show` says of each partition: offset, end, lag.
fn shown(job: &Job) -> Vec<(i64, i64, i64)> {
    let mut weir = job.command(&["offsets", "show"], &["--output", "json"], &[]);
    weir.ends_with(0);
    let answer: Value = serde_json::from_str(&weir.log()).expect("an answer");
    let partitions = answer["partitions"].as_array().expect("partitions").iter();
    let number = |one: &Value, name: &str| one[name].as_i64().expect("a number");
    partitions.map(|one| (number(one, "offset"), number(one, "end"), number(one, "lag"))).collect()
}

/// What Kafka's own tool says.
fn described(job: &Job) -> Vec<(i64, i64, i64)> {
    let lines = java::consumer_groups(&job.cluster, &job.group(), &job.topic("in"), &["--describe"]);
    lines.iter().map(|line| (line.offset, line.end.expect("an end"), line.lag.expect("a lag"))).collect()
}

#[test]
fn lag_is_what_kafkas_own_tool_shows() {
    let job = Job::processed("lag");
    let (cluster, topic) = (&job.cluster, job.topic("in"));
    let first = Record::numbered_batch(PARTITIONS, 20);
    cluster.produce_in_transaction(&topic, &first, true);
    let server = Server::start(&job.data_dir(), &job.path("serve.log"), &[]);
    server.deploy(&job);
    until("all to be processed", || {
        (cluster.read_stable(&job.topic("out")).len() == first.len()).then_some(())
    });
    // A marker lies behind the last record of each partition, and is never delivered.
    let at_rest = vec![(20, 21, 1); PARTITIONS as usize];
    until("the last epoch to be decided", || (described(&job) == at_rest).then_some(()));
    let status = server.status(&job.name);
    assert_eq!(status["running"]["lag"], PARTITIONS, "{status}");
    let mut server = server;
    server.weir.signal(libc::SIGTERM);
    server.weir.ends_with(0);
    assert_eq!(shown(&job), at_rest);
    cluster.produce(&topic, &Record::numbered_batch(PARTITIONS, 7));
    assert_eq!(described(&job), vec![(20, 28, 8); PARTITIONS as usize]);
    assert_eq!(shown(&job), described(&job));
}
