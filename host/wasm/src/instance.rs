//! One instance of a component under its limits: started, called, thrown away.

use crate::abi::{LoweredBatch, ProcessParameters, ProcessResults};
use crate::failure::{classify, failure};
use crate::one_line::clean_line;
use crate::prepared::Exports;
use crate::store_data::{SharedVoice, StoreData};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use wasmtime::component::{ComponentExportIndex, Func, InstancePre, Lift, TypedFunc};
use wasmtime::{Store, UpdateDeadline};
use weir_protocol::batch::Batch;
use weir_protocol::connector::{CallContext, CallFailure, FailureKind};
use weir_protocol::output::{Output, OutputRules};
use weir_protocol::plan::OperatorLimits;

/// A reason for a refused row is cut after this, says the contract.
const REASON_BYTES_MAX: usize = 1024;
/// What lifting an output may cost besides its bytes: the vectors' own size, and messages.
const LIFTING_SLACK_BYTES: usize = 1 << 20;

/// A running instance. After a failed call it must not be called again.
pub struct Instance {
    store: Store<StoreData>,
    instance: wasmtime::component::Instance,
    process: Func,
}

impl Instance {
    /// Makes an instance and finds the function to call. The guest's start functions run here.
    pub fn start(
        pre: &InstancePre<StoreData>,
        exports: &Exports,
        config: Arc<BTreeMap<String, String>>,
        voice: SharedVoice,
        limits: &OperatorLimits,
    ) -> Result<Instance, CallFailure> {
        let mut store = Store::new(pre.engine(), StoreData::new(config, voice, limits));
        store.limiter(|data| &mut data.memory);
        store.set_hostcall_fuel(limits.output_bytes.saturating_add(LIFTING_SLACK_BYTES));
        store.epoch_deadline_callback(|mut store| {
            let over = store.data_mut().time.tick();
            Ok(if over { UpdateDeadline::Interrupt } else { UpdateDeadline::Continue(1) })
        });
        begin_call(&mut store, limits.call);
        let instance = pre.instantiate(&mut store).map_err(|error| classify(&error, store.data()))?;
        let process = instance.get_func(&mut store, exports.process);
        let process = process.ok_or_else(|| failure(FailureKind::Trap, "the instance exports no process"))?;
        Ok(Instance { store, instance, process })
    }

    /// Checks that `process` has the type that the contract gives it. After this the type is taken for granted.
    pub fn check_process(&self) -> Result<(), wasmtime::Error> {
        self.process.typed::<ProcessParameters<'static>, ProcessResults>(&self.store).map(drop)
    }

    /// Calls a function without parameters: `describe`, `open`.
    pub fn ask<R: Lift + 'static>(
        &mut self,
        export: ComponentExportIndex,
        limit: Duration,
    ) -> Result<R, CallFailure> {
        begin_call(&mut self.store, limit);
        let answer = match self.instance.get_typed_func::<(), (R,)>(&mut self.store, export) {
            Ok(function) => function.call(&mut self.store, ()),
            Err(error) => Err(error),
        };
        answer.map(|(answer,)| answer).map_err(|error| classify(&error, self.store.data()))
    }

    /// Handles one batch and checks what came back.
    pub fn process(
        &mut self,
        input: &Batch,
        context: &CallContext,
        limits: &OperatorLimits,
        keeps_key: &[bool],
    ) -> Result<Output, CallFailure> {
        begin_call(&mut self.store, context.time.unwrap_or(limits.call));
        // SAFETY: `check_process` has compared this function's type with the same record types, whose layout does not
        // depend on the lifetime of the borrowed bytes.
        let process =
            unsafe { TypedFunc::<ProcessParameters<'_>, ProcessResults>::new_unchecked(self.process) };
        let (result,) = process
            .call(&mut self.store, (LoweredBatch::new(input, context),))
            .map_err(|error| classify(&error, self.store.data()))?;
        let lifted = result.map_err(|message| self.refused(&message))?;
        let mut output = Output::from(lifted);
        for rejection in &mut output.rejections {
            rejection.reason = clean_line(rejection.reason.as_bytes(), REASON_BYTES_MAX);
        }
        let size = output.size_bytes();
        if size > limits.output_bytes {
            let problem = format!("the call returned {size} bytes, its limit is {}", limits.output_bytes);
            return Err(failure(FailureKind::OutputLimit, &problem));
        }
        output
            .check(OutputRules { input_rows: input.rows, keeps_key })
            .map_err(|bad| failure(FailureKind::BadOutput, &bad.to_string()))?;
        Ok(output)
    }

    /// The failure of a call that returned `err`.
    pub fn refused(&self, message: &str) -> CallFailure {
        // Half a line of the console is worth seeing; the guest's own words are the message.
        self.store.data().voice.get().log.end_failed_call();
        failure(FailureKind::Error, if message.is_empty() { "the operator gave no reason" } else { message })
    }

    /// Bytes of linear memory.
    pub fn memory_bytes(&self) -> usize {
        self.store.data().memory.bytes()
    }
}

fn begin_call(store: &mut Store<StoreData>, limit: Duration) {
    store.data_mut().begin_call(limit);
    store.set_epoch_deadline(1);
}
