//! `weir demo`: what a stranger sees first, from the start of the server to the table at the end.

use crate::harness::broker;
use crate::harness::guests::weir;
use crate::harness::waiting::{until, until_within};
use crate::harness::weir::Weir;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// As few as the demo takes, so that a busy machine is through with them soon.
const RECORDS: &str = "50000";
/// The demo has its own limits, so this is only for one that ignores them.
const LONGEST: Duration = Duration::from_secs(240);

/// The demo in a process group of its own: where a test fails, its server goes with it.
struct Demo {
    weir: Weir,
    // The last field: it is removed when nobody writes there any more.
    directory: TempDir,
}

impl Demo {
    fn start(more: &[&str]) -> Demo {
        let directory = tempfile::tempdir().unwrap();
        let mut command = Command::new(weir());
        command.args(["demo", "--records", RECORDS]).args(more).process_group(0);
        let place = directory.path().display().to_string();
        let weir = Weir::spawn(command, &[("TMPDIR", &place)], &directory.path().join("log"));
        Demo { weir, directory }
    }

    /// The number of the process that serves first.
    fn server(&mut self) -> u32 {
        until("the server's process", || {
            assert!(!self.weir.has_ended(), "the demo has ended:\n{}", self.weir.log());
            let log = self.weir.log();
            let (_, rest) = log.split_once("weir serve, as process ")?;
            rest.split_once(':')?.0.parse().ok()
        })
    }

    #[track_caller]
    fn ends_with(&mut self, code: i32) {
        until_within(LONGEST, "the end of the demo", || self.weir.has_ended().then_some(()));
        self.weir.ends_with(code);
    }

    /// The table says this.
    #[track_caller]
    fn shows(&self, name: &str, value: &str) {
        let log = self.weir.log();
        let row = log.lines().filter_map(|line| line.strip_prefix(name)).find_map(|row| {
            let found = row.strip_prefix(' ')?;
            found.split_whitespace().next()
        });
        assert_eq!(row, Some(value), "{name}:\n{log}");
    }

    #[track_caller]
    fn shows_that_nothing_went_wrong(&self, kills: &str) {
        self.shows("records out", RECORDS);
        for nothing in ["lost", "duplicated", "counted wrong"] {
            self.shows(nothing, "0");
        }
        self.shows("keys", "1000");
        self.shows("swaps", "1");
        self.shows("rolled back", "1");
        self.shows("kill -9", kills);
        let log = self.weir.log();
        let versions = log.split_once("by version 1 / 2 / 3: ").unwrap_or_else(|| panic!("{log}")).1;
        let versions = versions.lines().next().unwrap().split(" / ");
        let versions: Vec<u64> = versions.map(|count| count.parse().unwrap()).collect();
        assert_eq!(versions.iter().map(|count| *count > 0).collect::<Vec<_>>(), [true, true, false], "{log}");
        assert!(log.contains("-> rolled_back: ") && log.contains("-> interrupted: "), "{log}");
        let gap = log.lines().find_map(|line| line.strip_prefix("longest gap ")).expect("the longest gap");
        assert!(gap.trim_start().split_once(" ms between two records").is_some(), "{log}");
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        if !self.weir.has_ended() {
            // SAFETY: the group is that of our child, which is not waited for yet.
            unsafe { libc::kill(-(self.weir.id() as libc::pid_t), libc::SIGKILL) };
        }
    }
}

fn is_alive(process: u32) -> bool {
    Path::new(&format!("/proc/{process}")).exists()
}

#[test]
fn the_demo_counts_each_record_once_also_where_somebody_else_kills_its_server() {
    let mut demo = Demo::start(&[]);
    let server = demo.server();
    // SAFETY: a signal to another process; it is the demo's server, which lives until the demo has read from it.
    unsafe { libc::kill(server as libc::pid_t, libc::SIGKILL) };
    demo.ends_with(0);
    demo.shows_that_nothing_went_wrong("3");
    let said = format!("somebody else has ended process {server}");
    assert!(demo.weir.log().contains(&said), "{}", demo.weir.log());
}

#[test]
fn the_demo_passes_its_records_through_two_topics() {
    let mut demo = Demo::start(&["--kafka", broker::shared().address()]);
    demo.ends_with(0);
    demo.shows_that_nothing_went_wrong("2");
}

#[test]
fn a_demo_that_is_interrupted_leaves_no_server_behind() {
    let mut demo = Demo::start(&[]);
    let server = demo.server();
    assert!(is_alive(server));
    demo.weir.signal(libc::SIGINT);
    demo.ends_with(1);
    assert!(!is_alive(server), "{}", demo.weir.log());
    assert!(demo.directory.path().exists());
}
