//! How the process of weir ends. The exit handlers of C libraries free what their users share, and threads of clients
//! that are being closed still use OpenSSL then: the process would die by SIGSEGV instead of ending with its code.

use crate::harness::job::Job;
use crate::harness::record::Record;
use crate::harness::weir::Weir;
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
