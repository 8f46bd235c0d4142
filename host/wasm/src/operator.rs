//! An operator on one subtask: implements the runtime's seam, with a fresh instance after every failure.

use crate::config_check;
use crate::guest_sink::GuestSink;
use crate::instance::{CallRules, Instance};
use crate::prepared::Prepared;
use crate::state_access::Activity;
use crate::store_data::{SharedVoice, StoreData};
use crate::ticker::TickerUse;
use crate::world::World;
use std::collections::BTreeMap;
use std::sync::Arc;
use weir_protocol::batch::Batch;
use weir_protocol::connector::{CallContext, CallError, CallFailure, InstanceUse, Operator};
use weir_protocol::output::Output;
use weir_protocol::plan::OperatorLimits;
use weir_protocol::slots::Slots;
use weir_protocol::state::SharedState;

/// How an operator is started.
pub struct OperatorOptions {
    /// Its name in the pipeline, for messages.
    pub name: String,
    /// Its configuration, without defaults.
    pub config: BTreeMap<String, String>,
    /// Its limits.
    pub limits: OperatorLimits,
    /// For a mapper: the pipeline promises that it keeps keys. A processor's ports say so themselves.
    pub keeps_key: bool,
    /// Its state and timers; `None` where it has neither. While a call runs nobody else may hold the lock.
    pub state: Option<SharedState>,
    /// Takes its log lines and metrics.
    pub guest: Arc<dyn GuestSink>,
}

/// An operator cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// The configuration does not fit.
    #[error("operator {name}: {}", problems.join("; "))]
    Config {
        /// The operator.
        name: String,
        /// One line each.
        problems: Vec<String>,
    },
    /// The first instance cannot be made, or its `open` refused.
    #[error("{0}")]
    Start(String),
    /// The host is at fault.
    #[error("the thread that keeps time limits cannot be started: {0}")]
    Ticker(#[from] std::io::Error),
}

/// One operator on one subtask.
pub struct WasmOperator {
    prepared: Prepared,
    name: String,
    config: Arc<BTreeMap<String, String>>,
    limits: OperatorLimits,
    keeps_key: Vec<bool>,
    state: Option<SharedState>,
    voice: SharedVoice,
    instance: Option<Instance>,
    /// Used instances that were thrown away.
    recycled: u64,
    _ticking: TickerUse,
}

impl WasmOperator {
    pub(crate) fn start(prepared: Prepared, options: OperatorOptions) -> Result<WasmOperator, OperatorError> {
        let OperatorOptions { name, config, limits, keeps_key, state, guest } = options;
        let problems = prepared.check_config(&config);
        if !problems.is_empty() {
            return Err(OperatorError::Config { name, problems });
        }
        let keeps_key = match prepared.world() {
            World::Mapper => vec![keeps_key],
            World::Processor => prepared.description().outputs.iter().map(|port| port.keeps_key).collect(),
        };
        let ticking = prepared.engine().start_ticking()?;
        let mut operator = WasmOperator {
            config: Arc::new(config_check::with_defaults(prepared.config_keys(), &config)),
            voice: SharedVoice::new(guest, &limits),
            instance: None,
            recycled: 0,
            _ticking: ticking,
            prepared,
            name,
            limits,
            keeps_key,
            state,
        };
        operator.instance = Some(operator.fresh_instance().map_err(OperatorError::Start)?);
        Ok(operator)
    }

    /// A new instance, opened if it is a processor.
    fn fresh_instance(&self) -> Result<Instance, String> {
        let exports = self.prepared.exports();
        let (config, voice) = (self.config.clone(), self.voice.clone());
        let data = StoreData::new(config, voice, self.state.clone(), &self.limits);
        let started = Instance::start(self.prepared.instantiate_pre(), exports, data, &self.limits);
        let mut instance =
            started.map_err(|failure| format!("operator {} cannot be started: {failure}", self.name))?;
        let Some(open) = exports.open else {
            self.voice.get().metrics.apply();
            return Ok(instance);
        };
        let opened = instance.ask::<Result<(), String>>(open, Activity::Opening, self.limits.call);
        let refusal = match opened {
            Ok(Ok(())) => {
                self.voice.get().metrics.apply();
                return Ok(instance);
            }
            Ok(Err(message)) => instance.refused(&message).message,
            Err(failure) => failure.to_string(),
        };
        self.voice.get().metrics.discard();
        Err(format!("operator {} refused to open: {refusal}", self.name))
    }

    /// Bytes of linear memory of the current instance; 0 where there is none.
    pub fn memory_bytes(&self) -> usize {
        self.instance.as_ref().map_or(0, Instance::memory_bytes)
    }

    /// Calls the instance of the moment, or a fresh one. It is kept only if the call succeeds.
    fn call_instance(
        &mut self,
        call: impl FnOnce(&mut Instance, &CallRules<'_>) -> Result<Output, CallFailure>,
    ) -> Result<Output, CallError> {
        // Taken out, so that whatever ends this call early leaves no used instance behind.
        let mut instance = match self.instance.take() {
            Some(instance) => instance,
            None => self.fresh_instance().map_err(CallError::Broken)?,
        };
        match call(&mut instance, &CallRules { limits: &self.limits, keeps_key: &self.keeps_key }) {
            Ok(output) => {
                self.voice.get().metrics.apply();
                match instance.memory_bytes() <= self.limits.memory_recycle_bytes {
                    true => self.instance = Some(instance),
                    false => self.recycled += 1,
                }
                Ok(output)
            }
            Err(failure) => {
                self.voice.get().metrics.discard();
                self.recycled += 1;
                Err(failure.into())
            }
        }
    }
}

impl Operator for WasmOperator {
    fn call(&mut self, input: &Batch, slots: &Slots, context: CallContext) -> Result<Output, CallError> {
        // The contract promises a guest at least one row.
        if input.rows == 0 {
            return Ok(Output::default());
        }
        self.call_instance(|instance, rules| instance.process(input, slots, &context, rules))
    }

    fn on_timers(
        &mut self,
        timer: &str,
        fired: &Batch,
        slots: &Slots,
        context: CallContext,
    ) -> Result<Output, CallError> {
        if fired.rows == 0 {
            return Ok(Output::default());
        }
        self.call_instance(|instance, rules| instance.on_timers(timer, fired, slots, &context, rules))
    }

    fn set_limits(&mut self, limits: &OperatorLimits) {
        // An instance's memory has the limit that it was made with.
        if limits.memory_bytes != self.limits.memory_bytes {
            self.reset();
        }
        self.limits = limits.clone();
    }

    fn reset(&mut self) {
        self.recycled += u64::from(self.instance.take().is_some());
    }

    fn instance_use(&self) -> InstanceUse {
        InstanceUse { memory_bytes: self.memory_bytes() as u64, recycled: self.recycled }
    }
}
