//! Rewrites state of an older version: an instance of its own, neither opened nor configured, without state.

use crate::guest_sink::GuestSink;
use crate::instance::Instance;
use crate::prepared::Prepared;
use crate::store_data::{SharedVoice, StoreData};
use crate::ticker::TickerUse;
use std::sync::Arc;
use weir_protocol::connector::CallError;
use weir_protocol::plan::OperatorLimits;
use weir_protocol::state::{Entries, Migrated, Migrator};

/// The `migration` of a component. Its instance is made for the first page and thrown away after a failed one.
pub struct WasmMigrator {
    prepared: Prepared,
    name: String,
    limits: OperatorLimits,
    voice: SharedVoice,
    running: Option<(Instance, TickerUse)>,
}

impl WasmMigrator {
    /// For the operator `name` of the pipeline. `None` where the component exports no `migration`.
    pub(crate) fn new(
        prepared: &Prepared,
        name: &str,
        limits: OperatorLimits,
        guest: Arc<dyn GuestSink>,
    ) -> Option<WasmMigrator> {
        prepared.exports().migrate?;
        let voice = SharedVoice::new(guest, &limits);
        Some(WasmMigrator { prepared: prepared.clone(), name: name.to_owned(), limits, voice, running: None })
    }

    fn start(&self) -> Result<(Instance, TickerUse), CallError> {
        let broken = |reason: String| {
            CallError::Broken(format!("operator {} cannot be started to migrate: {reason}", self.name))
        };
        let ticking = self.prepared.engine().start_ticking().map_err(|error| broken(error.to_string()))?;
        let data = StoreData::new(Arc::default(), self.voice.clone(), None, &self.limits);
        let (pre, exports) = (self.prepared.instantiate_pre(), self.prepared.exports());
        let instance = Instance::start(pre, exports, data, &self.limits);
        Ok((instance.map_err(|failure| broken(failure.to_string()))?, ticking))
    }
}

impl Migrator for WasmMigrator {
    fn migrate(&mut self, state: &str, from_version: u32, page: &Entries) -> Result<Migrated, CallError> {
        let mut states = self.prepared.description().states.iter();
        let Some(kind) = states.find(|declared| declared.name == state).map(|declared| declared.kind) else {
            return Err(CallError::Broken(format!("operator {} declares no state {state:?}", self.name)));
        };
        if page.count == 0 {
            return Ok(Migrated::default());
        }
        let (mut instance, ticking) = match self.running.take() {
            Some(running) => running,
            None => self.start()?,
        };
        let migrated = instance.migrate(state, from_version, kind, page, &self.limits);
        // A page may be handed over more than once, so that its numbers would count more than once.
        self.voice.get().metrics.discard();
        let migrated = migrated?;
        if instance.memory_bytes() <= self.limits.memory_recycle_bytes {
            self.running = Some((instance, ticking));
        }
        Ok(migrated)
    }
}
