//! What a container is to weir, made by hand: process 1 of a namespace, a read-only root with nothing but the binary
//! and its libraries, a user without a name or a right, a limit of memory.

use crate::deploy::libraries;
use crate::harness::guests::{guest, weir};
use crate::harness::job::Job;
use crate::harness::probes::Probes;
use crate::harness::record::Record;
use crate::harness::waiting::until;
use crate::harness::weir::Weir;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The user of the image.
const USER: u32 = 65532;
const MEMORY_BYTES: u64 = 1 << 30;

/// Makes the root, and becomes weir in it. `$1` the root, `$2` the data directory, `$3` the group's file or nothing;
/// then weir's arguments. The file system of the root is read-only when weir starts, and the change of the user takes
/// all capabilities away.
const IN_A_CONTAINER: &str = r#"
set -e
root=$1 data=$2 group=$3
shift 3
[ -z "$group" ] || echo $$ > "$group"
mount --make-rprivate /
mount --bind "$root" "$root"
mount --bind "$data" "$root/var/lib/weir"
mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
[ ! -d "$root/sys/fs/cgroup" ] || mount --rbind /sys/fs/cgroup "$root/sys/fs/cgroup"
mount -o remount,bind,ro "$root"
cd "$root"
exec setpriv --no-new-privs chroot --userspec=65532:65532 "$root" "$@"
"#;

/// The root file system of the image, but for certificates.
fn make_root(root: &Path) {
    for directory in ["usr/local/bin", "etc/weir", "proc", "sys/fs/cgroup", "var/lib/weir", "operators"] {
        fs::create_dir_all(root.join(directory)).unwrap();
    }
    fs::copy(weir(), root.join("usr/local/bin/weir")).unwrap();
    for library in libraries() {
        let to = root.join(library.trim_start_matches('/'));
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(&library, to).unwrap();
    }
    fs::copy(guest("prefix"), root.join("operators/prefix.wasm")).unwrap();
}

/// A control group with a limit, where the machine lets this test have one. It goes with this value.
struct ControlGroup(PathBuf);

impl ControlGroup {
    fn make(name: &str) -> Option<ControlGroup> {
        let own = fs::read_to_string("/proc/self/cgroup").ok()?;
        let path = |controllers: &str| {
            let line = own.lines().find(|line| line.split(':').nth(1) == Some(controllers))?;
            line.splitn(3, ':').nth(2).map(|path| path.trim_start_matches('/').to_owned())
        };
        let (parent, limit) = match path("memory") {
            Some(path) => (Path::new("/sys/fs/cgroup/memory").join(path), "memory.limit_in_bytes"),
            None => (Path::new("/sys/fs/cgroup").join(path("")?), "memory.max"),
        };
        let group = parent.join(name);
        fs::create_dir(&group).ok()?;
        let group = ControlGroup(group);
        fs::write(group.0.join(limit), MEMORY_BYTES.to_string()).ok()?;
        Some(group)
    }
}

impl Drop for ControlGroup {
    fn drop(&mut self) {
        // Empty by now; one that is not stays, which hurts nobody.
        let _ = fs::remove_dir(&self.0);
    }
}

/// The process that `unshare` has made: process 1 of its namespace.
fn first_process(weir: &Weir) -> u32 {
    let id = weir.id();
    until("unshare to make its process", || {
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).ok()?;
        children.split_whitespace().next()?.parse().ok()
    })
}

fn status_of(process: u32, field: &str) -> Vec<String> {
    let text = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    line.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn as_process_1_on_a_read_only_root_it_runs_answers_probes_and_stops_after_a_last_checkpoint() {
    // SAFETY: reads a number.
    let user = unsafe { libc::geteuid() };
    assert_eq!(user, 0, "this test makes mounts and changes the user: run it as root");
    let mut job = Job::processed("container");
    let (input, output) = (job.topic("in"), job.topic("out"));
    job.text = job.text.replace(&guest("prefix"), "/operators/prefix.wasm");
    let (root, data) = (job.path("root"), job.data_dir());
    make_root(&root);
    fs::write(root.join("etc/weir/pipeline.toml"), &job.text).unwrap();
    fs::create_dir_all(&data).unwrap();
    std::os::unix::fs::chown(&data, Some(USER), Some(USER)).unwrap();
    let group = ControlGroup::make(&job.name);
    let procs = group.as_ref().map(|group| group.0.join("cgroup.procs").display().to_string());
    let mut command = Command::new("unshare");
    command.args([
        "--pid",
        "--mount",
        "--ipc",
        "--uts",
        "--fork",
        "--kill-child",
        "sh",
        "-c",
        IN_A_CONTAINER,
        "sh",
    ]);
    command.arg(&root).arg(&data).arg(procs.unwrap_or_default());
    command.args(["/usr/local/bin/weir", "run", "/etc/weir/pipeline.toml", "--probe-listen", "127.0.0.1:0"]);
    command.args(["--data-dir", "/var/lib/weir"]);
    let mut weir = Weir::spawn(command, &[], &job.path("container.log"));
    let probes = Probes::of(&mut weir);
    let process = first_process(&weir);
    assert_eq!(status_of(process, "NSpid:").last().unwrap(), "1", "it is process 1");
    assert_eq!(status_of(process, "Uid:"), vec![USER.to_string(); 4]);
    assert_eq!(status_of(process, "CapEff:"), ["0000000000000000"]);
    let seen = PathBuf::from(format!("/proc/{process}/root"));
    assert!(!seen.join("tmp").exists() && !seen.join("home").exists());
    probes.await_status("/readyz", 200);
    job.cluster.produce(&input, &Record::numbered_batch(3, 20));
    job.await_outputs(&mut weir, &output, 60);
    assert_eq!(probes.status("/livez"), 200);
    let scrape = probes.scrape();
    assert_eq!(scrape.sum("weir_sink_records_total", &[("sink", "out")]), 60.0);
    if group.is_some() {
        assert_eq!(scrape.one("weir_memory_limit_bytes", &[]), MEMORY_BYTES as f64);
        assert_eq!(scrape.one("weir_state_memory_limit_bytes", &[]), MEMORY_BYTES as f64 / 4.0);
    }
    // Right before the signal: a last checkpoint has to cover it.
    job.cluster.produce(&input, &Record::numbered_batch(3, 5));
    until("it to be read", || (probes.scrape().sum("weir_source_records_total", &[]) == 75.0).then_some(()));
    // SAFETY: the process is a child of our child, which waits for it, so the id is its own.
    let sent = unsafe { libc::kill(process as libc::pid_t, libc::SIGTERM) };
    assert_eq!(sent, 0, "SIGTERM is sent");
    weir.ends_with(0);
    assert!(weir.log().contains("stopped"), "{}", weir.log());
    assert_eq!(job.cluster.read_stable(&output).len(), 75, "all that was read is decided");
    assert!(fs::read_dir(data.join("pipelines")).unwrap().count() > 0);
}
