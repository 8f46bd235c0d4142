//! The configuration of a one-node broker, for Java as a file and for the image as variables.

use super::ports::Ports;

/// The name of the file; where it is, is a broker's folder.
pub const FILE: &str = "server.properties";

/// The properties that do not depend on the machine.
const FIXED: &[(&str, &str)] = &[
    ("process.roles", "broker,controller"),
    ("node.id", "1"),
    ("controller.listener.names", "CONTROLLER"),
    ("listener.security.protocol.map", "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT"),
    // One node can keep one copy.
    ("offsets.topic.replication.factor", "1"),
    ("transaction.state.log.replication.factor", "1"),
    ("transaction.state.log.min.isr", "1"),
    ("share.coordinator.state.topic.replication.factor", "1"),
    ("share.coordinator.state.topic.min.isr", "1"),
    // Fewer partitions make the first transaction and the first group quicker.
    ("offsets.topic.num.partitions", "4"),
    ("transaction.state.log.num.partitions", "4"),
    ("group.initial.rebalance.delay.ms", "0"),
    // A misspelt topic is an error, as on a production cluster.
    ("auto.create.topics.enable", "false"),
    // The transaction of a killed client is aborted soon after its timeout, not up to ten seconds later.
    ("transaction.abort.timed.out.transaction.cleanup.interval.ms", "1000"),
];

/// All properties of a broker that listens on `host` and advertises itself as 127.0.0.1.
pub fn all(ports: &Ports, host: &str, data: &str) -> Vec<(String, String)> {
    let Ports { client, controller } = *ports;
    let listeners = |host: &str| format!("PLAINTEXT://{host}:{client},CONTROLLER://{host}:{controller}");
    let mut properties: Vec<(String, String)> =
        FIXED.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
    properties.push(("listeners".into(), listeners(host)));
    properties.push(("advertised.listeners".into(), listeners("127.0.0.1")));
    properties.push(("log.dirs".into(), data.to_owned()));
    properties
}

/// The properties as Java reads them from a file, for a broker that finds its controller by address.
pub fn file(ports: &Ports, data: &str) -> String {
    let mut properties = all(ports, "127.0.0.1", data);
    properties
        .push(("controller.quorum.bootstrap.servers".into(), format!("127.0.0.1:{}", ports.controller)));
    properties.iter().map(|(key, value)| format!("{key}={}\n", value.replace('\\', "\\\\"))).collect()
}

/// A property's name as the variable that the image reads.
pub fn variable(key: &str) -> String {
    format!("KAFKA_{}", key.replace('.', "_").to_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORTS: Ports = Ports { client: 19092, controller: 19093 };

    #[test]
    fn the_file_names_both_ports_and_the_data() {
        let file = file(&PORTS, "/data");
        let listeners = "PLAINTEXT://127.0.0.1:19092,CONTROLLER://127.0.0.1:19093";
        assert!(file.contains(&format!("\nlisteners={listeners}\nadvertised.listeners={listeners}\n")));
        assert!(file.contains("\nlog.dirs=/data\n"));
        assert!(file.contains("\ncontroller.quorum.bootstrap.servers=127.0.0.1:19093\n"));
        assert!(file.contains("\nauto.create.topics.enable=false\n"));
    }

    #[test]
    fn a_property_becomes_the_variable_of_the_image() {
        assert_eq!(variable("node.id"), "KAFKA_NODE_ID");
    }
}
