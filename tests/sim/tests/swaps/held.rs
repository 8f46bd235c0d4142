//! A factory that a test holds back, and whose operators tell of their limits.

use crossbeam_channel::{Receiver, Sender};
use std::sync::Arc;
use weir_protocol::batch::Batch;
use weir_protocol::connector::{CallContext, CallError, ConnectorError, Operator};
use weir_protocol::output::Output;
use weir_protocol::plan::OperatorLimits;
use weir_protocol::slots::Slots;
use weir_protocol::state::{Migrator, SharedState};
use weir_runtime::connect::OperatorFactory;

/// A factory that a test holds back, and whose operators tell of their limits.
pub struct Held {
    /// The factory.
    pub inner: Arc<dyn OperatorFactory>,
    /// Nothing is made until its other end is dropped.
    pub gate: Receiver<()>,
    /// Told of each operator's limits.
    pub limits: Sender<OperatorLimits>,
}

struct Watched {
    inner: Box<dyn Operator>,
    limits: Sender<OperatorLimits>,
}

impl OperatorFactory for Held {
    fn digest(&self) -> &str {
        self.inner.digest()
    }

    fn operator(
        &self,
        subtask: usize,
        state: Option<SharedState>,
    ) -> Result<Box<dyn Operator>, ConnectorError> {
        // Open once it is dropped.
        let _ = self.gate.recv();
        let inner = self.inner.operator(subtask, state)?;
        Ok(Box::new(Watched { inner, limits: self.limits.clone() }))
    }

    fn migrator(&self) -> Result<Option<Box<dyn Migrator>>, ConnectorError> {
        self.inner.migrator()
    }
}

impl Operator for Watched {
    fn call(&mut self, input: &Batch, slots: &Slots, context: CallContext) -> Result<Output, CallError> {
        self.inner.call(input, slots, context)
    }

    fn on_timers(
        &mut self,
        timer: &str,
        fired: &Batch,
        slots: &Slots,
        context: CallContext,
    ) -> Result<Output, CallError> {
        self.inner.on_timers(timer, fired, slots, context)
    }

    fn reset(&mut self) {
        self.inner.reset();
    }

    fn set_limits(&mut self, limits: &OperatorLimits) {
        let _ = self.limits.send(limits.clone());
    }
}
