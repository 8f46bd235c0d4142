//! Programs of the Java client: our own of `tests/it/java`, and the tools that come with Kafka.

use super::cluster::Cluster;
use super::guests::repository;
use super::kafka_process::classes;
use super::waiting::until;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// As much as a client needs.
const HEAP: &str = "-Xmx128m";

/// What a consumer of the Java client has read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Consumed {
    pub partition: i32,
    pub offset: i64,
    pub value: String,
}

/// What stands in a group, as the Java client reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedByJava {
    pub partition: i32,
    pub offset: i64,
    /// -1 where there is none.
    pub leader_epoch: i32,
    pub metadata: String,
}

fn java() -> Command {
    let mut command = Command::new("java");
    command.args([HEAP, "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp"]).arg(classes());
    command
}

fn member(cluster: &Cluster, arguments: &[&str]) -> Command {
    let mut command = java();
    command.arg(repository().join("tests/it/java/GroupMember.java")).arg(cluster.address()).args(arguments);
    command
}

/// What the program has printed, after its good end.
#[track_caller]
fn printed(mut command: Command) -> String {
    let output = command.stdin(Stdio::null()).output().expect("Java, which a Kafka broker needs too");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What one of Kafka's own tools prints.
#[track_caller]
pub fn tool(class: &str, arguments: &[&str]) -> String {
    let mut command = java();
    command.arg(class).args(arguments);
    printed(command)
}

/// Commits offsets as a consumer does that read up to them.
pub fn commit(cluster: &Cluster, group: &str, topic: &str, metadata: &str, offsets: &[(i32, i64)]) {
    let offsets: Vec<String> =
        offsets.iter().map(|(partition, offset)| format!("{partition}:{offset}")).collect();
    let mut arguments = vec!["commit", group, topic, metadata, "0"];
    arguments.extend(offsets.iter().map(String::as_str));
    printed(member(cluster, &arguments));
}

/// What stands in a group.
pub fn committed(cluster: &Cluster, group: &str, topic: &str) -> Vec<CommittedByJava> {
    let text = printed(member(cluster, &["committed", group, topic]));
    let line = |line: &str| {
        let mut parts = line.splitn(4, ' ');
        let mut next = || parts.next().expect("four parts");
        CommittedByJava {
            partition: next().parse().expect("a partition"),
            offset: next().parse().expect("an offset"),
            leader_epoch: next().parse().expect("an epoch"),
            metadata: next().to_owned(),
        }
    };
    text.lines().map(line).collect()
}

/// Joins a group, goes on from what it has committed, and commits: `count` records of each partition, or all.
pub fn consume(
    cluster: &Cluster,
    group: &str,
    topic: &str,
    count: Option<u64>,
    metadata: &str,
) -> Vec<Consumed> {
    let count = count.map_or_else(|| "-1".to_owned(), |count| count.to_string());
    let text = printed(member(cluster, &["consume", group, topic, &count, metadata]));
    let line = |line: &str| {
        let mut parts = line.splitn(3, ' ');
        let mut next = || parts.next().expect("three parts");
        Consumed {
            partition: next().parse().expect("a partition"),
            offset: next().parse().expect("an offset"),
            value: next().to_owned(),
        }
    };
    text.lines().map(line).collect()
}

/// A line of `kafka-consumer-groups --describe`, or of `--reset-offsets --dry-run`, where the end is not told.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct GroupLine {
    pub partition: i32,
    /// The committed offset, or the new one.
    pub offset: i64,
    pub end: Option<i64>,
    pub lag: Option<i64>,
}

/// `kafka-consumer-groups` on a group, by Kafka's own tool.
#[track_caller]
pub fn consumer_groups(cluster: &Cluster, group: &str, topic: &str, options: &[&str]) -> Vec<GroupLine> {
    let mut all = vec!["--bootstrap-server", cluster.address(), "--group", group];
    all.extend(options);
    let text = tool("org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", &all);
    let rows = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let mut lines: Vec<GroupLine> = rows
        .filter(|row| row.len() >= 4 && row[0] == group && row[1] == topic)
        .map(|row| GroupLine {
            partition: row[2].parse().expect("a partition"),
            offset: row[3].parse().unwrap_or_else(|_| panic!("no offset in {row:?}")),
            end: row.get(4).and_then(|end| end.parse().ok()),
            lag: row.get(5).and_then(|lag| lag.parse().ok()),
        })
        .collect();
    assert!(!lines.is_empty(), "kafka-consumer-groups said {text}");
    lines.sort();
    lines
}

/// A member of a group. It leaves with this value.
pub struct Member(Child);

impl Member {
    /// Joins, and waits until it has partitions.
    pub fn join(cluster: &Cluster, group: &str, topic: &str) -> Member {
        let mut command = member(cluster, &["hold", group, topic]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("Java, which a Kafka broker needs too");
        let mut lines = BufReader::new(child.stdout.take().expect("it was made with a pipe")).lines();
        let member = Member(child);
        until("the Java consumer to join", || {
            let line = lines.next().expect("a line before its end").expect("text");
            (line == "joined").then_some(())
        });
        member
    }

    /// Leaves, as a consumer does that is closed.
    pub fn leave(mut self) {
        use std::io::Write;
        let mut input = self.0.stdin.take().expect("it was made with a pipe");
        input.write_all(b"leave\n").expect("it listens");
        self.0.wait().expect("our child");
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
