//! The files of the demo: three versions of an operator, and the pipelines.

use std::path::{Path, PathBuf};

/// Partitions of the generator, and of the topics.
pub const PARTITIONS: u32 = 4;
/// Distinct keys of the generator.
const KEYS: u64 = 1000;
/// The records come for so long, so that there is time for all steps on a busy machine too. When the steps are done the
/// rest comes at full speed.
pub const SECONDS: u64 = 90;
/// The operator's name in the registry.
pub const OPERATOR: &str = "count-by-key";
/// The pipeline file that is deployed.
pub const FILE: &str = "demo.toml";

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
    /// Writes components and pipeline files.
    pub fn write(&self, versions: &[&[u8]]) -> std::io::Result<()> {
        std::fs::create_dir_all(self.directory)?;
        for (version, component) in (1..).zip(versions) {
            std::fs::write(self.component(version), component)?;
        }
        let write = |name: &str, text: String| std::fs::write(self.directory.join(name), text);
        write(FILE, self.document(1, true))?;
        if let Some(brokers) = self.kafka {
            let (input, output) = self.topics();
            let kafka = format!("[kafka.main]\nbrokers = {brokers:?}\n");
            let generator = format!("{kafka}\n{}", self.generator(true));
            write("fill.toml", self.straight("fill", &generator, "numbers", &sink(&input)))?;
            let topic = format!("{kafka}\n{}", source(&output));
            write("read.toml", self.straight("read", &topic, "records", FILES))?;
        }
        Ok(())
    }

    /// The file of a version.
    pub fn component(&self, version: u32) -> PathBuf {
        self.directory.join(format!("version_{version}.wasm"))
    }

    /// Where the output is counted: what a server's pipeline publishes lies among the server's files.
    pub fn output(&self) -> PathBuf {
        self.directory.join(if self.kafka.is_some() { "out" } else { "data/files/out" })
    }

    /// The pipeline's name: for a broker one that no other demo uses.
    pub fn name(&self) -> String {
        match self.kafka {
            None => "demo".to_owned(),
            Some(_) => format!("demo-{}", std::process::id()),
        }
    }

    /// Topics that no other demo uses.
    pub fn topics(&self) -> (String, String) {
        let id = std::process::id();
        (format!("weir-demo-{id}-in"), format!("weir-demo-{id}-out"))
    }

    /// Records per second, until all steps are done.
    pub fn rate(&self) -> u64 {
        (self.records / SECONDS).max(1)
    }

    /// The pipeline that counts, with this version of the operator. `limited` means that the generator keeps a rate.
    pub fn document(&self, version: u32, limited: bool) -> String {
        let (input, source, sink) = match self.kafka {
            None => ("numbers", self.generator(limited), FILES.to_owned()),
            Some(brokers) => {
                let (input, output) = self.topics();
                let kafka = format!("[kafka.main]\nbrokers = {brokers:?}\n");
                ("records", format!("{kafka}\n{}", self::source(&input)), sink(&output))
            }
        };
        let name = self.name();
        format!(
            r#"name = "{name}"
guarantee = "exactly_once"
parallelism = 2

[checkpoint]
interval = "250ms"

{source}
[operator.count]
input = "{input}"
component = "{OPERATOR}@{version}"

[sink.out]
input = "count"
{sink}"#
        )
    }

    fn generator(&self, limited: bool) -> String {
        let records = self.records;
        let rate = if limited { format!("rate = {}\n", self.rate()) } else { String::new() };
        format!(
            "[source.numbers]\nkind = \"generator\"\npartitions = {PARTITIONS}\ncount = {records}\nkeys = {KEYS}\n{rate}"
        )
    }

    /// A pipeline without an operator. It commits as often as it may: what it has not committed the next one cannot see.
    fn straight(&self, pipeline: &str, source: &str, input: &str, sink: &str) -> String {
        format!(
            "name = \"weir-demo-{}-{pipeline}\"\n\n[checkpoint]\ninterval = \"200ms\"\n\n{source}\n[sink.out]\ninput = \"{input}\"\n{sink}",
            std::process::id()
        )
    }
}

const FILES: &str = "kind = \"files\"\ndirectory = \"out\"\n";

fn source(topic: &str) -> String {
    format!("[source.records]\nkind = \"kafka\"\ntopic = \"{topic}\"\n")
}

/// With the time of writing: made-up records are years old, and the broker's retention would delete them under the
/// demo's hands.
fn sink(topic: &str) -> String {
    format!("kind = \"kafka\"\ntopic = \"{topic}\"\ntimestamp = \"produce_time\"\n")
}
