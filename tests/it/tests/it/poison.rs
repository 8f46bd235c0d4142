//! Error policies: what becomes of a record that an operator cannot handle.

use crate::harness::job::{Job, PARTITIONS};
use crate::harness::load::Load;
use crate::harness::model;
use crate::harness::record::Record;
use crate::harness::waiting::until;
use weir_protocol::error_policy::names;

/// A pipeline with a hostile operator, more lines of its section, and a sink for dead letters.
fn job(stem: &str, behaviour: &str, rest: &str) -> Job {
    let mut job = Job::new(stem);
    let (input, output, dead) = (job.create_topic("in"), job.create_topic("out"), job.create_topic("dead"));
    job.add_kafka_source("orders", &input);
    let config = format!("config = {{ behaviour = \"{behaviour}\", grow_bytes = \"3000000\" }}\n{rest}");
    job.add_operator("hostile", "orders", "hostile_guests", &config);
    job.add_kafka_sink("out", "hostile", &output);
    if rest.contains("dead_letter") {
        job.add(&format!("[sink.dead]\nkind = \"kafka\"\ntopic = \"{dead}\""));
    }
    job
}

const DEAD_LETTER: &str = "on_error = { dead_letter = \"dead\" }";

/// Ten good records per partition, and one with this value at offset 10 of partition 1.
fn produce(job: &Job, value: &str) -> Vec<Record> {
    let good = Record::numbered_batch(PARTITIONS, 10);
    job.cluster.produce(&job.topic("in"), &good);
    job.cluster.produce(&job.topic("in"), &[poison(value)]);
    good
}

fn poison(value: &str) -> Record {
    Record { headers: vec![("mine".to_owned(), Some(b"1".to_vec()))], ..Record::of(1, value).keyed("sick") }
}

fn texts(records: &[Record]) -> Vec<String> {
    records.iter().map(Record::text).collect()
}

fn output(job: &Job) -> Vec<String> {
    texts(&job.cluster.read_committed(&job.topic("out")))
}

/// The failed record is a dead letter of this kind, and all others are in the output.
fn becomes_a_dead_letter(behaviour: &str, value: &str, limits: &str, kind: &str) {
    let job = job(&behaviour.replace('_', "-"), behaviour, &format!("{DEAD_LETTER}\n{limits}"));
    let good = produce(&job, value);
    job.run_to_end();
    model::each_once(&texts(&good), &output(&job));
    let letters = job.cluster.read_committed(&job.topic("dead"));
    assert_eq!(letters.len(), 1, "{letters:?}");
    let letter = &letters[0];
    assert_eq!((letter.text().as_str(), letter.key.as_deref()), (value, Some(b"sick".as_slice())));
    assert_eq!(letter.timestamp, poison(value).timestamp);
    for (header, expected) in [
        ("mine", "1"),
        (names::TOPIC, &job.topic("in")),
        (names::PARTITION, "1"),
        (names::OFFSET, "10"),
        (names::OPERATOR, "hostile"),
        (names::KIND, kind),
    ] {
        assert_eq!(letter.header(header).as_deref(), Some(expected), "{header}");
    }
    assert_eq!(letter.header(names::DIGEST).map(|digest| digest.len()), Some(64));
    assert!(letter.header(names::MESSAGE).is_some());
    assert_eq!(letter.header(names::CUT), None);
}

#[test]
fn a_record_that_traps_becomes_a_dead_letter() {
    becomes_a_dead_letter("trap_on_value", "poison", "", "trap");
}

#[test]
fn a_record_that_is_refused_becomes_a_dead_letter() {
    becomes_a_dead_letter("reject_on_value", "poison", "", "rejection");
}

#[test]
fn a_record_that_makes_the_call_fail_becomes_a_dead_letter() {
    becomes_a_dead_letter("err_on_value", "poison", "", "error");
}

#[test]
fn a_record_that_never_ends_becomes_a_dead_letter() {
    becomes_a_dead_letter("loop_on_value", "poison", "limits = { call = \"200ms\" }", "timeout");
}

#[test]
fn a_record_whose_output_is_too_large_for_its_sink_becomes_a_dead_letter() {
    becomes_a_dead_letter("grow_value", "big", "", "too_large");
}

#[test]
fn fail_stops_without_a_restart_and_names_topic_partition_and_offset() {
    let job = job("fail", "trap_on_value", "");
    produce(&job, "poison");
    let mut weir = job.start();
    weir.ends_with(1);
    let said = weir.last_line();
    let place = format!("topic {}, partition 1, offset 10", job.topic("in"));
    assert!(said.contains(&place) && said.contains("trap"), "{said}");
    assert!(!weir.log().contains("the incarnation ended"), "{}", weir.log());
}

#[test]
fn a_pipeline_that_fails_for_good_lets_go_of_its_transaction() {
    let job = job("lets-go", "trap_on_value", "");
    let out = job.topic("out");
    // Far longer than anyone here waits: only the pipeline itself can end the transaction in time.
    let long = [["--set", "kafka.main.transaction_timeout=600s"], ["--set", "checkpoint.interval=100s"]];
    let mut weir = job.start_with(&long.concat(), &[]);
    job.cluster.produce(&job.topic("in"), &[Record::of(0, "good")]);
    until("output in an open transaction", || (job.cluster.undecided(&out) > 0).then_some(()));
    job.cluster.produce(&job.topic("in"), &[poison("poison")]);
    weir.ends_with(1);
    until("the transaction to be given up", || (job.cluster.undecided(&out) <= 0).then_some(()));
    assert_eq!(job.cluster.read_stable(&out).len(), 0);
}

#[test]
fn a_pipeline_that_failed_goes_on_where_it_was_when_its_operator_is_repaired() {
    let mut job = job("repaired", "trap_on_value", "");
    let mut input = produce(&job, "poison");
    job.start().ends_with(1);
    job.text = job.text.replace("trap_on_value", "pass");
    job.run_to_end();
    input.push(poison("poison"));
    model::each_once(&texts(&input), &output(&job));
}

#[test]
fn skip_leaves_the_record_out_and_says_so() {
    let job = job("skip", "trap_on_value", "on_error = \"skip\"");
    let good = produce(&job, "poison");
    let weir = job.run_to_end();
    assert!(weir.log().contains("skipped"), "{}", weir.log());
    model::each_once(&texts(&good), &output(&job));
}

#[test]
fn dead_letters_are_in_the_same_transaction_as_the_output() {
    let job = job("dead-kills", "trap_on_value", DEAD_LETTER);
    let sick: Vec<Record> =
        (0..40).map(|number| Record::of(number % 3, &format!("poison-{number}"))).collect();
    let load = Load::start(&job.cluster, &job.topic("in"), PARTITIONS, 2);
    job.cluster.produce(&job.topic("in"), &sick);
    for kill_at in ["after_flush:1", "in_commit:2", "after_commit:2"] {
        job.start_with(&[], &[("WEIR_KILL_AT", kill_at)]).dies();
    }
    let good = load.stop();
    job.run_to_end();
    model::each_once(&texts(&good), &output(&job));
    model::each_once(&texts(&sick), &texts(&job.cluster.read_committed(&job.topic("dead"))));
}

#[test]
fn too_many_failed_records_stop_the_pipeline() {
    let rest = format!("{DEAD_LETTER}\nbreaker = {{ share = 0.1, over = \"60s\", rows_min = 20 }}");
    let job = job("breaker", "reject_on_value", &rest);
    let good = Record::numbered_batch(PARTITIONS, 10);
    job.cluster.produce(&job.topic("in"), &good);
    let mut weir = job.start();
    job.await_outputs(&mut weir, &job.topic("out"), good.len());
    let sick: Vec<Record> = (0..30).map(|number| Record::of(0, &format!("poison-{number}"))).collect();
    job.cluster.produce(&job.topic("in"), &sick);
    weir.ends_with(1);
    assert!(weir.last_line().contains("breaker.share"), "{}", weir.last_line());
}

#[test]
fn an_operator_that_fails_every_record_of_its_first_batches_stops_the_pipeline() {
    let rest = format!("{DEAD_LETTER}\nlimits = {{ batch_rows_max = 4 }}");
    let job = job("every", "err", &rest);
    job.cluster.produce(&job.topic("in"), &Record::numbered_batch(PARTITIONS, 20));
    let mut weir = job.start();
    weir.ends_with(1);
    assert!(weir.last_line().contains("every row of the first 3 batches"), "{}", weir.last_line());
    assert!(job.cluster.read_stable(&job.topic("dead")).is_empty(), "nothing of it was decided");
}
