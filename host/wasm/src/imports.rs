//! What a guest does to its keyed state and its timers: one file per interface of the contract.
//!
//! *Invariant:* what a guest writes is read where it lies, in linear memory; the only copy is the backend's.

mod columns;
pub mod list_state;
pub mod map_state;
pub mod timers;
pub mod value_state;
