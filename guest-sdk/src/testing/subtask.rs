//! A keyed operator under test: one subtask with its state, its timers and its clocks, all in the test's hands.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use super::outcome::{self, Outcome};
use super::sample::SampleRecord;
use super::store::{Key, Store};
use super::{check, columns, swap};
use crate::bindings::types::{Batch, Output};
use crate::codec::Codec;
use crate::declaration::{Description, TimerClock, World};
use crate::imports;
use crate::operator::Operator;

/// How often timers may set timers that fire at once, before the operator is taken for one that never ends.
const TIMER_CALLS_MAX: usize = 10_000;

/// One subtask of an operator. Every call gets a fresh instance, because the host may do the same: what must last is in
/// the state.
pub struct Subtask<T> {
    config: BTreeMap<String, String>,
    store: Store,
    now: i64,
    watermark: i64,
    operator: PhantomData<T>,
}

impl<T: Operator> Subtask<T> {
    /// An operator without configuration of its own, no watermark yet, and a clock at 0. Panics with what the host
    /// would report.
    pub fn new() -> Self {
        Self::with_config([])
    }

    /// The same with these configuration keys.
    pub fn with_config<'a>(config: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let config = config.into_iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        expect(Self::open(&config))
    }

    /// The same. An `Err` is what the host would report.
    pub(super) fn open(config: &BTreeMap<String, String>) -> Result<Self, String> {
        let config = checked_config(&T::DESCRIPTION, config)?;
        let mut subtask =
            Subtask { config, store: Store::default(), now: 0, watermark: i64::MIN, operator: PhantomData };
        subtask.store.declare(&T::DESCRIPTION);
        subtask.hosted(|| Ok(())).map(|_| subtask)
    }

    pub(super) fn set_clocks(&mut self, now: i64, watermark: i64) {
        (self.now, self.watermark) = (now, watermark);
    }

    /// Gives it a batch on its first input port. Panics if the call fails.
    pub fn process(&mut self, records: impl IntoIterator<Item = SampleRecord>) -> Outcome {
        expect(self.try_process(records))
    }

    /// The same; an `Err` is a failed call, which leaves no trace.
    pub fn try_process(
        &mut self,
        records: impl IntoIterator<Item = SampleRecord>,
    ) -> Result<Outcome, String> {
        self.send(0, &records.into_iter().collect::<Vec<_>>())
    }

    /// Gives it a batch on a named input port. Panics if there is none, or if the call fails.
    pub fn process_on(&mut self, input: &str, records: impl IntoIterator<Item = SampleRecord>) -> Outcome {
        let port = T::DESCRIPTION.inputs.iter().position(|name| *name == input);
        let port = port.unwrap_or_else(|| panic!("no input port \"{input}\" is declared"));
        expect(self.send(port, &records.into_iter().collect::<Vec<_>>()))
    }

    pub(super) fn send(&mut self, port: usize, records: &[SampleRecord]) -> Result<Outcome, String> {
        if records.is_empty() {
            return self.hosted(|| Ok(())).map(|(_, outcome)| outcome);
        }
        self.call(columns::batch(port, records, self.now, self.watermark), T::process)
    }

    /// Moves the watermark and fires the event-time timers that it reaches, in order of time, then of key. What comes of
    /// several calls is one outcome. Panics if a call fails, or if the watermark goes down.
    pub fn advance_watermark(&mut self, milliseconds: i64) -> Outcome {
        assert!(milliseconds >= self.watermark, "the watermark never goes down");
        self.watermark = milliseconds;
        expect(self.fire(TimerClock::EventTime, milliseconds))
    }

    /// Moves processing time and fires the processing-time timers that it reaches, as
    /// [`advance_watermark`](Self::advance_watermark) does.
    pub fn advance_time(&mut self, milliseconds: i64) -> Outcome {
        assert!(milliseconds >= self.now, "processing time never goes down");
        self.now = milliseconds;
        expect(self.fire(TimerClock::ProcessingTime, milliseconds))
    }

    /// The end of a bounded input: all event-time timers fire.
    pub fn end_input(&mut self) -> Outcome {
        self.advance_watermark(i64::MAX)
    }

    /// The value of a value state under a key.
    pub fn value<V: Codec>(&self, state: &str, key: impl AsRef<[u8]>) -> Option<V> {
        let bytes = self.store.read(state, &Some(key.as_ref().to_vec()), &[]);
        bytes.map(|bytes| expect(V::decode(bytes)))
    }

    /// Number of entries that a state keeps, those past their time to live among them.
    pub fn entries(&self, state: &str) -> usize {
        self.store.entries.keys().filter(|(name, ..)| name == state).count()
    }

    /// The times of a declaration's timers, in order.
    pub fn timers(&self, timer: &str) -> Vec<i64> {
        self.store.timers.iter().filter(|(name, ..)| name == timer).map(|(_, time, _)| *time).collect()
    }

    /// How often the operator asked the host for state and timers, so far.
    pub fn imports_called(&self) -> usize {
        self.store.imports_called
    }

    /// Bounds the pages of scans, so that a test needs few entries to fill one.
    pub fn set_page_bytes_max(&mut self, bytes: usize) {
        self.store.page_bytes_max = bytes;
    }

    /// Puts another version in this one's place, with the host's rules: it takes over state and timers, migrated where
    /// a version was raised. An `Err` is why the host would refuse.
    pub fn swap<Next: Operator>(self) -> Result<Subtask<Next>, String> {
        let mut next = Subtask::<Next>::open(&self.config)?;
        next.set_clocks(self.now, self.watermark);
        next.store = swap::take_over::<Next>(self.store, &T::DESCRIPTION)?;
        Ok(next)
    }

    fn fire(&mut self, clock: TimerClock, until: i64) -> Result<Outcome, String> {
        let mut outcome = Outcome::default();
        for _ in 0..TIMER_CALLS_MAX {
            let Some((timer, due)) = self.due(clock, until) else { return Ok(outcome) };
            let before = self.store.timers.clone();
            for (time, key) in &due {
                self.store.timers.remove(&(timer.to_string(), *time, key.clone()));
            }
            let fired = columns::fired(&due, self.now, self.watermark);
            let later = self.call(fired, |batch| T::on_timers(timer, batch));
            outcome = outcome.followed_by(later.inspect_err(|_| self.store.timers = before)?);
        }
        Err(format!("timers fired in {TIMER_CALLS_MAX} calls, and there are still some that are due"))
    }

    /// The due timers of the first declaration that has any.
    fn due(&self, clock: TimerClock, until: i64) -> Option<(&'static str, Vec<(i64, Key)>)> {
        let timers = T::DESCRIPTION.timers.iter().filter(|timer| timer.clock == clock);
        let mut due = timers.map(|timer| {
            let all = self.store.timers.iter().filter(|(name, time, _)| name == timer.name && *time <= until);
            (timer.name, all.map(|(_, time, key)| (*time, key.clone())).collect::<Vec<_>>())
        });
        due.find(|(_, timers)| !timers.is_empty())
    }

    /// Runs a call; if it fails, the state is as before.
    fn call(
        &mut self,
        mut batch: Batch,
        call: impl FnOnce(&Batch) -> Result<Output, String>,
    ) -> Result<Outcome, String> {
        if !T::DESCRIPTION.states.is_empty() || !T::DESCRIPTION.timers.is_empty() {
            let keys = columns::number_keys(&mut batch);
            self.store.begin_call(keys, self.now);
        }
        let before = self.store.clone();
        let outputs = T::DESCRIPTION.outputs;
        let answer = self.hosted(|| {
            let output = call(&batch)?;
            check::check(&batch, &output, outputs)?;
            Ok(output)
        });
        let (output, outcome) = answer.inspect_err(|_| self.store = before)?;
        let rejections = output.rejections.iter();
        Ok(Outcome {
            emitted: outcome::emitted(&batch, &output, outputs),
            rejections: rejections
                .map(|rejection| (rejection.row as usize, rejection.reason.clone()))
                .collect(),
            ..outcome
        })
    }

    /// Runs something in a fresh instance that has this subtask for its host.
    fn hosted<R>(&mut self, call: impl FnOnce() -> Result<R, String>) -> Result<(R, Outcome), String> {
        let host = imports::Host {
            config: self.config.clone(),
            store: std::mem::take(&mut self.store),
            ..imports::Host::default()
        };
        let before = imports::replace_host(host);
        let answer = T::open().and_then(|()| call());
        let host = imports::replace_host(before);
        self.store = host.store;
        let outcome =
            Outcome { logs: host.logs, counters: host.counters, gauges: host.gauges, ..Outcome::default() };
        Ok((answer?, outcome))
    }
}

impl<T: Operator> Default for Subtask<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// Panics with the message itself, which is meant for a person.
#[track_caller]
fn expect<R>(answer: Result<R, String>) -> R {
    answer.unwrap_or_else(|message| panic!("{message}"))
}

/// The given keys and the defaults of the others. A mapper declares nothing, so nothing of it is checked.
fn checked_config(
    description: &Description,
    given: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, String> {
    let mut config = given.clone();
    if description.world == World::Mapper {
        return Ok(config);
    }
    if let Some(name) = given.keys().find(|name| description.config.iter().all(|key| key.name != **name)) {
        return Err(format!("the operator has no configuration key \"{name}\""));
    }
    for key in description.config {
        if key.required && !given.contains_key(key.name) {
            return Err(format!("the configuration key \"{}\" is required", key.name));
        }
        config.entry(key.name.to_string()).or_insert_with(|| key.default.to_string());
    }
    Ok(config)
}
