//! How the process of weir ends. The exit handlers of C libraries free what their users share, and threads of clients
//! that are being closed still use OpenSSL then: the process would die by SIGSEGV instead of ending with its code.

use crate::harness::guests::weir;
use crate::harness::job::Job;
use crate::harness::record::Record;
use crate::harness::waiting::until;
use crate::harness::weir::Weir;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A library that leaves a file behind when the process runs its exit handlers.
const TELLTALE: &str = r#"
#include <fcntl.h>
#include <stdlib.h>
__attribute__((destructor)) static void ran(void) { open(getenv("TELLTALE"), O_CREAT | O_WRONLY, 0600); }
"#;

struct Telltale {
    library: String,
    file: PathBuf,
}

impl Telltale {
    fn build(directory: &Path) -> Telltale {
        let (source, library) = (directory.join("telltale.c"), directory.join("telltale.so"));
        std::fs::write(&source, TELLTALE).unwrap();
        let built = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).status();
        assert!(built.expect("the C compiler that Rust links with").success());
        Telltale { library: library.display().to_string(), file: directory.join("handlers-ran") }
    }

    fn environment(&self) -> [(&str, &str); 2] {
        [("LD_PRELOAD", &self.library), ("TELLTALE", self.file.to_str().unwrap())]
    }
}

#[test]
fn exit_handlers_of_libraries_do_not_run_beside_threads_that_use_them() {
    let job = Job::processed("exits");
    let telltale = Telltale::build(&job.path(""));
    assert!(Command::new("true").envs(telltale.environment()).status().unwrap().success());
    assert!(telltale.file.exists(), "the telltale tells");
    std::fs::remove_file(&telltale.file).unwrap();

    job.cluster.produce(&job.topic("in"), &Record::numbered_batch(1, 20));
    job.start_with(&["--until-end"], &telltale.environment()).ends_with(0);
    let log = job.path("usage.log");
    Weir::start(&["run", "--no-such-option"], &telltale.environment(), &log).ends_with(2);
    let missing = ["run", "no-such-file.toml"];
    Weir::start(&missing, &telltale.environment(), &log).ends_with(2);
    let mut weir = job.start_with(&[], &telltale.environment());
    weir.await_log("restored");
    weir.signal(libc::SIGTERM);
    weir.ends_with(0);
    assert!(!telltale.file.exists(), "weir runs exit handlers while threads of its libraries go on");
}

/// A pipe holds 64 KiB; a writer that has filled it so far waits.
const PIPE_IS_FULL: i32 = 60 << 10;

#[test]
fn a_second_signal_ends_a_process_whose_standard_output_nobody_reads() {
    let mut job = Job::local("unread");
    job.add("[source.made]\nkind = \"generator\"\nrate = 100000\npartitions = 1");
    job.add_operator("prefix", "made", "prefix", "");
    job.add("[sink.out]\nkind = \"stdout\"\ninput = \"prefix\"");
    std::fs::write(job.path("pipeline.toml"), &job.text).unwrap();
    let mut command = Command::new(weir());
    command.arg("run").arg(job.path("pipeline.toml")).arg("--data-dir").arg(job.data_dir());
    let (unread, output) = std::io::pipe().unwrap();
    let mut weir = Weir::spawn_into(command, &[], &job.path("unread.log"), Some(output.into()));
    until("the pipe to be full", || {
        let mut bytes: libc::c_int = 0;
        // SAFETY: the descriptor is open, and FIONREAD writes one int.
        let asked = unsafe { libc::ioctl(unread.as_raw_fd(), libc::FIONREAD, &raw mut bytes) };
        assert_eq!(asked, 0);
        (bytes >= PIPE_IS_FULL).then_some(())
    });
    weir.signal(libc::SIGTERM);
    weir.await_log("a second signal stops at once");
    weir.signal(libc::SIGTERM);
    weir.ends_with(0);
}
