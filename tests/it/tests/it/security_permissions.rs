//! A broker whose authorizer allows what was granted and nothing else: each permission that is missing is told with the
//! command that grants it.

use crate::harness::job::{Job, PARTITIONS};
use crate::harness::record::Record;
use crate::harness::weir::Weir;
use crate::secure_broker::{User, advised_lines, dead_letter_lines, needed_lines, secure};

fn processed(stem: &str, user: &User) -> Job {
    let job = secure().job(stem, user, &[]).with_processed();
    job.cluster.produce(&job.topic("in"), &Record::numbered_batch(PARTITIONS, 5));
    job
}

fn run_to_end(job: &Job, user: &User) -> Weir {
    let mut weir = job.start_with(&["--until-end"], &[("KAFKA_PASSWORD", &user.password)]);
    weir.wait();
    weir
}

/// All lines are enough, and without any one of them the start says just that one.
#[track_caller]
fn sufficient_and_necessary(job: &Job, user: &User) -> Vec<String> {
    let lines = needed_lines(job, user);
    lines.iter().for_each(|line| secure().grant(line));
    for missing in &lines {
        secure().take_away(missing);
        let mut weir = run_to_end(job, user);
        assert_ne!(weir.exit_code(), 0, "it runs without {missing}");
        let line = weir.last_line();
        assert!(line.ends_with(&format!("to allow it: {missing}")), "without {missing}: {line}");
        secure().grant(missing);
    }
    let mut weir = run_to_end(job, user);
    weir.ends_with(0);
    lines
}

#[test]
fn the_lines_of_explain_are_what_a_pipeline_needs_no_more_and_no_less() {
    let user = secure().user();
    let job = processed("acls", &user);
    let lines = sufficient_and_necessary(&job, &user);
    assert_eq!(lines.len(), 5, "{lines:#?}");
    assert_eq!(job.cluster.read_committed(&job.topic("out")).len(), 5 * PARTITIONS as usize);
}

#[test]
fn a_pipeline_whose_sources_are_elsewhere_needs_to_read_the_topic_that_holds_its_decision() {
    let user = secure().user();
    let mut job = secure().job("stand-in", &user, &[]);
    let topic = job.create_topic("out");
    job.add("[source.made]\nkind = \"generator\"\ncount = 10");
    job.add_kafka_sink("out", "made", &topic);
    let lines = sufficient_and_necessary(&job, &user);
    assert!(
        lines.iter().any(|line| line.contains(&format!("--operation Read --topic {topic}"))),
        "{lines:#?}"
    );
    assert_eq!(job.cluster.read_committed(&topic).len(), 10);
}

#[test]
fn dead_letters_come_back_with_the_lines_that_explain_has_for_them_and_not_without() {
    let user = secure().user();
    let mut job = secure().job("letters", &user, &[]);
    let (input, output, dead) = (job.create_topic("in"), job.create_topic("out"), job.create_topic("dead"));
    job.add_kafka_source("orders", &input);
    let rest = "config = { behaviour = \"trap_on_value\" }\non_error = { dead_letter = \"dead\" }";
    job.add_operator("hostile", "orders", "hostile_guests", rest);
    job.add_kafka_sink("out", "hostile", &output);
    job.add(&format!("[sink.dead]\nkind = \"kafka\"\ntopic = \"{dead}\""));
    job.cluster.produce(&input, &[Record::of(0, "poison").keyed("a"), Record::of(1, "good").keyed("b")]);
    // The pipeline itself runs without them.
    let needed = needed_lines(&job, &user);
    needed.iter().for_each(|line| secure().grant(line));
    run_to_end(&job, &user).ends_with(0);
    job.text = job.text.replace("trap_on_value", "pass");

    let lines = dead_letter_lines(&job, &user);
    let [read] = lines.as_slice() else { panic!("{lines:#?}") };
    assert!(read.ends_with(&format!("--operation Read --topic {dead}")) && !needed.contains(read), "{read}");
    let environment = [("KAFKA_PASSWORD", user.password.as_str())];
    for command in ["list", "replay"] {
        let mut weir = job.command(&["dlq", command], &[], &environment);
        assert_ne!(weir.exit_code(), 0, "dlq {command} works without {read}");
        let line = weir.last_line();
        assert!(line.ends_with(&format!("to allow it: {read}")), "dlq {command}: {line}");
    }
    secure().grant(read);
    let mut weir = job.command(&["dlq", "replay"], &[], &environment);
    weir.ends_with(0);
    assert!(weir.log().contains("1 letter replayed"), "{}", weir.log());
    assert_eq!(job.cluster.read_committed(&output).len(), 2);
}

#[test]
fn what_is_not_allowed_to_be_looked_up_is_guessed_and_said_with_the_line_that_allows_it() {
    let user = secure().user();
    let job = processed("guesses", &user);
    needed_lines(&job, &user).iter().for_each(|line| secure().grant(line));
    let mut weir = run_to_end(&job, &user);
    weir.ends_with(0);
    for line in advised_lines(&job, &user) {
        assert!(weir.log().contains(&format!("to allow it: {line}")), "{line} is not in\n{}", weir.log());
        secure().grant(&line);
    }
    let mut weir = run_to_end(&job, &user);
    weir.ends_with(0);
    assert!(!weir.log().contains("to allow it"), "{}", weir.log());
}

#[test]
fn a_permission_that_is_taken_away_from_a_running_pipeline_ends_it_with_the_line_that_is_missing() {
    let user = secure().user();
    let job = processed("taken", &user);
    let lines = needed_lines(&job, &user);
    lines.iter().for_each(|line| secure().grant(line));
    let mut expected = 5 * PARTITIONS as usize;
    // One of the two ids is enough: they are used in turn.
    for taken in lines.iter().filter(|line| !line.ends_with(".0.1")) {
        let mut weir = job.start_with(&[], &[("KAFKA_PASSWORD", &user.password)]);
        job.await_outputs(&mut weir, &job.topic("out"), expected);
        secure().take_away(taken);
        job.cluster.produce(&job.topic("in"), &Record::numbered_batch(PARTITIONS, 5));
        expected += 5 * PARTITIONS as usize;
        assert_ne!(weir.exit_code(), 0, "it runs without {taken}");
        let line = weir.last_line();
        assert!(line.ends_with(&format!("to allow it: {taken}")), "without {taken}: {line}");
        secure().grant(taken);
    }
    let mut weir = run_to_end(&job, &user);
    weir.ends_with(0);
    assert_eq!(job.cluster.read_committed(&job.topic("out")).len(), expected);
}
