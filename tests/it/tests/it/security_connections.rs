//! Brokers that ask who is there: TLS, SCRAM, and what is said where one side does not believe the other.

use crate::harness::job::{Job, PARTITIONS};
use crate::harness::record::Record;
use crate::secure_broker::{Listener, User, needed_lines, secure};

/// A pipeline of a user that writes to a topic of the broker.
fn job(user: &User, set: &[(&str, &str)]) -> Job {
    with_sink(secure().job("connection", user, set))
}

fn with_sink(mut job: Job) -> Job {
    let topic = job.create_topic("out");
    job.add("[source.made]\nkind = \"generator\"\ncount = 10");
    job.add_kafka_sink("out", "made", &topic);
    job.add("[restart]\nattempts = 0");
    job.text = job.text.replace("restart = { initial_backoff = \"100ms\", max_backoff = \"1s\" }\n", "");
    job
}

/// It ends with this word of why, and tells no password.
#[track_caller]
fn refuses(job: &Job, password: &str, expected: &[&str]) {
    let mut weir = job.start_with(&["--until-end"], &[("KAFKA_PASSWORD", password)]);
    weir.ends_with(1);
    let (line, log) = (weir.last_line(), weir.log());
    for word in expected {
        assert!(line.contains(word), "expected {word:?} in: {line}");
    }
    assert!(!log.contains(password), "the password is in the log:\n{log}");
}

#[test]
fn records_pass_over_tls_as_a_user_of_either_mechanism_of_scram() {
    for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512"] {
        let user = secure().user();
        let job = secure().job("scram", &user, &[("sasl.mechanism", mechanism)]).with_processed();
        for line in needed_lines(&job, &user) {
            secure().grant(&line);
        }
        job.cluster.produce(&job.topic("in"), &Record::numbered_batch(PARTITIONS, 5));
        let mut weir = job.start_with(&["--until-end"], &[("KAFKA_PASSWORD", &user.password)]);
        weir.ends_with(0);
        assert!(!weir.log().contains(&user.password), "{}", weir.log());
        assert_eq!(job.cluster.read_committed(&job.topic("out")).len(), 5 * PARTITIONS as usize);
    }
}

#[test]
fn a_certificate_of_an_unknown_authority_is_answered_with_the_property_for_the_authority() {
    let user = secure().user();
    let other = secure().other_authority().display().to_string();
    let broker = secure().address(Listener::Good);
    let expected =
        [broker.as_str(), "authority that is not known", "kafka.main.properties.\"ssl.ca.location\""];
    refuses(&job(&user, &[("ssl.ca.location", &other)]), &user.password, &expected);
}

#[test]
fn a_certificate_that_has_expired_is_said_to_be_so() {
    let user = secure().user();
    let mut job = job(&user, &[]);
    let (good, expired) = (secure().address(Listener::Good), secure().address(Listener::Expired));
    job.text = job.text.replace(&good, &expired);
    refuses(&job, &user.password, &[&expired, "has expired"]);
}

#[test]
fn a_certificate_for_another_host_is_said_to_be_so() {
    let user = secure().user();
    let mut job = job(&user, &[]);
    let (good, other) = (secure().address(Listener::Good), secure().address(Listener::OtherHost));
    job.text = job.text.replace(&good, &other);
    refuses(
        &job,
        &user.password,
        &[&other, "for another host name", "kafka.main.brokers", "advertised.listeners"],
    );
}

#[test]
fn a_wrong_password_and_an_unknown_user_are_answered_with_user_and_mechanism() {
    let user = secure().user();
    let expected = [&format!("do not accept user \"{}\"", user.name), "SCRAM-SHA-256", "\"sasl.password\""];
    refuses(&job(&user, &[]), "guessed-password", &expected);
    let nobody = User { name: "nobody-of-that-name".to_owned(), password: "guessed-password".to_owned() };
    refuses(&job(&nobody, &[]), &nobody.password, &["do not accept user \"nobody-of-that-name\""]);
}

#[test]
fn a_mechanism_that_the_broker_does_not_have_is_answered_with_those_that_it_has() {
    let user = secure().user();
    let job = job(&user, &[("sasl.mechanism", "PLAIN")]);
    refuses(&job, &user.password, &["do not know the mechanism PLAIN", "SCRAM-SHA-256"]);
}

#[test]
fn a_port_of_tls_that_is_spoken_to_in_plaintext_and_the_reverse_name_the_protocol_to_set() {
    let user = secure().user();
    let properties =
        [("sasl.mechanism", ""), ("sasl.username", ""), ("sasl.password", ""), ("ssl.ca.location", "")];
    let plain = job(&user, &[&[("security.protocol", "plaintext")][..], &properties[..]].concat());
    refuses(
        &plain,
        &user.password,
        &["in plaintext: a TLS listener?", "\"security.protocol\" = \"ssl\" or \"sasl_ssl\""],
    );

    let mut secret = job(&user, &[]);
    secret.text = secret.text.replace(&secure().address(Listener::Good), secure().admin().address());
    refuses(&secret, &user.password, &["does not speak TLS", "\"security.protocol\" = \"sasl_plaintext\""]);
}

#[test]
fn a_port_that_wants_sasl_and_is_not_given_any_is_answered_with_what_to_set() {
    let user = secure().user();
    let without = job(
        &user,
        &[("security.protocol", "ssl"), ("sasl.mechanism", ""), ("sasl.username", ""), ("sasl.password", "")],
    );
    refuses(&without, &user.password, &["may demand SASL", "\"security.protocol\" = \"sasl_ssl\""]);
}
