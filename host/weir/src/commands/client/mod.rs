//! The command line as a client of `weir serve`.
//!
//! - [`connection`]: which server, which token, and requests
//! - [`table`]: what is shown, as a table or as JSON
//! - [`hints`]: routes in an error's hint, as commands
//! - [`operators`], [`pipelines`], [`status`], [`swaps`], [`savepoints`], [`offsets`], [`tokens`]: the commands, noun by noun

pub mod connection;
mod hints;
pub mod letters;
pub mod offsets;
pub mod operators;
pub mod pipelines;
pub mod savepoints;
pub mod status;
pub mod swaps;
pub mod table;
pub mod tokens;
