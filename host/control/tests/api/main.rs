//! The service over real HTTP and real SQLite, with a host that only pretends.

#![expect(clippy::unwrap_used, reason = "the functions that drive the service are tests too")]

mod copies;
mod document;
mod events;
mod fake_host;
mod harness;
mod letters;
mod limits;
mod offsets;
mod pipelines;
mod registry;
mod roles;
mod security;
mod starts;
mod swaps;
mod tls;
mod upgrade;
