//! A broker that belongs to one test, or to a run without `cargo xtask test`: it can be killed and started again, and
//! stand behind a proxy that makes its network fail.

use super::kafka_process::{Controller, KafkaProcess, format_storage, new_cluster};
use super::waiting::until;
use proxy::Proxy;
use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;

/// As much as a broker with a few topics needs.
const HEAP: &str = "-Xmx512m";

/// A one-node broker in a directory of its own.
pub struct OwnBroker {
    /// It lives on when the broker is killed, and ends before its directory goes.
    controller: Option<Controller>,
    directory: tempfile::TempDir,
    port: u16,
    process: Option<KafkaProcess>,
    killed: bool,
    /// What clients of its second listener are told to go through.
    proxy: Proxy,
}

impl OwnBroker {
    /// Formats and starts one, and waits until it listens.
    pub fn start() -> OwnBroker {
        OwnBroker::with(&[], text)
    }

    /// One that is going to be killed while transactions are open.
    pub fn to_be_killed() -> OwnBroker {
        OwnBroker::formatted(&["--no-initial-controllers"], true, |directory, ports, proxy| {
            let (both, broker) = ("process.roles=broker,controller", "process.roles=broker");
            let controller = format!(",CONTROLLER://127.0.0.1:{}", ports[2]);
            text(directory, ports, proxy).replace(both, broker).replace(&controller, "")
        })
    }

    /// One with properties and arguments of the formatting of its own.
    pub fn with(format: &[&str], properties: impl FnOnce(&Path, [u16; 3], &Proxy) -> String) -> OwnBroker {
        OwnBroker::formatted(&[&["--standalone"], format].concat(), false, properties)
    }

    fn formatted(
        format: &[&str],
        to_be_killed: bool,
        properties: impl FnOnce(&Path, [u16; 3], &Proxy) -> String,
    ) -> OwnBroker {
        let directory = tempfile::tempdir().expect("a directory for the broker");
        // All are open at the same time, or the system could give the same port twice.
        let held = [0, 0, 0].map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("a free port"));
        let ports = held.each_ref().map(|listener| listener.local_addr().expect("its address").port());
        let [port, proxied, controller] = ports;
        let proxy = Proxy::before((Ipv4Addr::LOCALHOST, proxied).into()).expect("a port for the proxy");
        drop(held);
        let file = directory.path().join("server.properties");
        fs::write(&file, properties(directory.path(), ports, &proxy)).expect("the broker's properties");
        let cluster = new_cluster();
        format_storage(&cluster, &file, format);
        let controller = to_be_killed
            .then(|| Controller::start(&directory.path().join("controller"), &cluster, controller));
        let mut broker = OwnBroker { directory, port, process: None, killed: false, controller, proxy };
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

    /// Starts the broker with what its disk holds. Its controller has to have seen it die first.
    pub fn start_again(&mut self) {
        assert!(self.process.is_none(), "the broker runs already");
        if let (true, Some(controller)) = (self.killed, &self.controller) {
            controller.await_fencing();
        }
        self.process = Some(KafkaProcess::start(self.directory.path(), HEAP, &self.address()));
    }

    /// Kill -9.
    pub fn kill(&mut self) {
        let Some(process) = self.process.take() else { return };
        process.kill();
        self.killed = true;
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
