//! One instance of a component under its limits: started, called, thrown away.

use crate::abi::{LoweredBatch, OnTimersParameters, ProcessParameters, ProcessResults};
use crate::failure::{classify, failure};
use crate::migration_abi::{self, MigrateParameters, MigrateResults};
use crate::one_line::clean_line;
use crate::prepared::Exports;
use crate::state_access::Activity;
use crate::store_data::StoreData;
use std::time::Duration;
use wasmtime::component::{ComponentExportIndex, Func, InstancePre, Lift, TypedFunc};
use wasmtime::{Store, UpdateDeadline};
use weir_protocol::batch::Batch;
use weir_protocol::connector::{CallContext, CallFailure, FailureKind};
use weir_protocol::output::{BadOutput, Output, OutputRules};
use weir_protocol::plan::OperatorLimits;
use weir_protocol::slots::Slots;
use weir_protocol::state::{Entries, Migrated, StateKind};

/// A reason for a refused row is cut after this, says the contract.
const REASON_BYTES_MAX: usize = 1024;
/// What lifting an output may cost besides its bytes: the vectors' own size, and messages.
const LIFTING_SLACK_BYTES: usize = 1 << 20;

/// A running instance. After a failed call it must not be called again.
pub struct Instance {
    store: Store<StoreData>,
    instance: wasmtime::component::Instance,
    process: Func,
    on_timers: Option<Func>,
    migrate: Option<Func>,
}

/// What a call's output may be.
pub struct CallRules<'a> {
    /// The operator's limits.
    pub limits: &'a OperatorLimits,
    /// Per output port: does it promise to keep the key?
    pub keeps_key: &'a [bool],
}

impl Instance {
    /// Makes an instance and finds the functions to call. The guest's start functions run here.
    pub fn start(
        pre: &InstancePre<StoreData>,
        exports: &Exports,
        data: StoreData,
        limits: &OperatorLimits,
    ) -> Result<Instance, CallFailure> {
        let mut store = Store::new(pre.engine(), data);
        store.limiter(|data| &mut data.memory);
        // What one function of the contract may hand over at once. An output has its own check behind it.
        let handed_over = match exports.on_timers {
            Some(_) => limits.output_bytes.max(limits.state_writes_bytes),
            None => limits.output_bytes,
        };
        store.set_hostcall_fuel(handed_over.saturating_add(LIFTING_SLACK_BYTES));
        store.epoch_deadline_callback(|mut store| {
            let over = store.data_mut().time.tick();
            Ok(if over { UpdateDeadline::Interrupt } else { UpdateDeadline::Continue(1) })
        });
        begin_call(&mut store, Activity::Starting, limits.call);
        let instance = pre.instantiate(&mut store).map_err(|error| classify(&error, store.data()))?;
        let process = instance.get_func(&mut store, exports.process);
        let process = process.ok_or_else(|| failure(FailureKind::Trap, "the instance exports no process"))?;
        let on_timers = exports.on_timers.and_then(|export| instance.get_func(&mut store, export));
        let migrate = exports.migrate.and_then(|export| instance.get_func(&mut store, export));
        Ok(Instance { store, instance, process, on_timers, migrate })
    }

    /// Checks that the functions that are called with borrowed columns have the types that the contract gives them.
    /// After this the types are taken for granted. An error comes with the function's name.
    pub fn check_types(&self) -> Result<(), (&'static str, wasmtime::Error)> {
        let store = &self.store;
        let process = self.process.typed::<ProcessParameters<'static>, ProcessResults>(store);
        process.map_err(|error| ("process", error))?;
        if let Some(on_timers) = self.on_timers {
            let on_timers = on_timers.typed::<OnTimersParameters<'static>, ProcessResults>(store);
            on_timers.map_err(|error| ("on-timers", error))?;
        }
        if let Some(migrate) = self.migrate {
            let migrate = migrate.typed::<MigrateParameters<'static>, MigrateResults>(store);
            migrate.map_err(|error| ("migrate", error))?;
        }
        Ok(())
    }

    /// Calls a function without parameters: `describe`, `open`.
    pub fn ask<R: Lift + 'static>(
        &mut self,
        export: ComponentExportIndex,
        activity: Activity,
        limit: Duration,
    ) -> Result<R, CallFailure> {
        begin_call(&mut self.store, activity, limit);
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
        slots: &Slots,
        context: &CallContext,
        rules: &CallRules<'_>,
    ) -> Result<Output, CallFailure> {
        begin_call(&mut self.store, Activity::Processing, context.time.unwrap_or(rules.limits.call));
        // SAFETY: `check_types` has compared this function's type with the same record types, whose layout does not
        // depend on the lifetime of the borrowed bytes.
        let process =
            unsafe { TypedFunc::<ProcessParameters<'_>, ProcessResults>::new_unchecked(self.process) };
        let answer = process.call(&mut self.store, (LoweredBatch::new(input, slots, context),));
        self.checked(answer, rules, input.rows, false)
    }

    /// Handles timers that have fired and checks what came back.
    pub fn on_timers(
        &mut self,
        timer: &str,
        fired: &Batch,
        slots: &Slots,
        context: &CallContext,
        rules: &CallRules<'_>,
    ) -> Result<Output, CallFailure> {
        let Some(on_timers) = self.on_timers else {
            return Err(failure(FailureKind::Trap, "the instance exports no on-timers"));
        };
        begin_call(&mut self.store, Activity::Firing, context.time.unwrap_or(rules.limits.call));
        // SAFETY: as in `process`.
        let on_timers =
            unsafe { TypedFunc::<OnTimersParameters<'_>, ProcessResults>::new_unchecked(on_timers) };
        let answer = on_timers.call(&mut self.store, (timer, LoweredBatch::new(fired, slots, context)));
        self.checked(answer, rules, fired.rows, true)
    }

    fn checked(
        &self,
        answer: wasmtime::Result<ProcessResults>,
        rules: &CallRules<'_>,
        input_rows: usize,
        from_timers: bool,
    ) -> Result<Output, CallFailure> {
        let (result,) = answer.map_err(|error| classify(&error, self.store.data()))?;
        let lifted = result.map_err(|message| self.refused(&message))?;
        let mut output = Output::from(lifted);
        for rejection in &mut output.rejections {
            rejection.reason = clean_line(rejection.reason.as_bytes(), REASON_BYTES_MAX);
        }
        check_size(output.size_bytes(), rules.limits)?;
        let rules = OutputRules { input_rows, keeps_key: rules.keeps_key, from_timers };
        output.check(rules).map_err(bad_output)?;
        Ok(output)
    }

    /// Rewrites one page of a state of this kind and checks what came back.
    pub fn migrate(
        &mut self,
        state: &str,
        from_version: u32,
        kind: StateKind,
        page: &Entries,
        limits: &OperatorLimits,
    ) -> Result<Migrated, CallFailure> {
        let Some(migrate) = self.migrate else {
            return Err(failure(FailureKind::Trap, "the instance exports no migrate"));
        };
        begin_call(&mut self.store, Activity::Migrating, limits.call);
        // SAFETY: as in `process`.
        let migrate = unsafe { TypedFunc::<MigrateParameters<'_>, MigrateResults>::new_unchecked(migrate) };
        let (result,) = migrate
            .call(&mut self.store, (state, from_version, page.into()))
            .map_err(|error| classify(&error, self.store.data()))?;
        let migrated = Migrated::from(result.map_err(|message| self.refused(&message))?);
        check_size(migration_abi::size_bytes(&migrated), limits)?;
        migration_abi::check(&migrated, page.count, kind).map_err(bad_output)?;
        Ok(migrated)
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

fn begin_call(store: &mut Store<StoreData>, activity: Activity, limit: Duration) {
    store.data_mut().begin_call(activity, limit);
    store.set_epoch_deadline(1);
}

fn bad_output(bad: BadOutput) -> CallFailure {
    failure(FailureKind::BadOutput, &bad.to_string())
}

fn check_size(size: usize, limits: &OperatorLimits) -> Result<(), CallFailure> {
    if size > limits.output_bytes {
        let problem = format!("the call returned {size} bytes, its limit is {}", limits.output_bytes);
        return Err(failure(FailureKind::OutputLimit, &problem));
    }
    Ok(())
}
