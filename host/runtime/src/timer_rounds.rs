//! Which timers fire next: one round is one call of one declaration, and barriers pass between rounds.
//!
//! A watermark that reaches an operator is passed on behind the output of the timers that it makes due. Over several
//! declarations timers fire in order of time: a round of one ends where another has an earlier timer.

use crate::operator_task::{Handled, Moment, OperatorTask};
use std::collections::VecDeque;
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

/// How often all that was due had fired, and more was due again at the same time: timers that timers have set.
#[derive(Debug, Default)]
struct Progress {
    until_ms: i64,
    again: u32,
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
        let Some(next) = earliest(task, shape, clock)? else { return Ok(None) };
        let name = &shape.timers[next.timer].name;
        let end = until_ms.min(next.others_ms.unwrap_or(i64::MAX));
        let Some((handled, fired)) = task.fire((next.timer, name), end, moment)? else { return Ok(None) };
        let limits = &task.spec().limits;
        // A round that is not full, and that no other declaration has cut short, has fired all that was due.
        let all_fired = fired < limits.batch_rows_max && end == until_ms;
        let found = self.progress.iter_mut().find(|(of, _)| *of == (task.index(), clock));
        if let Some((_, progress)) = found {
            if progress.until_ms != until_ms {
                *progress = Progress { until_ms, again: 0 };
            }
            progress.again += u32::from(all_fired);
            if progress.again > limits.timer_rounds_max {
                return Err(ConnectorError::permanent(format!(
                    "operator {}: timer {name} sets timers that are due at once, for more than limits.timer_rounds_max = {} rounds in a row; set them later than the watermark (or now), or raise the limit",
                    task.spec().name,
                    limits.timer_rounds_max
                )));
            }
        }
        Ok(Some(handled))
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
