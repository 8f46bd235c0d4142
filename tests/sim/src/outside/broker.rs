//! What Kafka holds: open transactions by producer, committed records, and the decision. A commit's request or answer
//! can be lost, and a request can arrive late, until the next fence.

use super::{CommitFault, Defect, Outside, Shared};
use crate::history::{Committed, Decided};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use weir_protocol::connector::{ConnectorError, DecisionLog};
use weir_protocol::decision::{CommittedOffset, Decision, Metadata};
use weir_protocol::epoch::Epoch;
use weir_protocol::position::Partition;

/// Which producer an incarnation's sinks and decision log write with; 0 before the fence.
#[derive(Clone, Default)]
pub struct Producer(Arc<AtomicU64>);

impl Producer {
    /// Its number.
    pub fn number(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// A record that a sink wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The sink of the plan.
    pub sink: usize,
    /// The record's key.
    pub key: String,
    /// The record's value.
    pub value: String,
}

/// A commit whose client has given up waiting, and which the broker has not seen yet.
struct Late {
    producer: u64,
    decision: Decision,
}

/// What Kafka holds.
#[derive(Default)]
pub struct Broker {
    /// The producer that may write; earlier ones are fenced.
    current: u64,
    open: BTreeMap<(u64, Epoch), Vec<Written>>,
    late: Option<Late>,
    /// The offsets of the last decision, and of the one before.
    offsets: Vec<CommittedOffset>,
    offsets_before: Vec<CommittedOffset>,
    /// Committed records, in the order of their commits.
    pub committed: Vec<Committed>,
    /// Decisions, in order.
    pub decisions: Vec<Decided>,
}

impl Outside {
    /// A producer's right to do anything.
    pub fn check_fence(&self, producer: u64) -> Result<(), ConnectorError> {
        let fences = self.defect != Some(Defect::NoFence);
        if producer != self.broker.current && fences {
            return Err(ConnectorError::fenced("a later incarnation has fenced this one"));
        }
        Ok(())
    }

    /// The transaction of an epoch, for its sinks.
    pub fn transaction(&mut self, producer: u64, epoch: Epoch) -> &mut Vec<Written> {
        self.broker.open.get_mut(&(producer, epoch)).expect("T4: a write into a transaction that is not open")
    }

    /// The commit takes effect.
    fn commit(&mut self, producer: u64, decision: &Decision) {
        let epoch = decision.record.id.epoch;
        let records = self.broker.open.remove(&(producer, epoch)).unwrap_or_default();
        let index = self.broker.decisions.len();
        self.note(format!("decided {} with {} records", decision.record.id, records.len()));
        self.broker
            .committed
            .extend(records.into_iter().map(|written| Committed { decision: index, written }));
        let decided = Decided::read(&self.directory, &decision.record, self.broker.committed.len());
        self.broker.decisions.push(decided);
        let metadata = Metadata::parse(&decision.record.to_string());
        let entries = decision.offsets.iter().map(|(partition, position)| CommittedOffset {
            partition: partition.clone(),
            position: Some(*position),
            metadata: metadata.clone(),
        });
        let before = std::mem::replace(&mut self.broker.offsets, entries.collect());
        self.broker.offsets_before = before;
    }

    fn settle_late(&mut self) {
        if let Some(late) = self.broker.late.take() {
            if self.random.one_in(2) {
                self.note("the late commit takes effect");
                self.commit(late.producer, &late.decision);
            } else {
                self.note("the late commit is undone");
            }
        }
    }
}

/// The decision log of one incarnation.
pub struct MemoryDecisions {
    outside: Shared,
    producer: Producer,
}

impl MemoryDecisions {
    /// A log that has fenced nobody yet.
    pub fn new(outside: Shared, producer: Producer) -> MemoryDecisions {
        MemoryDecisions { outside, producer }
    }
}

fn entries(offsets: &[CommittedOffset], partitions: &[Partition]) -> Vec<CommittedOffset> {
    let none = |partition: &Partition| CommittedOffset {
        partition: partition.clone(),
        position: None,
        metadata: Metadata::Empty,
    };
    let found = |partition: &Partition| offsets.iter().find(|entry| entry.partition == *partition).cloned();
    partitions.iter().map(|partition| found(partition).unwrap_or_else(|| none(partition))).collect()
}

impl DecisionLog for MemoryDecisions {
    fn look(&mut self, partitions: &[Partition]) -> Result<Vec<CommittedOffset>, ConnectorError> {
        let mut outside = self.outside.lock();
        outside.may_fail("the decision cannot be looked at", 40)?;
        Ok(entries(&outside.broker.offsets, partitions))
    }

    fn fence(&mut self) -> Result<(), ConnectorError> {
        let mut outside = self.outside.lock();
        outside.may_fail("the fence fails without an effect", 30)?;
        outside.settle_late();
        outside.broker.current += 1;
        self.producer.0.store(outside.broker.current, Ordering::SeqCst);
        if outside.defect != Some(Defect::NoFence) {
            outside.broker.open.clear();
        }
        outside.may_fail("the fence takes effect and its answer is lost", 30)
    }

    fn read(&mut self, partitions: &[Partition]) -> Result<Vec<CommittedOffset>, ConnectorError> {
        let mut outside = self.outside.lock();
        assert_eq!(self.producer.number(), outside.broker.current, "the decision is read behind the fence");
        outside.may_fail("the decision cannot be read", 30)?;
        let stale = outside.broker.decisions.len() > 3 && outside.plants(Defect::StaleDecision, 1);
        let offsets = if stale { &outside.broker.offsets_before } else { &outside.broker.offsets };
        Ok(entries(offsets, partitions))
    }

    fn covered(&self, partitions: &[Partition]) -> Vec<Partition> {
        partitions.to_vec()
    }

    fn begin(&mut self, epoch: Epoch) -> Result<(), ConnectorError> {
        let mut outside = self.outside.lock();
        outside.check_fence(self.producer.number())?;
        outside.may_fail("no transaction can be begun", 150)?;
        let before = outside.broker.open.insert((self.producer.number(), epoch), Vec::new());
        assert!(before.is_none(), "T4: the transaction of epoch {epoch} is begun twice");
        Ok(())
    }

    fn flush(&mut self, _: Epoch) -> Result<(), ConnectorError> {
        let mut outside = self.outside.lock();
        outside.check_fence(self.producer.number())?;
        outside.may_fail("the flush fails", 80)
    }

    fn decide(&mut self, decision: &Decision) -> Result<(), ConnectorError> {
        let mut outside = self.outside.lock();
        let producer = self.producer.number();
        outside.check_fence(producer)?;
        let asked = outside.next_commit.take();
        if asked == Some(CommitFault::RequestLost) {
            return Err(ConnectorError::transient("the request is lost"));
        }
        // In probation the decision is also about what runs from then on.
        let one_in = if outside.control.on_probation { 6 } else { 40 };
        outside.may_fail("the request to commit is lost", one_in)?;
        if outside.fault("the request to commit arrives late", one_in) {
            outside.broker.late = Some(Late { producer, decision: decision.clone() });
            return Err(ConnectorError::transient("no answer to the commit"));
        }
        outside.commit(producer, decision);
        if asked == Some(CommitFault::AnswerLost) {
            return Err(ConnectorError::transient("the answer is lost"));
        }
        outside.may_fail("the answer to the commit is lost", one_in)
    }

    fn retire(&mut self, _: Epoch) -> Result<(), ConnectorError> {
        self.outside.lock().may_fail("the slot cannot be made ready", 200)
    }
}
