//! Readers that share no code with weir and with the other readers of these tests: confluent-kafka of Python, with a
//! librdkafka of its own, and the console consumer of the Java client.

use super::cluster::Cluster;
use super::guests::{repository, target};
use super::java;
use super::record::Record;
use serde_json::Value;
use std::path::PathBuf;
use std::process::Command;

/// The Python that has confluent-kafka: given by `cargo xtask test`, or where it has put it.
fn python() -> PathBuf {
    let given = std::env::var_os("WEIR_TEST_CONFLUENT_KAFKA").map(PathBuf::from);
    let made = target().join("confluent-kafka/bin/python");
    let found = given.into_iter().chain([made]).find(|python| python.is_file());
    found.expect("no confluent-kafka for the tests: run `cargo xtask test`")
}

/// All records of a topic as confluent-kafka reads them, in the order of each partition.
#[track_caller]
pub fn confluent_kafka(cluster: &Cluster, topic: &str, isolation: &str) -> Vec<Record> {
    let mut command = Command::new(python());
    command.arg(repository().join("tests/it/judges/read.py")).args([cluster.address(), topic, isolation]);
    let output = command.output().expect("Python");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("JSON is text");
    text.lines().map(|line| record(&serde_json::from_str(line).expect("a line of JSON"))).collect()
}

fn record(line: &Value) -> Record {
    let number = |name: &str| line[name].as_i64().expect("a number");
    let headers = line["headers"].as_array().expect("headers").iter();
    Record {
        partition: number("partition") as i32,
        offset: number("offset"),
        timestamp: number("timestamp"),
        key: bytes(&line["key"]),
        value: bytes(&line["value"]),
        headers: headers
            .map(|pair| (pair[0].as_str().expect("a name").to_owned(), bytes(&pair[1])))
            .collect(),
    }
}

/// What stands there in base64.
fn bytes(value: &Value) -> Option<Vec<u8>> {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let text = value.as_str()?.trim_end_matches('=');
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0u32, 0);
    for letter in text.bytes() {
        let six = LETTERS.iter().position(|known| *known == letter).expect("base64");
        bits = bits << 6 | six as u32;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
            bits &= (1 << count) - 1;
        }
    }
    Some(bytes)
}

/// What the console consumer prints of a record, in the order of each partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Printed {
    pub partition: i32,
    pub offset: i64,
    pub timestamp: i64,
    pub key: String,
    pub value: String,
}

/// The first `count` committed records of a topic as the console consumer prints them.
#[track_caller]
pub fn console_consumer(cluster: &Cluster, topic: &str, count: usize) -> Vec<Printed> {
    let count = count.to_string();
    let mut options = vec!["--bootstrap-server", cluster.address(), "--topic", topic, "--from-beginning"];
    options.extend(["--isolation-level", "read_committed", "--max-messages", &count]);
    options.extend(["--timeout-ms", "60000"]);
    for property in ["print.partition=true", "print.offset=true", "print.timestamp=true", "print.key=true"] {
        options.extend(["--formatter-property", property]);
    }
    let text = java::tool("org.apache.kafka.tools.consumer.ConsoleConsumer", &options);
    text.lines().filter(|line| line.starts_with("CreateTime:")).map(printed).collect()
}

/// `CreateTime:1700000000000 Partition:1 Offset:7 key value`, with tabs between.
fn printed(line: &str) -> Printed {
    let parts: Vec<&str> = line.split('\t').collect();
    let [timestamp, partition, offset, key, value] = parts[..] else { panic!("five parts: {line:?}") };
    let number =
        |text: &str| text.split_once(':').expect("a name and a number").1.parse::<i64>().expect(line);
    Printed {
        partition: number(partition) as i32,
        offset: number(offset),
        timestamp: number(timestamp),
        key: key.to_owned(),
        value: value.to_owned(),
    }
}
