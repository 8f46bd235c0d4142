//! What is known of a running broker, and the state file that tells it to the next chore.
//!
//! Format: one line, `kind id port`, where id is a process id or the name of a container.

use crate::run;
use crate::stop::Stop;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long a broker may take to end before it is killed.
const END_DEADLINE: Duration = Duration::from_secs(20);
/// How often it is looked at meanwhile.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// How a broker runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A process.
    Java,
    /// A container.
    Docker,
}

/// A running broker.
#[derive(Clone, Debug)]
pub struct State {
    kind: Kind,
    id: String,
    port: u16,
    /// The process, if this program started it.
    child: Arc<Mutex<Option<Child>>>,
}

impl State {
    /// A broker that has just been started.
    pub fn new(kind: Kind, id: String, port: u16, child: Option<Child>) -> State {
        State { kind, id, port, child: Arc::new(Mutex::new(child)) }
    }

    /// How it runs.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Its process id, or the name of its container.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// `host:port` for clients.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The broker that runs in a folder, according to its state file and to the system.
    pub fn running(folder: &Path) -> Option<State> {
        let state = parse(&fs::read_to_string(file(folder)).ok()?)?;
        state.is_the_broker_of(folder).then_some(state)
    }

    /// Writes the state file.
    pub fn write(&self, folder: &Path) -> Result<(), Stop> {
        let file = file(folder);
        fs::write(&file, self.line()).map_err(Stop::file(&file))
    }

    fn line(&self) -> String {
        let kind = match self.kind {
            Kind::Java => "java",
            Kind::Docker => "docker",
        };
        format!("{kind} {} {}\n", self.id, self.port)
    }

    /// Process ids are used again: a process is ours only if it was started with this folder's configuration.
    fn is_the_broker_of(&self, folder: &Path) -> bool {
        match self.kind {
            Kind::Docker => self.is_alive(),
            Kind::Java => {
                let linux = fs::read(format!("/proc/{}/cmdline", self.id)).ok();
                let line = linux.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
                let line =
                    line.or_else(|| run::output(Command::new("ps").args(["-o", "args=", "-p", &self.id])));
                let ours = folder.join(super::properties::FILE).display().to_string();
                line.is_some_and(|line| line.contains(&ours))
            }
        }
    }

    /// Whether it is still there.
    pub fn is_alive(&self) -> bool {
        if let Some(child) = self.child.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            return matches!(child.try_wait(), Ok(None));
        }
        match self.kind {
            Kind::Java => run::succeeds(&mut self.kill("-0"), END_DEADLINE),
            Kind::Docker => {
                let mut inspect = Command::new("docker");
                inspect.args(["inspect", "--format", "{{.State.Running}}", &self.id]);
                run::output(&mut inspect).is_some_and(|running| running.trim() == "true")
            }
        }
    }

    /// Ends exactly this broker: asks first, kills after a while.
    pub fn end(&self) -> Result<(), Stop> {
        if self.kind == Kind::Docker {
            let mut remove = Command::new("docker");
            remove.args(["rm", "--force", "--volumes", &self.id]);
            run::output(&mut remove)
                .ok_or_else(|| Stop::failed(format!("cannot remove container {}", self.id)))?;
            return Ok(());
        }
        for signal in ["-TERM", "-KILL"] {
            if !self.is_alive() {
                return Ok(());
            }
            run::succeeds(&mut self.kill(signal), END_DEADLINE);
            let begun = Instant::now();
            while self.is_alive() && begun.elapsed() < END_DEADLINE {
                sleep(POLL_INTERVAL);
            }
        }
        if self.is_alive() { Err(Stop::failed(format!("process {} does not end", self.id))) } else { Ok(()) }
    }

    /// The shell's own kill: small images have no program of that name.
    fn kill(&self, signal: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", "kill \"$1\" \"$2\"", "kill", signal, &self.id]);
        command
    }

    /// Waits for a process that somebody else ends.
    pub fn reap(&self) {
        if let Some(child) = self.child.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            let _ = child.wait();
        }
    }
}

fn file(folder: &Path) -> PathBuf {
    folder.join("state")
}

fn parse(line: &str) -> Option<State> {
    let mut words = line.split_whitespace();
    let kind = match words.next()? {
        "java" => Kind::Java,
        "docker" => Kind::Docker,
        _ => return None,
    };
    let id = words.next()?;
    let plausible = kind == Kind::Docker || id.parse::<u32>().is_ok_and(|id| id > 1);
    let port = words.next()?.parse().ok()?;
    plausible.then(|| State::new(kind, id.to_owned(), port, None))
}

#[cfg(test)]
mod tests {
    use super::{Kind, parse};
    use std::path::Path;

    #[test]
    fn a_state_file_is_read_as_it_was_written() {
        for line in ["java 4711 19092\n", "docker weir-kafka-19092 19092\n"] {
            assert_eq!(parse(line).unwrap().line(), line);
        }
        assert_eq!(parse("java 4711 19092").unwrap().kind(), Kind::Java);
    }

    #[test]
    fn a_damaged_state_file_names_no_process() {
        for line in ["", "java", "java x 1", "java 1 19092", "java -1 19092", "java 4711", "perl 4711 19092"]
        {
            assert!(parse(line).is_none(), "{line}");
        }
    }

    #[test]
    fn a_process_that_got_an_old_brokers_id_is_not_the_broker() {
        let state = parse(&format!("java {} 19092", std::process::id())).unwrap();
        assert!(!state.is_the_broker_of(Path::new("/no/such/folder")));
    }
}
