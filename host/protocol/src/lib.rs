//! The rules of weir: what must be true, decided by functions without I/O.
//!
//! Facts go in, a decision comes out; the crates around this one carry it out. There is no clock here, no file, no
//! socket, no thread, no randomness and no iteration over a hash map, so every rule can be tested by calling it.
//!
//! The tour, in the order in which a record meets the rules:
//!
//! - [`batch`]: the unit of work, columns of rows with the place that each row came from
//! - [`output`]: what an operator's call returned, checked before it is used
//! - [`poison`]: the search for the row at fault in a call that failed
//! - [`error_policy`] and [`breaker`]: what happens to a row that cannot be handled
//! - [`connector`]: the seams that sources, sinks, operators and decision logs implement
//! - [`key_group`], [`slots`], [`state`]: who owns a key, and what an operator keeps for it
//! - [`watermark`] and [`align`]: how far event time has come, and how barriers of several inputs meet
//! - [`epoch`], [`position`], [`manifest`], [`decision`]: what a checkpoint is and where it is decided
//! - [`checkpoint`]: the coordinator's rule, an event in and actions out
//! - [`transaction`]: the sink transaction, and what each answer of the client means
//! - [`verdict`]: what recovery may do with what it found
//! - [`savepoint`]: what a portable copy of a checkpoint is, and what a start from one may do
//! - [`feature_level`]: in which formats a data directory is written, and which weir may open it
//! - [`remedy`]: the one command that helps where a start is refused
//! - [`reset`]: where a stopped pipeline goes on when a person says so
//! - [`restart`]: when the next incarnation starts
//! - [`compatibility`]: what a component may do with the state that an earlier one left
//! - [`swap`]: how a version takes the place of another while records flow, and when it must give it back
//! - [`plan`]: the pipeline as a checked graph, explained to people
//! - [`permission`]: what a cluster's authorizer must allow, and the command that does
//! - [`kill_point`]: the named places at which a test ends the process

pub mod align;
pub mod batch;
pub mod breaker;
pub mod checkpoint;
pub mod compatibility;
pub mod connector;
pub mod counted;
pub mod decision;
pub mod epoch;
pub mod error_policy;
pub mod feature_level;
pub mod key_group;
pub mod kill_point;
pub mod manifest;
pub mod output;
pub mod permission;
pub mod plan;
pub mod poison;
pub mod position;
pub mod remedy;
pub mod replay;
pub mod reset;
pub mod restart;
pub mod savepoint;
pub mod slots;
pub mod state;
pub mod swap;
pub mod transaction;
pub mod verdict;
pub mod watermark;
