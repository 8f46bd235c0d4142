//! A broker that belongs to one test, or to a run without `cargo xtask test`: it can be killed and started again, and
//! stand behind a proxy that makes its network fail.

use super::waiting::until;
use proxy::Proxy;
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
    /// What clients of its second listener are told to go through.
    proxy: Proxy,
}

impl OwnBroker {
    /// Formats and starts one, and waits until it listens.
    pub fn start() -> OwnBroker {
        OwnBroker::with(&[], text)
    }

    /// One with properties and arguments of the formatting of its own.
    pub fn with(format: &[&str], properties: impl FnOnce(&Path, [u16; 3], &Proxy) -> String) -> OwnBroker {
        let directory = tempfile::tempdir().expect("a directory for the broker");
        // All are open at the same time, or the system could give the same port twice.
        let held = [0, 0, 0].map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("a free port"));
        let ports = held.each_ref().map(|listener| listener.local_addr().expect("its address").port());
        let [port, proxied, _] = ports;
        let proxy = Proxy::before((Ipv4Addr::LOCALHOST, proxied).into()).expect("a port for the proxy");
        drop(held);
        let file = directory.path().join("server.properties");
        fs::write(&file, properties(directory.path(), ports, &proxy)).expect("the broker's properties");
        let (id, file) = (tool(&["random-uuid"]), file.display().to_string());
        let usual = ["format", "--standalone", "-t", id.trim(), "-c", &file];
        tool(&usual.iter().chain(format).copied().collect::<Vec<_>>());
        let mut broker = OwnBroker { directory, port, guard: None, proxy };
        broker.start_again();
        broker
    }

    /// For clients.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Where its files are.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// For clients whose network the test wants to fail.
    pub fn proxied_address(&self) -> String {
        self.proxy.address().to_string()
    }

    /// What stands between those clients and the broker.
    pub fn proxy(&self) -> &Proxy {
        &self.proxy
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

/// The properties of a broker that everybody may use. `ports` are those for clients, for the proxy and for the controller.
pub fn text(directory: &Path, ports: [u16; 3], proxy: &Proxy) -> String {
    let [port, proxied, controller] = ports;
    let both = format!("PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}");
    let (listeners, advertised) =
        (format!("{both},PROXIED://127.0.0.1:{proxied}"), format!("{both},PROXIED://{}", proxy.address()));
    let data = directory.join("data");
    format!(
        "process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:{controller}
listeners={listeners}
advertised.listeners={advertised}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT
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
    kafka_tool("kafka.tools.StorageTool", arguments, "")
}

/// One of Apache Kafka's own commands, by its class, with what it reads. What it says is returned.
#[track_caller]
pub fn kafka_tool(class: &str, arguments: &[&str], input: &str) -> String {
    let mut command = Command::new("java");
    // Such a command lives for a second.
    command.args(["-XX:TieredStopAtLevel=1", "-cp"]).arg(classes()).arg(class).args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("no Java for a Kafka broker: run `cargo xtask test`");
    child.stdin.take().expect("it was made with a pipe").write_all(input.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{class} {arguments:?}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
