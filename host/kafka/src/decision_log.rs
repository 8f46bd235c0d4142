//! The decision log in Kafka: committed offsets whose metadata names the checkpoint.
//!
//! With exactly-once the offsets are part of the transaction that carries the epoch's output. The other guarantees
//! commit them plainly, behind the same fence, in the same form.

use crate::cluster::Shared;
use crate::committed::{Committed, Isolation};
use crate::partition_list::PartitionList;
use std::sync::Arc;
use weir_protocol::connector::{ConnectorError, DecisionLog};
use weir_protocol::decision::{CommittedOffset, Decision};
use weir_protocol::epoch::Epoch;
use weir_protocol::plan::Guarantee;
use weir_protocol::position::Partition;

/// Which committed offsets are the decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DecisionForm {
    /// Those of the source partitions: all Kafka sources are on this cluster, and there is no other source.
    SourcePartitions,
    /// The epoch's number, as the offset of partition 0 of a topic of this cluster (its first sink's): the sources
    /// are elsewhere, their positions are in the manifest.
    StandIn {
        /// The topic; it must exist.
        topic: String,
    },
}

/// The decision log of one pipeline on one cluster.
pub(crate) struct KafkaDecisionLog {
    shared: Arc<Shared>,
    form: DecisionForm,
    /// Reads behind the fence, and commits where there is no transaction. Made at the first use.
    committed: Option<Committed>,
}

impl KafkaDecisionLog {
    pub(crate) fn new(shared: Arc<Shared>, form: DecisionForm) -> KafkaDecisionLog {
        KafkaDecisionLog { shared, form, committed: None }
    }

    fn transactional(&self) -> bool {
        self.shared.guarantee == Guarantee::ExactlyOnce
    }

    fn committed(&mut self) -> Result<&Committed, ConnectorError> {
        let committed = match self.committed.take() {
            Some(committed) => committed,
            None => Committed::own(&self.shared, Isolation::Stable)?,
        };
        Ok(self.committed.insert(committed))
    }

    fn offsets(&self, decision: &Decision) -> Result<PartitionList, ConnectorError> {
        // An empty list would be left out of the transaction, and its commit would prove nothing; so would an
        // offset below 0.
        if decision.offsets.is_empty() || decision.offsets.iter().any(|(_, position)| position.offset < 0) {
            return Err(ConnectorError::permanent(format!(
                "the decision of epoch {} has no offset to write; a pipeline needs at least one partition",
                decision.record.id.epoch
            )));
        }
        let metadata = decision.record.to_string();
        let mut list = PartitionList::new();
        for (partition, position) in &decision.offsets {
            list.add(partition, *position, Some(&metadata))?;
        }
        Ok(list)
    }
}

impl DecisionLog for KafkaDecisionLog {
    fn look(&mut self, partitions: &[Partition]) -> Result<Vec<CommittedOffset>, ConnectorError> {
        Committed::own(&self.shared, Isolation::Unstable)?.read(&self.shared, &self.covered(partitions))
    }

    fn fence(&mut self) -> Result<(), ConnectorError> {
        self.shared.slots.fence(&self.shared)?;
        if !self.transactional() {
            self.shared.slots.release();
        }
        Ok(())
    }

    fn read(&mut self, partitions: &[Partition]) -> Result<Vec<CommittedOffset>, ConnectorError> {
        let (covered, shared) = (self.covered(partitions), self.shared.clone());
        self.committed()?.read(&shared, &covered)
    }

    fn covered(&self, partitions: &[Partition]) -> Vec<Partition> {
        match &self.form {
            DecisionForm::SourcePartitions => partitions.to_vec(),
            DecisionForm::StandIn { topic } => vec![Partition::new(topic.as_str(), 0)],
        }
    }

    fn begin(&mut self, epoch: Epoch) -> Result<(), ConnectorError> {
        if self.transactional() { self.shared.slots.of(epoch).begin(epoch) } else { Ok(()) }
    }

    fn flush(&mut self, epoch: Epoch) -> Result<(), ConnectorError> {
        // Without a transaction each writer has flushed when it prepared.
        if !self.transactional() {
            return Ok(());
        }
        self.shared.slots.of(epoch).flush(epoch, self.shared.transaction_timeout)
    }

    fn decide(&mut self, decision: &Decision) -> Result<(), ConnectorError> {
        let offsets = self.offsets(decision)?;
        if !self.transactional() {
            let shared = self.shared.clone();
            return crate::offsets::commit(self.committed()?.client(), &shared, &shared.group, &offsets);
        }
        let epoch = decision.record.id.epoch;
        let shared = &self.shared;
        // K1: without this a zombie could take both ids back while it recycles both, and decide beside its successor.
        shared.slots.beside(epoch).await_initialised()?;
        shared.slots.of(epoch).decide(epoch, offsets, &shared.group, shared.transaction_timeout)
    }

    fn abandon(&mut self) {
        if self.transactional() {
            self.shared.slots.abandon();
        }
    }

    fn retire(&mut self, epoch: Epoch) -> Result<(), ConnectorError> {
        if self.transactional() { self.shared.slots.of(epoch).retire(&self.shared) } else { Ok(()) }
    }
}

impl Drop for KafkaDecisionLog {
    fn drop(&mut self) {
        self.shared.slots.end();
    }
}
