//! The state of an operator as the runtime uses it: calls, barriers, checkpoints, restarts, rescaling, migration.

#![expect(clippy::unwrap_used, reason = "the functions that drive the states are tests too")]

mod damage;
mod harness;
mod limits;
mod migration;
mod model;
mod rescale;
mod snapshots;
mod steps;
