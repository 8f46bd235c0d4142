//! A broker that belongs to one test, or to a run without `cargo xtask test`: it can be killed and started again.

use super::waiting::until;
use std::fs::{self, File};
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// As much as a broker with a few topics needs.
const HEAP: &str = "-Xmx512m";

/// Ends the broker when this process is gone, however it goes: the system then closes the pipe that the shell reads.
/// Only a test that was asked to keep the data gets it again.
const GUARDED: &str = r#""$@" </dev/null & read -r word; kill -9 $!; [ "$word" = keep ] || rm -rf "$PWD""#;

/// A one-node broker in a directory of its own.
pub struct OwnBroker {
    directory: tempfile::TempDir,
    port: u16,
    guard: Option<Child>,
}

impl OwnBroker {
    /// Formats and starts one, and waits until it listens.
    pub fn start() -> OwnBroker {
        let directory = tempfile::tempdir().expect("a directory for the broker");
        // Both are open at the same time, or the system could give the same port twice.
        let ports = [0, 0].map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("a free port"));
        let [port, controller] = ports.map(|listener| listener.local_addr().expect("its address").port());
        let properties = directory.path().join("server.properties");
        fs::write(&properties, text(directory.path(), port, controller)).expect("the broker's properties");
        let id = tool(&["random-uuid"]);
        tool(&["format", "--standalone", "-t", id.trim(), "-c", &properties.display().to_string()]);
        let mut broker = OwnBroker { directory, port, guard: None };
        broker.start_again();
        broker
    }

    /// For clients.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Starts the broker with what its disk holds.
    pub fn start_again(&mut self) {
        assert!(self.guard.is_none(), "the broker runs already");
        let log = File::options().create(true).append(true).open(self.directory.path().join("server.log"));
        let log = log.expect("the broker's log");
        let mut command = Command::new("sh");
        command.args(["-c", GUARDED, "guard", "java", HEAP, "-cp"]).arg(classes()).arg("kafka.Kafka");
        command.arg("server.properties").current_dir(self.directory.path());
        command.stdin(Stdio::piped()).stdout(log.try_clone().expect("the log again")).stderr(log);
        self.guard = Some(command.spawn().expect("sh starts"));
        let address = self.address();
        until("the broker to listen", || TcpStream::connect(&address).ok());
    }

    /// Kill -9.
    pub fn kill(&mut self) {
        let Some(mut guard) = self.guard.take() else { return };
        let mut pipe = guard.stdin.take().expect("it was made with a pipe");
        pipe.write_all(b"keep\n").expect("the guard listens");
        drop(pipe);
        guard.wait().expect("the guard ends");
        let address = self.address();
        until("the broker to be gone", || TcpStream::connect(&address).err());
    }
}

impl Drop for OwnBroker {
    fn drop(&mut self) {
        self.kill();
    }
}

fn text(directory: &Path, port: u16, controller: u16) -> String {
    let listeners = format!("PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}");
    let data = directory.join("data");
    format!(
        "process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:{controller}
listeners={listeners}
advertised.listeners={listeners}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={}
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
offsets.topic.num.partitions=4
transaction.state.log.num.partitions=4
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
log.flush.interval.messages=1
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
",
        data.display()
    )
}

/// Where the jars are: given by `cargo xtask test`, or where it has put them.
fn home() -> PathBuf {
    let given = std::env::var_os("WEIR_TEST_KAFKA_HOME").map(PathBuf::from);
    let fetched = super::guests::target().join("kafka");
    let home = given.into_iter().chain([fetched]).find(|home| home.join("libs").is_dir());
    home.expect("no Kafka broker for the tests: run `cargo xtask test`")
}

/// The class path of Kafka's own programs.
pub fn classes() -> String {
    home().join("libs/*").display().to_string()
}

fn tool(arguments: &[&str]) -> String {
    let mut command = Command::new("java");
    command.arg("-cp").arg(classes()).arg("kafka.tools.StorageTool").args(arguments);
    let output = command.output().expect("no Java for a Kafka broker: run `cargo xtask test`");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "StorageTool {arguments:?}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
