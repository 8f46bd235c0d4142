//! What the service is started with, every limit by its name.

use crate::clock::{Clock, machine_clock};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// How the service is to run.
#[derive(Clone)]
pub struct Options {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Certificate chain and key.
    pub tls: Option<TlsFiles>,
    /// An address that others reach may be listened on without TLS.
    pub insecure_listen: bool,
    /// Further names by which this server is reached, for the check of the `Host` header on a loopback address.
    pub host_names: Vec<String>,
    /// The data directory; it exists, and its lock is held.
    pub data_dir: PathBuf,
    /// How long the state of a deleted pipeline stays in the trash.
    pub trash_retention: Duration,
    /// How often `control.backup.sqlite` is written, where something has changed.
    pub backup_interval: Duration,
    /// Limits.
    pub limits: Limits,
    /// The time.
    pub clock: Clock,
}

/// PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate, then those between it and the root.
    pub certificates: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// Limits on what clients may use.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes of a component.
    pub component_bytes_max: u64,
    /// Bytes of every other body.
    pub body_bytes_max: u64,
    /// Bytes of a request's line and headers; at least 8 KiB.
    pub header_bytes_max: usize,
    /// How long headers may take, which is also how long a connection may be idle.
    pub header_time_max: Duration,
    /// The longest silence within a body.
    pub body_idle_max: Duration,
    /// How long a body may take, other than a component's.
    pub body_time_max: Duration,
    /// How long the upload of a component may take.
    pub upload_time_max: Duration,
    /// Open connections; beyond them, new ones wait.
    pub connections_max: usize,
    /// Components that are received at a time.
    pub uploads_max: usize,
    /// Child processes that look at components or test them at a time.
    pub inspections_max: usize,
    /// How long a request may wait for one of these places.
    pub queue_time_max: Duration,
    /// Events that are kept for each pipeline.
    pub events_kept_max: u32,
    /// How long pipelines may take to stop when the service ends.
    pub close_time_max: Duration,
}

impl Options {
    /// The defaults: 127.0.0.1:8380, no TLS.
    pub fn new(data_dir: PathBuf) -> Options {
        Options {
            listen: SocketAddr::from(([127, 0, 0, 1], 8380)),
            tls: None,
            insecure_listen: false,
            host_names: Vec::new(),
            data_dir,
            trash_retention: Duration::from_secs(7 * 24 * 3600),
            backup_interval: Duration::from_secs(5),
            limits: Limits::default(),
            clock: machine_clock(),
        }
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            component_bytes_max: 64 << 20,
            body_bytes_max: 1 << 20,
            header_bytes_max: 32 << 10,
            header_time_max: Duration::from_secs(30),
            body_idle_max: Duration::from_secs(10),
            body_time_max: Duration::from_secs(30),
            upload_time_max: Duration::from_secs(600),
            connections_max: 512,
            uploads_max: 8,
            inspections_max: 2,
            queue_time_max: Duration::from_secs(60),
            events_kept_max: 10_000,
            close_time_max: Duration::from_secs(120),
        }
    }
}
