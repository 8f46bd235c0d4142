//! Ends a chore's broker whatever happens to the chore: success, failure, ctrl-c, kill -9.
//!
//! A small shell waits on a pipe whose other end only xtask holds. When xtask goes, however it goes, the system closes
//! the pipe and the shell ends the broker and deletes its folder.

use super::state::{Kind, State};
use crate::stop::Stop;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// `$1` is the process id, `$2` the broker's folder. A broker that ignores the request for 20 s is killed.
const END_JAVA: &str = r#"read -r _
kill "$1" 2>/dev/null
n=0
while kill -0 "$1" 2>/dev/null && [ $n -lt 200 ]; do sleep 0.1; n=$((n+1)); done
kill -9 "$1" 2>/dev/null
rm -rf "$2""#;

/// `$1` is the container, `$2` the broker's folder.
const END_DOCKER: &str = r#"read -r _
docker rm --force --volumes "$1" >/dev/null 2>&1
rm -rf "$2""#;

/// Ends the broker when dropped, or when this process is gone.
pub struct Guard {
    shell: Child,
    broker: State,
}

impl Guard {
    /// Watches over a broker that has just been started.
    pub fn watch(state: &State, folder: &Path) -> Result<Guard, Stop> {
        let script = match state.kind() {
            Kind::Java => END_JAVA,
            Kind::Docker => END_DOCKER,
        };
        let mut command = Command::new("sh");
        // The process group of its own keeps a ctrl-c away from the one that has to clean up after it.
        command.args(["-c", script, "guard", state.id()]).arg(folder).process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let cannot = |error: io::Error| Stop::failed(format!("cannot start sh: {error}"));
        Ok(Guard { shell: command.spawn().map_err(cannot)?, broker: state.clone() })
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        // The broker is our child: until it is waited for, the shell still sees it.
        self.broker.reap();
        let _ = self.shell.wait();
    }
}
