//! What the principal of a pipeline needs from a Kafka cluster's authorizer, and the command that grants it.
//!
//! `Read` and `Write` imply `Describe`, for the broker as for this list: it names the least that is sufficient.

use crate::plan::ClusterSpec;
use serde::Serialize;
use std::fmt;

/// What a permission is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case", tag = "type", content = "name")]
pub enum Resource {
    /// A topic.
    Topic(String),
    /// A consumer group.
    Group(String),
    /// A transactional id.
    TransactionalId(String),
    /// The cluster itself.
    Cluster,
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Resource::Topic(name) => write!(f, "topic {name}"),
            Resource::Group(name) => write!(f, "group {name}"),
            Resource::TransactionalId(name) => write!(f, "transactional id {name}"),
            Resource::Cluster => f.write_str("the cluster"),
        }
    }
}

/// Kafka's name of what is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Operation {
    /// Fetch; commit offsets.
    Read,
    /// Produce; use a transactional id.
    Write,
    /// Look.
    Describe,
    /// Read the configuration.
    DescribeConfigs,
    /// Be an idempotent producer, which only brokers before Kafka 2.8 ask for.
    IdempotentWrite,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// What a permission is needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Need {
    /// Without it the pipeline does not run.
    Run,
    /// Without it the pipeline runs, and nobody can look at its dead letters or send them back.
    DeadLetters,
    /// Without it the pipeline runs with guesses.
    Limits,
}

/// One permission.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Permission {
    /// What may be done.
    pub operation: Operation,
    /// With what.
    pub resource: Resource,
    /// What for.
    pub need: Need,
    /// What weir does with it.
    pub reason: String,
}

/// To whom and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grantee {
    /// `bootstrap.servers`.
    pub brokers: String,
    /// Such as `User:orders`.
    pub principal: String,
}

impl Grantee {
    /// The principal of a cluster's section.
    pub fn of(spec: &ClusterSpec) -> Grantee {
        let tables = [&spec.properties, &spec.producer_properties, &spec.consumer_properties];
        let username = tables.into_iter().find_map(|table| table.get("sasl.username"));
        Grantee::new(&spec.brokers, username.map(String::as_str))
    }

    /// The principal is the user of SASL; where there is none (a client certificate, no authentication), it is a
    /// placeholder.
    pub fn new(brokers: &str, username: Option<&str>) -> Grantee {
        let principal = format!("User:{}", username.unwrap_or("PRINCIPAL"));
        Grantee { brokers: brokers.to_owned(), principal }
    }

    /// The command that grants one operation, to be copied into a shell.
    pub fn command(&self, operation: Operation, resource: &Resource) -> String {
        let resource = match resource {
            Resource::Topic(name) => format!("--topic {}", quoted(name)),
            Resource::Group(name) => format!("--group {}", quoted(name)),
            Resource::TransactionalId(name) => format!("--transactional-id {}", quoted(name)),
            Resource::Cluster => "--cluster".to_owned(),
        };
        let (brokers, principal) = (quoted(&self.brokers), quoted(&self.principal));
        format!(
            "kafka-acls.sh --bootstrap-server {brokers} --add --allow-principal {principal} --operation {operation} {resource}"
        )
    }
}

/// A word of a shell's command line.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-:,/@%+=".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_names_brokers_principal_operation_and_resource() {
        let to = Grantee::new("b1:9092,b2:9092", Some("orders"));
        assert_eq!(
            to.command(Operation::Write, &Resource::TransactionalId("weir.orders.0.1".to_owned())),
            "kafka-acls.sh --bootstrap-server b1:9092,b2:9092 --add --allow-principal User:orders --operation Write --transactional-id weir.orders.0.1"
        );
        let to = Grantee::new("b1:9092", None);
        assert_eq!(
            to.command(Operation::DescribeConfigs, &Resource::Cluster),
            "kafka-acls.sh --bootstrap-server b1:9092 --add --allow-principal User:PRINCIPAL --operation DescribeConfigs --cluster"
        );
    }

    #[test]
    fn a_name_that_a_shell_would_read_is_quoted() {
        let to = Grantee::new("b:1", Some("$(x) o'clock"));
        let line = to.command(Operation::Read, &Resource::Group("a b".to_owned()));
        assert!(line.contains(r"--allow-principal 'User:$(x) o'\''clock' "), "{line}");
        assert!(line.ends_with("--group 'a b'"), "{line}");
    }
}
