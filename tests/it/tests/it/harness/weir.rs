//! weir as a child process: started, signalled, killed, waited for. Its log is printed where a test fails.

use super::waiting::until;
use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

/// As much of a log as helps.
const LOG_LINES_SHOWN: usize = 60;

/// A running or ended weir. It does not outlive this value.
pub struct Weir {
    child: Child,
    log: PathBuf,
}

impl Weir {
    /// Starts `weir` with these arguments. Standard output and error go to the log.
    pub fn start(arguments: &[&str], environment: &[(&str, &str)], log: &Path) -> Weir {
        let mut command = Command::new(super::guests::weir_for(environment));
        command.args(arguments);
        Weir::spawn(command, environment, log)
    }

    /// Starts a command that is or becomes weir.
    pub fn spawn(command: Command, environment: &[(&str, &str)], log: &Path) -> Weir {
        Weir::spawn_into(command, environment, log, None)
    }

    /// The same, with standard output elsewhere than in the log.
    pub fn spawn_into(
        mut command: Command,
        environment: &[(&str, &str)],
        log: &Path,
        output: Option<Stdio>,
    ) -> Weir {
        command.stdin(Stdio::null()).env_remove("WEIR_DATA_DIR").env_remove("RUST_LOG");
        command.env_remove("WEIR_KILL_AT").env_remove("WEIR_KILL_MARK");
        command.envs(environment.iter().copied());
        let file = File::create(log).expect("a log file");
        let output = output.unwrap_or_else(|| file.try_clone().expect("the log file again").into());
        command.stdout(output).stderr(file);
        Weir { child: command.spawn().expect("weir starts"), log: log.to_owned() }
    }

    /// What it has said so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Waits until it has said something.
    pub fn await_log(&mut self, text: &str) {
        until(&format!("the log to say {text:?}"), || self.log().contains(text).then_some(()));
    }

    /// Has it ended?
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("our child").is_some()
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: libc::c_int) {
        // SAFETY: it is our child and is not waited for yet, so the id is its own.
        let sent = unsafe { libc::kill(self.child.id() as libc::pid_t, signal) };
        assert_eq!(sent, 0, "signal {signal} is sent");
    }

    /// Kill -9, and waits until it is gone.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        self.child.wait().expect("our child");
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        until("weir to end", || self.child.try_wait().expect("our child"))
    }

    /// Waits for its end by itself, and returns the exit code.
    pub fn exit_code(&mut self) -> i32 {
        let status = self.wait();
        status.code().unwrap_or_else(|| panic!("weir was ended by signal {:?}", status.signal()))
    }

    /// It ends by itself, with this code.
    #[track_caller]
    pub fn ends_with(&mut self, code: i32) {
        let found = self.exit_code();
        assert_eq!(found, code, "exit code of weir, which said\n{}", last_lines(&self.log()));
    }

    /// It dies by SIGKILL, by its own hand.
    pub fn dies(&mut self) {
        let status = self.wait();
        assert_eq!(status.signal(), Some(libc::SIGKILL), "{status}; it said\n{}", last_lines(&self.log()));
    }

    /// Its last line, which tells why it has ended.
    pub fn last_line(&self) -> String {
        self.log().lines().last().unwrap_or_default().to_owned()
    }
}

impl Drop for Weir {
    fn drop(&mut self) {
        // A stopped process is killed as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- {}\n{}", self.log.display(), last_lines(&self.log()));
        }
    }
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n")
}
