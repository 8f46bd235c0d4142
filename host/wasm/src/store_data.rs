//! What belongs to one instance: its limits, its configuration, and the way its words take to the host.

use crate::guest_log::GuestLog;
use crate::guest_metrics::GuestMetrics;
use crate::guest_sink::GuestSink;
use crate::memory_limit::MemoryLimit;
use crate::state_access::{Activity, StateAccess};
use crate::time_limit::TimeLimit;
use crate::wasi_stubs::WasiState;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use weir_protocol::plan::OperatorLimits;
use weir_protocol::state::SharedState;

/// What an operator says, over all of its instances.
pub struct GuestVoice {
    /// Log lines.
    pub log: GuestLog,
    /// Metrics.
    pub metrics: GuestMetrics,
}

/// The voice, shared by an operator and its instance of the moment. Both are on one thread, so nobody waits.
#[derive(Clone)]
pub struct SharedVoice(Arc<Mutex<GuestVoice>>);

impl SharedVoice {
    /// A voice that the sink listens to.
    pub fn new(sink: Arc<dyn GuestSink>, limits: &OperatorLimits) -> SharedVoice {
        let log = GuestLog::new(sink.clone(), limits.log_line_bytes_max, limits.log_lines_per_second_max);
        SharedVoice(Arc::new(Mutex::new(GuestVoice { log, metrics: GuestMetrics::new(sink) })))
    }

    /// Access to it. A sink that panicked leaves lines and numbers, nothing that could be half done.
    pub fn get(&self) -> MutexGuard<'_, GuestVoice> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The data of a store.
pub struct StoreData {
    /// The configuration with its defaults.
    pub config: Arc<BTreeMap<String, String>>,
    /// Log and metrics.
    pub voice: SharedVoice,
    /// State and timers.
    pub state: StateAccess,
    /// Memory.
    pub memory: MemoryLimit,
    /// Time.
    pub time: TimeLimit,
    /// The clock and the random numbers of the stubs; new with each instance.
    pub wasi: WasiState,
}

impl StoreData {
    /// Data for a fresh instance.
    pub fn new(
        config: Arc<BTreeMap<String, String>>,
        voice: SharedVoice,
        state: Option<SharedState>,
        limits: &OperatorLimits,
    ) -> StoreData {
        StoreData {
            config,
            voice,
            state: StateAccess::new(state),
            memory: MemoryLimit::new(limits.memory_bytes),
            time: TimeLimit::new(limits.call),
            wasi: WasiState::default(),
        }
    }

    /// A call begins.
    pub fn begin_call(&mut self, activity: Activity, limit: Duration) {
        self.state.begin(activity);
        self.voice.get().log.begin_call();
        self.memory.begin_call();
        self.time.begin_call(limit);
    }
}
