//! Kafka for weir: source, transactional sink, decision record. The only crate that knows rdkafka.
//!
//! The tour, in the order in which a record meets it:
//!
//! - [`cluster`]: one cluster for one incarnation; makes everything below
//! - [`source`], `reader`, `assigned`: partitions, batches from the fetch, positions
//! - [`sink`], `writer`: rows into a producer's queue
//! - `slots`, `slot`, `transactional_producer`, `transaction_thread`: two transactional ids in turn, each call under
//!   a watchdog
//! - [`decision_log`], `committed`: where an epoch becomes true, and how that is read
//! - [`checks`], `offsets`: before a start, and beside a run
//! - [`properties`]: what a user may set
//! - `refusal`, `denied`: why a broker does not let us in, and why its authorizer does not let us do something
//! - `client`, `noted`, `statistics`, `client_error`, `admin`, `group_offsets`, `partition_list`, `topic_handle`: the C interface
//!
//! *Invariant*: no call here decides what an error of the transactional client means; that is
//! [`weir_protocol::transaction`].

mod admin;
mod assigned;
pub mod checks;
mod client;
mod client_error;
pub mod cluster;
mod committed;
pub mod decision_log;
mod denied;
mod group_offsets;
mod lost_position;
mod noted;
mod offsets;
mod partition_list;
pub mod properties;
mod reader;
mod refusal;
pub mod sink;
mod slot;
mod slots;
pub mod source;
mod statistics;
mod topic_handle;
mod transaction_thread;
mod transactional_producer;
mod writer;

pub use admin::GroupFacts;
pub use checks::{CheckedTopics, Finding, Level, Looked};
pub use cluster::{ClusterOptions, KafkaCluster};
pub use decision_log::DecisionForm;
pub use properties::{check_cluster_properties, check_properties};
