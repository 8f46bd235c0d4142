//! Timers that fire: one call at a time, so that barriers pass between the attempts of a search for the timer at fault.
//!
//! A call that fails leaves its timers set. The search then asks for fewer of them, as it does for rows, within
//! `limits.search`; the timer at fault is the operator's error policy's. What the search knows is kept between the calls
//! and forgotten when other timers come up than the ones that it began with.

use super::{Handled, Moment, OperatorTask, push_output};
use crate::keyed_calls::KeyedCalls;
use std::time::Duration;
use weir_protocol::batch::Batch;
use weir_protocol::connector::{CallContext, CallFailure, ConnectorError, FailureKind};
use weir_protocol::error_policy::FailedRow;
use weir_protocol::output::Output;
use weir_protocol::poison::{Attempt, Search, SearchLimits};

/// A timer's time and key: timers of one name fire in this order.
pub type TimerPlace = (i64, Option<Vec<u8>>);

/// What one call for timers came to.
#[derive(Debug)]
pub enum Fired {
    /// None is due: there was no call.
    NotDue,
    /// The call failed and left no trace; fewer timers are tried next.
    Failed,
    /// They have fired, or the error policy has dealt with them.
    Done(Box<FiredRound>),
}

/// Timers that have fired.
#[derive(Debug)]
pub struct FiredRound {
    /// What became of them.
    pub handled: Handled,
    /// The first of them.
    pub first: TimerPlace,
    /// There may be more that are due: the call took as many as it may.
    pub full: bool,
}

/// A search under way, of one declared timer.
pub(super) struct TimerSearch {
    /// The declaration.
    timer: usize,
    /// The timers of the call that failed.
    places: Vec<TimerPlace>,
    search: Search,
}

impl TimerSearch {
    /// The next attempt, if these timers are the next that it is about.
    fn attempt(&self, fired: &Batch) -> Option<Attempt> {
        let attempt = self.search.next_attempt()?;
        let expected = &self.places[attempt.rows.clone()];
        let is_same = |(row, place): (usize, &TimerPlace)| place_of(fired, row) == *place;
        (fired.rows == expected.len() && expected.iter().enumerate().all(is_same)).then_some(attempt)
    }
}

fn place_of(fired: &Batch, row: usize) -> TimerPlace {
    (fired.timestamp(row), fired.keys.get(row).map(<[u8]>::to_vec))
}

impl OperatorTask {
    /// One call for timers of one declaration: those that are due until `until_ms`, at most a batch of them.
    pub fn fire(
        &mut self,
        timer: (usize, &str),
        until_ms: i64,
        moment: Moment,
    ) -> Result<Fired, ConnectorError> {
        let result = self.fire_some(timer, until_ms, moment);
        self.blamed(result)
    }

    fn fire_some(
        &mut self,
        timer: (usize, &str),
        until_ms: i64,
        moment: Moment,
    ) -> Result<Fired, ConnectorError> {
        let rows_max = self.options.spec.limits.batch_rows_max;
        let searched = self.timer_search_of(timer.0).and_then(|search| search.search.next_attempt());
        let asked = searched.map_or(rows_max, |attempt| attempt.rows.len());
        let Some(mut fired) = self.due(timer.0, until_ms, asked)? else { return Ok(Fired::NotDue) };
        let attempt = self.timer_search_of(timer.0).and_then(|search| search.attempt(&fired));
        if attempt.is_none() && self.timer_search_of(timer.0).is_some() {
            self.timer_searches.retain(|search| search.timer != timer.0);
            match self.due(timer.0, until_ms, rows_max)? {
                Some(all) => fired = all,
                None => return Ok(Fired::NotDue),
            }
        }
        let full = fired.rows == attempt.as_ref().map_or(rows_max, |attempt| attempt.rows.len());
        if attempt.as_ref().is_some_and(|attempt| attempt.fresh) {
            self.operator.reset();
        }
        let time = attempt.and_then(|attempt| attempt.time);
        let before = self.options.clock.thread_cpu();
        let result = self.call_timers(timer.1, &fired, moment, time)?;
        let took = self.options.clock.thread_cpu().saturating_sub(before);
        let first = place_of(&fired, 0);
        let done = |handled| Ok(Fired::Done(Box::new(FiredRound { handled, first, full })));
        match result {
            Ok((output, failed)) => {
                self.timer_search_passed(timer.0, took);
                let rows = fired.rows as u64;
                let mut handled = Handled::default();
                self.refuse(&fired, &failed, (moment, Some(timer.1)), &mut handled)?;
                self.count(moment.now_ms, rows, failed.len() as u64)?;
                self.put_out(&output);
                push_output(&mut handled, fired, output, self.options.ports);
                done(handled)
            }
            Err(failure) => match self.timer_search_failed(timer, &fired, &failure, took)? {
                None => Ok(Fired::Failed),
                Some(at_fault) => {
                    let mut handled = Handled::default();
                    if let Some(keyed) = &mut self.keyed {
                        keyed.state().drop_due(&[0])?;
                    }
                    let message = format!("timer {}: {}", timer.1, at_fault.message);
                    let at_fault = FailedRow { row: 0, kind: at_fault.kind, message };
                    self.refuse(&fired, &[at_fault], (moment, Some(timer.1)), &mut handled)?;
                    self.count(moment.now_ms, 1, 1)?;
                    done(handled)
                }
            },
        }
    }

    fn due(&mut self, timer: usize, until_ms: i64, rows_max: usize) -> Result<Option<Batch>, ConnectorError> {
        let Some(keyed) = &mut self.keyed else { return Ok(None) };
        let fired = keyed.state().due(timer, until_ms, rows_max)?;
        Ok((fired.rows > 0).then_some(fired))
    }

    /// One call that either happens or does not. What no sink can take must leave no trace in the state, so that is a
    /// failure too.
    fn call_timers(
        &mut self,
        name: &str,
        fired: &Batch,
        moment: Moment,
        time: Option<Duration>,
    ) -> Result<Result<(Output, Vec<FailedRow>), CallFailure>, ConnectorError> {
        let Moment { port, now_ms, watermark_ms } = moment;
        if let Some(keyed) = &mut self.keyed {
            keyed.begin(fired, now_ms)?;
        }
        let context = CallContext { port, now_ms, watermark_ms, time };
        let slots = self.keyed.as_ref().map_or(&self.no_slots, KeyedCalls::slots);
        let before = self.starts();
        let result = self.operator.on_timers(name, fired, slots, context);
        let output = match self.called(before, result)? {
            Ok(output) => output,
            Err(failure) => return Ok(Err(failure)),
        };
        let (output, failed) = self.refused_rows(fired, output);
        let too_large = failed.iter().find(|failed| failed.kind == FailureKind::TooLarge);
        let Some(keyed) = &mut self.keyed else { return Ok(Ok((output, failed))) };
        if let Some(FailedRow { kind, message, .. }) = too_large {
            let failure = CallFailure { kind: *kind, message: message.clone() };
            keyed.discard()?;
            return Ok(Err(failure));
        }
        keyed.commit()?;
        Ok(Ok((output, failed)))
    }

    fn timer_search_of(&self, timer: usize) -> Option<&TimerSearch> {
        self.timer_searches.iter().find(|search| search.timer == timer)
    }

    fn timer_search_passed(&mut self, timer: usize, took: Duration) {
        if let Some(found) = self.timer_searches.iter_mut().find(|search| search.timer == timer) {
            found.search.passed(took);
        }
        self.timer_searches.retain(|search| search.search.next_attempt().is_some());
    }

    /// A call has failed: the search goes on, or begins. Returns the timer at fault once it is found: it stands alone.
    fn timer_search_failed(
        &mut self,
        timer: (usize, &str),
        fired: &Batch,
        failure: &CallFailure,
        took: Duration,
    ) -> Result<Option<FailedRow>, ConnectorError> {
        let spec = &self.options.spec;
        let Some(found) = self.timer_searches.iter_mut().find(|search| search.timer == timer.0) else {
            let limits = SearchLimits { call: spec.limits.call, search: spec.limits.search };
            let places = (0..fired.rows).map(|row| place_of(fired, row)).collect();
            let search = Search::new(fired.rows, failure, limits);
            self.timer_searches.push(TimerSearch { timer: timer.0, places, search });
            return Ok(None);
        };
        let judged = found.search.failed(failure, took);
        judged.map_err(|exhausted| {
            let at = super::place(fired, 0);
            ConnectorError::permanent(format!(
                "operator {}, timer {} at {at}: {exhausted}",
                spec.name, timer.1
            ))
        })?;
        let at_fault = found.search.take_failed().pop();
        self.timer_searches.retain(|search| search.search.next_attempt().is_some());
        Ok(at_fault)
    }
}
