//! What `--probe-listen` answers: is the process alive, is it ready, and its metrics.
//!
//! - [`catalogue`]: every metric there is; [`exposition`] writes them as text
//! - [`pipeline`], [`back_pressure`]: out of a pipeline's counters; [`process`]: out of the system's
//! - [`run`] and [`serve`]: what the two commands answer
//!
//! Everything is read when it is asked for; nothing here runs while nobody asks.

mod back_pressure;
pub mod catalogue;
pub mod exposition;
pub mod pipeline;
pub mod process;
pub mod run;
pub mod serve;

pub use back_pressure::steps;

use crate::failure::Failure;
use std::net::SocketAddr;
use std::sync::Arc;
use weir_control::{Probe, ProbeListener};

/// `--probe-listen` of the commands that run pipelines.
#[derive(Debug, clap::Args)]
pub struct ProbeOptions {
    /// Serve /livez, /readyz and /metrics at this address, without encryption and without a token; nothing else, and
    /// nothing of a record
    #[arg(long, env = "WEIR_PROBE_LISTEN", hide_env_values = true, value_name = "ADDRESS:PORT")]
    pub probe_listen: Option<SocketAddr>,
}

impl ProbeOptions {
    /// Begins to answer, where that is asked for.
    pub fn listen(&self, probe: Arc<dyn Probe>) -> Result<Option<ProbeListener>, Failure> {
        let Some(address) = self.probe_listen else { return Ok(None) };
        let listener = ProbeListener::start(address, probe).map_err(|error| {
            Failure::configuration(format!(
                "--probe-listen {address}: {error}; give an address of this machine whose port is free"
            ))
        })?;
        tracing::info!("probes and metrics on http://{}", listener.address());
        Ok(Some(listener))
    }
}
