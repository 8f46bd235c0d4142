//! Keyed state of weir's operators in RocksDB: the only crate that knows it.
//!
//! The tour, in the order in which an entry meets them:
//!
//! - [`backend`]: opens the state of an operator's subtask, out of a checkpoint or empty
//! - `keyed_state` and `call`: who is asked for what, and the life of a call; `arguments` checks what a guest hands over
//! - `store`: one file per kind of state, all with one life
//! - `value`: value state behind its write-back cache, the hot path; `large_slice` and `prefetch` are its memory
//! - `ordered`: map state, list state and timers as layers over the database
//! - `snapshot` and `freeze_gate`: a frozen set on its way into a checkpoint, beside the stream
//! - `sst` and `ordered_families`: how a frozen set gets into RocksDB
//! - `restore`, `rescale` and `migrate`: the way back, for another range of keys or another version
//! - [`inspect`]: reads a checkpoint beside a running host
//! - `verify` and `checkpoint_files`: whether files are what the manifest says; `origin`: which of them an error means
//! - `database`, `tuning`, `column_family` and `key_layout`: RocksDB, and what lies in it where
//!
//! *Invariants:* nothing outlives an incarnation except the checkpoint; no iterator of RocksDB is held across calls; the
//! live database has no write-ahead log and is never trusted again.

pub mod backend;
pub mod inspect;

mod arguments;
mod call;
mod checkpoint_files;
mod column_family;
mod database;
mod failure;
mod freeze_gate;
mod key_layout;
mod keyed_state;
mod large_slice;
mod memory_share;
mod migrate;
mod ordered;
mod ordered_families;
mod origin;
mod prefetch;
mod rescale;
mod restore;
mod snapshot;
mod sst;
mod store;
mod tuning;
mod value;
mod verify;
