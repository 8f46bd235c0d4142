//! Processes of Apache Kafka: servers that end with the test, a controller, and Kafka's own commands.

use super::waiting::until;
use std::fs::{self, File};
use std::io::Write;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Ends the server when this process is gone, however it goes: the system then closes the pipe that the shell reads.
/// Only a test that was asked to keep the data gets it again.
const GUARDED: &str = r#""$@" </dev/null & read -r word; kill -9 $!; [ "$word" = keep ] || rm -rf "$PWD""#;

/// What a server says, in its directory.
const LOG: &str = "server.log";

/// A server of Kafka with its properties and its data in one directory.
pub struct KafkaProcess {
    guard: Child,
}

impl KafkaProcess {
    /// Starts it with what its disk holds, and waits until it listens.
    pub fn start(directory: &Path, heap: &str, address: &str) -> KafkaProcess {
        let log =
            File::options().create(true).append(true).open(directory.join(LOG)).expect("the server's log");
        let mut command = Command::new("sh");
        command.args(["-c", GUARDED, "guard", "java", heap, "-cp"]).arg(classes()).arg("kafka.Kafka");
        command.arg("server.properties").current_dir(directory);
        command.stdin(Stdio::piped()).stdout(log.try_clone().expect("the log again")).stderr(log);
        let guard = command.spawn().expect("sh starts");
        until("the server to listen", || TcpStream::connect(address).ok());
        KafkaProcess { guard }
    }

    /// Kill -9. Its data stays.
    pub fn kill(mut self) {
        let mut pipe = self.guard.stdin.take().expect("it was made with a pipe");
        pipe.write_all(b"keep\n").expect("the guard listens");
        drop(pipe);
        self.guard.wait().expect("the guard ends");
    }
}

/// The controller of a broker that is killed, in a process of its own.
///
/// A broker that is its own controller and comes back after kill -9 is taken for alive until the session of its earlier
/// life is over. If its transaction coordinator finds a commit prepared in that time, it skips the commit's markers
/// ("likely deleted already and hence can be skipped", Kafka 4.3): records whose commit it had answered are lost, and no
/// client can see it. A controller that lives on fences the dead broker before it comes back.
pub struct Controller {
    /// `None` only while it is dropped.
    process: Option<KafkaProcess>,
    log: PathBuf,
}

/// As much as a controller needs.
const CONTROLLER_HEAP: &str = "-Xmx256m";

impl Controller {
    /// Formats and starts the controller of a cluster, in a new directory.
    pub fn start(directory: &Path, cluster: &str, port: u16) -> Controller {
        fs::create_dir(directory).expect("a directory for the controller");
        let file = directory.join("server.properties");
        let text = format!(
            "process.roles=controller
node.id=2
controller.quorum.bootstrap.servers=127.0.0.1:{port}
listeners=CONTROLLER://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT
log.dirs={}
",
            directory.join("data").display()
        );
        fs::write(&file, text).expect("the controller's properties");
        format_storage(cluster, &file, &["--standalone"]);
        let process = KafkaProcess::start(directory, CONTROLLER_HEAP, &format!("127.0.0.1:{port}"));
        Controller { process: Some(process), log: directory.join(LOG) }
    }

    /// Waits until it knows that the broker is gone.
    pub fn await_fencing(&self) {
        until("the controller to fence the broker", || {
            let log = fs::read_to_string(&self.log).expect("the controller's log");
            let told = |text: &str| log.rfind(text);
            let (fenced, alive) = (told("Fencing broker 1 "), told("to unfence has been granted"));
            (fenced > alive).then_some(())
        });
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        if let Some(process) = self.process.take() {
            process.kill();
        }
    }
}

/// Makes the storage of a server.
pub fn format_storage(cluster: &str, properties: &Path, more: &[&str]) {
    let file = properties.display().to_string();
    let usual = ["format", "-t", cluster, "-c", &file];
    kafka_tool("kafka.tools.StorageTool", &[&usual, more].concat(), "");
}

/// A new cluster's id.
pub fn new_cluster() -> String {
    kafka_tool("kafka.tools.StorageTool", &["random-uuid"], "").trim().to_owned()
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
