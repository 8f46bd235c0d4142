//! The integration tests: the binary as users run it, a real broker, real components, kill -9.
//!
//! Run by `cargo xtask test`, which builds what they use. Each file below is a chapter of the specification, each test
//! a sentence of it.

#![allow(clippy::unwrap_used)]

mod harness;

mod api_fuzz;
mod backlog;
mod broker_crash;
mod chaos;
mod co_partitioned;
mod codecs;
mod container;
mod demo;
mod deploy;
mod dlq;
mod dlq_served;
mod event_time;
mod exits;
mod explained;
mod fault_proxy;
mod full_disk;
mod graph;
mod guarantees;
mod hand_overs;
mod hostile;
mod hostile_keyed;
mod hostile_names;
mod judges;
mod keyed_damage;
mod keyed_kills;
mod keyed_records;
mod kill_points;
mod late_requests;
mod local;
mod lost_checkpoints;
mod manual;
mod metrics;
mod offset_targets;
mod offsets;
mod open_files;
mod operations;
mod operator_authors;
mod poison;
mod probes;
mod processed;
mod refused_starts;
mod replay_keeps;
mod sample_records;
mod savepoint_archives;
mod savepoint_imports;
mod savepoints;
mod secure_broker;
mod security_connections;
mod security_permissions;
mod server;
mod server_full_disk;
mod server_plans;
mod server_savepoints;
mod server_status;
mod slow_clients;
mod starts;
mod state_command;
mod stops;
mod swap_trials;
mod swaps;
mod takeover;
mod tidy;
mod upgrades;
mod validated_online;
mod wire_format;
mod zombies;
