//! What `weir offsets` needs besides the decision log: other groups, looked at and written to.

use crate::admin::GroupFacts;
use crate::client::Client;
use crate::client_error::{ClientError, ErrorCode};
use crate::cluster::{KafkaCluster, Shared};
use crate::committed::{self, Committed, Isolation};
use crate::denied;
use crate::partition_list::PartitionList;
use rdkafka::bindings as native;
use std::time::{Duration, Instant};
use weir_protocol::connector::ConnectorError;
use weir_protocol::decision::CommittedOffset;
use weir_protocol::position::{Partition, Position};

/// How long a plain commit is tried.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(60);
/// Pause after a plain commit that failed in a way that may pass.
const COMMIT_PAUSE: Duration = Duration::from_millis(100);

impl KafkaCluster {
    /// State and members of a group of this cluster.
    pub fn group_facts(&self, group: &str) -> Result<GroupFacts, ConnectorError> {
        self.shared.admin.group(group)
    }

    /// What a group of this cluster has committed; waits for transactions that are under way.
    pub fn committed_in(
        &self,
        group: &str,
        partitions: &[Partition],
    ) -> Result<Vec<CommittedOffset>, ConnectorError> {
        Committed::of(&self.shared, group, Isolation::Stable)?.read(&self.shared, partitions)
    }

    /// All that a group of this cluster has committed, whichever topics that is of.
    pub fn all_committed_in(&self, group: &str) -> Result<Vec<CommittedOffset>, ConnectorError> {
        committed::read_all(&self.shared, group)
    }

    /// Commits offsets in a group without members, as `kafka-consumer-groups --reset-offsets` does: without metadata, so
    /// that they claim nothing.
    pub fn commit_plainly(
        &self,
        group: &str,
        offsets: &[(Partition, Position)],
    ) -> Result<(), ConnectorError> {
        let committed = Committed::of(&self.shared, group, Isolation::Unstable)?;
        let mut list = PartitionList::new();
        for (partition, position) in offsets {
            list.add(partition, *position, None)?;
        }
        commit(committed.client(), &self.shared, group, &list)
    }
}

/// A plain commit is the same request however often it is sent, so it is tried again.
pub(crate) fn commit(
    client: &Client,
    shared: &Shared,
    group: &str,
    offsets: &PartitionList,
) -> Result<(), ConnectorError> {
    let mut needs = vec![denied::group(group)];
    needs.extend(offsets.entries().iter().map(|entry| denied::reading(&entry.partition.topic)));
    let deadline = Instant::now() + COMMIT_TIMEOUT;
    let what = format!("committing the offsets of group {group}");
    loop {
        // SAFETY: client and list are alive; the call waits for the answer.
        let code = unsafe { native::rd_kafka_commit(client.handle(), offsets.native(), 0) };
        let element =
            offsets.entries().into_iter().map(|entry| entry.code).find(|code| *code != ErrorCode::NONE);
        let error = match (ErrorCode::from(code).check(), element) {
            (Ok(()), None) => return Ok(()),
            (Err(error), _) => error,
            (Ok(()), Some(code)) => ClientError::from_code(code),
        };
        if error.code.is_forbidden() || Instant::now() >= deadline {
            return Err(error.needing(&shared.grantee, &needs).of(&what));
        }
        std::thread::sleep(COMMIT_PAUSE);
    }
}
