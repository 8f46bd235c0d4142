//! Starts a broker from the image of Apache Kafka, for machines with an engine and without Java.

use super::jars::KAFKA_VERSION;
use super::ports::Ports;
use super::properties;
use super::state::{Kind, State};
use crate::run;
use crate::stop::Stop;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Starts the container. It does not answer yet; the image is pulled first if it is not there.
pub fn start(folder: &Path, ports: &Ports) -> Result<State, Stop> {
    // Written for the eye, and because the file is what makes the folder a broker's.
    let file = folder.join(properties::FILE);
    fs::write(&file, properties::file(ports, "/tmp/kafka-data")).map_err(Stop::file(&file))?;
    let name = format!("weir-kafka-{}", ports.client);
    run::visibly(Command::new("docker").args(arguments(&name, ports)), "docker cannot start the broker")?;
    Ok(State::new(Kind::Docker, name, ports.client, None))
}

fn arguments(name: &str, ports: &Ports) -> Vec<String> {
    let published = format!("127.0.0.1:{0}:{0}", ports.client);
    let mut arguments: Vec<String> =
        ["run", "--detach", "--name", name, "--publish", &published].map(str::to_owned).into();
    let mut properties = properties::all(ports, "0.0.0.0", "/tmp/kafka-data");
    // The image formats its own storage and knows the controllers by a fixed list.
    properties.push(("controller.quorum.voters".into(), format!("1@127.0.0.1:{}", ports.controller)));
    for (key, value) in properties {
        arguments.extend(["--env".into(), format!("{}={value}", properties::variable(&key))]);
    }
    arguments.push(format!("apache/kafka:{KAFKA_VERSION}"));
    arguments
}

#[cfg(test)]
mod tests {
    use super::{Ports, arguments};

    #[test]
    fn only_this_machine_reaches_the_container() {
        let line = arguments("weir-kafka-19092", &Ports { client: 19092, controller: 19093 }).join(" ");
        assert!(line.contains("--publish 127.0.0.1:19092:19092"));
        assert!(line.contains("KAFKA_ADVERTISED_LISTENERS=PLAINTEXT://127.0.0.1:19092,"));
        assert!(line.ends_with(" apache/kafka:4.3.1"));
    }
}
