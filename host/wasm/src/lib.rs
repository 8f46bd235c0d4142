//! Operators of weir: WebAssembly components, compiled, cached, linked, limited and called.
//!
//! Only this crate knows wasmtime. The tour, in the order in which uploaded bytes become an operator:
//!
//! - `engine`: one per process; the settings that make equal calls give equal answers
//! - `artefact`: a component, or a core module that is wrapped (with `contract`'s preview 1 adapter);
//!   `metadata_names` looks at its metadata before anything decodes it
//! - `cache`: machine code on disk, believed only if nobody else could have written it
//! - `world`, `interface_name`: which contract the component speaks, and that it imports nothing else
//! - `linking`, `wasi_stubs`: what a guest can call
//! - `prepared`, `description`, `config_check`: what the operator is, and whether a configuration fits
//! - `operator`, `instance`: the seam of the runtime; an instance is thrown away after every failed call
//! - `abi`: one copy into the guest, one out of it
//! - `imports`, `state_access`: keyed state and timers, and when a guest may touch them
//! - `migrator`, `migration_abi`: state of an older version, rewritten page by page
//! - `time_limit`, `ticker`, `memory_limit`, `failure`: limits, and what it means when one is reached
//! - `guest_sink`, `guest_log`, `guest_metrics`: what the guest says
//!
//! *Invariant:* a call takes effect as a whole or not at all; of a failed call only log lines remain.
//! *Invariant:* nothing here works per record, except the check of an output.

mod abi;
mod artefact;
mod cache;
mod config_check;
mod contract;
mod description;
mod digest;
mod engine;
mod failure;
mod guest_log;
mod guest_metrics;
mod guest_sink;
mod imports;
mod instance;
mod interface_name;
mod linking;
mod memory_limit;
mod metadata_names;
mod migration_abi;
mod migrator;
mod one_line;
mod operator;
mod prepared;
mod state_access;
mod store_data;
#[cfg(test)]
mod testing;
mod ticker;
mod time_limit;
mod wasi_stubs;
mod world;

pub use artefact::NotAnOperator;
pub use cache::CacheError;
pub use contract::{CONTRACT_VERSION, embed_world};
pub use description::{ConfigKey, Description};
pub use digest::Digest;
pub use engine::{Engine, EngineError, LoadError};
pub use guest_sink::{GuestSink, Level, SilentGuestSink};
pub use migrator::WasmMigrator;
pub use operator::{OperatorError, OperatorOptions, WasmOperator};
pub use prepared::Prepared;
pub use time_limit::thread_cpu_time;
pub use world::World;
