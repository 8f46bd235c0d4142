//! The steps of one subtask put together as the plan says: a batch goes from the source or the exchange to every sink
//! and exchange that it reaches on one thread, by calling one step after the other.

use crate::exchange::{Element, ExchangeSender};
use crate::meters::{Meters, SubtaskMeters};
use crate::operator_task::{Handled, Moment, OperatorTask};
use crate::persist::FrozenPart;
use crate::sink_task::{Backpressure, SinkTask};
use crate::source_task::{SourceTask, Times};
use crate::state_opening::StateOpening;
use crate::successor::Successor;
use crate::timer_rounds::{Firing, TimerRounds};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use weir_protocol::align::Barrier;
use weir_protocol::batch::Batch;
use weir_protocol::connector::{ConnectorError, ErrorKind, Polled};
use weir_protocol::manifest::{PreparedHandle, SourceWatermark};
use weir_protocol::plan::{Downstream, OperatorLimits, Plan};
use weir_protocol::position::Positions;
use weir_protocol::state::StatePart;
use weir_protocol::watermark::{Watermark, WatermarkMerge};

/// Emptied batches that are kept for their memory.
const SPARE_BATCHES_MAX: usize = 4;

/// What a subtask hands over at the barrier.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// Per source of the plan the positions behind the barrier.
    pub positions: Vec<Positions>,
    /// How far event time had come in them.
    pub watermarks: Vec<SourceWatermark>,
    /// And at its operators, by index in the plan.
    pub operator_watermarks: Vec<(usize, i64)>,
    /// What its sinks have prepared.
    pub prepared: Vec<PreparedHandle>,
    /// The highest processing time given to operators.
    pub now_ms: i64,
    /// The state of its keyed operators, to be persisted beside the stream.
    pub frozen: Vec<FrozenPart>,
    /// How long the subtask stood still for it.
    pub froze: Duration,
}

/// What a chain is made of: the steps of a stage, each with its index in the plan.
pub struct ChainParts {
    /// The stage's subtask.
    pub subtask: usize,
    /// Sources.
    pub sources: Vec<(usize, SourceTask)>,
    /// Operators, and the ordinals that a keyed one owns.
    pub operators: Vec<(usize, OperatorTask, Range<u32>)>,
    /// Sinks.
    pub sinks: Vec<(usize, SinkTask)>,
    /// Exchanges that begin here.
    pub exchanges: Vec<(usize, ExchangeSender)>,
}

/// All steps of one subtask.
pub struct Chain {
    plan: Arc<Plan>,
    parts: ChainParts,
    meters: Arc<Meters>,
    own_meters: Arc<SubtaskMeters>,
    /// Per operator of the plan, over its inputs.
    merges: Vec<WatermarkMerge>,
    rounds: TimerRounds,
    spare: Vec<Batch>,
    now_ms: i64,
    /// Takes over at its barrier.
    successor: Option<Successor>,
    /// The state of this operator is opened anew before anything else is processed.
    reopening: Option<(usize, StateOpening)>,
}

impl Chain {
    /// A chain of a stage's steps. `meters` are those of the pipeline and of this subtask, `now_ms` is the highest
    /// processing time of the restored checkpoint.
    pub fn new(
        plan: Arc<Plan>,
        parts: ChainParts,
        meters: (Arc<Meters>, Arc<SubtaskMeters>),
        now_ms: i64,
    ) -> Chain {
        let merges = plan.inputs.iter().map(|inputs| WatermarkMerge::new(inputs.len())).collect();
        let rounds = TimerRounds::new(parts.operators.iter().map(|(operator, _, _)| *operator));
        Chain {
            plan,
            parts,
            meters: meters.0,
            own_meters: meters.1,
            merges,
            rounds,
            spare: Vec::new(),
            now_ms,
            successor: None,
            reopening: None,
        }
    }

    /// A new version of an operator, which takes over at its barrier.
    pub fn take_successor(&mut self, successor: Successor) {
        self.successor = Some(successor);
    }

    /// True while nothing may be processed: the new version's state is not open.
    pub fn is_reopening(&self) -> bool {
        self.reopening.is_some()
    }

    /// The checkpoint at whose barrier a new version took over is durable: opens its state, if it waits for that.
    pub fn reopen(&mut self, checkpoint: &Path, parts: &[StatePart]) -> Result<(), ConnectorError> {
        let Some((operator, opening)) = self.reopening.take() else { return Ok(()) };
        let task = self.operator(operator);
        let opened = opening.open(Some(checkpoint), parts);
        if let Err(error) = &opened
            && matches!(error.kind, ErrorKind::Permanent | ErrorKind::Refused)
        {
            task.tally().stop(&error.message);
        }
        let keyed = task.keyed().expect("only a keyed operator's state is opened anew");
        *keyed.state() = opened?;
        Ok(())
    }

    /// The limits of an operator from its next call on, if it runs here.
    pub fn set_limits(&mut self, operator: usize, limits: &OperatorLimits) {
        if let Some((_, task, _)) = self.parts.operators.iter_mut().find(|(index, _, _)| *index == operator) {
            task.set_limits(limits);
        }
    }

    /// The barrier of a swap: the old version is let go.
    fn swap(&mut self, barrier: Barrier) {
        let Some(mut successor) = self.successor.take_if(|successor| successor.behind == barrier.epoch)
        else {
            return;
        };
        self.plan = successor.plan.clone();
        let operator = successor.operator;
        self.reopening = successor.reopening.take().map(|opening| (operator, opening));
        self.operator(operator).replace(successor);
        weir_protocol::kill_point::reached("swap_switched");
    }

    /// Behind a restart: event time at an operator of this chain is where it was, and what it makes due fires.
    pub fn start_at(&mut self, operator: usize, watermark_ms: i64) {
        self.merges[operator].start_at(watermark_ms);
        self.rounds.advance(operator, Watermark::At(watermark_ms));
    }

    /// Number of sources.
    pub fn sources(&self) -> usize {
        self.parts.sources.len()
    }

    /// True once no source has anything left; a chain without sources has nothing of its own.
    pub fn has_ended(&self) -> bool {
        self.parts.sources.iter().all(|(_, source)| source.has_ended())
    }

    /// Time goes on. Operators see one that never goes down, whatever the clock does.
    pub fn now(&mut self, wall_ms: i64) {
        self.now_ms = self.now_ms.max(wall_ms);
    }

    fn times(&self, monotonic: Duration) -> Times {
        Times { now_ms: self.now_ms, monotonic }
    }

    /// Takes one batch from a source (by its number in this chain) without processing it.
    pub fn poll(
        &mut self,
        source: usize,
        wait: Duration,
        monotonic: Duration,
    ) -> Result<Option<Batch>, ConnectorError> {
        let mut batch = self.spare.pop().unwrap_or_default();
        let times = self.times(monotonic);
        let (polled, stamped) = self.parts.sources[source].1.poll(&mut batch, wait, times)?;
        self.meters.skewed_timestamps.add(stamped.skewed);
        self.meters.kept_timestamps.add(stamped.kept);
        if polled != Polled::Rows || batch.rows == 0 {
            self.recycle(batch);
            return Ok(None);
        }
        self.meters.records_in.add(batch.rows as u64);
        self.own_meters.records_in.add(batch.rows as u64);
        self.meters.bytes_in.add(batch.payload_bytes() as u64);
        if let Some(meters) = self.meters.sources.get(self.parts.sources[source].0) {
            meters.read.count(&batch);
        }
        self.meters.oldest_undecided.read(monotonic);
        Ok(Some(batch))
    }

    /// Takes a polled batch as far as it goes.
    pub fn process(
        &mut self,
        source: usize,
        batch: Batch,
        backpressure: Backpressure<'_>,
    ) -> Result<(), ConnectorError> {
        let (plan, index) = (self.plan.clone(), self.parts.sources[source].0);
        self.deliver(&plan, batch, &plan.from_source[index], backpressure)
    }

    /// Takes a batch that came through an exchange as far as it goes.
    pub fn process_exchanged(
        &mut self,
        exchange: usize,
        batch: Batch,
        backpressure: Backpressure<'_>,
    ) -> Result<(), ConnectorError> {
        self.own_meters.records_in.add(batch.rows as u64);
        let plan = self.plan.clone();
        let (operator, input) = plan.exchanges[exchange].to;
        self.consume(&plan, batch, Downstream::Operator(operator, input), backpressure)
    }

    fn deliver(
        &mut self,
        plan: &Plan,
        batch: Batch,
        consumers: &[Downstream],
        backpressure: Backpressure<'_>,
    ) -> Result<(), ConnectorError> {
        let Some((last, others)) = consumers.split_last() else {
            self.recycle(batch);
            return Ok(());
        };
        for consumer in others {
            self.consume(plan, batch.clone(), *consumer, backpressure)?;
        }
        self.consume(plan, batch, *last, backpressure)
    }

    fn consume(
        &mut self,
        plan: &Plan,
        batch: Batch,
        consumer: Downstream,
        backpressure: Backpressure<'_>,
    ) -> Result<(), ConnectorError> {
        match consumer {
            Downstream::Sink(sink) => self.write(sink, batch, backpressure),
            Downstream::Exchange(exchange) => {
                let found = self.parts.exchanges.iter_mut().find(|(index, _)| *index == exchange);
                found.expect("the plan puts an exchange into the stage that it begins in").1.send(batch)
            }
            Downstream::Operator(operator, input) => {
                let moment = self.moment(operator, plan.inputs[operator][input].port);
                if let Some(flow) = self.meters.operators[operator].inputs.get(moment.port as usize) {
                    flow.count(&batch);
                }
                let handled = self.operator(operator).handle(batch, moment)?;
                self.pass_on(plan, operator, handled, backpressure)
            }
        }
    }

    fn moment(&self, operator: usize, port: u32) -> Moment {
        Moment { port, now_ms: self.now_ms, watermark_ms: self.merges[operator].current_ms() }
    }

    fn operator(&mut self, operator: usize) -> &mut OperatorTask {
        let found = self.parts.operators.iter_mut().find(|(index, _, _)| *index == operator);
        &mut found.expect("the plan connects operators of one stage only").1
    }

    /// What an operator made of rows or timers goes on.
    fn pass_on(
        &mut self,
        plan: &Plan,
        operator: usize,
        handled: Handled,
        backpressure: Backpressure<'_>,
    ) -> Result<(), ConnectorError> {
        if let (Some(letters), Some(sink)) = (handled.dead_letters, plan.dead_letters[operator]) {
            self.write(sink, letters, backpressure)?;
        }
        for (port, output) in handled.outputs {
            if let Some(flow) = self.meters.operators[operator].outputs.get(port) {
                flow.count(&output);
            }
            self.deliver(plan, output, &plan.from_operator[operator][port], backpressure)?;
        }
        Ok(())
    }

    fn write(
        &mut self,
        sink: usize,
        batch: Batch,
        backpressure: Backpressure<'_>,
    ) -> Result<(), ConnectorError> {
        self.meters.records_out.add(batch.rows as u64);
        self.own_meters.records_out.add(batch.rows as u64);
        self.meters.bytes_out.add(batch.payload_bytes() as u64);
        if let Some(flow) = self.meters.sinks.get(sink) {
            flow.count(&batch);
        }
        let found = self.parts.sinks.iter_mut().find(|(index, _)| *index == sink);
        let task = &mut found.expect("the plan puts a sink into every stage that writes to it").1;
        if let Some(written) = task.write(batch, backpressure)? {
            self.recycle(written);
        }
        Ok(())
    }

    fn recycle(&mut self, mut batch: Batch) {
        if self.spare.len() < SPARE_BATCHES_MAX {
            batch.clear();
            self.spare.push(batch);
        }
    }

    /// Passes on what the sources of this chain say of event time now.
    pub fn advance_sources(&mut self, monotonic: Duration) {
        let (plan, times) = (self.plan.clone(), self.times(monotonic));
        for source in 0..self.parts.sources.len() {
            if let Some(watermark) = self.parts.sources[source].1.watermark(times) {
                let index = self.parts.sources[source].0;
                self.advance(&plan.from_source[index], watermark);
            }
        }
    }

    /// What the senders of an exchange say of event time now.
    pub fn advance_exchanged(&mut self, exchange: usize, watermark: Watermark) {
        let plan = self.plan.clone();
        let (operator, input) = plan.exchanges[exchange].to;
        self.advance(&[Downstream::Operator(operator, input)], watermark);
    }

    /// A watermark on its way: an operator first fires what it makes due, then passes it on.
    fn advance(&mut self, consumers: &[Downstream], watermark: Watermark) {
        for consumer in consumers {
            match *consumer {
                Downstream::Sink(_) => {}
                Downstream::Exchange(exchange) => {
                    if let Some((_, sender)) =
                        self.parts.exchanges.iter().find(|(index, _)| *index == exchange)
                    {
                        sender.broadcast(&Element::Watermark(watermark));
                    }
                }
                Downstream::Operator(operator, input) => {
                    let Some(merged) = self.merges[operator].update(input, watermark) else { continue };
                    if let Watermark::At(ms) = merged {
                        self.meters.operators[operator].set_watermark(self.parts.subtask, ms);
                    }
                    self.rounds.advance(operator, merged);
                }
            }
        }
    }

    /// Fires one round of timers, or passes one watermark on, if there is one of either. Returns false where there is
    /// neither: only then may rows follow.
    pub fn turn(&mut self, backpressure: Backpressure<'_>) -> Result<bool, ConnectorError> {
        let plan = self.plan.clone();
        if let Some(firing) = self.rounds.next_step() {
            match firing {
                Firing::PassOn { operator, watermark } => {
                    for consumers in &plan.from_operator[operator] {
                        self.advance(consumers, watermark);
                    }
                }
                Firing::Fire { operator, until_ms } => {
                    let moment = self.moment(operator, 0);
                    let Some((_, task, _)) =
                        self.parts.operators.iter_mut().find(|(index, _, _)| *index == operator)
                    else {
                        return Ok(false);
                    };
                    if let Some(handled) = self.rounds.fire(task, &plan.shapes[operator], until_ms, moment)? {
                        self.pass_on(&plan, operator, handled, backpressure)?;
                    }
                }
            }
            return Ok(true);
        }
        self.fire_due(&plan, backpressure)
    }

    /// One round of timers that are due although no watermark has moved.
    fn fire_due(&mut self, plan: &Plan, backpressure: Backpressure<'_>) -> Result<bool, ConnectorError> {
        for index in 0..self.parts.operators.len() {
            let (operator, task, _) = &mut self.parts.operators[index];
            let operator = *operator;
            let moment =
                Moment { port: 0, now_ms: self.now_ms, watermark_ms: self.merges[operator].current_ms() };
            let shape = &plan.shapes[operator];
            if let Some(handled) = self.rounds.fire_due(task, shape, moment)? {
                self.pass_on(plan, operator, handled, backpressure)?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The barrier: everything polled so far is in front of it.
    pub fn barrier(&mut self, barrier: Barrier) -> Result<Snapshot, ConnectorError> {
        let mut snapshot =
            Snapshot { positions: self.positions(), now_ms: self.now_ms, ..Snapshot::default() };
        for (index, source) in &self.parts.sources {
            let name = &self.plan.spec.sources[*index].name;
            snapshot.watermarks.extend(source.highest().into_iter().map(|(partition, highest_ms)| {
                SourceWatermark { source: name.clone(), partition, highest_ms }
            }));
        }
        weir_protocol::kill_point::reached("source_noted_positions");
        for (operator, _, _) in &self.parts.operators {
            snapshot.operator_watermarks.push((*operator, self.merges[*operator].current_ms()));
        }
        for (operator, task, ordinals) in &mut self.parts.operators {
            let name = self.plan.spec.operators[*operator].name.clone();
            if let Some(keyed) = task.keyed() {
                let frozen = keyed.state().freeze(barrier.epoch)?;
                let (subtask, ordinals) = (self.parts.subtask, ordinals.clone());
                snapshot.frozen.push(FrozenPart { operator: name, subtask, ordinals, frozen });
            }
        }
        weir_protocol::kill_point::reached("state_frozen");
        self.swap(barrier);
        for (_, exchange) in &self.parts.exchanges {
            exchange.broadcast(&Element::Barrier(barrier));
        }
        for (_, sink) in &mut self.parts.sinks {
            snapshot.prepared.extend(sink.prepare(barrier.epoch)?);
        }
        Ok(snapshot)
    }

    /// Per source of the plan the position of the first record not yet polled; empty where another stage reads it.
    pub fn positions(&self) -> Vec<Positions> {
        let mut positions = vec![Positions::new(); self.plan.spec.sources.len()];
        for (index, source) in &self.parts.sources {
            positions[*index] = source.positions();
        }
        positions
    }

    /// The transaction of the epoch is open: held output goes first.
    pub fn open(
        &mut self,
        epoch: weir_protocol::epoch::Epoch,
        backpressure: Backpressure<'_>,
    ) -> Result<(), ConnectorError> {
        self.parts.sinks.iter_mut().try_for_each(|(_, sink)| sink.open(epoch, backpressure))
    }

    /// Takes on new partitions of a source of the plan.
    pub fn add_partitions(&mut self, source: usize, start: &Positions) -> Result<(), ConnectorError> {
        let found = self.parts.sources.iter_mut().find(|(index, _)| *index == source);
        found.expect("the coordinator hands partitions to a subtask that reads the source").1.add(start)
    }

    /// Bytes held for the next epoch, over all sinks.
    pub fn held_bytes(&self) -> usize {
        self.parts.sinks.iter().map(|(_, sink)| sink.held_bytes()).sum()
    }

    /// Records behind, over all sources, where all of them know; 0 in a chain without sources.
    pub fn lag(&self) -> Option<u64> {
        self.parts.sources.iter().try_fold(0, |sum, (_, source)| Some(sum + source.lag()?))
    }

    /// Notes how far each source has come in its partitions.
    pub fn note_progress(&self) {
        for (index, source) in &self.parts.sources {
            if let Some(meters) = self.meters.sources.get(*index) {
                source.progress(&mut |partition, progress| meters.note(partition, progress));
            }
        }
    }

    /// Milliseconds of processing time until a timer is due; none where none is set.
    pub fn next_processing_time(&mut self) -> Result<Option<i64>, ConnectorError> {
        let mut next: Option<i64> = None;
        for (operator, task, _) in &mut self.parts.operators {
            let due = TimerRounds::next_processing_time(task, &self.plan.shapes[*operator])?;
            next = [next, due].into_iter().flatten().min();
        }
        Ok(next.map(|at| at.saturating_sub(self.now_ms)))
    }
}
