//! What `weir offsets show` and `weir offsets reset` need: a look at the group, and a decision outside of a run.

use crate::admin::GroupFacts;
use crate::cluster::KafkaCluster;
use weir_protocol::connector::{ConnectorError, DecisionLog};
use weir_protocol::decision::Decision;

impl KafkaCluster {
    /// State and members of the group that holds the decision.
    pub fn group_facts(&self) -> Result<GroupFacts, ConnectorError> {
        self.shared.admin.group(&self.shared.group)
    }
}

/// Fences every earlier incarnation and makes one decision that carries no output: a reset, a savepoint's start.
pub fn decide_alone(log: &mut dyn DecisionLog, decision: &Decision) -> Result<(), ConnectorError> {
    let epoch = decision.record.id.epoch;
    log.fence()?;
    log.begin(epoch)?;
    log.flush(epoch)?;
    log.decide(decision)
}
