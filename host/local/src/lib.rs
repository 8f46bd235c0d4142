//! Connectors of weir that need no server, and the decision log of a pipeline that has no Kafka.
//!
//! The tour, in the order in which a record meets them:
//!
//! - [`generator`]: a source of seeded, made-up records
//! - [`files_source`]: a source of lines of files
//! - [`record_lines`]: the JSON-lines form of a record, both ways
//! - [`files_sink`]: files in a directory, exactly once by renaming after the decision
//! - [`stdout_sink`]: standard output, at least once
//! - [`blackhole`]: a sink that counts and forgets
//! - [`local_decision`]: where a checkpoint becomes true when no Kafka cluster decides
//!
//! *Invariant:* no network, no thread and no clock is used here except by [`generator::SystemClock`].

pub mod blackhole;
pub mod files_sink;
pub mod files_source;
pub mod generator;
pub mod local_decision;
pub mod record_lines;
pub mod stdout_sink;

mod base64;
mod durable_file;
mod json_text;
mod staged_file;
