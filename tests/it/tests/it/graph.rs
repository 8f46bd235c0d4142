//! Several sources, operators side by side, several sinks: one transaction for all of them.

use crate::harness::job::{Job, PARTITIONS};
use crate::harness::load::Load;
use crate::harness::model;
use crate::harness::record::Record;

/// Two topics into a quick and a slow branch, which come together in files.
fn diamond(stem: &str) -> Job {
    let mut job = Job::new(stem);
    for source in ["left", "right"] {
        let topic = job.create_topic(source);
        job.add_kafka_source(source, &topic);
    }
    job.add_operator("quick", "left\", \"right", "prefix", "config = { prefix = \"quick_\" }");
    // It writes a hundred thousand log lines for each batch.
    let slow = "config = { behaviour = \"log_flood\" }\nlimits = { call = \"10s\" }";
    job.add_operator("slow", "left\", \"right", "hostile_guests", slow);
    for sink in ["quick", "slow"] {
        let topic = job.create_topic(sink);
        job.add_kafka_sink(&format!("{sink}_out"), sink, &topic);
    }
    job.add_files_sink("files", "quick\", \"slow");
    job.text = job.text.replace("input = \"left\", \"right\"", "input = [\"left\", \"right\"]");
    job.text = job.text.replace("input = \"quick\", \"slow\"", "input = [\"quick\", \"slow\"]");
    job
}

/// The texts of both topics, told apart by what `right` adds to its partitions.
fn texts(left: &[Record], right: &[Record], prefix: &str) -> Vec<String> {
    left.iter().chain(right).map(|record| format!("{prefix}{}", record.text())).collect()
}

fn of(job: &Job, suffix: &str) -> Vec<String> {
    job.cluster.read_committed(&job.topic(suffix)).iter().map(Record::text).collect()
}

#[test]
fn two_sources_two_branches_and_three_sinks_are_killed_and_stay_whole() {
    let job = diamond("diamond");
    let left = Load::start(&job.cluster, &job.topic("left"), PARTITIONS, 1);
    let right: Vec<Record> =
        (0..600).map(|number| Record::of(number % 3, &format!("right-{number}"))).collect();
    job.cluster.produce(&job.topic("right"), &right);
    for kill_at in ["after_flush:3", "in_commit:3", "after_side_commit:3"] {
        let mut weir = job.start_with(&[], &[("WEIR_KILL_AT", kill_at)]);
        weir.dies();
    }
    let left = left.stop();
    job.run_to_end();
    let (quick, slow) = (texts(&left, &right, "quick_"), texts(&left, &right, ""));
    model::each_once(&quick, &of(&job, "quick"));
    model::each_once(&slow, &of(&job, "slow"));
    model::each_once(quick.iter().chain(&slow), &job.values("files"));
}

#[test]
fn each_record_goes_to_the_sink_of_its_port() {
    let mut job = Job::new("ports");
    let input = job.create_topic("in");
    job.add_kafka_source("orders", &input);
    let rule = "config = { field = \"amount\", threshold = \"10\" }";
    job.add_operator("route", "orders", "route", rule);
    for port in ["large", "small", "other"] {
        let topic = job.create_topic(port);
        job.add_kafka_sink(port, &format!("route.{port}"), &topic);
    }
    let values = ["{\"amount\":11}", "{\"amount\":9}", "{}"];
    job.cluster.produce(&input, &values.map(|value| Record::of(0, value)));
    job.run_to_end();
    for (port, value) in ["large", "small", "other"].iter().zip(values) {
        assert_eq!(of(&job, port), [value], "port {port}");
    }
}
