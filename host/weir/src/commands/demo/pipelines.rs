//! The pipeline files of the demo.

use crate::failure::Failure;
use std::path::Path;
use std::time::Duration;
use weir_kafka::{ClusterOptions, KafkaCluster};
use weir_protocol::plan::{ClusterSpec, Guarantee};

/// Partitions of the generator.
const PARTITIONS: u64 = 4;
/// Distinct keys of the generator.
const KEYS: u64 = 1000;
/// The run takes about this long, so that there is time for being killed.
const SECONDS: u64 = 10;

/// Where the demo is and what it does.
pub struct Place<'a> {
    /// Everything is in here.
    pub directory: &'a Path,
    /// How many records.
    pub records: u64,
    /// The broker, if records pass through Kafka.
    pub kafka: Option<&'a str>,
}

impl Place<'_> {
    /// Writes component and pipeline files.
    pub fn write(&self, component: &[u8]) -> std::io::Result<()> {
        std::fs::create_dir_all(self.directory.join("out"))?;
        std::fs::write(self.directory.join("count_by_key.wasm"), component)?;
        let write = |name: &str, text: String| std::fs::write(self.directory.join(name), text);
        match self.kafka {
            None => write("demo.toml", self.demo(&self.generator(), "numbers", FILES)),
            Some(brokers) => {
                let (input, output) = self.topics();
                let kafka = format!("[kafka.main]\nbrokers = {brokers:?}\n");
                let topic = |topic: &str| {
                    format!("{kafka}\n[source.records]\nkind = \"kafka\"\ntopic = \"{topic}\"\n")
                };
                let sink = |topic: &str| format!("kind = \"kafka\"\ntopic = \"{topic}\"\n");
                write(
                    "fill.toml",
                    self.straight(
                        "fill",
                        &format!("{kafka}\n{}", self.generator()),
                        "numbers",
                        &sink(&input),
                    ),
                )?;
                write("demo.toml", self.demo(&topic(&input), "records", &sink(&output)))?;
                write("read.toml", self.straight("read", &topic(&output), "records", FILES))
            }
        }
    }

    /// Topics that no other demo uses.
    pub fn topics(&self) -> (String, String) {
        let id = std::process::id();
        (format!("weir-demo-{id}-in"), format!("weir-demo-{id}-out"))
    }

    fn name(&self, pipeline: &str) -> String {
        format!("weir-demo-{}-{pipeline}", std::process::id())
    }

    fn generator(&self) -> String {
        let (records, rate) = (self.records, (self.records / SECONDS).max(1));
        format!(
            "[source.numbers]\nkind = \"generator\"\npartitions = {PARTITIONS}\ncount = {records}\nrate = {rate}\nkeys = {KEYS}\n"
        )
    }

    fn demo(&self, source: &str, input: &str, sink: &str) -> String {
        let name = self.name("demo");
        format!(
            r#"name = "{name}"
guarantee = "exactly_once"
parallelism = 2

[checkpoint]
interval = "500ms"

{source}
[operator.count]
input = "{input}"
component = "count_by_key.wasm"

[sink.out]
input = "count"
{sink}"#
        )
    }

    fn straight(&self, pipeline: &str, source: &str, input: &str, sink: &str) -> String {
        let name = self.name(pipeline);
        format!(
            "name = \"{name}\"\n\n[checkpoint]\ninterval = \"1s\"\n\n{source}\n[sink.out]\ninput = \"{input}\"\n{sink}"
        )
    }
}

const FILES: &str = "kind = \"files\"\ndirectory = \"out\"\n";

/// Makes the topics.
pub fn create_topics(brokers: &str, topics: &[&str]) -> Result<(), Failure> {
    let options = ClusterOptions {
        name: "main".to_owned(),
        spec: ClusterSpec { brokers: brokers.to_owned(), ..ClusterSpec::default() },
        pipeline: "weir-demo".to_owned(),
        id_prefix: "weir.".to_owned(),
        guarantee: Guarantee::ExactlyOnce,
        checkpoint_interval: Duration::from_secs(1),
        checkpoint_timeout: Duration::from_secs(60),
        prefetch_bytes_max: 1 << 20,
        producer_bytes_max: 1 << 20,
    };
    let cluster = KafkaCluster::connect(options)?;
    for topic in topics {
        cluster.create_topic(topic, PARTITIONS as i32)?;
    }
    Ok(())
}
