//! Probes: what is served and what is not, clients that mean no good, a broker that is away, a coordinator that is stuck.

use crate::harness::cluster::Cluster;
use crate::harness::job::Job;
use crate::harness::own_broker::OwnBroker;
use crate::harness::probes::{LISTEN, Probes};
use crate::harness::raw_http::RawClient;
use crate::harness::server::Server;
use crate::harness::waiting::{until, until_within};
use crate::harness::weir::Weir;
use std::time::Duration;

/// More than the listener has places.
const CROWD: usize = 200;
/// Longer than a transaction may last, and a client looks for its broker.
const AWAY_WITHIN: Duration = Duration::from_secs(150);
/// The coordinator counts as stuck after a minute.
const STUCK_WITHIN: Duration = Duration::from_secs(150);

/// A pipeline that needs no broker.
fn generated(stem: &str) -> Job {
    let mut job = Job::local(stem);
    job.add("[source.made]\nkind = \"generator\"\nrate = 500\nkeys = 5");
    job.add_operator("count", "made", "count_by_key", "");
    job.add("[sink.out]\nkind = \"blackhole\"\ninput = \"count\"");
    job
}

fn ask(address: &str, request: &str) -> String {
    let mut client = RawClient::connect(address);
    client.send(format!("{request} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes());
    client.text()
}

#[test]
fn three_paths_are_served_and_nothing_else() {
    let job = generated("probe-paths");
    let mut weir = job.start_with(&LISTEN, &[]);
    let probes = Probes::of(&mut weir);
    probes.await_status("/readyz", 200);
    assert_eq!(probes.status("/livez"), 200);
    for path in ["/", "/metrics/", "/livez/x", "/v1/pipelines", "/openapi.json", "/docs", "/../metrics"] {
        assert_eq!(probes.status(path), 404, "{path}");
    }
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"] {
        for path in ["/livez", "/readyz", "/metrics"] {
            let answer = ask(probes.address(), &format!("{method} {path}"));
            assert!(answer.starts_with("HTTP/1.1 405 "), "{method} {path}: {answer}");
        }
    }
    let head = ask(probes.address(), "HEAD /metrics");
    assert!(head.starts_with("HTTP/1.1 200 ") && head.ends_with("\r\n\r\n"), "{head}");
}

#[test]
fn clients_that_send_half_a_request_keep_no_probe_out() {
    let job = generated("probe-crowd");
    let mut weir = job.start_with(&LISTEN, &[]);
    let probes = Probes::of(&mut weir);
    probes.await_status("/readyz", 200);
    let mut crowd: Vec<RawClient> = (0..CROWD).map(|_| RawClient::connect(probes.address())).collect();
    for client in &mut crowd {
        client.send(b"GET /metrics HTTP/1.1\r\nhost: ");
    }
    for path in ["/livez", "/readyz", "/metrics"] {
        assert_eq!(probes.status(path), 200, "{path}");
    }
    let huge = "x".repeat(100 << 10);
    assert!(!ask(probes.address(), &format!("GET /livez HTTP/1.1\r\nx: {huge}")).contains("200 OK"));
    assert_eq!(probes.status("/livez"), 200);
    // The oldest made room.
    until("a connection of the crowd to be closed", || crowd[0].is_closed().then_some(()));
}

#[test]
fn an_address_that_is_taken_is_told_in_one_line() {
    let job = generated("probe-taken");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut weir = job.start_with(&["--probe-listen", &address], &[]);
    weir.ends_with(2);
    let line = weir.last_line();
    assert!(
        line.contains(&format!("--probe-listen {address}")) && line.contains("whose port is free"),
        "{line}"
    );
}

#[test]
fn a_broker_that_is_away_makes_a_pipeline_unready_and_never_dead() {
    let mut broker = OwnBroker::to_be_killed();
    let mut job = Job::on(&Cluster::at(&broker.address()), "probe-broker");
    job.text = job.text.replace("timeout = \"20s\"", "timeout = \"3s\"");
    job.add("transaction_timeout = \"10s\"");
    let output = job.create_topic("out");
    // There is always something to decide.
    job.add("[source.made]\nkind = \"generator\"\nrate = 200\nkeys = 5");
    job.add_operator("prefix", "made", "prefix", "");
    job.add_kafka_sink("out", "prefix", &output);
    let mut weir = job.start_with(&LISTEN, &[]);
    let probes = Probes::of(&mut weir);
    probes.await_status("/readyz", 200);
    job.await_outputs(&mut weir, &output, 10);
    broker.kill();
    let gone = until_within(AWAY_WITHIN, "the pipeline to be unready", || {
        assert_eq!(probes.status("/livez"), 200, "a broker that is away is no reason to end the process");
        let ready = probes.get("/readyz", "*/*");
        (ready.status == 503).then_some(ready.text)
    });
    assert!(gone.contains(&job.name) && (gone.contains("restarting") || gone.contains("starting")), "{gone}");
    broker.start_again();
    until_within(AWAY_WITHIN, "the pipeline to be ready again", || {
        assert_eq!(probes.status("/livez"), 200);
        (probes.status("/readyz") == 200).then_some(())
    });
    let scrape = probes.scrape();
    assert!(scrape.sum("weir_restarts_total", &[]) >= 1.0);
    weir.signal(libc::SIGTERM);
    weir.ends_with(0);
}

#[test]
fn a_coordinator_that_is_stuck_fails_the_probe_of_life() {
    let job = generated("probe-stuck");
    let environment = [("WEIR_KILL_AT", "barrier_injected:3"), ("WEIR_KILL_BY", "hang")];
    let mut weir = job.start_with(&LISTEN, &environment);
    let probes = Probes::of(&mut weir);
    probes.await_status("/readyz", 200);
    assert_eq!(probes.status("/livez"), 200);
    let told = until_within(STUCK_WITHIN, "the stuck coordinator to be told", || {
        let told = probes.get("/livez", "*/*");
        (told.status == 503).then_some(told.text)
    });
    assert!(told.starts_with("the coordinator has not turned for 6"), "{told}");
    assert!(probes.scrape().one("weir_coordinator_still_seconds", &[]) >= 60.0);
}

#[test]
fn a_server_is_ready_when_each_pipeline_has_begun_or_said_why_it_does_not() {
    let job = generated("probe-served");
    let data = job.data_dir().display().to_string();
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--data-dir", &data, LISTEN[0], LISTEN[1]];
    let server = Server::of(Weir::start(&arguments, &[], &job.path("one.log")), &job.data_dir());
    let broken = Job::on(&Cluster::at("127.0.0.1:1"), "probe-away").text;
    server.deploy(&job);
    let name = broken.lines().next().unwrap().split('"').nth(1).unwrap().to_owned();
    server.put(&name, &format!("{broken}[source.orders]\nkind = \"kafka\"\ntopics = [\"x\"]\n[sink.out]\nkind = \"blackhole\"\ninput = \"orders\"\n"));
    server.apply(&name);
    drop(server);
    // The broker of one of them is not there: that keeps nobody from the API.
    let mut again = Server::of(Weir::start(&arguments, &[], &job.path("two.log")), &job.data_dir());
    let probes = Probes::of(&mut again.weir);
    probes.await_status("/readyz", 200);
    assert_eq!(again.status(&job.name)["actual"], "running");
    assert_ne!(again.status(&name)["actual"], "running");
    assert_eq!(probes.status("/livez"), 200);
    let scrape = probes.scrape();
    assert_eq!(scrape.one("weir_pipeline_desired_running", &[("pipeline", &name)]), 1.0);
    assert_eq!(scrape.one("weir_pipeline_state", &[("pipeline", &name), ("state", "running")]), 0.0);
    for path in ["/v1/pipelines", "/openapi.json"] {
        assert_eq!(probes.status(path), 404, "{path}");
    }
}
