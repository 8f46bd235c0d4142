//! Hand-written guests, good and bad, loaded and called through the crate's public face.

#![expect(clippy::unwrap_used, reason = "the functions that build the guests are tests too")]

mod calls;
mod failures;
mod generated;
mod guests;
mod keyed;
mod loading;
mod migration;
mod state_double;
mod wasi;
