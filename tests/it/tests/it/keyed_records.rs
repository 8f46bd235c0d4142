//! What reaches a keyed operator: records without a key, several sources on one port, ports of their own, and state that
//! outlives what the pipeline file says about it.

use crate::harness::job::Job;
use crate::harness::record::Record;
use std::collections::BTreeMap;

/// Counts by key from topics into a topic; `rest` is more lines of the operator.
fn counted(stem: &str, sources: &[&str], rest: &str) -> Job {
    let mut job = Job::new(stem);
    for source in sources {
        let topic = job.create_topic(source);
        job.add_kafka_source(source, &topic);
    }
    let inputs = sources.join("\", \"");
    job.add_operator("count", &inputs, "count_by_key", rest);
    job.text = job.text.replace(&format!("input = \"{inputs}\""), &format!("input = [\"{inputs}\"]"));
    let output = job.create_topic("out");
    job.add_kafka_sink("out", "count", &output);
    job
}

/// Records of these keys, in all partitions by turns.
fn produce(job: &Job, source: &str, keys: &[Option<&str>]) {
    let record = |(number, key): (usize, &Option<&str>)| {
        let record = Record::of(number as i32 % 3, &format!("{number}"));
        key.map_or_else(|| record.clone(), |key| record.clone().keyed(key))
    };
    job.cluster.produce(&job.topic(source), &keys.iter().enumerate().map(record).collect::<Vec<_>>());
}

/// How far each key was counted; each was counted one by one. Records without a key lie in any partition, so only their
/// numbers are compared, not their order.
#[track_caller]
fn counts(job: &Job) -> BTreeMap<Option<String>, u64> {
    let mut counts: BTreeMap<Option<String>, Vec<u64>> = BTreeMap::new();
    for record in job.cluster.read_committed(&job.topic("out")) {
        let key = record.key.as_ref().map(|key| String::from_utf8_lossy(key).into_owned());
        counts.entry(key).or_default().push(record.text().parse().unwrap());
    }
    counts.entry(None).or_default().sort_unstable();
    counts.retain(|_, numbers| !numbers.is_empty());
    for (key, numbers) in &counts {
        assert!(numbers.iter().copied().eq(1..=numbers.len() as u64), "{key:?}: {numbers:?}");
    }
    counts.into_iter().map(|(key, numbers)| (key, numbers.len() as u64)).collect()
}

fn key(name: &str) -> Option<String> {
    Some(name.to_owned())
}

#[test]
fn a_record_without_a_key_stops_the_pipeline_unless_something_else_is_said() {
    let job = counted("null-key", &["in"], "");
    produce(&job, "in", &[Some("a"), None]);
    let mut weir = job.start();
    weir.ends_with(1);
    let said = weir.last_line();
    let place = format!("topic {}, partition 1, offset 0", job.topic("in"));
    assert!(said.contains(&place) && said.contains("key"), "{said}");
    assert!(job.cluster.read_stable(&job.topic("out")).is_empty());
}

#[test]
fn records_without_a_key_become_dead_letters() {
    let mut job = counted("null-dead", &["in"], "on_error = { dead_letter = \"dead\" }");
    let dead = job.create_topic("dead");
    job.add(&format!("[sink.dead]\nkind = \"kafka\"\ntopic = \"{dead}\""));
    produce(&job, "in", &[Some("a"), None, Some("a"), None, Some("b")]);
    job.run_to_end();
    assert_eq!(counts(&job), BTreeMap::from([(key("a"), 2), (key("b"), 1)]));
    let letters = job.cluster.read_committed(&dead);
    let mut texts: Vec<String> = letters.iter().map(Record::text).collect();
    texts.sort();
    assert_eq!(texts, ["1", "3"]);
    assert!(letters.iter().all(|letter| letter.key.is_none()));
}

#[test]
fn records_without_a_key_are_one_group_where_the_pipeline_says_so() {
    let job = counted("null-group", &["in"], "null_key = \"group\"");
    produce(&job, "in", &[Some("a"), None, None, Some("a"), None]);
    job.run_to_end();
    produce(&job, "in", &[None, None]);
    job.start_with(&["--set", "parallelism=4", "--until-end"], &[]).ends_with(0);
    assert_eq!(counts(&job), BTreeMap::from([(key("a"), 2), (None, 5)]));
}

#[test]
fn several_sources_of_one_port_are_counted_together() {
    let job = counted("union", &["left", "right"], "");
    produce(&job, "left", &[Some("a"), Some("b"), Some("a")]);
    produce(&job, "right", &[Some("a"), Some("c")]);
    job.run_to_end();
    assert_eq!(counts(&job), BTreeMap::from([(key("a"), 3), (key("b"), 1), (key("c"), 1)]));
}

#[test]
fn a_port_that_there_is_not_and_a_port_without_input_are_refused() {
    for (input, said) in [
        ("{ left = \"orders\", middle = \"orders\" }", "middle"),
        ("{ left = \"orders\" }", "right"),
        ("\"orders\"", "right"),
    ] {
        let mut job = Job::local("ports");
        job.add("[source.orders]\nkind = \"generator\"\ncount = 10");
        job.add_operator("join", "INPUT", "join", "config = { within_ms = 5 }");
        job.text = job.text.replace("\"INPUT\"", input);
        job.add_files_sink("files", "join");
        let mut weir = job.start();
        weir.ends_with(2);
        assert!(weir.log().contains("operator.join") && weir.log().contains(said), "{input}: {}", weir.log());
    }
}

#[test]
fn state_of_an_operator_that_is_gone_is_kept_until_it_may_go() {
    let mut job = counted("gone", &["in"], "");
    produce(&job, "in", &[Some("a"), Some("b")]);
    job.run_to_end();
    let with = job.text.clone();
    job.text = with.replace("operator.count", "operator.other").replace("\"count\"", "\"other\"");
    let mut weir = job.start();
    weir.ends_with(4);
    assert!(
        weir.last_line().contains("count") && weir.last_line().contains("drop_operators"),
        "{}",
        weir.last_line()
    );
    job.text = with;
    produce(&job, "in", &[Some("a")]);
    job.run_to_end();
    assert_eq!(counts(&job)[&key("a")], 2);
}

#[test]
fn a_pipeline_goes_on_without_state_when_its_keyed_operator_was_dropped() {
    let mut job = counted("dropped", &["in"], "");
    produce(&job, "in", &[Some("a"), Some("b")]);
    job.run_to_end();
    let component = crate::harness::guests::guest("count_by_key");
    job.text = job.text.replace(&component, &crate::harness::guests::guest("prefix"));
    job.text = job.text.replace("operator.count", "operator.prefix").replace("\"count\"", "\"prefix\"");
    job.text = format!("drop_operators = \"count\"\n{}", job.text);
    produce(&job, "in", &[Some("a")]);
    for _ in 0..2 {
        job.run_to_end();
    }
    let output = job.cluster.read_committed(&job.topic("out"));
    assert_eq!(output.iter().filter(|record| record.text() == "processed_0").count(), 1);
    assert_eq!(output.len(), 3);
}
