//! The engine of a process: how code is compiled, and the way from uploaded bytes to a prepared operator.

use crate::artefact::{self, NotAnOperator};
use crate::cache::{Cache, CacheError};
use crate::contract::{CONTRACT_VERSION, PREVIEW1_ADAPTER};
use crate::digest::Digest;
use crate::prepared::Prepared;
use crate::ticker::{Ticker, TickerUse};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::sync::Arc;
use wasmtime::component::Component;
use wasmtime::{Config, OptLevel};

/// Stack of a guest. The calling thread needs as much again for the host: 2 MiB, Rust's default, is enough.
const GUEST_STACK_BYTES: usize = 1 << 20;

/// The engine cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// wasmtime does not support this machine or this configuration.
    #[error("WebAssembly cannot be run here: {0}")]
    Configuration(String),
    /// The compile cache cannot be used.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

/// Bytes cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The bytes are at fault.
    #[error(transparent)]
    NotAnOperator(#[from] NotAnOperator),
    /// The host is at fault.
    #[error("the thread that keeps time limits cannot be started: {0}")]
    Ticker(#[from] std::io::Error),
}

/// One per process; a clone is the same engine.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
}

struct Shared {
    wasmtime: wasmtime::Engine,
    cache: Option<Cache>,
    ticker: Ticker,
}

impl Engine {
    /// An engine that keeps machine code in `cache_directory`, if one is given. The directory is made if need be, and
    /// closed to other users.
    pub fn new(cache_directory: Option<PathBuf>) -> Result<Engine, EngineError> {
        let wasmtime = wasmtime::Engine::new(&configuration())
            .map_err(|error| EngineError::Configuration(format!("{error:#}")))?;
        let cache = match cache_directory {
            Some(directory) => Some(Cache::open(directory, compatibility(&wasmtime))?),
            None => None,
        };
        let ticker = Ticker::new(wasmtime.clone());
        Ok(Engine { shared: Arc::new(Shared { wasmtime, cache, ticker }) })
    }

    /// Compiles, checks and describes an operator. Runs the guest once, under the default limits.
    pub fn load(&self, bytes: &[u8]) -> Result<Prepared, LoadError> {
        let digest = Digest::of(bytes);
        let component = self.compile(digest, bytes)?;
        Prepared::new(self.clone(), component, digest, bytes.len())
    }

    fn compile(&self, digest: Digest, bytes: &[u8]) -> Result<Component, NotAnOperator> {
        let cache = self.shared.cache.as_ref();
        if let Some(code) = cache.and_then(|cache| cache.load(digest)) {
            // SAFETY: the code was written by this user's weir for this engine: the cache reads it from a directory
            // and a file that nobody else can write, and its checksum holds.
            match unsafe { Component::deserialize(&self.shared.wasmtime, &code) } {
                Ok(component) => return Ok(component),
                Err(error) => {
                    tracing::warn!(%digest, %error, "cached machine code was refused; compiling again")
                }
            }
        }
        let component = artefact::to_component(bytes)?;
        let compiled = Component::from_binary(&self.shared.wasmtime, &component)
            .map_err(|error| NotAnOperator(artefact::sentence("is not a valid component: ", &error)))?;
        if let Some(cache) = cache {
            match compiled.serialize() {
                Ok(code) => cache.store(digest, &code),
                Err(error) => tracing::warn!(%digest, %error, "machine code cannot be kept"),
            }
        }
        Ok(compiled)
    }

    pub(crate) fn wasmtime(&self) -> &wasmtime::Engine {
        &self.shared.wasmtime
    }

    pub(crate) fn start_ticking(&self) -> std::io::Result<TickerUse> {
        self.shared.ticker.start()
    }
}

/// Equal calls give equal answers on every machine, and every loop can be interrupted.
fn configuration() -> Config {
    let mut config = Config::new();
    config.wasm_component_model(true);
    config.cranelift_opt_level(OptLevel::Speed);
    config.cranelift_nan_canonicalization(true);
    config.relaxed_simd_deterministic(true);
    config.shared_memory(false);
    config.epoch_interruption(true);
    config.max_wasm_stack(GUEST_STACK_BYTES);
    // The message of a trap is its code and what the guest said; frames of stripped code help nobody.
    config.wasm_backtrace_max_frames(None);
    config
}

/// All that machine code depends on besides the operator's bytes: wasmtime and its settings, and how weir wraps.
fn compatibility(engine: &wasmtime::Engine) -> u64 {
    // A hasher without a random seed. Should Rust change it, code is compiled again, which is all that can happen.
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    (env!("CARGO_PKG_VERSION"), CONTRACT_VERSION, PREVIEW1_ADAPTER).hash(&mut hasher);
    hasher.finish()
}
