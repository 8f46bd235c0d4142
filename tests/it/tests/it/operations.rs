//! What docs/OPERATIONS.md and docs/SECURITY.md promise of a server beside its pipelines: one at a time in a directory,
//! how it stops, how it is copied, and what it keeps from the components that it looks at.

use crate::harness::counting::{is_exact, served, works};
use crate::harness::guests::guest;
use crate::harness::job::Job;
use crate::harness::manual::statements;
use crate::harness::raw_http::RawClient;
use crate::harness::server::Server;
use crate::harness::waiting::until;
use crate::harness::weir::Weir;
use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn a_second_server_in_the_same_directory_is_refused_and_the_first_goes_on() {
    let (job, server) = served("operated-twice");
    let data = job.data_dir().display().to_string();
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--data-dir", &data];
    let mut second = Weir::start(&arguments, &[], &job.path("second.log"));
    second.ends_with(1);
    assert!(second.last_line().contains("is in use by another weir"), "{}", second.last_line());
    works(&server, &job.name);
}

#[test]
fn a_signal_stops_with_last_checkpoints_a_second_one_at_once_and_what_is_desired_stays() {
    let (job, mut server) = served("operated-stop");
    server.weir.signal(libc::SIGTERM);
    server.weir.ends_with(0);
    let mut server = server.again(&job.path("serve-again.log"), &[]);
    works(&server, &job.name);
    // A request under way holds the end up.
    let mut client = RawClient::connect(server.address());
    client
        .head(server.token(), "POST", "/v1/operators/count/versions", "application/wasm", 1000)
        .send(b"half");
    until("the request to be under way", || {
        (std::fs::read_dir(server.path("incoming")).unwrap().count() == 1).then_some(())
    });
    server.weir.signal(libc::SIGTERM);
    server.weir.await_log("a second signal stops at once");
    server.weir.signal(libc::SIGTERM);
    server.weir.ends_with(0);
    assert!(server.weir.log().contains("stopped without last checkpoints"), "{}", server.weir.log());
    let mut server = server.again(&job.path("serve-last.log"), &[]);
    works(&server, &job.name);
    server.weir.signal(libc::SIGTERM);
    server.weir.ends_with(0);
    assert!(is_exact(&job.data_dir().join("files").join(&job.name)) > 0);
}

#[test]
fn a_copy_made_while_the_server_runs_knows_the_same_operators_documents_and_tokens() {
    let (job, server) = served("operated-copy");
    server.upload("count-by-key", "swap_good");
    let versions = server.get("/v1/operators/count-by-key/versions").expect(200);
    let newest = versions["items"][0]["sha256"].as_str().unwrap().as_bytes().to_owned();
    until("a backup that has the upload", || {
        let backup = std::fs::read(server.path("control.backup.sqlite")).ok()?;
        backup.windows(newest.len()).any(|bytes| bytes == newest).then_some(())
    });
    std::os::unix::fs::symlink(job.data_dir(), job.path("weir-data")).unwrap();
    for statement in statements("docs/OPERATIONS.md", Some("A copy while it runs")) {
        let mut shell = Command::new("bash");
        let status = shell.args(["-e", "-c", &statement.text]).current_dir(job.path("")).status().unwrap();
        assert!(status.success(), "{}: {}", statement.place, statement.text);
    }
    let asked = ["/v1/operators", "/v1/operators/count-by-key/versions", "/v1/tokens"];
    let answers = |server: &Server| asked.map(|path| server.get(path).expect(200));
    let draft =
        |server: &Server| server.get(&format!("/v1/pipelines/{}", job.name)).expect(200)["draft"].clone();
    let expected = (answers(&server), draft(&server));
    let digest = expected.0[1]["items"][0]["sha256"].as_str().unwrap();
    let copy = Server::start(&job.path("copy"), &job.path("copy.log"), &[]);
    assert_eq!((answers(&copy), draft(&copy)), expected);
    assert!(copy.path(&format!("components/{digest}.wasm")).is_file());
    works(&server, &job.name);
}

/// The processes that this one has started.
fn children(parent: u32) -> Vec<PathBuf> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    let is_child = |path: &PathBuf| {
        let status = std::fs::read_to_string(path.join("status")).unwrap_or_default();
        status
            .lines()
            .any(|line| line.strip_prefix("PPid:").is_some_and(|id| id.trim() == parent.to_string()))
    };
    entries.filter(is_child).collect()
}

fn limit(process: &Path, name: &str) -> Option<String> {
    let limits = std::fs::read_to_string(process.join("limits")).ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next().map(str::to_owned)
}

#[test]
fn the_process_that_looks_at_a_component_has_limits_and_nothing_of_the_servers_environment() {
    let job = Job::local("operated-child");
    let server = Server::start(&job.data_dir(), &job.path("serve.log"), &[("SECRET_OF_THE_HOST", "hush")]);
    let endless = std::fs::read(guest("hostile_describe_endless")).unwrap();
    let parent = server.weir.id();
    std::thread::scope(|scope| {
        let upload = scope.spawn(|| server.upload_bytes("bad", &endless));
        let (environment, core) = until("a process with limits", || {
            children(parent).into_iter().find_map(|child| {
                let limits =
                    ["Max data size", "Max cpu time", "Max core file size"].map(|name| limit(&child, name));
                let [Some(memory), Some(time), Some(core)] = limits else { return None };
                let own = memory == (2_u64 << 30).to_string() && time == "120";
                own.then(|| (std::fs::read(child.join("environ")).unwrap_or_default(), core))
            })
        });
        assert_eq!((String::from_utf8_lossy(&environment).as_ref(), core.as_str()), ("", "0"));
        let answer = upload.join().unwrap();
        assert!((400..500).contains(&answer.status), "{answer:?}");
    });
}
