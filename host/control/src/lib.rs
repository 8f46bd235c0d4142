//! The HTTP control plane of weir: [`Options`] → [`Service::bind`] → [`Service::run`].
//!
//! A request's path: [`service`] takes the connection, [`http`] reads it, [`security::gate`] lets it through,
//! [`registry`] or [`pipelines`] do it with the [`store`] and the [`host`], [`reconcile`] brings pipelines to what is
//! desired as [`deployment`] decides, and [`wire`] is what the client sees. Refusals are [`problem`]s.
//! Beside it [`probe`] listens for those who only watch; [`condition`] is what it tells of the service.
//!
//! - Only this crate knows axum and SQLite; it knows neither wasmtime nor a thread of the runtime: that is the
//!   [`host::Host`] around it.
//! - Nothing of a request becomes a path unless it is one of [`name`]'s types.
//! - What was answered is on disk, with its line in the audit log, in one transaction.
//! - No call that blocks is made on a thread of the executor.

pub mod clock;
pub mod condition;
pub mod control;
pub mod deployment;
pub mod document;
pub mod host;
pub mod http;
pub mod name;
pub mod options;
pub mod pipelines;
pub mod probe;
pub mod problem;
pub mod reconcile;
pub mod registry;
pub mod security;
pub mod service;
pub mod store;
pub mod upgrade;
pub mod wire;

pub use condition::{ACTUAL_WORDS, Condition, PipelineCondition};
pub use options::{Limits, Options, TlsFiles};
pub use probe::{MetricsFormat, Probe, ProbeListener};
pub use service::{Service, ServiceError};
