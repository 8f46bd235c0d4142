//! `weir serve`: what the control plane asks of this host.
//!
//! - [`host`]: the seam, question by question
//! - [`child`], [`inspected`]: components that nobody trusts yet, in a process of their own
//! - [`document`]: a pipeline document of the registry becomes a plan that can run; [`allowed`] says what it may reach
//! - [`comparison`]: what a change would mean; [`next_start`] what a start would refuse of it, [`fates`] what becomes of
//!   the state
//! - [`dry_run`]: a migration on a copy of the newest checkpoint, in a [`scratch`] directory
//! - [`running`]: a pipeline on its own threads, and what it tells; [`running_status`] is what it says when asked,
//!   [`kept_document`] the document that goes with its state
//! - [`letters`]: dead letters; [`replaying`] is the life in which they come back
//! - [`offsets`]: where a pipeline goes on
//! - [`on_disk`]: checkpoints, savepoints, trash

pub mod allowed;
pub mod child;
mod comparison;
mod document;
mod dry_run;
mod fates;
pub mod host;
pub mod inspected;
mod kept_document;
mod letters;
mod looking;
mod next_start;
mod offsets;
mod on_disk;
mod replaying;
mod running;
mod running_status;
mod scratch;
