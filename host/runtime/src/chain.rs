//! The steps of one subtask put together as the plan says: a batch goes from the source to every sink that it
//! reaches on one thread, by calling one step after the other.

use crate::meters::Meters;
use crate::operator_task::OperatorTask;
use crate::sink_task::{Backpressure, SinkTask};
use crate::source_task::SourceTask;
use std::sync::Arc;
use std::time::Duration;
use weir_protocol::batch::Batch;
use weir_protocol::connector::{ConnectorError, Polled};
use weir_protocol::epoch::Epoch;
use weir_protocol::manifest::PreparedHandle;
use weir_protocol::plan::{Downstream, Plan};
use weir_protocol::position::Positions;

/// Emptied batches that are kept for their memory.
const SPARE_BATCHES_MAX: usize = 4;

/// What a subtask hands over at the barrier.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Per source of the plan the positions behind the barrier.
    pub positions: Vec<Positions>,
    /// What its sinks have prepared.
    pub prepared: Vec<PreparedHandle>,
    /// The highest processing time given to operators.
    pub now_ms: i64,
}

/// All steps of one subtask.
pub struct Chain {
    plan: Arc<Plan>,
    sources: Vec<SourceTask>,
    operators: Vec<OperatorTask>,
    sinks: Vec<SinkTask>,
    meters: Arc<Meters>,
    spare: Vec<Batch>,
    now_ms: i64,
}

impl Chain {
    /// A chain whose tasks are in the order of the plan's specification. `now_ms` is the highest processing time of
    /// the restored checkpoint.
    pub fn new(
        plan: Arc<Plan>,
        sources: Vec<SourceTask>,
        operators: Vec<OperatorTask>,
        sinks: Vec<SinkTask>,
        meters: Arc<Meters>,
        now_ms: i64,
    ) -> Chain {
        Chain { plan, sources, operators, sinks, meters, spare: Vec::new(), now_ms }
    }

    /// Number of sources.
    pub fn sources(&self) -> usize {
        self.sources.len()
    }

    /// True once no source has anything left.
    pub fn has_ended(&self) -> bool {
        self.sources.iter().all(SourceTask::has_ended)
    }

    /// Takes one batch from a source without processing it.
    pub fn poll(&mut self, source: usize, wait: Duration) -> Result<Option<Batch>, ConnectorError> {
        let mut batch = self.spare.pop().unwrap_or_default();
        let polled = self.sources[source].poll(&mut batch, wait)?;
        if polled != Polled::Rows || batch.rows == 0 {
            self.recycle(batch);
            return Ok(None);
        }
        self.meters.records_in.add(batch.rows as u64);
        self.meters.bytes_in.add((batch.keys.data.len() + batch.values.data.len()) as u64);
        Ok(Some(batch))
    }

    /// Takes a polled batch to every sink that it reaches. `wall_ms` is the clock, which may jump; operators see a
    /// time that never goes down.
    pub fn process(
        &mut self,
        source: usize,
        batch: Batch,
        wall_ms: i64,
        backpressure: Backpressure<'_>,
    ) -> Result<(), ConnectorError> {
        self.now_ms = self.now_ms.max(wall_ms);
        let plan = self.plan.clone();
        self.deliver(&plan, batch, &plan.from_source[source], backpressure)
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
            Downstream::Operator(operator) => {
                let handled = self.operators[operator].handle(batch, self.now_ms)?;
                if let (Some(letters), Some(sink)) = (handled.dead_letters, plan.dead_letters[operator]) {
                    self.write(sink, letters, backpressure)?;
                }
                for (port, output) in handled.outputs {
                    self.deliver(plan, output, &plan.from_operator[operator][port], backpressure)?;
                }
                Ok(())
            }
        }
    }

    fn write(
        &mut self,
        sink: usize,
        batch: Batch,
        backpressure: Backpressure<'_>,
    ) -> Result<(), ConnectorError> {
        self.meters.records_out.add(batch.rows as u64);
        self.meters.bytes_out.add((batch.keys.data.len() + batch.values.data.len()) as u64);
        if let Some(written) = self.sinks[sink].write(batch, backpressure)? {
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

    /// The barrier: everything polled so far is in front of it.
    pub fn barrier(&mut self, epoch: Epoch) -> Result<Snapshot, ConnectorError> {
        let positions = self.positions();
        weir_protocol::kill_point::reached("source_noted_positions");
        let mut prepared = Vec::new();
        for sink in &mut self.sinks {
            prepared.extend(sink.prepare(epoch)?);
        }
        Ok(Snapshot { positions, prepared, now_ms: self.now_ms })
    }

    /// Per source the position of the first record not yet polled.
    pub fn positions(&self) -> Vec<Positions> {
        self.sources.iter().map(SourceTask::positions).collect()
    }

    /// The transaction of the epoch is open: held output goes first.
    pub fn open(&mut self, epoch: Epoch, backpressure: Backpressure<'_>) -> Result<(), ConnectorError> {
        self.sinks.iter_mut().try_for_each(|sink| sink.open(epoch, backpressure))
    }

    /// Takes on new partitions of a source.
    pub fn add_partitions(&mut self, source: usize, start: &Positions) -> Result<(), ConnectorError> {
        self.sources[source].add(start)
    }

    /// Bytes held for the next epoch, over all sinks.
    pub fn held_bytes(&self) -> usize {
        self.sinks.iter().map(SinkTask::held_bytes).sum()
    }

    /// Records behind, over all sources, where all of them know.
    pub fn lag(&self) -> Option<u64> {
        self.sources.iter().try_fold(0, |sum, source| Some(sum + source.lag()?))
    }
}
