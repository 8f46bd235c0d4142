//! The integration tests: the binary as users run it, a real broker, real components, kill -9.
//!
//! Run by `cargo xtask test`, which builds what they use. Each file below is a chapter of the specification, each test
//! a sentence of it.

#![allow(clippy::unwrap_used)]

mod harness;

mod broker_crash;
mod chaos;
mod full_disk;
mod graph;
mod guarantees;
mod hostile;
mod kill_points;
mod local;
mod lost_checkpoints;
mod offsets;
mod poison;
mod processed;
mod starts;
mod stops;
mod tidy;
mod zombies;
