//! The operators: a mapper, and one that counts rows per key and per window and reminds of a key once.

use super::{Defect, Shared};
use crate::pipeline::{COUNT, names};
use crate::scenario::window_end;
use crate::versions::Version;
use std::sync::Arc;
use weir_protocol::batch::{Batch, Column, read_i64, read_u32};
use weir_protocol::connector::*;
use weir_protocol::output::{Output, Rejection};
use weir_protocol::slots::Slots;
use weir_protocol::state::{ColumnRef, KeyedState, Migrator, SharedState, StateError};
use weir_runtime::connect::{OperatorFactory, Operators};

/// How long after a key's first row its reminder comes, in milliseconds of processing time.
const REMIND_AFTER_MS: i64 = 30;

/// The operators, in the order of the plan.
pub fn all(outside: &Shared, version: Version) -> Operators {
    vec![Arc::new(MapFactory), Arc::new(CountFactory(outside.clone(), version))]
}

struct MapFactory;

impl OperatorFactory for MapFactory {
    fn digest(&self) -> &str {
        "00"
    }

    fn operator(&self, _: usize, _: Option<SharedState>) -> Result<Box<dyn Operator>, ConnectorError> {
        Ok(Box::new(Map))
    }

    fn migrator(&self) -> Result<Option<Box<dyn Migrator>>, ConnectorError> {
        Ok(None)
    }
}

/// Puts a prefix before each value.
struct Map;

impl Operator for Map {
    fn call(&mut self, input: &Batch, _: &Slots, _: CallContext) -> Result<Output, CallError> {
        let mut output = Output { count: input.rows as u32, ..Output::default() };
        for row in 0..input.rows {
            output.values.push(Some(&[b"mapped ", input.values.bytes(row)].concat()));
        }
        Ok(output)
    }

    fn on_timers(&mut self, name: &str, _: &Batch, _: &Slots, _: CallContext) -> Result<Output, CallError> {
        Err(CallError::Broken(format!("the mapper has no timer {name}")))
    }

    fn reset(&mut self) {}
}

struct CountFactory(Shared, Version);

impl OperatorFactory for CountFactory {
    fn digest(&self) -> &str {
        self.1.digest()
    }

    fn operator(&self, _: usize, state: Option<SharedState>) -> Result<Box<dyn Operator>, ConnectorError> {
        let state =
            state.ok_or_else(|| ConnectorError::permanent(format!("operator {COUNT} is given no state")))?;
        self.0.lock().may_fail("no instance can be made", 200)?;
        Ok(Box::new(Count { outside: self.0.clone(), state, version: self.1 }))
    }

    fn migrator(&self) -> Result<Option<Box<dyn Migrator>>, ConnectorError> {
        Ok(None)
    }
}

/// Counts.
struct Count {
    outside: Shared,
    state: SharedState,
    version: Version,
}

fn misuse(error: StateError) -> CallError {
    CallFailure { kind: FailureKind::Trap, message: error.to_string() }.into()
}

/// A column of one entry.
fn one(bytes: &[u8]) -> Column {
    let mut column = Column::default();
    column.push(Some(bytes));
    column
}

/// A column of one null: an entry that is removed.
fn nothing() -> Column {
    let mut column = Column::default();
    column.push(None);
    column
}

/// One key of a call.
struct Keyed<'a> {
    state: &'a mut dyn KeyedState,
    slot: &'a [u8],
}

impl Keyed<'_> {
    fn count(&mut self) -> Result<u32, StateError> {
        let found = self.state.value_get_many(names::COUNT, self.slot)?;
        let count = found.get(0).map_or(0, |bytes| read_u32(bytes, 0)) + 1;
        let count_column = one(&count.to_le_bytes());
        self.state.value_put_many(names::COUNT, self.slot, (&count_column).into())?;
        Ok(count)
    }

    /// Notes the processing time, and returns one that was seen before and is higher.
    fn seen(&mut self, now_ms: i64) -> Result<Option<i64>, StateError> {
        let found = self.state.value_get_many(names::SEEN, self.slot)?;
        let before = found.get(0).map(|bytes| read_i64(bytes, 0));
        let now = one(&now_ms.to_le_bytes());
        self.state.value_put_many(names::SEEN, self.slot, (&now).into())?;
        Ok(before.filter(|before| *before > now_ms))
    }

    fn window(&mut self, end: i64) -> Result<u32, StateError> {
        let subkey = one(&end.to_be_bytes());
        let found = self.state.map_get_many(names::WINDOWS, self.slot, (&subkey).into())?;
        Ok(found.get(0).map_or(0, |bytes| read_u32(bytes, 0)))
    }

    fn put_window(&mut self, end: i64, count: &Column) -> Result<(), StateError> {
        let subkey = one(&end.to_be_bytes());
        let count: ColumnRef<'_> = count.into();
        self.state.map_put_many(names::WINDOWS, self.slot, (&subkey).into(), count)
    }

    fn row(&mut self, text: &str, timestamp: i64, context: CallContext) -> Result<String, StateError> {
        let count = self.count()?;
        if count == 1 {
            let at = context.now_ms + REMIND_AFTER_MS;
            self.state.timer_register_many(names::REMIND, self.slot, &at.to_le_bytes())?;
        }
        if let Some(before) = self.seen(context.now_ms)? {
            return Ok(format!("back {} {before}", context.now_ms));
        }
        let end = window_end(timestamp);
        if end - 1 <= context.watermark_ms {
            return Ok(format!("late {text} {}", context.watermark_ms));
        }
        let in_window = self.window(end)? + 1;
        self.put_window(end, &one(&in_window.to_le_bytes()))?;
        self.state.timer_register_many(names::WINDOW, self.slot, &(end - 1).to_le_bytes())?;
        Ok(format!("row {text} {count}"))
    }

    fn fired(&mut self, timer: &str, time: i64) -> Result<String, StateError> {
        if timer == names::REMIND {
            return Ok("remind".to_owned());
        }
        let count = self.window(time + 1)?;
        self.put_window(time + 1, &nothing())?;
        Ok(format!("window {} {count}", time + 1))
    }
}

impl Count {
    /// The defect that operators would see.
    fn context(&self, mut context: CallContext) -> CallContext {
        if self.outside.lock().plants(Defect::TimeGoesDown, 5) {
            context.now_ms -= 1000;
        }
        context
    }

    /// What a bad version makes of whatever it is given.
    fn fails(&self, rows: usize) -> Option<Result<Output, CallError>> {
        if !self.version.is_bad() || self.outside.lock().plants(Defect::FailUnseen, 1) {
            return None;
        }
        if self.version == Version::Traps {
            return Some(Err(CallFailure { kind: FailureKind::Trap, message: "bad".to_owned() }.into()));
        }
        let reject = |row| Rejection { row, reason: "bad".to_owned() };
        let rejections = (0..rows as u32).map(reject).collect();
        Some(Ok(Output { rejections, ..Output::default() }))
    }
}

impl Operator for Count {
    fn call(&mut self, input: &Batch, slots: &Slots, context: CallContext) -> Result<Output, CallError> {
        let context = self.context(context);
        if let Some(failed) = self.fails(input.rows) {
            return failed;
        }
        let mut state = self.state.lock().expect("there is one thread");
        let mut output = Output { count: input.rows as u32, ..Output::default() };
        for row in 0..input.rows {
            let text = String::from_utf8_lossy(input.values.bytes(row)).into_owned();
            let slot = &slots.rows[row * 4..row * 4 + 4];
            let mut keyed = Keyed { state: state.as_mut(), slot };
            let text = text.trim_start_matches("mapped ");
            let result = keyed.row(text, input.timestamp(row), context).map_err(misuse)?;
            if text.starts_with("poison") {
                // Behind its writes: they must not be seen again.
                return Err(CallFailure { kind: FailureKind::Trap, message: "poison".to_owned() }.into());
            }
            let result = format!("{result} {}", self.version.digest());
            output.values.push(Some(result.as_bytes()));
        }
        Ok(output)
    }

    fn on_timers(
        &mut self,
        timer: &str,
        fired: &Batch,
        slots: &Slots,
        _: CallContext,
    ) -> Result<Output, CallError> {
        if let Some(failed) = self.fails(fired.rows) {
            return failed;
        }
        let mut state = self.state.lock().expect("there is one thread");
        let mut output = Output { count: fired.rows as u32, ..Output::default() };
        for row in 0..fired.rows {
            let slot = &slots.rows[row * 4..row * 4 + 4];
            let mut keyed = Keyed { state: state.as_mut(), slot };
            let result = keyed.fired(timer, fired.timestamp(row)).map_err(misuse)?;
            let result = format!("{result} {}", self.version.digest());
            output.values.push(Some(result.as_bytes()));
        }
        Ok(output)
    }

    fn reset(&mut self) {}
}
