//! Write operators for weir in Rust: a function from a record to records, compiled to a WebAssembly component.
//!
//! # Choose a form
//!
//! | you want to | write |
//! |---|---|
//! | change the value | [`map_values!`], or [`map_json!`] for JSON |
//! | keep some records | [`filter!`] |
//! | emit none, one or many; change keys, headers, timestamps; refuse a record | [`map!`] |
//! | send records to several output ports | [`router!`] |
//! | handle the columns yourself | [`map_batches!`] |
//! | keep state per key, set timers, have several inputs | [`keyed!`] |
//!
//! ```
//! weir_sdk::map_values!(|value, out| {
//!     out.put("processed_");
//!     out.put(value);
//! });
//! # fn main() {}
//! ```
//!
//! # Configuration
//!
//! Each form takes up to three clauses before its function. `config` declares the keys, so that the host refuses a
//! misspelt or missing one before the pipeline starts. `open` runs once per instance; what it returns is lent to
//! the function as its first argument, and what it refuses stops the deployment. `ports` names the output ports.
//!
//! ```
//! weir_sdk::map_values! {
//!     config: [optional "prefix" = "processed_": "the text put before each value"],
//!     open: || weir_sdk::config("prefix").ok_or("no prefix".to_string()),
//!     |prefix, value, out| {
//!         out.put(prefix);
//!         out.put(value);
//!     }
//! }
//! # fn main() {}
//! ```
//!
//! With `config` or `ports` the operator is a `processor`, which describes itself; without them it is a `mapper`.
//!
//! # Saying no
//!
//! | the function | means |
//! |---|---|
//! | returns `Err(reason)`, or calls [`emit.reject`](Emitter::reject) | this record is bad, the others are fine |
//! | returns `Err(message)` from [`map_batches!`] | something in this batch is bad |
//! | panics | the same; the message and its place are in the task log |
//!
//! # Tests
//!
//! An operator is also an ordinary Rust library. [`testing`] runs it natively, so `cargo test` needs no host: a
//! [`testing::Case`] is one batch, a [`testing::Subtask`] keeps state and timers between batches.
//!
//! # Build
//!
//! `rustup target add wasm32-unknown-unknown`, then
//! `cargo build --release --target wasm32-unknown-unknown` with `crate-type = ["cdylib", "rlib"]`.

// The generated export macros name this crate by its public name, also where it is used from inside.
extern crate self as weir_sdk;

mod answer;
#[doc(hidden)]
pub mod bindings;
mod call;
mod codec;
mod column;
mod column_builder;
mod config;
mod declaration;
mod emitter;
#[doc(hidden)]
pub mod filter;
mod headers;
#[cfg(target_arch = "wasm32")]
mod imports;
#[cfg(not(target_arch = "wasm32"))]
#[path = "testing/imports.rs"]
mod imports;
#[doc(hidden)]
pub mod instance;
#[doc(hidden)]
pub mod keyed;
mod keyed_macro;
pub mod log;
mod macros;
#[doc(hidden)]
pub mod map;
#[doc(hidden)]
pub mod map_batches;
#[cfg(feature = "json")]
#[doc(hidden)]
pub mod map_json;
#[doc(hidden)]
pub mod map_values;
pub mod metrics;
#[doc(hidden)]
pub mod migrate;
mod operator;
mod output;
mod packed;
mod panic;
mod record;
mod source_rows;
mod state;
mod subkey;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
mod timer;
mod value_writer;

pub use answer::{Answer, Keep};
pub use bindings::types::{Batch, Column, Output, Rejection};
pub use codec::Codec;
#[cfg(feature = "json")]
pub use codec::Json;
pub use config::config;
pub use declaration::{
    ConfigKey, DEFAULT_INPUTS, DEFAULT_OUTPUTS, Description, OutputPort, StateDeclaration, StateKind,
    TimerClock, TimerDeclaration, World,
};
pub use emitter::{Emission, Emitter};
pub use headers::Headers;
pub use migrate::OldEntry;
pub use operator::Operator;
pub use record::Record;
pub use state::{List, Map, Value};
pub use subkey::{FixedSubkey, Subkey};
pub use timer::{FiredTimer, Timer};
pub use value_writer::ValueWriter;
