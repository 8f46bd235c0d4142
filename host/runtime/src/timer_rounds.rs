//! Which timers fire next: one round is one call of one declaration, and barriers pass between rounds.
//!
//! A watermark that reaches an operator is passed on behind the output of the timers that it makes due. Over several
//! declarations timers fire in order of time: a round of one ends where another has an earlier timer.

use crate::operator_task::{Fired, Handled, Moment, OperatorTask, TimerPlace};
use std::collections::{BTreeMap, VecDeque};
use weir_protocol::connector::ConnectorError;
use weir_protocol::state::{OperatorShape, TimerClock};
use weir_protocol::watermark::Watermark;

/// What is to be done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Firing {
    /// A round of event-time timers.
    Fire {
        /// The operator of the plan.
        operator: usize,
        /// Its watermark.
        until_ms: i64,
    },
    /// All that were due have fired: the watermark goes on.
    PassOn {
        /// The operator of the plan.
        operator: usize,
        /// Its watermark.
        watermark: Watermark,
    },
}

/// A watermark that waits for timers.
#[derive(Debug)]
struct Pending {
    operator: usize,
    watermark: Watermark,
    /// All timers that it makes due have fired.
    fired: bool,
}

/// The rounds of one subtask.
pub struct TimerRounds {
    pending: VecDeque<Pending>,
    /// Per operator of this subtask.
    progress: Vec<((usize, TimerClock), Progress)>,
}

/// How timers get on while some are due: rows wait until none is. A guest that sets each timer anew at a time already
/// reached would keep them waiting for ever, so rounds in a row that are no step forward are counted. A round is one if its
/// first timer lies behind that of all rounds before, whatever the watermark or the clock has done meanwhile: timers
/// that are set every 100 ms may go over a jump of days.
#[derive(Debug, Default)]
struct Progress {
    /// Per declaration the highest first timer of a round.
    reached: BTreeMap<usize, TimerPlace>,
    /// Processing time until which nothing was left to fire: what is due before that was set at once.
    nothing_left_until_ms: Option<i64>,
    /// How little a round's first timer was behind the clock, at best.
    behind_min_ms: Option<i64>,
    /// Rounds in a row that were no step forward.
    stuck: u32,
}

impl Progress {
    /// A round whose first timer this was. `nothing_left`: it fired all that was due.
    fn round(
        &mut self,
        timer: usize,
        first: TimerPlace,
        clock: TimerClock,
        until_ms: i64,
        nothing_left: bool,
    ) {
        let behind_ms = until_ms.saturating_sub(first.0);
        // A timer that is always set to the present moves with the clock, and is never nearer to it.
        let keeps_pace = clock == TimerClock::ProcessingTime
            && self.nothing_left_until_ms.is_some_and(|until_ms| first.0 <= until_ms)
            && self.behind_min_ms.is_some_and(|least_ms| behind_ms >= least_ms);
        let goes_forward = self.reached.get(&timer).is_none_or(|reached| first > *reached);
        self.stuck = if goes_forward && !keeps_pace { 0 } else { self.stuck.saturating_add(1) };
        if goes_forward {
            self.reached.insert(timer, first);
        }
        self.behind_min_ms = Some(self.behind_min_ms.map_or(behind_ms, |least_ms| least_ms.min(behind_ms)));
        if nothing_left {
            self.nothing_left_until_ms = Some(until_ms);
        }
    }
}

impl TimerRounds {
    /// For the operators of one subtask.
    pub fn new(operators: impl Iterator<Item = usize>) -> TimerRounds {
        let clocks = [TimerClock::EventTime, TimerClock::ProcessingTime];
        let progress = operators
            .flat_map(|operator| clocks.map(|clock| ((operator, clock), Progress::default())))
            .collect();
        TimerRounds { pending: VecDeque::new(), progress }
    }

    /// An operator's watermark has moved.
    pub fn advance(&mut self, operator: usize, watermark: Watermark) {
        let fired = watermark == Watermark::Idle;
        self.pending.push_back(Pending { operator, watermark, fired });
    }

    /// What is next; none where rows may follow.
    pub fn next_step(&mut self) -> Option<Firing> {
        let pending = self.pending.front()?;
        let (operator, watermark) = (pending.operator, pending.watermark);
        if let (Watermark::At(until_ms), false) = (watermark, pending.fired) {
            return Some(Firing::Fire { operator, until_ms });
        }
        self.pending.pop_front();
        Some(Firing::PassOn { operator, watermark })
    }

    /// One round of an operator's event-time timers; none when no more are due.
    pub fn fire(
        &mut self,
        task: &mut OperatorTask,
        shape: &OperatorShape,
        until_ms: i64,
        moment: Moment,
    ) -> Result<Option<Handled>, ConnectorError> {
        let handled = self.round(task, shape, TimerClock::EventTime, until_ms, moment)?;
        if handled.is_none()
            && let Some(pending) = self.pending.front_mut()
        {
            pending.fired = true;
        }
        Ok(handled)
    }

    /// One round of an operator's timers that are due without its watermark having moved: by processing time, or set
    /// at a time that the watermark had reached already. None when there is none.
    pub fn fire_due(
        &mut self,
        task: &mut OperatorTask,
        shape: &OperatorShape,
        moment: Moment,
    ) -> Result<Option<Handled>, ConnectorError> {
        if let Some(handled) = self.round(task, shape, TimerClock::EventTime, moment.watermark_ms, moment)? {
            return Ok(Some(handled));
        }
        self.round(task, shape, TimerClock::ProcessingTime, moment.now_ms, moment)
    }

    fn round(
        &mut self,
        task: &mut OperatorTask,
        shape: &OperatorShape,
        clock: TimerClock,
        until_ms: i64,
        moment: Moment,
    ) -> Result<Option<Handled>, ConnectorError> {
        if shape.timers.iter().all(|timer| timer.clock != clock) {
            return Ok(None);
        }
        let fired = match earliest(task, shape, clock)? {
            Some(next) => {
                let end = until_ms.min(next.others_ms.unwrap_or(i64::MAX));
                let name = &shape.timers[next.timer].name;
                Some((next.timer, end, task.fire((next.timer, name), end, moment)?))
            }
            None => None,
        };
        let found = self.progress.iter_mut().find(|(of, _)| *of == (task.index(), clock));
        let Some((_, progress)) = found else { return Ok(None) };
        let (timer, end, round) = match fired {
            Some((timer, end, Fired::Done(round))) => (timer, end, round),
            // Barriers pass, and the search goes on.
            Some((_, _, Fired::Failed)) => return Ok(Some(Handled::default())),
            Some((_, _, Fired::NotDue)) | None => {
                *progress = Progress::default();
                return Ok(None);
            }
        };
        // What another declaration has cut short has left something.
        let nothing_left = !round.full && end == until_ms;
        progress.round(timer, round.first, clock, until_ms, nothing_left);
        let rounds_max = task.spec().limits.timer_rounds_max;
        if progress.stuck > rounds_max {
            let message = format!(
                "operator {}: timer {} sets timers that are due at once, for more than limits.timer_rounds_max = {rounds_max} rounds in a row; set them later than the watermark (or now), or raise the limit",
                task.spec().name,
                shape.timers[timer].name,
            );
            task.tally().stop(&message);
            return Err(ConnectorError::permanent(message));
        }
        Ok(Some(round.handled))
    }

    /// The time of the next timer that goes by processing time.
    pub fn next_processing_time(
        task: &mut OperatorTask,
        shape: &OperatorShape,
    ) -> Result<Option<i64>, ConnectorError> {
        if shape.timers.iter().all(|timer| timer.clock != TimerClock::ProcessingTime) {
            return Ok(None);
        }
        Ok(earliest(task, shape, TimerClock::ProcessingTime)?.map(|next| next.time_ms))
    }
}

/// The declaration whose turn it is.
struct Next {
    timer: usize,
    time_ms: i64,
    /// The earliest timer of any other declaration of the same clock.
    others_ms: Option<i64>,
}

fn earliest(
    task: &mut OperatorTask,
    shape: &OperatorShape,
    clock: TimerClock,
) -> Result<Option<Next>, ConnectorError> {
    let Some(keyed) = task.keyed() else { return Ok(None) };
    let mut next: Option<Next> = None;
    for (timer, _) in shape.timers.iter().enumerate().filter(|(_, timer)| timer.clock == clock) {
        let Some(time_ms) = keyed.state().next_due(timer)? else { continue };
        next = Some(match next.take() {
            None => Next { timer, time_ms, others_ms: None },
            Some(first) if first.time_ms <= time_ms => {
                let others_ms = Some(first.others_ms.map_or(time_ms, |other| other.min(time_ms)));
                Next { others_ms, ..first }
            }
            Some(first) => Next { timer, time_ms, others_ms: Some(first.time_ms) },
        });
    }
    Ok(next)
}
